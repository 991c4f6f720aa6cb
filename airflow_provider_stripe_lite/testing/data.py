"""What is in the fake's accounts, and its clock."""

from __future__ import annotations

import math
import random
import string
import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any

from airflow_provider_stripe_lite.core.resources import DEFAULT_API_VERSION
from airflow_provider_stripe_lite.testing.lists import Series, Store
from airflow_provider_stripe_lite.testing.objects import Item, render, stored
from airflow_provider_stripe_lite.testing.shapes import SERVED, Kind, shape_of

__all__ = ["Data", "Moment", "is_number"]

# Seconds since 1970, or a date-time or ISO text with a time zone.
Moment = float | datetime | str


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
        if not is_number(seconds) or seconds < 0:
            raise ValueError(f"advance({seconds!r}): the clock moves forward, by a number >= 0.")
        self._advanced += seconds

    def add(self, kind: Kind, *, created: Moment | None = None, **fields: Any) -> str:
        """Add one object and return its id; the arguments are those of `add_many`."""
        return self.add_many(kind, 1, created=created, **fields)[0]

    def add_many(
        self,
        kind: Kind,
        n: int,
        *,
        created: Moment | None = None,
        spread: int = 0,
        visible_at: Moment | None = None,
        listed_at: Moment | None = None,
        undated: bool = False,
        id: str | None = None,
        livemode: bool = False,
        account: str = "",
        **fields: Any,
    ) -> list[str]:
        """Add objects and return their ids, oldest first.

        :param kind: Stripe's ``object`` value, such as "charge".
        :param created: when the first of them was created, as seconds since 1970, or as a date-time
            or ISO text with a time zone; by default the last one is created now.
        :param spread: over so many seconds they are distributed evenly.
        :param visible_at: before this time they are neither listed nor found.
        :param listed_at: they stand in the list where what was created then stands.
        :param undated: their time field is left out.
        :param id: of one object; by default ids are made up.
        :param account: the id of the connected account that they belong to.
        :param fields: the fields in which they differ from the default; of an event also
            ``object`` (in full, or the id of one that was added) and ``previous_attributes``,
            which stand in its ``data``.
        :raises ValueError: there is no such kind, the id is in use, or a time is none.
        :raises LookupError: no object has the id that is an event's ``object``.
        """
        shape_of(kind)
        if id is not None and n != 1:
            raise ValueError(f"One id cannot be given to {n} objects.")
        created = _one_time(kind, created, fields.pop(SERVED[kind].time_field, None))
        first = int(self.now) - spread if created is None else int(created)
        visible = 0 if visible_at is None else _seconds("visible_at", visible_at)
        listed = None if listed_at is None else int(_seconds("listed_at", listed_at))
        fields = self._stored(kind, fields, livemode, account)
        with self._lock:
            items = [self._item(kind, first + i * spread // n, id, livemode) for i in range(n)]
            for item in items:
                item.visible_at, item.listed_at, item.undated = visible, listed, undated
                item.fields = fields
            self._stores[livemode, account].add(kind, items, self.now)
        return [item.id for item in items]

    def generate(
        self,
        kind: Kind,
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
        if (name := SERVED[kind].time_field) in fields:
            raise ValueError(f"{name}={fields[name]!r} contradicts created, which tells the time.")
        with self._lock:
            fields = self._stored(kind, fields, livemode, account)
            series = Series(kind, n, created, livemode, fields)
            self._stores[livemode, account].series[kind] = series

    def add_list(
        self,
        path: str,
        objects: Sequence[dict[str, Any]],
        *,
        livemode: bool = False,
        account: str = "",
    ) -> None:
        """Serve a list at a path of its own, such as ``/v1/invoices/in_1/lines``.

        It takes the place of what was listed there. It is paged, and filtered by ``created`` and by
        any field.

        :param objects: newest first, as they are sent.
        :raises ValueError: it is the path of a kind, whose objects are added.
        """
        for kind, resource in SERVED.items():
            if path == resource.path:
                raise ValueError(f'{path} lists what is added: add("{kind}", …).')
        with self._lock:
            self._stores[livemode, account].give(path, deepcopy(objects)[::-1])

    def _item(self, kind: str, created: int, id: str | None, livemode: bool) -> Item:
        """Return a new object, its id made up unless one is given."""
        shape = shape_of(kind)
        mode = ("live_" if livemode else "test_") if kind == "checkout.session" else ""
        name = id or shape.prefix + mode + self._letters(shape.id_size)
        self._made += 1
        return Item(name, created, zlib.crc32(name.encode()) if self.scrambled else self._made)

    def _letters(self, size: int) -> str:
        return "".join(self._random.choices(string.ascii_letters + string.digits, k=size))

    def delete(
        self,
        id: str,
        *,
        kind: Kind | None = None,
        livemode: bool = False,
        account: str = "",
    ) -> None:
        """Delete an object, also of a kind that Stripe does not delete.

        :param kind: of the object, where objects of several kinds have its id.
        :raises LookupError: there is no such object, or it is deleted already.
        :raises ValueError: objects of several kinds have the id.
        """
        if kind is not None:
            shape_of(kind)
        with self._lock:
            store = self._stores[livemode, account]
            kinds = [name for name in store.kinds_of(id) if kind in (None, name)]
            if not kinds:
                what = f'"{kind}" with the id' if kind else "object"
                raise LookupError(f'There is no {what} "{id}" in {_where(livemode, account)}.')
            store.delete(_one_kind(id, kinds, 'say which one, as kind="{}"'), id)

    def _stored(
        self, kind: str, fields: dict[str, Any], livemode: bool, account: str
    ) -> dict[str, Any]:
        """Return fields as they are kept; an event has an object in full, as it is now."""
        if kind == "event" and isinstance(id := fields.get("object"), str):
            with self._lock:
                store = self._stores[livemode, account]
                # An event may tell that its object was deleted.
                kinds = store.kinds_of(id) or store.kinds_of(id, deleted=True)
                if not kinds:
                    cure = "add it first, or give the object in full"
                    where = _where(livemode, account)
                    raise LookupError(f'There is no object "{id}" in {where}: {cure}.')
                of = _one_kind(id, kinds, 'give the object in full, as from objects("{}")')
                item = store.get(of, id)
                version = fields.get("api_version") or DEFAULT_API_VERSION
                if item is not None:
                    fields = fields | {"object": render(of, item, version, livemode)}
        return stored(kind, fields, account)

    def ids(self, kind: Kind, *, livemode: bool = False, account: str = "") -> list[str]:
        """Return the ids of all that is listed now, oldest first."""
        return [item.id for item in self._listed(kind, livemode, account)]

    def objects(
        self, kind: Kind, *, livemode: bool = False, account: str = ""
    ) -> list[dict[str, Any]]:
        """Return all that is listed now, oldest first, as the provider's API version shows it."""
        items = self._listed(kind, livemode, account)
        # What is rendered shares its values with other objects; a caller may change what it gets.
        return [deepcopy(render(kind, item, DEFAULT_API_VERSION, livemode)) for item in items]

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


def _where(livemode: bool, account: str) -> str:
    mode = "live mode" if livemode else "test mode"
    return f'{mode} of account "{account}"' if account else mode


def _one_kind(id: str, kinds: list[str], cure: str) -> str:
    """Return the only kind whose object has an id; of several, say what is to be done."""
    if len(kinds) > 1:
        names = " and ".join(f'"{name}"' for name in kinds)
        known = cure.format(kinds[0])
        raise ValueError(f'Objects of the kinds {names} have the id "{id}": {known}.')
    return kinds[0]


def _one_time(kind: str, created: Moment | None, own: Moment | None) -> float | None:
    """Return when an object was created, said as ``created``, as its time field, or as both."""
    field = SERVED[kind].time_field
    times = [
        _seconds(name, moment)
        for name, moment in (("created", created), (field, own))
        if moment is not None
    ]
    if len(times) == 2 and int(times[0]) != int(times[1]):
        both = f"created={created!r} and {field}={own!r}"
        raise ValueError(f'{both} contradict each other: they are one time of a "{kind}".')
    return times[0] if times else None


def _seconds(name: str, moment: Moment) -> float:
    """Return a moment as seconds since 1970.

    :param name: of the argument, for what is said of a wrong one.
    """
    given = f"{name}={moment!r}"
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            raise _no_time(given) from None
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            cure = f'"{moment.isoformat()}Z" or tzinfo=UTC'
            raise ValueError(f"{given} has no time zone: say which, such as {cure}.")
        return moment.timestamp()
    if not is_number(moment):
        raise _no_time(given)
    return moment


def _no_time(given: str) -> ValueError:
    takes = "it takes epoch seconds, or a date-time with a time zone"
    return ValueError(f'{given} is no time: {takes}, such as "2026-01-31T12:00:00Z".')


def is_number(given: Any) -> bool:
    """Return whether something is a finite number, which True is not meant to be."""
    return isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given)
