"""Page through a feed from its old end to its new one, whatever is deleted meanwhile."""

from __future__ import annotations

from typing import Any, TypeGuard

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.resources import Resource
from airflow_provider_stripe_lite.core.transport import Response
from airflow_provider_stripe_lite.core.window import Position
from airflow_provider_stripe_lite.errors import (
    StripeConnectionError,
    StripeInvalidRequestError,
    StripeNotFoundError,
)

__all__ = ["FeedReader", "Object"]

# Stripe gives no larger page.
_PAGE = 100
# The error is raised after this many consecutive `resource_missing` answers.
_MAX_LOST = 20

Object = dict[str, Any]


class FeedReader:
    """Read one feed from a position on, page by page, oldest first, every object once.

    :ivar start: the position.
    :ivar date: Stripe's clock at the first answer: what is older than this is complete in all
        later answers.
    :ivar last_id: the last object before what is read next, as far as one is known.
    :ivar request_id: ``req_…`` of the last answer.
    """

    def __init__(self, client: StripeClient, feed: Resource, position: Position) -> None:
        self.date = 0
        self.request_id: str | None = None
        self._client, self._feed, self.start = client, feed, position
        self.last_id = position.last_id
        # Objects of the floor's second may come again; these were returned already.
        self._floor, self._returned = position.before, set[str]()
        self._lost = 0
        self._newest: str | None = None
        self._more = True

    def next_page(self, max_wait: float | None = None) -> list[Object] | None:
        """Return the next objects, oldest first, or None at the end.

        :param max_wait: seconds to wait for the call limit. Once a call was made, the calls that
            finding the page takes besides may take their time.
        """
        while self._more:
            if self._newest is None:
                page, self._more = self._first(max_wait)
            else:
                page, self._more = self._after(self._newest, max_wait)
            self._newest = page[-1]["id"] if page else self._newest
            if fresh := self._fresh(page):
                return fresh
            max_wait = None
        return None

    def created(self, item: Object) -> int:
        """Return the second at which the object was added to its list."""
        return int(item[self._feed.time_field])

    def second_begins(self, items: list[Object], index: int) -> int:
        """Return the index of the first item of the second of ``items[index]``."""
        while index > 0 and self.created(items[index - 1]) == self.created(items[index]):
            index -= 1
        return max(index, 0)

    def second_ends(self, items: list[Object], index: int) -> int:
        """Return the index behind the last item of the second of ``items[index]``."""
        second = self.created(items[index])
        while index < len(items) and self.created(items[index]) == second:
            index += 1
        return index

    def page(
        self, *, max_wait: float | None = None, limit: int = _PAGE, **parameters: Any
    ) -> tuple[list[Object], bool]:
        """Make one call.

        :return: the page, oldest first, and whether there is more in the direction of reading.
        """
        parameters = {"limit": limit, **dict(self._feed.always), **parameters}
        try:
            answer = self._client.get(self._feed.path, parameters, max_wait=max_wait)
        except StripeNotFoundError as exc:
            if self._feed.absent_hint is None:
                raise
            raise exc.with_hint(self._feed.absent_hint) from exc
        page, more = answer.body.get("data"), answer.body.get("has_more") is True
        if answer.date is None:
            raise self._bad(
                answer, "gave no Date header, and nothing is delivered without Stripe's clock"
            )
        if not self._is_page(page) or (more and not page):
            raise self._bad(answer, f"gave no list of objects with id and {self._feed.time_field}")
        cursors = (parameters.get("ending_before"), parameters.get("starting_after"))
        if page and page[0]["id"] in cursors:
            raise self._bad(answer, "gave the same page again, so it has no end")
        self.date, self.request_id = self.date or answer.date, answer.request_id
        return page[::-1], more

    def _first(self, max_wait: float | None) -> tuple[list[Object], bool]:
        if self.last_id is not None:
            return self._after(self.last_id, max_wait)
        page, more = self.page(max_wait=max_wait)
        # Where the newest page reaches back behind the position, it is the whole answer.
        if not more or self.created(page[0]) < self._floor:
            return page, False
        return self._restart(page)

    def _after(self, anchor: str, max_wait: float | None) -> tuple[list[Object], bool]:
        """Return the page on the newer side of an object.

        Where the object was deleted, return a page from which reading can go on.
        """
        try:
            page = self.page(max_wait=max_wait, ending_before=anchor)
        except StripeInvalidRequestError as exc:
            self._count_lost(exc, "ending_before")
            self.last_id = None
            return self._restart()
        self._lost = 0
        return page

    def _restart(self, newest: list[Object] | None = None) -> tuple[list[Object], bool]:
        """Find where to resume: at the newest object before the floor, else at the oldest page."""
        if self._floor > 0:
            page, _ = self.page(limit=1, **{"created[lt]": self._floor})
            if page:
                return page, True
        return self._oldest(*((newest, True) if newest else self.page()))

    def _oldest(self, page: list[Object], more: bool) -> tuple[list[Object], bool]:
        """Find the oldest page by halving the time: no list can be read from its old end."""
        # Objects before the floor have only just appeared, and are not old enough then.
        low = self._floor
        while more and self.created(page[0]) >= low:
            middle = (low + self.created(page[0])) // 2
            if middle == self.created(page[0]):
                # Everything older was created in this very second.
                page, more = self._step_back(page)
                continue
            older, older_more = self.page(**{"created[lt]": middle + 1})
            if older:
                page, more = older, older_more
            else:
                low = middle + 1
        return page, bool(page)

    def _step_back(self, page: list[Object]) -> tuple[list[Object], bool]:
        """Return the page on the older side, or the page itself where it is the oldest."""
        try:
            older, more = self.page(starting_after=page[0]["id"])
        except StripeInvalidRequestError as exc:
            self._count_lost(exc, "starting_after")
            return self.page()
        return (older, more) if older else (page, False)

    def _count_lost(self, exc: StripeInvalidRequestError, param: str) -> None:
        """Let a deleted page cursor pass, but not for ever; any other error is the caller's."""
        self._lost += 1
        gone = exc.code == "resource_missing" and exc.param in (None, param)
        if not gone or self._lost > _MAX_LOST:
            raise exc

    def _fresh(self, page: list[Object]) -> list[Object]:
        """Drop objects that were returned already: after a restart pages overlap."""
        fresh = []
        for item in page:
            second = self.created(item)
            if second < self._floor:
                self.last_id = item["id"]
                continue
            if second > self._floor:
                self._floor, self._returned = second, set()
            if item["id"] not in self._returned:
                self._returned.add(item["id"])
                fresh.append(item)
        return fresh

    def _bad(self, answer: Response, what: str) -> StripeConnectionError:
        return StripeConnectionError(
            f"GET {self._feed.path} {what}: check what answers at the connection's host.",
            request_id=answer.request_id,
            retryable=True,
        )

    def _is_page(self, page: Any) -> TypeGuard[list[Object]]:
        return isinstance(page, list) and all(
            isinstance(item, dict)
            and isinstance(item.get("id"), str)
            and type(item.get(self._feed.time_field)) is int
            for item in page
        )
