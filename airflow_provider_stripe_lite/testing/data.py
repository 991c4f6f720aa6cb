"""What is in the fake's accounts, and its clock."""

from __future__ import annotations

import random
import string
import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import Any

from airflow_provider_stripe_lite.core.resources import DEFAULT_API_VERSION, RESOURCES
from airflow_provider_stripe_lite.testing.lists import Series, Store
from airflow_provider_stripe_lite.testing.objects import Item, render
from airflow_provider_stripe_lite.testing.shapes import shape_of

__all__ = ["Data"]


class Data:
    """The objects of all accounts, in both modes."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        scrambled: bool = False,
        seed: int | None = 0,
    ) -> None:
        self.clock, self.scrambled = clock, scrambled
        self._advanced = 0.0
        self._random = random.Random(seed)  # noqa: S311
        self._lock = threading.RLock()
        self._stores: defaultdict[tuple[bool, str], Store] = defaultdict(Store)
        self._made = 0

    @property
    def now(self) -> float:
        """Return the fake's time, in seconds since 1970."""
        return self.clock() + self._advanced

    def advance(self, seconds: float) -> None:
        """Move the fake's clock forward."""
        self._advanced += seconds

    def add(self, kind: str, *, created: float | datetime | None = None, **fields: Any) -> str:
        """Add one object and return its id; the arguments are those of `add_many`."""
        return self.add_many(kind, 1, created=created, **fields)[0]

    def add_many(
        self,
        kind: str,
        n: int,
        *,
        created: float | datetime | None = None,
        spread: int = 0,
        visible_at: float | None = None,
        id: str | None = None,
        livemode: bool = False,
        account: str = "",
        **fields: Any,
    ) -> list[str]:
        """Add objects and return their ids, oldest first.

        :param kind: Stripe's ``object`` value, such as "charge".
        :param created: when the first of them was created; by default the last one is created now.
        :param spread: over so many seconds they are distributed evenly.
        :param visible_at: before this time (epoch seconds) they are neither listed nor found.
        :param id: of one object; by default ids are made up.
        :param account: the id of the connected account that they belong to.
        :param fields: the fields in which they differ from the default.
        :raises ValueError: there is no such kind, or the id is in use.
        """
        shape_of(kind)
        if id is not None and n != 1:
            raise ValueError(f"One id cannot be given to {n} objects.")
        if created is None:
            created = fields.pop(RESOURCES[kind].time_field, None)
        first = int(self.now) - spread if created is None else _seconds(created)
        if "account_balance" in fields:
            fields["balance"] = fields.pop("account_balance")
        with self._lock:
            items = [self._item(kind, first + i * spread // n, id, livemode) for i in range(n)]
            for item in items:
                item.visible_at, item.fields = visible_at or 0, fields
            self._stores[livemode, account].add(kind, items, self.now)
        return [item.id for item in items]

    def generate(
        self,
        kind: str,
        n: int,
        *,
        created: Callable[[int], int],
        livemode: bool = False,
        account: str = "",
        **fields: Any,
    ) -> None:
        """Let a list consist of objects that are made when they are read, a million if need be.

        They take the place of all that is in the list, they all have the same fields, and an id is
        the prefix of its kind and 24 digits, counted from 0, the oldest.

        :param created: returns the second of an object for its number; must not fall.
        """
        shape_of(kind)
        with self._lock:
            series = Series(kind, n, created, livemode, fields)
            self._stores[livemode, account].series[kind] = series

    def _item(self, kind: str, created: int, id: str | None, livemode: bool) -> Item:
        """Return a new object, its id made up unless one is given."""
        shape = shape_of(kind)
        mode = ("live_" if livemode else "test_") if kind == "checkout.session" else ""
        name = id or shape.prefix + mode + self._letters(shape.id_size)
        self._made += 1
        return Item(name, created, zlib.crc32(name.encode()) if self.scrambled else self._made)

    def _letters(self, size: int) -> str:
        return "".join(self._random.choices(string.ascii_letters + string.digits, k=size))

    def delete(self, id: str, *, livemode: bool = False, account: str = "") -> None:
        """Delete an object, also of a kind that Stripe does not delete.

        :raises LookupError: there is no object with this id.
        """
        with self._lock:
            store = self._stores[livemode, account]
            kind = store.kind_of(id)
            if kind is None:
                where = f'{"live" if livemode else "test"} mode, account "{account}"'
                raise LookupError(f'There is no object "{id}" in {where}.')
            store.delete(kind, id)

    def ids(self, kind: str, *, livemode: bool = False, account: str = "") -> list[str]:
        """Return the ids of all that is listed now, oldest first."""
        return [item.id for item in self._listed(kind, livemode, account)]

    def objects(
        self, kind: str, *, livemode: bool = False, account: str = ""
    ) -> list[dict[str, Any]]:
        """Return all that is listed now, oldest first, as the provider's API version shows it."""
        items = self._listed(kind, livemode, account)
        return [render(kind, item, DEFAULT_API_VERSION, livemode) for item in items]

    def _listed(self, kind: str, livemode: bool, account: str) -> list[Item]:
        kept = shape_of(kind).kept
        with self._lock:
            store = self._store(livemode, account)
            return list(store.listed(kind, None if kept is None else self.now - kept))

    def _store(self, livemode: bool, account: str) -> Store:
        """Return the lists of an account, with what has become visible by now."""
        store = self._stores[livemode, account]
        store.reveal(self.now)
        return store


def _seconds(moment: float | datetime) -> int:
    if not isinstance(moment, datetime):
        return int(moment)
    if moment.tzinfo is None:
        raise ValueError(f"created={moment!r} has no time zone: say which, e.g. with tzinfo=UTC.")
    return int(moment.timestamp())
