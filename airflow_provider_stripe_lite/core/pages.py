"""Ask for one page of a list, and believe only what a list of Stripe can be.

Stripe lists newest first; here the oldest object of a page stands first.
"""

from __future__ import annotations

import logging
import time
from itertools import pairwise
from typing import Any, NamedTuple

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.resources import Resource
from airflow_provider_stripe_lite.core.times import FUTURE, iso
from airflow_provider_stripe_lite.core.transport import Response
from airflow_provider_stripe_lite.errors import (
    StripeConnectionError,
    StripeError,
    StripeInvalidRequestError,
    StripeNotFoundError,
    StripeServerError,
)

__all__ = ["MAX_LOST", "NEIGHBOURS", "PAGE", "Item", "Object", "Page", "Pages", "is_gone"]

# Stripe gives no larger page; one smaller than the other would save nothing any more.
PAGE, _LEAST_PAGE = 100, 12
# The error is raised after this many page cursors in a row that Stripe does not know.
MAX_LOST = 20
# A list may show neighbours in another order than that of their seconds, as far apart as this.
NEIGHBOURS = 3

Object = dict[str, Any]
_log = logging.getLogger(__name__)
# The hosts whose clock was found to differ from this one's, as that is said once.
_told: set[str] = set()


class Item(NamedTuple):
    """One object of a page.

    :param second: epoch second of its time field, or that of its neighbour where it has none.
    """

    id: str
    second: int
    raw: Object


class Page(NamedTuple):
    """One page of a list.

    :param items: oldest first.
    :param more: whether there is more in the direction of reading.
    :param now: epoch second of the earlier clock, Stripe's or this host's: what is older has been
        in the list.
    :param latest: of the later clock: what is younger is dated in the future.
    """

    items: list[Item]
    more: bool
    now: int
    latest: int


