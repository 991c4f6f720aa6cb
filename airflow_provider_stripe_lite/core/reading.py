"""Read a feed: what is new since a position, what is in a window, what a range of time holds.

Stripe lists newest first, dates objects to the whole second, shows some of them seconds late, and
refuses a page cursor whose object was deleted. A position is therefore what was delivered last: its
id, behind which everything is new, and its second, for when that object is deleted. Only what is
``min_age`` seconds old is delivered, and a batch ends only between two seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

from airflow_provider_stripe_lite.core import clock
from airflow_provider_stripe_lite.core.batches import Batch, GrowingBatch, Take
from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.feed_reader import FeedReader
from airflow_provider_stripe_lite.core.lists import feed_list
from airflow_provider_stripe_lite.core.pages import NEIGHBOURS, Item, Object, Page, Pages
from airflow_provider_stripe_lite.core.resources import Resource
from airflow_provider_stripe_lite.core.times import DAY, FIRST, FUTURE, iso
from airflow_provider_stripe_lite.core.values import whole_number
from airflow_provider_stripe_lite.core.window import Position, Window, end_of, is_empty, start_of
from airflow_provider_stripe_lite.errors import RateLimitWait, StripeInputError

__all__ = [
    "MAX_ITEMS",
    "MIN_AGE",
    "POLL_SECONDS",
    "RangeTooYoung",
    "newest_before",
    "poll",
    "poll_window",
    "read",
    "read_list",
    "refuse_forgotten",
    "reread",
    "too_fast",
]

MIN_AGE, MAX_ITEMS = 60, 1000
_log = logging.getLogger(__name__)
# One poll of a trigger in 120 s: 21,600 calls a month.
POLL_SECONDS = 120


class RangeTooYoung(Exception):  # noqa: N818
    """Say that a range of time is not yet old enough to be read, by Stripe's clock.

    :ivar seconds: until it is.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(f"The range is old enough in {seconds} s.")
        self.seconds = seconds


def too_fast(name: str, seconds: float) -> str:
    """Return the sentence for polls that are less than 120 s apart, by accident perhaps."""
    return (
        f"{name} is {seconds:g} s, less than {POLL_SECONDS}: every poll is one of the reads that "
        "Stripe allots to the account. To poll that fast, add allow_fast_polling=True."
    )


def poll(
    client: StripeClient,
    resource: Resource,
    position: Position,
    *,
    take: Take = lambda raw: raw,
    min_age: int = MIN_AGE,
    max_items: int = MAX_ITEMS,
    max_wait: float | None = None,
    remedy: str = "",
) -> Batch:
    """Return what is new since a position and old enough.

    A poll costs one call where nothing is new, and ⌈N/100⌉ for N new objects; some more where no
    object is known that is older, or the position's was deleted.

    :param resource: the list, see :func:`~airflow_provider_stripe_lite.core.lists.feed_list`.
    :param take: what the batch keeps of each object.
    :param min_age: seconds an object must be old, at least one, by the earlier of Stripe's clock
        and this host's: an object that Stripe shows later than that is missed.
    :param max_items: the largest batch; only the objects of one second may exceed it, as they stay
        together.
    :param max_wait: seconds to wait for the call limit. Where they are over in the middle, the
        batch is what is complete by then.
    :param remedy: what to do about a position that is refused.
    :raises StripeInputError: an argument cannot be used, and no request was sent; or the position
        lies in the future, or so far back that Stripe has forgotten what came behind it.
    :raises RateLimitWait: the call limit has no free slot within ``max_wait``; nothing was read.
    :raises StripeError: a request failed; nothing is lost, as the position has not moved.
    """
    min_age = max(1, whole_number("min_age", min_age, 0))
    max_items = whole_number("max_items", max_items, 1)
    reader = FeedReader(client, resource, position, judge=_judge(resource, position, remedy=remedy))
    batch, wait, looked = GrowingBatch(position, take), max_wait, position.looked
    while True:
        try:
            page = reader.next_page(wait)
        except RateLimitWait:
            if not (end := batch.end(max_items)):
                raise
            return batch.upto(end, reader, looked)
        if page is not None:
            batch.add(page, page.now - min_age, more=reader.more)
        if page is None or batch.whole or len(batch) >= max_items:
            end = batch.end(max_items)
            if batch.whole and reader.is_alive and page is not None:
                looked = max(looked or 0, page.now)
            if batch.whole or end:
                return batch.upto(end, reader, looked)
        # A wait may end the batch here, if complete seconds can be delivered instead.
        wait = max_wait if max_wait is not None and batch.end(max_items) else None


def poll_window(
    client: StripeClient,
    resource: Resource,
    position: Position,
    *,
    min_age: int = MIN_AGE,
    max_wait: float | None = None,
    remedy: str = "",
) -> Batch:
    """Return, without any object, the end of all that is new since a position and old enough.

    This is one call: nothing but the end is read. The batch has no items, and its position is the
    one given where nothing is new.

    :raises StripeError: see :func:`poll`, whose arguments these are.
    """
    min_age = max(1, whole_number("min_age", min_age, 0))
    reader = FeedReader(client, resource, position, judge=_judge(resource, position, remedy=remedy))
    page = reader.before(int(clock.now()) - min_age, max_wait)
    old = [item for item in page.items if item.second < page.now - min_age]
    if page.items and not old:
        # This host's clock is ahead of Stripe's, and all of the page is younger than it seemed.
        page = reader.before(page.now - min_age)
        old = page.items
    ids = [item.id for item in page.items]
    if position.last_id in ids:
        new = len(old) > ids.index(position.last_id) + 1
    else:
        new = bool(old) and old[-1].second >= position.before
    looked = max(position.looked or 0, page.now)
    end = Position(position.before, position.last_id, looked)
    if new:
        end = Position(max(position.before, old[-1].second + 1), old[-1].id, looked)
    return Batch([], end, request_id=reader.request_id, unread=new)


