"""Find the oldest page of a list, which Stripe shows from its new end only."""

from __future__ import annotations

import logging
import pickle
import weakref
import zlib
from collections.abc import Iterable
from tempfile import SpooledTemporaryFile
from typing import Any

from airflow_provider_stripe_lite.core.pages import Page, Pages
from airflow_provider_stripe_lite.core.times import FIRST

__all__ = ["OldEnd", "PageFile"]

_log = logging.getLogger(__name__)
# So many pages are kept while the old end is looked for.
_MOST_KEPT = 10
# The first object of an account is looked for in leaps once so many pages have not reached it.
_FEW_KEPT = 2
# The old end is walked to over so many pages, as a leap would save less than it costs.
_FEW_STEPS = 16
# A leap goes so many pages back, and each further one so many times as far.
_LEAP, _LONGER = 10, 64
# A range is walked through as a whole, unless it is longer than this; whether it is, is asked again
# behind so many pages, if they look another way.
_MOST_WALKED, _ASKED_AGAIN = 2500, (10, 100, 1000)
# So many bytes of pages are in memory, and what comes on top in a file without a name.
_IN_MEMORY = 1024 * 1024


class PageFile:
    """Give the pages back that were put in, the last one first."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115
        self._starts: list[int] = []
        # A read may be given up in the middle.
        weakref.finalize(self, self._file.close)

    def __len__(self) -> int:
        return len(self._starts)

    def append(self, page: Page) -> None:
        """Put a page in."""
        self._starts.append(self._file.tell())
        # Objects of one list are alike, so that this takes little time and far less space.
        self._file.write(zlib.compress(pickle.dumps(tuple(page)), 1))

    def pop(self) -> Page:
        """Take out the page that was put in last."""
        start = self._starts.pop()
        self._file.seek(start)
        page = Page(*pickle.loads(zlib.decompress(self._file.read())))  # noqa: S301
        self._file.seek(start)
        self._file.truncate()
        return page


class OldEnd:
    """Look for the oldest page of a list, or of what its bounds leave of it.

    :param bounds: the filters, of which ``created[gte]`` is the floor; without one the first object
        is looked for.
    :ivar newest: the newest page.
    """

    def __init__(self, pages: Pages, bounds: dict[str, Any], newest: Page) -> None:
        self._pages, self._bounds, self.newest = pages, bounds, newest
        self._floor: int = bounds.get("created[gte]", 0)
        self._ids = {item.id for item in newest.items}

    def walk(self) -> PageFile | None:
        """Return all pages, read from the newest one on, or None where they are too many."""
        page, walked, far = self.newest, PageFile(), 0
        walked.append(page)
        if page.more:
            _log.info("Too little is older than the range: it is read from its new end first.")
        while page.more and (count := len(walked)) < _MOST_WALKED:
            if count in (1, *_ASKED_AGAIN):
                before = page.items[0].second - (_MOST_WALKED - count) * _span([page])
                # The first answer holds on where the pages go on as they began.
                close = (far + self.newest.items[-1].second) // 2 if far else 0
                if before > max(self._floor, FIRST, close):
                    far, asked = before, {**self._bounds, "created[lt]": before}
                    if self._pages.get(asked, limit=1).items:
                        return None
            page = self._step_back(page, [page])
            walked.append(page)
        return None if page.more else walked

    def near(self) -> list[Page]:
        """Return pages that follow each other, the newest first, unless the old end is far away."""
        kept = [self.newest]
        while kept[-1].more and len(kept) < _MOST_KEPT and not self._is_far(kept):
            kept.append(self._step_back(kept[-1], kept))
        return kept

    def leap(self, kept: list[Page]) -> list[Page]:
        """Return pages that follow each other, the last of which is the oldest one.

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
            page = self._pages.get({**self._bounds, "created[lt]": middle})
            if page.items:
                kept, leap, filtered = [page], leap * _LONGER, True
            else:
                low, leap = middle, 0
        return kept

    def _is_far(self, kept: list[Page]) -> bool:
        """Tell whether the floor is too many pages away to walk there."""
        far = _pages_between(kept, self._floor) > _MOST_KEPT
        return far if self._floor > FIRST else len(kept) >= _FEW_KEPT

    def _step_back(self, page: Page, kept: Iterable[Page] = ()) -> Page:
        """Return the page on the older side of another.

        :param kept: the pages before it, whose objects are known; none where the page itself is
            read again, from its new end.
        """
        known = self._ids.union(item.id for one in kept for item in one.items)
        behind = page.items if kept else page.items[::-1]
        return self._pages.older(behind, self._bounds, known)


def _span(kept: list[Page]) -> int:
    """Return the seconds that one of these pages covers, at least 1."""
    return max(1, (kept[0].items[-1].second - kept[-1].items[0].second) // len(kept))


def _pages_between(kept: list[Page], low: int) -> float:
    """Guess how many pages lie between a second and the oldest of these pages."""
    return (kept[-1].items[0].second - low) / _span(kept)
