"""Read a feed: what is new since a position, and what is in a window, oldest first.

Stripe lists newest first, dates objects to the whole second, shows some of them seconds late, and
refuses a page cursor whose object was deleted. So a position is a *time*, and the id beside it only
saves calls. Only what is ``min_age`` seconds old is delivered, and a batch ends only between two
seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.pages import FeedReader, Object
from airflow_provider_stripe_lite.core.resources import RESOURCES, Resource
from airflow_provider_stripe_lite.core.window import Position, Window, end_of, start_of
from airflow_provider_stripe_lite.errors import RateLimitWait, StripeInputError

__all__ = [
    "MAX_ITEMS",
    "MIN_AGE",
    "POLL_SECONDS",
    "Batch",
    "feed_named",
    "newest_before",
    "poll",
    "read",
    "reread",
    "too_fast",
    "whole_number",
]

MIN_AGE, MAX_ITEMS = 60, 1000
# One poll of a trigger in 120 s: 21,600 calls a month.
POLL_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Batch:
    """What one poll found.

    :param items: objects as Stripe sent them, oldest first.
    :param position: where the next poll goes on.
    :param more: whether objects that are old enough were left for the next poll.
    :param request_id: ``req_…`` of the last answer.
    """

    items: list[Object]
    position: Position
    more: bool = False
    request_id: str | None = field(default=None, compare=False)


def feed_named(name: object) -> Resource:
    """Look a feed up.

    :raises StripeInputError: there is none of that name.
    """
    feed = RESOURCES.get(name) if isinstance(name, str) else None
    if feed is None:
        similar = get_close_matches(name, RESOURCES, 3, 0.4) if isinstance(name, str) else []
        similar = similar or ["customer", "charge", "event"]
        raise StripeInputError(
            f"feed must be one of the {len(RESOURCES)} names of Stripe's lists, such as "
            f"{', '.join(similar)}, got {name!r:.60}."
        )
    return feed


def whole_number(name: str, value: Any, least: int) -> int:
    """Accept a whole number.

    :raises StripeInputError: the value is none, or smaller.
    """
    if type(value) is not int or value < least:
        raise StripeInputError(
            f"{name} must be a whole number of at least {least}, got {value!r:.40}."
        )
    return value


def too_fast(name: str, seconds: float) -> str:
    """Return the sentence for polls that are less than 120 s apart, by accident perhaps."""
    return (
        f"{name} is {seconds:g} s, less than {POLL_SECONDS}: every poll is one of the reads that "
        "Stripe allots to the account. To poll that fast, add allow_fast_polling=True."
    )


def poll(
    client: StripeClient,
    feed: str,
    position: Position,
    *,
    min_age: int = MIN_AGE,
    max_items: int = MAX_ITEMS,
    max_wait: float | None = None,
) -> Batch:
    """Return what was created since a position and is old enough.

    A poll costs one call where nothing is new, and ⌈N/100⌉ for N new objects (one more where the
    object of the position was deleted).

    :param feed: a key of ``RESOURCES``.
    :param min_age: seconds an object must be old, by Stripe's clock; an object that Stripe shows
        later than that is missed.
    :param max_items: the largest batch; only the objects of one second may exceed it, as they stay
        together.
    :param max_wait: seconds to wait for the call limit. Where they are over in the middle, the
        batch is what is complete by then.
    :raises StripeInputError: an argument cannot be used; no request was sent.
    :raises RateLimitWait: the call limit has no free slot within ``max_wait``; nothing was read.
    :raises StripeError: a request failed; nothing is lost, as the position has not moved.
    """
    min_age = whole_number("min_age", min_age, 0)
    max_items = whole_number("max_items", max_items, 1)
    reader = FeedReader(client, feed_named(feed), position)
    items: list[Object] = []
    wait = max_wait
    while True:
        try:
            page = reader.next_page(wait)
        except RateLimitWait as exc:
            end = reader.second_begins(items, len(items) - 1)
            if not end:
                raise exc
            return _cut(reader, items, end)
        if page is None:
            return _whole(reader, items, min_age)
        bound = reader.date - min_age
        fresh = [item for item in page if reader.created(item) < bound]
        items += fresh
        if len(items) > max_items:
            end = reader.second_begins(items, max_items) or reader.second_ends(items, 0)
            if end < len(items):
                return _cut(reader, items, end)
        if len(fresh) < len(page):
            return _whole(reader, items, min_age)
        # A wait may end the batch here, if complete seconds can be delivered instead.
        wait = max_wait if reader.second_begins(items, len(items) - 1) else None


def read(client: StripeClient, window: Window) -> Iterator[Object]:
    """Return the objects of a window, oldest first, the same every time but for deleted ones.

    One page is in memory at a time.
    """
    return _until(_reader(client, window), end_of(window).before)


def reread(client: StripeClient, window: Window) -> Batch:
    """Return the objects of a window as the batch that a poll made of them."""
    reader, end = _reader(client, window), end_of(window)
    return Batch(list(_until(reader, end.before)), end, request_id=reader.request_id)


def newest_before(client: StripeClient, feed: str, before: int) -> tuple[int | None, int]:
    """Return the second of the newest object older than ``before``, and Stripe's clock.

    This is one call, which never waits for the call limit.
    """
    reader = FeedReader(client, feed_named(feed), Position(before))
    page, _ = reader.page(max_wait=0, limit=1, **{"created[lt]": before})
    return (reader.created(page[0]) if page else None), reader.date


def _reader(client: StripeClient, window: Window) -> FeedReader:
    return FeedReader(client, feed_named(window["feed"]), start_of(window))


def _until(reader: FeedReader, end: int) -> Iterator[Object]:
    while (page := reader.next_page()) is not None:
        if reader.created(page[-1]) >= end:
            yield from (item for item in page if reader.created(item) < end)
            return
        yield from page


def _cut(reader: FeedReader, items: list[Object], end: int) -> Batch:
    """Return the batch ``items[:end]``; the rest is left for the next poll."""
    position = Position(reader.created(items[end]), items[end - 1]["id"])
    return Batch(items[:end], position, True, reader.request_id)


def _whole(reader: FeedReader, items: list[Object], min_age: int) -> Batch:
    """Return the batch of everything that is old enough."""
    before = max(reader.date - min_age, reader.start.before)
    position = Position(before, items[-1]["id"] if items else reader.last_id)
    return Batch(items, position, False, reader.request_id)
