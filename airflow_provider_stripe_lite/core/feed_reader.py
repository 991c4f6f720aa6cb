"""Read a feed from a position on, from its old end to its new one, whatever is deleted meanwhile.

No list of Stripe can be asked from its old end. Behind a living object ``ending_before`` gives what
is newer, page by page, and the order of the list says what is new. Where that object was deleted,
the newest one before its second takes its place; where none is known, times say what is new.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.old_end import OldEnd, PageFile
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

# So often an empty answer is taken for a lost page cursor where Stripe has said that there is more.
_FEW_LOST = 3


class FeedReader:
    """Read one feed from a position on, page by page, oldest first, every object once.

    :param start: the position.
    :param ranged: read a range of time, for which one call beside its pages is enough.
    :param until: epoch second; a range holds what was created before it, or all.
    :param expected: whether something must lie behind the object of the position, so that an empty
        answer says that the object was deleted.
    :param judge: is called with the first answer, whose clocks it may refuse the position by.
    :ivar last_id: the object of the position, or the one that has taken its place.
    :ivar is_alive: whether the list has shown that it goes on from there; no empty answer does.
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
        self._bounds: dict[str, Any] = {} if until is None else {"created[lt]": until}
        if ranged and start.before > FIRST:
            self._bounds["created[gte]"] = start.before
        self._cursor, self._more, self._expected = start.last_id, True, expected
        self._lost = 0
        self.is_alive = start.last_id is None
        # Pages that were read on the way to the oldest one, which stands last.
        self._kept: list[Page] | PageFile = []
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

    def _fetch(self, max_wait: float | None) -> list[Page] | PageFile:
        """Return the pages that come next, the oldest of them last."""
        if self._cursor is None:
            # A range finds an object before it in the one call that it has beside its pages.
            ranged = self._ranged and self._go_behind_older(max_wait)
            return [] if ranged else self._by_time(max_wait)
        try:
            page = self._get({"ending_before": self._cursor, **self._bounds}, max_wait)
        except StripeInvalidRequestError as exc:
            self._lost += 1
            if not is_gone(exc) or self._lost > MAX_LOST:
                raise
            return self._without_cursor()
        if not page.items and self._is_silent(page):
            self._lost += 1
            if self._lost > MAX_LOST:
                raise self._pages.bad("gave nothing behind any object, though it has newer ones")
            return self._without_cursor()
        self._lost, self._more, self._expected = 0, page.more, page.more
        if page.items:
            self._cursor, self.is_alive = page.items[-1].id, True
        return [page]

    def _get(self, asked: dict[str, Any], max_wait: float | None = None, limit: int = PAGE) -> Page:
        page = self._pages.get(asked, limit=limit, max_wait=max_wait)
        if self._judge:
            self._judge(page)
            self._judge = None
        return page

    def _is_silent(self, page: Page) -> bool:
        """Tell whether the object of the page cursor has left the list, which gave an empty answer.

        Some lists have no other word for it. Where Stripe has said that there is more, or nothing
        was new for a day, the newest object of the list must be that object; a range may hold none.
        """
        if self._expected and self._lost < _FEW_LOST:
            return True
        since = self._start.looked or self._start.before
        is_quiet = self.is_alive or (not self._ranged and page.now - since < DAY)
        if is_quiet and not self._expected:
            return False
        newest = self._get(self._bounds, limit=1).items
        self.is_alive = not newest or newest[-1].id == self._cursor
        return not self.is_alive

    def _without_cursor(self) -> list[Page] | PageFile:
        """Go on by time, as the object of the page cursor was deleted."""
        if self._cursor == self.last_id:
            self.last_id = None
        self._cursor, self.is_alive = None, True
        return [] if self._go_behind_older(None) else self._by_time(None)

    @property
    def _from_floor(self) -> dict[str, Any]:
        return self._bounds | ({"created[gte]": self._floor} if self._floor else {})

    def _by_time(self, max_wait: float | None) -> list[Page] | PageFile:
        """Return the pages from the floor on, or none once a page cursor leads to them."""
        old_end = OldEnd(self._pages, self._from_floor, self._get(self._from_floor, max_wait))
        if self._ranged and (walked := old_end.walk()):
            self._more = False
            return walked
        kept = old_end.near()
        if not self._ranged and kept[-1].more and self._go_behind_older(None):
            return []
        kept = old_end.leap(kept)
        self._more = self._expected = kept[0] is not old_end.newest
        self._cursor = kept[0].items[-1].id if kept[0].items else None
        return kept

    def _go_behind_older(self, max_wait: float | None) -> bool:
        """Set the page cursor to an object before the floor, if there is one.

        It is the newest one, but where times say what is new and nothing was returned yet: there
        some are newer than it, as neighbours may stand in each other's place.
        """
        if self._floor <= FIRST:
            return False
        skip = NEIGHBOURS if self._low and not self._returned else 0
        older = self._get({"created[lt]": self._floor}, max_wait, limit=1 + skip).items
        if len(older) <= skip:
            return False
        self._cursor = older[0].id
        if not skip:
            self.last_id = self.last_id or self._cursor
        # Between this call and the next one it may be deleted.
        self.is_alive = not self._ranged
        return True

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