def read(client: StripeClient, window: Window, remedy: str = "") -> Iterator[Object]:
    """Return the objects of a window, oldest first, the same every time but for deleted ones.

    One page is in memory at a time.

    :param remedy: what to do about a window that is refused.
    """
    resource = feed_list(window["feed"], window["types"])
    start, end = start_of(window), end_of(window)
    if is_empty(window):
        return
    now = int(clock.now())
    refuse_forgotten("A window", resource, end.before, now, remedy)
    if resource.kept_days and FIRST < start.before < now - resource.kept_days * DAY:
        _log.warning(
            "The window begins at %s, and Stripe keeps no %s longer than %d days: what it drops "
            "before it is read is missing (the window held %s).",
            *(iso(start.before), resource.object, resource.kept_days, window["count"]),
        )
    reader = FeedReader(client, resource, start, expected=end.last_id is not None)
    beyond = list[Item]()
    while page := reader.next_page():
        items = [*beyond, *page.items]
        length = next((at for at, item in enumerate(items, 1) if item.id == end.last_id), 0)
        if length:
            yield from (item.raw for item in items[:length])
            return
        # Where the last object was deleted, the window ends behind the last one of its time: what
        # stands before that one was delivered with it, whatever its date says.
        length = max(
            (at for at, item in enumerate(items, 1) if item.second < end.before), default=0
        )
        yield from (item.raw for item in items[:length])
        beyond = items[length:]
        if sum(item.second <= page.latest for item in beyond) > NEIGHBOURS:
            return


def reread(client: StripeClient, window: Window, take: Take, remedy: str = "") -> list[Any]:
    """Return what a poll took of the objects of a window."""
    return [take(raw) for raw in read(client, window, remedy)]


def read_list(
    client: StripeClient,
    resource: Resource,
    *,
    is_feed: bool,
    first: int | None,
    end: int | None,
    min_age: int | None = None,
) -> Iterator[Object]:
    """Return the objects of a list, of a feed oldest first, else as Stripe gives them.

    One page is in memory at a time, and the calls are one more than the pages, or two. A feed with
    next to nothing older than ``first`` is read from its new end first.

    :param resource: the list with its parameters, see
        :func:`~airflow_provider_stripe_lite.core.lists.list_named`.
    :param first: epoch second from which on objects are read, or None.
    :param end: epoch second before which they are, or None.
    :param min_age: seconds that the end of a feed's range must lie back; None reads any range.
    :raises RangeTooYoung: it does not, by the earlier of Stripe's clock and this host's.
    """
    if not is_feed:
        yield from _newest_first(client, resource, first, end)
        return
    start = Position(first or 0)
    accept = _judge(resource, start, "created_gte")

    def judge(page: Page) -> None:
        accept(page)
        if end is not None and min_age is not None and end + min_age > page.now:
            raise RangeTooYoung(end + min_age - page.now)

    reader = FeedReader(client, resource, start, until=end, ranged=True, judge=judge)
    while page := reader.next_page():
        for item in page.items:
            if end is None or item.second < end:
                yield item.raw


def newest_before(client: StripeClient, resource: Resource, before: int) -> tuple[Item | None, int]:
    """Return the newest object older than ``before``, if there is one, and the earlier clock.

    This is one call, which never waits for the call limit.
    """
    page = Pages(client, resource).get({"created[lt]": before}, limit=1, max_wait=0)
    return (page.items[-1] if page.items else None), page.now


def _newest_first(
    client: StripeClient, resource: Resource, first: int | None, end: int | None
) -> Iterator[Object]:
    pages = Pages(client, resource, dated=False)
    asked = {"created[gte]": first, "created[lt]": end}
    page = pages.get(asked)
    while True:
        yield from (item.raw for item in reversed(page.items))
        if not page.more:
            return
        page = pages.older(page.items, asked, {item.id for item in page.items})


def _judge(
    resource: Resource,
    position: Position,
    name: str = "The position of the cursor",
    remedy: str = "",
) -> Callable[[Page], None]:
    """Return what refuses a position by the clocks of the first answer.

    :param name: of the argument that the position comes from.
    """
    # The last object may be old because nothing came since.
    since = max(position.looked or 0, position.before)

    def judge(page: Page) -> None:
        if position.before > page.latest + FUTURE:
            raise StripeInputError(
                f"{name} lies in the future, at {iso(position.before)}, as it is "
                f"{iso(page.latest)} now: nothing could be delivered until then. Set the clock "
                f"right that made it, and begin anew at a past time. {remedy}".rstrip()
            )
        refuse_forgotten(name, resource, since, page.now, remedy)

    return judge


def refuse_forgotten(name: str, resource: Resource, since: int, now: int, remedy: str = "") -> None:
    """Refuse to read on from a time of which Stripe has dropped objects since.

    :raises StripeInputError: naming the time, as that of ``name``.
    """
    days = resource.kept_days
    if days is not None and FIRST < since < now - days * DAY:
        raise StripeInputError(
            f"{name} must not lie more than {days} days back, as Stripe keeps no "
            f"{resource.object} longer, got {iso(since)}: what came since then may be gone. Begin "
            f"at a later time. {remedy}".rstrip()
        )
