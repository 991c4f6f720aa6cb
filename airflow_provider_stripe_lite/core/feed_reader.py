"""Read a feed from a position on, from its old end to its new one, whatever is deleted meanwhile.

No list of Stripe can be asked from its old end. Behind a living object ``ending_before`` gives what
is newer, page by page, and the order of the list says what is new. Where that object was deleted,
the newest one before its second takes its place; where none is known, times say what is new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.pages import (
    MAX_LOST,
    NEIGHBOURS,
    PAGE,
    Item,
    Page,
    Pages,
    is_gone,
)
from airflow_provider_stripe_lite.core.resources import Resource
from airflow_provider_stripe_lite.core.times import DAY, FIRST
from airflow_provider_stripe_lite.core.window import Position
from airflow_provider_stripe_lite.errors import StripeInvalidRequestError

__all__ = ["FeedReader"]

# So many pages are kept while the old end of what is new is looked for from the new end.
_MOST_KEPT = 10
# The first object of an account is looked for in leaps once so many pages have not reached it.
_FEW_KEPT = 2
# The old end is walked to over so many pages, as a leap would save less than it costs.
_FEW_STEPS = 16
# A leap goes so many pages back, and each further one so many times as far.
_LEAP, _LONGER = 10, 64
# So often an answer is not believed that is empty where Stripe has said that there is more.
_MAX_EMPTY = 3


class FeedReader:
    """Read one feed from a position on, page by page, oldest first, every object once.

    :param start: the position.
    :param ranged: read a range of time, for which one call before its pages is enough.
    :param until: epoch second; a range holds what was created before it, or all.
    :param expected: whether something must lie behind the object of the position, so that an empty
        answer says that the object was deleted.
    :param judge: is called with the first answer, whose clocks it may refuse the position by.
    :ivar last_id: the object of the position, or the one that has taken its place.
    :ivar is_alive: whether the list has shown that it goes on from there: an empty answer alone
        does not.
    """

    def __init__(
        self,
        client: StripeClient,
        resource: Resource,
        start: Position,
        *,
        ranged: bool = False,
        until: int | None = None,
        expected: bool = False,
        judge: Callable[[Page], None] | None = None,
    ) -> None:
        self.last_id = start.last_id
        self._start, self._ranged = start, ranged
        self._pages = Pages(client, resource)
        self._end: dict[str, Any] = {} if until is None else {"created[lt]": until}
        self._cursor, self._more, self._expected = start.last_id, True, expected
        self._lost = self._empty = 0
        self._newest = set[str]()
        self.is_alive = start.last_id is None
        # Pages that were read on the way to the oldest one, which stands last.
        self._kept: list[Page] = []
        # Without an object to begin behind, nothing older than the position is new.
        self._low = 0 if start.last_id else start.before
        # Where a page cursor is lost, reading goes on at this second, without what was returned.
        self._floor = self._pages.second = start.before
        self._returned: dict[str, int] = {}
        self._judge = judge

    @property
    def request_id(self) -> str | None:
        """Return ``req_…`` of the last answer."""
        return self._pages.request_id

    @property
    def more(self) -> bool:
        """Tell whether there may be another page."""
        return self._more or bool(self._kept)

    def next_page(self, max_wait: float | None = None) -> Page | None:
        """Return the next objects, oldest first, or None at the end; the last page may be empty.

        :param max_wait: seconds to wait for the call limit. Once a call was made, the calls that
            finding the page takes besides may take their time.
        """
        while self.more:
            if not self._kept:
                self._kept, max_wait = self._fetch(max_wait), None
            if self._kept:
                page = self._kept.pop()
                items = self._fresh(page)
                if items or not self.more:
                    return page._replace(items=items)
        return None

    def before(self, second: int, max_wait: float | None = None) -> Page:
        """Return the newest objects that were created before a second."""
        return self._get({"created[lt]": second}, max_wait)

    def _fetch(self, max_wait: float | None) -> list[Page]:
        """Return the pages that come next, the oldest of them last."""
        if self._cursor is None:
            # A range has an end, and finds the object before it in the one call more that it has.
            ranged = self._ranged and self._go_behind_older(max_wait)
            return [] if ranged else self._by_time(max_wait)
        try:
            page = self._get({"ending_before": self._cursor, **self._end}, max_wait)
        except StripeInvalidRequestError as exc:
            self._lost += 1
            if not is_gone(exc) or self._lost > MAX_LOST:
                raise
            return self._without_cursor()
        if not page.items and self._is_silent(page):
            return self._without_cursor()
        self._lost, self._more, self._expected = 0, page.more, page.more
        if page.items:
            self._cursor, self.is_alive, self._empty = page.items[-1].id, True, 0
        return [page]

    def _get(self, asked: dict[str, Any], max_wait: float | None = None, limit: int = PAGE) -> Page:
        page = self._pages.get(asked, limit=limit, max_wait=max_wait)
        if self._judge:
            self._judge(page)
            self._judge = None
        return page

    def _is_silent(self, page: Page) -> bool:
        """Tell whether the object of the page cursor has left the list, which gave an empty answer.

        Some lists have no other word for it. Where nothing was new for a day, the newest object of
        the list must be that object.
        """
        if self._expected:
            self._empty += 1
            return self._empty <= _MAX_EMPTY
        since = self._start.looked or self._start.before
        if self.is_alive or page.now - since < DAY:
            return False
        newest = self._get({}, limit=1).items
        self.is_alive = not newest or newest[-1].id == self._cursor
        return not self.is_alive

    def _without_cursor(self) -> list[Page]:
        """Go on by time, as the object of the page cursor was deleted."""
        if self._cursor == self.last_id:
            self.last_id = None
        self._cursor, self.is_alive = None, True
        return [] if self._go_behind_older(None) else self._by_time(None)

    @property
    def _from_floor(self) -> dict[str, Any]:
        return {"created[gte]": self._floor, **self._end} if self._floor else self._end

    def _by_time(self, max_wait: float | None) -> list[Page]:
        """Return the pages from the floor on, or none once a page cursor leads to them."""
        newest = self._get(self._from_floor, max_wait)
        self._newest = {item.id for item in newest.items}
        kept = [newest]
        while kept[-1].more and len(kept) < _MOST_KEPT and not self._reaches_far_back(kept):
            kept.append(self._step_back(kept[-1], kept))
        # Nothing was delivered yet that the order of the list could be told by.
        if kept[-1].more and self._go_behind_older(None, skip=NEIGHBOURS):
            return []
        kept = self._oldest(kept)
        self._more = self._expected = kept[0] is not newest
        self._cursor = kept[0].items[-1].id if kept[0].items else None
        return kept

    def _go_behind_older(self, max_wait: float | None, skip: int = 0) -> bool:
        """Set the page cursor to the newest object before the floor, if there is one.

        :param skip: instead the one that so many are newer than, as neighbours may stand in each
            other's place.
        """
        if self._floor <= FIRST:
            return False
        older = self._get({"created[lt]": self._floor}, max_wait, limit=1 + skip).items
        if len(older) <= skip:
            return False
        self._cursor = older[0].id
        if not skip:
            self.last_id = self.last_id or self._cursor
        return True

    def _reaches_far_back(self, kept: list[Page]) -> bool:
        """Tell whether the floor is too many pages away to walk there."""
        if self._floor <= FIRST:
            return len(kept) >= _FEW_KEPT
        return _pages_between(kept, self._floor) > _MOST_KEPT

    def _oldest(self, kept: list[Page]) -> list[Page]:
        """Return pages that follow each other, the last of which is the oldest from the floor on.

        :param kept: pages that follow each other, the newest first.
        """
        low, leap = max(self._floor, FIRST), 0 if self._floor > FIRST else _LEAP
        # A time is often given as that of the first object, so it is looked for there first.
        filtered, first = False, not leap
        while filtered or kept[-1].more:
            top = kept[-1].items[0].second
            is_near = not kept[-1].more or _pages_between(kept, low) <= _FEW_STEPS
            if is_near and filtered:
                # The filter has hidden what is dated ahead of its place: read the page again.
                again = self._step_back(kept[0])
                kept, filtered = [again if again.items else kept[0]._replace(more=False)], False
                continue
            if is_near:
                kept = [*kept[1 - _MOST_KEPT :], self._step_back(kept[-1], kept)]
                continue
            middle = top - leap * _span(kept)
            if first:
                middle, first = low + _MOST_KEPT // 2 * _span(kept), False
            elif not leap or middle <= low:
                middle, leap = (low + top) // 2, 0
            page = self._get({**self._from_floor, "created[lt]": middle})
            if page.items:
                kept, leap, filtered = [page], leap * _LONGER, True
            else:
                low, leap = middle, 0
        return kept

    def _step_back(self, page: Page, kept: Iterable[Page] = ()) -> Page:
        """Return the page on the older side of another.

        :param kept: the pages before it, whose objects are known; none where the page itself is
            read again, from its new end.
        """
        known = self._newest.union(item.id for one in kept for item in one.items)
        behind = page.items if kept else page.items[::-1]
        return self._pages.older(behind, self._from_floor, known)

    def _fresh(self, page: Page) -> list[Item]:
        """Return what is new, and remember how far reading has come: pages may overlap."""
        fresh = [
            item
            for item in page.items
            if item.second >= self._low and item.id not in self._returned
        ]
        past = [item.second for item in fresh[-NEIGHBOURS:] if item.second <= page.latest]
        if past and min(past) > self._floor:
            self._floor = self._pages.second = min(past)
            self._returned = {
                id: second for id, second in self._returned.items() if second >= self._floor
            }
        self._returned.update(
            (item.id, item.second) for item in fresh if item.second >= self._floor
        )
        return fresh


def _span(kept: list[Page]) -> int:
    """Return the seconds that one of these pages covers, at least 1."""
    return max(1, (kept[0].items[-1].second - kept[-1].items[0].second) // len(kept))


def _pages_between(kept: list[Page], low: int) -> float:
    """Guess how many pages lie between a second and the oldest of these pages."""
    return (kept[-1].items[0].second - low) / _span(kept)
