"""A stretch of a feed: where a read begins and ends, as Python has it and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, cast

from airflow_provider_stripe_lite.core.scrub import show
from airflow_provider_stripe_lite.core.times import iso
from airflow_provider_stripe_lite.errors import StripeInputError

if TYPE_CHECKING:
    from airflow_provider_stripe_lite.core.client import StripeClient

__all__ = [
    "Position",
    "Source",
    "Window",
    "behind",
    "checked",
    "end_of",
    "is_empty",
    "own",
    "refuse_foreign",
    "start_of",
    "stretch",
]


class Window(TypedDict):
    """A stretch of a feed as JSON, read with ``StripeHook().read(window)``.

    It holds what the list shows behind the object ``after``, up to the object ``last``; where one
    of them was deleted, or none is known, the times count in its place: ISO 8601 in UTC, with the
    meaning of Stripe's own filters of those names.

    :ivar feed: Stripe's ``object`` value of what the list holds.
    :ivar types: the event types of an event feed, else None.
    :ivar created_gte: the stretch begins at this second.
    :ivar created_lt: the stretch ends before this second.
    :ivar after: id of the last object before the stretch, or None.
    :ivar last: id of the last object before its end, or None.
    :ivar stripe_conn_id: the connection that the stretch was read with.
    :ivar stripe_account: ``acct_…``, or a short hash of the key's own account, or None.
    :ivar livemode: whether the objects are live ones; None where the key does not tell.
    :ivar count: number of objects, or None where nobody has counted them.
    """

    feed: str
    types: list[str] | None
    created_gte: str
    created_lt: str
    after: str | None
    last: str | None
    stripe_conn_id: str
    stripe_account: str | None
    livemode: bool | None
    count: int | None


@dataclass(frozen=True, slots=True)
class Position:
    """Say what of a feed has been delivered.

    :param before: epoch second: everything created before it has been.
    :param last_id: the last object delivered. While it lives, all that the list shows behind it is
        new, whatever its date says; the second serves where the object was deleted.
    :param looked: epoch second at which the list was last read to its end; it is no part of what
        makes two positions equal.
    """

    before: int
    last_id: str | None = None
    looked: int | None = field(default=None, compare=False)


class Source(NamedTuple):
    """What a window was read from.

    :param feed: Stripe's ``object`` value of what the list holds.
    :param stripe_conn_id: id of the connection.
    :param stripe_account: ``acct_…``, or a short hash of the key's own account, or None.
    :param livemode: whether the key is a live one; None where the key does not tell.
    :param types: the event types of an event feed, else None.
    :param stripe_context: the account for which an organization's key acts, or None.
    """

    feed: str
    stripe_conn_id: str
    stripe_account: str | None
    livemode: bool | None
    types: list[str] | None = None
    stripe_context: str | None = None


def stretch(source: Source, start: Position, end: Position, count: int | None) -> Window:
    """Return the stretch of a feed between two positions."""
    return Window(
        feed=source.feed,
        types=source.types,
        created_gte=iso(start.before),
        created_lt=iso(end.before),
        after=start.last_id,
        last=end.last_id,
        stripe_conn_id=source.stripe_conn_id,
        stripe_account=source.stripe_account,
        livemode=source.livemode,
        count=count,
    )


def refuse_foreign(window: Window, source: Source, what: str, remedy: str = "") -> None:
    """Refuse a window of another feed, account or mode, where both sides know theirs.

    :raises StripeInputError: naming both values.
    """
    for name, theirs, mine in (
        ("feed", window["feed"], source.feed),
        ("livemode", window["livemode"], source.livemode),
        ("stripe_account", window["stripe_account"], source.stripe_account),
    ):
        # A key that does not tell its account may be any account's, but it acts for a connected
        # account only where it is told to.
        connected = str(theirs).startswith("acct_")
        if theirs not in (None, mine) and (mine is not None or connected):
            raise StripeInputError(
                f"This {what} was made for {name} {theirs!r}, but the task and its connection "
                f"{source.stripe_conn_id} stand for {name} {mine!r}; nothing was delivered. "
                f"{remedy}".rstrip()
            )


def own(window: Any, stripe_conn_id: str, client: StripeClient, feed: str | None = None) -> Window:
    """Accept a window of the client's account and mode, and of this feed where one is given.

    :raises StripeInputError: it is no window, or another one's.
    """
    window = checked(window)
    mine = Source(feed or window["feed"], stripe_conn_id, client.account, client.livemode)
    refuse_foreign(window, mine, "window")
    return cast("Window", window)


def start_of(window: Window) -> Position:
    """Return the position before the stretch."""
    return Position(_epoch(window["created_gte"]), window["after"])


def end_of(window: Window) -> Position:
    """Return the position behind the stretch."""
    return Position(_epoch(window["created_lt"]), window["last"])


def behind(window: Window) -> Window:
    """Return the window of no length at the end of another one."""
    at_end: Window = {**window, "created_gte": window["created_lt"], "after": window["last"]}
    return {**at_end, "count": 0}


def is_empty(window: Window) -> bool:
    """Tell whether the stretch has no length."""
    return start_of(window) == end_of(window)


def checked(value: Any, what: str = "window", remedy: str = "") -> Window:
    """Accept what a sensor with ``returns="window"`` returned.

    :param what: where the value comes from, for the sentence that refuses it.
    :param remedy: what to do about it.
    :raises StripeInputError: the value is something else.
    """
    if isinstance(value, Mapping) and Window.__annotations__.keys() <= value.keys():
        bounds, ids = (value["created_gte"], value["created_lt"]), (value["after"], value["last"])
        types = value["types"]
        typed = types is None or (
            isinstance(types, list) and all(isinstance(name, str) for name in types)
        )
        if typed and _are_a_range(*bounds) and all(isinstance(item, str | None) for item in ids):
            return cast("Window", {name: value[name] for name in Window.__annotations__})
    raise StripeInputError(
        f'{what} must be what a sensor with returns="window" returned, got {show(value)}. '
        f"{remedy}".rstrip()
    )


def _epoch(time: str) -> int:
    at = datetime.fromisoformat(time)
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


def _are_a_range(first: Any, end: Any) -> bool:
    try:
        return 0 <= _epoch(first) <= _epoch(end)
    except (TypeError, ValueError):
        return False
