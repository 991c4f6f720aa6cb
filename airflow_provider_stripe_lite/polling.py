"""The cursor: which objects are new since a position, each handed over once, oldest first.

Stripe lists newest first, dates objects to the whole second, shows some of them seconds late, and refuses a page
cursor whose object was deleted. So a position is a *time*, and the id beside it only saves calls. Only what is
``settle`` seconds old is handed over, and a batch is cut only between two seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from airflow_provider_stripe_lite.catalog import FEEDS, Feed
from airflow_provider_stripe_lite.client import Answer, StripeClient
from airflow_provider_stripe_lite.errors import (
    StripeConnectionError,
    StripeInputError,
    StripeInvalidRequestError,
    StripeNotFoundError,
    WouldWait,
)

PAGE = 100  # Stripe's largest page
SETTLE, MAX_ITEMS = 60, 1000
_LOST_ANCHORS = 20  # anchors in a row that vanish between two calls, before the error is passed on

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Position:
    """Everything created before ``until`` has been handed over.

    :param until: epoch second.
    :param anchor: id of an object created before ``until``, where reading can go on; a hint, it may be deleted.
    """

    until: int
    anchor: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The position as JSON."""
        return {"until": self.until, "anchor": self.anchor}

    @classmethod
    def from_dict(cls, value: Any) -> Position:
        """The position that :meth:`as_dict` gave; a position is taken as it is.

        :raises StripeInputError: it is something else.
        """
        if isinstance(value, cls):
            return value
        until, anchor = (value.get("until"), value.get("anchor")) if isinstance(value, Mapping) else (None, None)
        if type(until) is not int or not isinstance(anchor, str | None):
            raise StripeInputError(
                f'A position must be {{"until": epoch second, "anchor": id or null}}, got {value!r:.80}.'
            )
        return cls(until, anchor)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one poll hands over.

    :param items: raw objects, oldest first.
    :param position: where the next poll goes on.
    :param more: whether settled objects were left over.
    """

    items: list[Object]
    position: Position
    more: bool = False


def feed_named(name: object) -> Feed:
    """Look a feed up.

    :raises StripeInputError: there is none of that name.
    """
    feed = FEEDS.get(name) if isinstance(name, str) else None
    if feed is None:
        raise StripeInputError(f"feed must be one of {', '.join(FEEDS)}, got {name!r:.60}.")
    return feed


def at_least(name: str, value: Any, least: int) -> int:
    """Accept a whole number.

    :raises StripeInputError: it is none, or smaller.
    """
    if type(value) is not int or value < least:
        raise StripeInputError(f"{name} must be a whole number of at least {least}, got {value!r:.40}.")
    return value


def poll(
    client: StripeClient,
    feed: str,
    position: Position,
    *,
    settle: int = SETTLE,
    max_items: int = MAX_ITEMS,
    max_wait: float | None = None,
) -> Batch:
    """Hand over what was created since ``position`` and is settled.

    Costs one call where nothing is new, and ⌈N/100⌉ for N new objects (one more where the anchor was deleted).

    :param feed: a key of ``FEEDS``.
    :param settle: seconds an object must be old, by Stripe's clock; later visible than that is missed.
    :param max_items: the largest batch; only one second's objects may exceed it, as they stay together.
    :param max_wait: seconds to wait for the call limit. Where it is over in the middle, what is complete by then is
        handed over.
    :raises StripeInputError: an argument cannot be used; no request was sent.
    :raises WouldWait: the call limit has no free slot within ``max_wait``; nothing was read.
    :raises StripeError: a request failed; nothing is lost, as the position has not moved.
    """
    settle, max_items = at_least("settle", settle, 0), at_least("max_items", max_items, 1)
    reader = _Reader(client, feed_named(feed), Position.from_dict(position), max_wait)
    items: list[Object] = []
    while True:
        try:
            page = reader.next_page()
        except WouldWait as exc:
            end = reader.second_begins(items, len(items) - 1)
            if not end:
                raise exc
            return reader.cut(items, end)
        if page is None:
            return reader.batch(items, settle)
        bound = reader.date - settle
        fresh = [item for item in page if reader.created(item) < bound]
        items += fresh
        if len(items) > max_items:
            end = reader.second_begins(items, max_items) or reader.second_ends(items, 0)
            if end < len(items):
                return reader.cut(items, end)
        if len(fresh) < len(page):
            return reader.batch(items, settle)
        # A wait may end the batch here, if something complete can be handed over instead.
        reader.max_wait = max_wait if reader.second_begins(items, len(items) - 1) else None


def read_window(client: StripeClient, feed: str, start: Position, until: int) -> Iterator[Object]:
    """Read again what was created from ``start`` until (not including) second ``until``, oldest first.

    Holds one page in memory. Gives the same objects every time, but for those deleted since.
    """
    reader = _Reader(client, feed_named(feed), start)
    while (page := reader.next_page()) is not None:
        if reader.created(page[-1]) >= until:
            yield from (item for item in page if reader.created(item) < until)
            return
        yield from page


def newest_before(client: StripeClient, feed: str, before: int) -> tuple[int | None, int]:
    """The second in which the newest object older than second ``before`` was created, and Stripe's clock: one call."""
    reader = _Reader(client, feed_named(feed), Position(before), max_wait=0)
    page, _ = reader.page(1, **{"created[lt]": before})
    return (reader.created(page[0]) if page else None), reader.date


