"""What one poll found, and where the next one goes on."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from airflow_provider_stripe_lite.core.feed_reader import FeedReader
from airflow_provider_stripe_lite.core.pages import NEIGHBOURS, Item, Object, Page
from airflow_provider_stripe_lite.core.window import Position

__all__ = ["Batch", "GrowingBatch", "Take"]

# What a batch keeps of an object, so that no raw one outlives its page.
Take = Callable[[Object], Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one poll found.

    :param items: what was taken of the objects, oldest first.
    :param position: where the next poll goes on.
    :param more: whether objects that are old enough were left for the next poll.
    :param request_id: ``req_…`` of the last answer.
    :param unread: whether there is something new, of which nothing but its end was read.
    """

    items: list[Any]
    position: Position
    more: bool = False
    request_id: str | None = field(default=None, compare=False)
    unread: bool = False

    @property
    def count(self) -> int | None:
        """How many objects are new, or None where they were not read."""
        return None if self.unread else len(self.items)


class GrowingBatch:
    """A batch while it is read: of each object what was taken, its id and its second.

    :ivar whole: whether everything that is old enough was added.
    """

    def __init__(self, start: Position, take: Take) -> None:
        self.whole = False
        self._start, self._take = start, take
        self._items: list[Any] = []
        self._ids: list[str] = []
        # None stands for the second of an object that is dated in the future.
        self._seconds: list[int | None] = []
        self._ahead: list[Item] = []
        self._rest = math.inf

    def __len__(self) -> int:
        return len(self._items)

    def add(self, page: Page, bound: int, *, more: bool) -> None:
        """Add what is older than ``bound``.

        An object that is dated in the future is held until an older one follows, whose place in
        the list says that the date is wrong.

        :param more: whether another page follows.
        """
        for at, item in enumerate(page.items):
            if item.second > page.latest:
                self._ahead.append(item)
            elif item.second >= bound:
                self.whole, rest = True, page.items[at:]
                self._rest = min(one.second for one in rest)
                return
            else:
                for early in self._ahead:
                    self._append(early, None)
                self._ahead.clear()
                self._append(item, item.second)
        self.whole = not more

    def _append(self, item: Item, second: int | None) -> None:
        self._items.append(self._take(item.raw))
        self._ids.append(item.id)
        self._seconds.append(second)

    def end(self, most: int) -> int:
        """Return how many of the first objects can be delivered without the rest, or 0.

        It is the last such end up to ``most``, else the first one: behind it stand larger seconds
        than before it, as far as they are known.
        """
        placed, least = self._placed(), self._least()
        largest = list(accumulate(placed, max, initial=-1))
        # Without the next page, nobody knows whether the last second is complete, and which of the
        # last objects have a date that is ahead of their place.
        last = [second for second in placed[-NEIGHBOURS:] if second >= 0]
        first, last_second = 0, math.inf if self.whole else min(last, default=-1)
        for end in range(len(self), 0, -1):
            if largest[end] < min(least[end], last_second) and placed[end - 1] >= 0:
                first = end
                if end <= most:
                    break
        return first

    def _least(self) -> list[float]:
        """Return for each object the smallest second from it on, those too young counted in."""
        seconds = [math.inf if second is None else second for second in reversed(self._seconds)]
        return list(accumulate(seconds, min, initial=self._rest))[::-1]

    def _placed(self) -> list[int]:
        """Return the second of each object, or -1 where its date is ahead of its place in the list.

        Neighbours may stand in each other's place; a date that several later objects contradict
        is wrong.
        """
        dated = [second for second in self._seconds if second is not None]
        if len(dated) == len(self) and dated == sorted(dated):
            # Dates that rise contradict no other, and nearly all do.
            return dated
        placed, smallest = list[int](), list[int]()
        for second in reversed(self._seconds):
            several = len(smallest) > NEIGHBOURS
            if second is None or (several and second > smallest[NEIGHBOURS]):
                placed.append(-1)
                continue
            placed.append(second)
            if not several or second < smallest[NEIGHBOURS]:
                insort(smallest, second)
                del smallest[NEIGHBOURS + 1 :]
        return placed[::-1]

    def upto(self, end: int, reader: FeedReader, looked: int | None) -> Batch:
        """Return the batch of the first objects.

        :param looked: when the list was read to its end.
        """
        more = 0 < end < len(self)
        if more:
            # What is left may be older than Stripe remembers when it is asked for.
            looked = self._start.looked
        seconds = [second + 1 for second in self._placed()[:end]]
        position = Position(
            max(self._start.before, *seconds, 0),
            self._ids[end - 1] if end else reader.last_id,
            looked,
        )
        return Batch(self._items[:end], position, more, reader.request_id)
