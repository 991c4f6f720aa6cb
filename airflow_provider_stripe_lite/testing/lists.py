"""The lists of one account in one mode: what is in them, in which order, and how a page is cut."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from itertools import islice
from typing import Any, overload

from airflow_provider_stripe_lite.testing.objects import Item, template
from airflow_provider_stripe_lite.testing.shapes import SHAPES

__all__ = ["Given", "Series", "Store"]


class Series(Sequence[Item]):
    """Objects without number that are made when a page shows them, oldest first.

    To a `Store` it is both the order of a list and its objects by id.

    :param created: the second of the object at an index; must not fall as the index grows.
    :param fields: what all of them have in common.
    """

    def __init__(
        self, kind: str, n: int, created: Callable[[int], int], livemode: bool, fields: Any
    ) -> None:
        self._kind, self._n, self._created, self._fields = kind, n, created, fields
        self._livemode, self._prefix = livemode, SHAPES[kind].prefix
        self._templates: dict[str, list[str | int]] = {}

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(self._n))]
        if not 0 <= index < self._n:
            raise IndexError(index)
        id = f"{self._prefix}{index:024}"
        return Item(id, self._created(index), index, fields=self._fields)

    def get(self, id: str) -> Item | None:
        """Return the object of an id."""
        digits = id.removeprefix(self._prefix)
        known = len(digits) == 24 and digits.isdecimal() and int(digits) < self._n
        return self[int(digits)] if known else None

    def text(self, items: list[Item], version: str) -> str:
        """Return the JSON of objects, from a template that is rendered once for each version."""
        if version not in self._templates:
            pieces = template(self._kind, self._fields, version, self._livemode)
            self._templates[version] = pieces
        text: list[str] = []
        for item in items:
            text.append(", " if text else "")
            for piece in self._templates[version]:
                if isinstance(piece, str):
                    text.append(piece)
                else:
                    text.append(item.id[-24:] if piece < 0 else str(item.created + piece))
        return "".join(text)


class Given(list[Item]):
    """Objects that a test gives as they are sent, oldest first."""

    def __init__(self, objects: Iterable[dict[str, Any]]) -> None:
        super().__init__(
            Item(str(one.get("id", "")), one.get("created") or 0, tie, fields=one, listed_at=0)
            for tie, one in enumerate(objects)
        )

    def get(self, id: str) -> Item | None:
        """Return the object of an id."""
        return next((item for item in self if item.id == id), None)

    def text(self, items: list[Item], version: str) -> str:
        """Return the JSON of objects, which is the same in every version."""
        return ", ".join(json.dumps(item.fields) for item in items)


def _second(item: Item) -> int:
    return item.created


def _place(item: Item) -> tuple[float, int]:
    return item.place


class Store:
    """Every object by id, and those now visible in list order, oldest first.

    :ivar series: the lists, by kind or path, that are not made of added objects.
    :ivar displaced: the lists whose order is not that of their objects' times.
    """

    def __init__(self) -> None:
        self._items: dict[str, dict[str, Item]] = {kind: {} for kind in SHAPES}
        self._order: dict[str, list[Item]] = {kind: [] for kind in SHAPES}
        self._late: list[tuple[float, int, str, Item]] = []
        self.series: dict[str, Series | Given] = {}
        self.displaced = set[str]()

    def add(self, kind: str, items: list[Item], now: float) -> None:
        """Add objects; those whose time has not come are listed later."""
        if kind in self.series:
            raise ValueError(f'The "{kind}" list is generated: nothing can be added to it.')
        for item in items:
            if (old := self._items[kind].get(item.id)) and not old.deleted:
                raise ValueError(f'There is a "{kind}" with the id "{item.id}" already.')
            self._items[kind][item.id] = item
            if item.listed_at is not None:
                self.displaced.add(kind)
            if item.visible_at > now:
                heappush(self._late, (item.visible_at, id(item), kind, item))
        seen = [item for item in items if item.visible_at <= now]
        if len(seen) == 1:
            insort(self._order[kind], seen[0], key=_place)
        elif seen:
            self._order[kind] = sorted(self._order[kind] + seen, key=_place)

    def reveal(self, now: float) -> None:
        """Put late objects whose time has come into the place that their second gives them."""
        while self._late and self._late[0][0] <= now:
            *_, kind, item = heappop(self._late)
            if not item.deleted:
                insort(self._order[kind], item, key=_place)

    def get(self, kind: str, id: str) -> Item | None:
        """Return the object, deleted or not, visible or not."""
        return (self.series[kind] if kind in self.series else self._items[kind]).get(id)

    def kinds_of(self, id: str, deleted: bool = False) -> list[str]:
        """Return the kinds of the objects with this id, visible or not, that are deleted or not."""
        found = {kind: self.get(kind, id) for kind in SHAPES}
        return [kind for kind, item in found.items() if item and item.deleted is deleted]

    def give(self, path: str, objects: Iterable[dict[str, Any]]) -> None:
        """Let a path list these objects, oldest first."""
        self.series[path] = Given(objects)
        self.displaced.add(path)

    def delete(self, kind: str, id: str) -> None:
        """Take an object out of its list for good."""
        if kind in self.series:
            raise ValueError(f'The "{kind}" list is generated: nothing can be deleted from it.')
        item, order = self._items[kind][id], self._order[kind]
        place = bisect_left(order, item.place, key=_place)
        if not item.deleted and place < len(order) and order[place] is item:
            del order[place]
        item.deleted = True

    def listed(self, kind: str, since: float | None = None) -> Sequence[Item]:
        """Return what is visible, oldest first, or only what is listed ``since`` a time."""
        order: Sequence[Item] = self.series[kind] if kind in self.series else self._order[kind]
        return order if since is None else order[bisect_left(order, (since, 0), key=_place) :]

    def page(
        self,
        kind: str,
        limit: int,
        created: list[tuple[str, int]],
        after: Item | None,
        before: Item | None,
        matches: Callable[[Item], bool] | None,
    ) -> tuple[list[Item], bool]:
        """Return one page, newest first, and whether more follow in the direction of the cursor.

        :param created: bounds, for a list that is in the order of its objects' times.
        """
        order = self.listed(kind)
        low, high = 0, len(order)
        for bound, second in created:
            side = bisect_left if bound in ("gte", "lt") else bisect_right
            edge = side(order, second, key=_second)
            low, high = (max(low, edge), high) if bound[0] == "g" else (low, min(high, edge))
        if after:
            high = min(high, bisect_left(order, after.place, key=_place))
        if before:
            low = max(low, bisect_right(order, before.place, key=_place))
        # The page before a cursor is the one next to it: found from the oldest on, then turned.
        walk = range(low, high) if before else range(high - 1, low - 1, -1)
        found: Iterable[Item] = (order[index] for index in walk)
        some = list(islice(filter(matches, found) if matches else found, limit + 1))
        page = some[:limit]
        return page[::-1] if before else page, len(some) > limit