class _Reader:
    """Pages of one feed from a position on, oldest first, every object once."""

    def __init__(self, client: StripeClient, feed: Feed, position: Position, max_wait: float | None = None) -> None:
        self.max_wait = max_wait
        self.date = 0  # Stripe's clock at the first answer: what it bounds is complete in all later ones
        self._client, self._feed, self._start = client, feed, position
        self._anchor = position.anchor
        self._floor, self._handed = position.until, set[str]()  # what of the floor's second was handed over
        self._lost = 0
        self._pages = self._read()

    def next_page(self) -> list[Object] | None:
        """The next objects, oldest first, or None at the end."""
        return next(self._pages, None)

    def created(self, item: Object) -> int:
        return int(item[self._feed.created])

    def second_begins(self, items: list[Object], index: int) -> int:
        """Index of the first item that was created in the same second as ``items[index]``."""
        while index > 0 and self.created(items[index - 1]) == self.created(items[index]):
            index -= 1
        return max(index, 0)

    def second_ends(self, items: list[Object], index: int) -> int:
        """Index behind the last item that was created in the same second as ``items[index]``."""
        second = self.created(items[index])
        while index < len(items) and self.created(items[index]) == second:
            index += 1
        return index

    def cut(self, items: list[Object], end: int) -> Batch:
        """The batch ``items[:end]``; the rest is left for the next poll."""
        return Batch(items[:end], Position(self.created(items[end]), items[end - 1]["id"]), more=True)

    def batch(self, items: list[Object], settle: int) -> Batch:
        """The batch of everything that is settled."""
        until = max(self.date - settle, self._start.until)
        return Batch(items, Position(until, items[-1]["id"] if items else self._anchor))

    def _read(self) -> Iterator[list[Object]]:
        page, more = self._first()
        while True:
            if fresh := self._fresh(page):
                yield fresh
            if not more:
                return
            page, more = self._after(page[-1]["id"])

    def _first(self) -> tuple[list[Object], bool]:
        if self._anchor is not None:
            return self._after(self._anchor)
        page, more = self.page()
        if not more or self.created(page[0]) < self._floor:  # the newest page is the whole answer
            return page, False
        return self._restart(page)

    def _after(self, anchor: str) -> tuple[list[Object], bool]:
        """The page on the newer side of ``anchor``; where that was deleted, one from which reading can go on."""
        try:
            page = self.page(ending_before=anchor)
        except StripeInvalidRequestError as exc:
            self._count_lost(exc, "ending_before")
            self._anchor = None
            return self._restart()
        self._lost = 0
        return page

    def _restart(self, newest: list[Object] | None = None) -> tuple[list[Object], bool]:
        """The object before the floor as the new anchor, or the oldest page where there is none."""
        if self._floor > 0:
            page, _ = self.page(limit=1, **{"created[lt]": self._floor})
            if page:
                return page, True
        return self._oldest(*((newest, True) if newest else self.page()))

    def _oldest(self, page: list[Object], more: bool) -> tuple[list[Object], bool]:
        """The oldest page, found by halving the time: no list can be read from its old end."""
        low = self._floor  # nothing is older, or it has only just appeared and is not settled
        while more and self.created(page[0]) >= low:
            middle = (low + self.created(page[0])) // 2
            if middle == self.created(page[0]):  # all that is older was created in this very second
                page, more = self._step_back(page)
                continue
            older, older_more = self.page(**{"created[lt]": middle + 1})
            if older:
                page, more = older, older_more
            else:
                low = middle + 1
        return page, bool(page)

    def _step_back(self, page: list[Object]) -> tuple[list[Object], bool]:
        """The page on the older side of ``page``, or ``page`` itself where it is the oldest."""
        try:
            older, more = self.page(starting_after=page[0]["id"])
        except StripeInvalidRequestError as exc:
            self._count_lost(exc, "starting_after")
            return self.page()
        return (older, more) if older else (page, False)

    def _count_lost(self, exc: StripeInvalidRequestError, param: str) -> None:
        """Let a deleted cursor pass, but not for ever; any other error is the caller's."""
        self._lost += 1
        if exc.code != "resource_missing" or exc.param not in (None, param) or self._lost > _LOST_ANCHORS:
            raise exc

    def _fresh(self, page: list[Object]) -> list[Object]:
        """What of the page was not handed over yet: the page may overlap with earlier ones."""
        fresh = []
        for item in page:
            second = self.created(item)
            if second < self._floor:
                self._anchor = item["id"]
                continue
            if second > self._floor:
                self._floor, self._handed = second, set()
            if item["id"] not in self._handed:
                self._handed.add(item["id"])
                fresh.append(item)
        return fresh

    def page(self, limit: int = PAGE, **params: Any) -> tuple[list[Object], bool]:
        """One call: the page, oldest first, and whether there is more in the direction of reading."""
        wait, self.max_wait = self.max_wait, None  # once a call was made, the others may take their time
        try:
            answer = self._client.get(self._feed.path, {"limit": limit, **params}, max_wait=wait)
        except StripeNotFoundError as exc:
            if self._feed.gone is None:
                raise
            raise exc.with_hint(self._feed.gone) from exc
        page, more = answer.body.get("data"), answer.body.get("has_more") is True
        if answer.date is None:
            raise self._bad(answer, "gave no Date header, and nothing is handed over without Stripe's clock")
        if not self._is_page(page) or (more and not page):
            raise self._bad(answer, f"gave no list of objects with id and {self._feed.created}")
        if page and page[0]["id"] in (params.get("ending_before"), params.get("starting_after")):
            raise self._bad(answer, "gave the same page again, so it has no end")
        self.date = self.date or answer.date
        return page[::-1], more

    def _bad(self, answer: Answer, what: str) -> StripeConnectionError:
        return StripeConnectionError(
            f"GET {self._feed.path} {what}: check what answers at the connection's host.",
            request_id=answer.request_id,
            retryable=True,
        )

    def _is_page(self, page: Any) -> TypeGuard[list[Object]]:
        return isinstance(page, list) and all(
            isinstance(item, dict) and isinstance(item.get("id"), str) and type(item.get(self._feed.created)) is int
            for item in page
        )