class Pages:
    """Ask one list for pages.

    :param dated: whether its objects carry the second by which they are ordered.
    :ivar second: of the last object read, for the objects that carry none.
    :ivar request_id: ``req_…`` of the last answer.
    """

    def __init__(self, client: StripeClient, resource: Resource, *, dated: bool = True) -> None:
        self.second = 0
        self.request_id: str | None = None
        self._client, self._resource, self._dated = client, resource, dated
        self._limit = PAGE

    def get(
        self, asked: dict[str, Any], *, limit: int = PAGE, max_wait: float | None = None
    ) -> Page:
        """Make one call, or some for smaller pages where Stripe cannot give one of this size.

        :param asked: page cursor and filters; those of the resource are added.
        :param max_wait: seconds to wait for the call limit.
        :raises StripeError: the request failed, or the answer is no page of a list.
        """
        answer = self._answer(asked, limit, max_wait)
        self.request_id = answer.request_id
        if answer.date is None:
            raise self.bad("gave no Date header, and nothing is delivered without Stripe's clock")
        self._compare_clocks(answer.date, answer.asked)
        data, more = answer.body.get("data"), answer.body.get("has_more")
        if type(more) is not bool:
            raise self.bad(f"gave has_more {more!r:.20}, which must be true or false")
        if not isinstance(data, list) or not _have_ids(data):
            raise self.bad("gave no list of objects with ids in data")
        now, latest = sorted((answer.date, answer.asked))
        page = Page(self._items(data[::-1]), more, now, latest)
        self._check(page, asked)
        if answer.inner_lists:
            _warn_of_inner_lists(data)
        return page

    def older(self, behind: list[Item], asked: dict[str, Any], known: set[str]) -> Page:
        """Return the page on the older side of an object, which is empty where nothing is left.

        :param behind: the object, and the next ones, each of which leads where those before it were
            deleted meanwhile.
        :param asked: the filters.
        :param known: ids that come again behind another object than the first one.
        :raises StripeInvalidRequestError: none of these objects is known any more; it is retryable.
        """
        page: Page | None = None
        error: StripeError = self.bad("says that there is more behind a page without objects")
        for item in behind[:MAX_LOST]:
            try:
                page = self.get({"starting_after": item.id, **asked})
            except StripeInvalidRequestError as exc:
                if not is_gone(exc):
                    raise
                error = exc
                continue
            items = [one for one in page.items if one.id not in known]
            if items:
                return page._replace(items=items)
            if page.items and item is behind[0]:
                raise self.bad("gave no older page when asked for one, so it has no end")
        if page is None:
            # They were deleted between two calls; a read that begins anew meets others.
            error.retryable = True
            raise error
        return page._replace(items=[], more=False)

    def _answer(self, asked: dict[str, Any], limit: int, max_wait: float | None) -> Response:
        size = min(limit, self._limit)
        try:
            return self._ask(asked, size, max_wait=max_wait)
        except StripeNotFoundError as exc:
            if self._resource.absent_hint is None or not exc.type:
                raise
            raise exc.with_hint(self._resource.absent_hint) from exc
        except StripeError as exc:
            if not _is_too_much(exc) or size // 2 < _LEAST_PAGE:
                raise
            error = exc
        # All smaller pages together may take the time of one answer.
        end = time.monotonic() + self._client.timeout
        while (size := size // 2) >= _LEAST_PAGE and (left := end - time.monotonic()) > 0:
            try:
                answer = self._ask(asked, size, tries=1, timeout=left)
            except StripeError as exc:
                if not _is_too_much(exc):
                    raise
                error = exc
                continue
            _log.warning(
                "%s gave no page of %d objects (%s); going on with pages of %d.",
                self._resource.path,
                min(limit, self._limit),
                error,
                size,
            )
            self._limit = size
            return answer
        raise error

    def _ask(self, asked: dict[str, Any], limit: int, **options: Any) -> Response:
        limited = {"limit": limit} if self._resource.paged else {}
        parameters = {**limited, **dict(self._resource.always), **asked}
        return self._client.get(self._resource.path, parameters, **options)

    def _items(self, data: list[Object]) -> list[Item]:
        """Date the objects, oldest first."""
        name = self._resource.time_field
        items = [Item(raw["id"], raw.get(name), raw) for raw in data]  # type: ignore[arg-type]
        if {type(item.second) for item in items} <= {int}:
            return items
        return self._dated_by_neighbours(items)

    def _dated_by_neighbours(self, items: list[Item]) -> list[Item]:
        undated = [item.id for item in items if type(item.second) is not int]
        if self._dated:
            _log.warning(
                "%d objects of %s have no %s and take their neighbour's place in time: %s",
                len(undated),
                self._resource.path,
                self._resource.time_field,
                ", ".join(undated[:5]),
            )
        known = [item.second for item in items if type(item.second) is int]
        second = self.second or (min(known) if known else 0)
        whole = []
        for item in items:
            second = item.second if type(item.second) is int else second
            whole.append(item._replace(second=second))
        return whole

    def _check(self, page: Page, asked: dict[str, Any]) -> None:
        """Refuse a page that does not answer what was asked."""
        if not page.items:
            if page.more:
                raise self.bad("gave an empty page and says that there is more")
            return
        cursor = asked.get("ending_before") or asked.get("starting_after")
        if cursor and cursor in [item.id for item in page.items]:
            raise self.bad("gave the object of the page cursor again, so it has no end")
        if not self._dated:
            return
        name = self._resource.time_field
        dated = [item.second for item in page.items if type(item.raw.get(name)) is int]
        low, high = asked.get("created[gte]"), asked.get("created[lt]")
        if dated and (
            (low is not None and min(dated) < low) or (high is not None and max(dated) >= high)
        ):
            raise self.bad("gave objects of another time than was asked for")
        if dated != sorted(dated):
            # Some objects that are out of place are read as they stand, and dates in the future
            # say nothing about the order; but a page that runs the other way is refused.
            past = [second for second in dated if second <= page.latest]
            rises = sum(newer > older for older, newer in pairwise(past))
            falls = sum(newer < older for older, newer in pairwise(past))
            if falls > 2 * rises + max(2, len(past) // 10):
                raise self.bad("gave a page that is not newest first")

    def _compare_clocks(self, theirs: int, ours: int) -> None:
        """Say once that two clocks differ, as what is delivered goes by the earlier one."""
        host = self._client.base_url
        if abs(theirs - ours) > FUTURE and host not in _told:
            _told.add(host)
            _log.warning(
                "The clock of %s says %s, this host's %s: objects are delivered by the earlier "
                "one, so set the wrong one right.",
                host,
                iso(theirs),
                iso(ours),
            )

    def bad(self, what: str) -> StripeConnectionError:
        """Return the error of an answer that no list of Stripe gives."""
        return StripeConnectionError(
            f"GET {self._resource.path} {what}: check what answers at {self._client.base_url}.",
            request_id=self.request_id,
            retryable=True,
        )


def is_gone(error: StripeInvalidRequestError) -> bool:
    """Tell whether Stripe refuses a page cursor.

    A request that differs from a good one by its page cursor alone is refused for that cursor, in
    whatever words. If it was not, the request without it meets the same error.
    """
    if error.code == "parameter_unknown":
        # A list without page cursors has no other object to go on behind.
        return False
    return error.type is not None and error.status in (400, 404)


def _have_ids(data: list[Any]) -> bool:
    """Tell whether all of these are objects with an id."""
    if not {type(raw) for raw in data} <= {dict}:
        return False
    ids = [raw.get("id") for raw in data]
    return {type(id) for id in ids} <= {str} and all(ids)


def _is_too_much(error: StripeError) -> bool:
    """Tell whether a smaller page may succeed: Stripe failed, took too long, or broke off."""
    if isinstance(error, StripeConnectionError):
        return error.timed_out or error.incomplete
    return isinstance(error, StripeServerError)


def _warn_of_inner_lists(data: list[Object]) -> None:
    """Say which object carries a list that Stripe has cut off, which it does at 10."""
    cut = [
        (raw["id"], name, value)
        for raw in data
        for name, value in raw.items()
        if isinstance(value, dict) and value.get("has_more") is True
    ]
    if not cut:
        return
    id, name, value = cut[0]
    inner, total = value.get("data"), value.get("total_count")
    there = len(inner) if isinstance(inner, list) else 0
    missing = f"{total - there}" if isinstance(total, int) else "an unknown number"
    _log.warning(
        "%s holds %d of its %s, and %s are missing: read them all with hook.list(%r)%s.",
        *(id, there, name, missing, value.get("url")),
        f"; so do {len(cut) - 1} more lists of this page" if len(cut) > 1 else "",
    )
