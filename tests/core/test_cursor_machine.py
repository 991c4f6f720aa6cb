"""P1, P2 and P3 against thousands of histories.

What Stripe may lawfully do happens in every order, at the worst moment. HYPOTHESIS_HISTORIES says
how many histories are tried, other ones each time; without it, the same few are tried.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.reading import Batch, poll, read
from airflow_provider_stripe_lite.core.window import Position
from airflow_provider_stripe_lite.errors import RateLimitWait, StripeError
from tests.core.histories import AccountHistory
from tests.helpers import FakeLimiter, SharedServer, client_for, window

HISTORIES = int(os.environ.get("HYPOTHESIS_HISTORIES", "0"))


class History(AccountHistory):
    """One account, one reader that is killed at will, and what must be true of everything it
    delivered.
    """

    limiter: FakeLimiter
    client: StripeClient

    @property
    def troubled(self) -> bool:
        """Whether a request may fail: as told to, or as most dates of a page are wrong."""
        told = any(fault.hits < (fault.times or 0) for fault in self.fake.faults)
        return told or self.displaced > 2

    @rule(
        max_items=st.sampled_from([1, 2, 7, 99, 100, 101, 250, 1000]),
        free=st.none() | st.integers(0, 4),
        killed=st.sampled_from([False, False, False, True]),
    )
    def poll(self, max_items: int, free: int | None, killed: bool) -> None:
        """Poll from the saved position; a reader that is killed before it saves polls again."""
        troubled = self.troubled
        try:
            batch = self._poll(max_items, free)
        except StripeError:
            assert troubled
            return
        except RateLimitWait:
            assert free == 0 or troubled
            return
        if not killed:
            self._accept(batch, max_items)

    def _poll(self, max_items: int, free: int | None = None) -> Batch:
        self.limiter.open(free)
        start = Position(**json.loads(self.saved))
        wait = None if free is None else 0
        return poll(
            self.client,
            self.list,
            start,
            take=lambda raw: raw["id"],
            min_age=self.min_age,
            max_items=max_items,
            max_wait=wait,
        )

    def _accept(self, batch: Batch, max_items: int) -> None:
        start, end = json.loads(self.saved)["before"], batch.position
        seconds = [self.made[id] for id in batch.items if not self._is_displaced(id)]
        assert start <= end.before, "the position ran back"
        assert all(start <= second < end.before for second in seconds), "of another window"
        assert len(batch.items) <= max_items + self._held_together(), "too many at once"
        assert batch.items or not batch.more, "there is more, but nothing comes"
        assert not batch.items or end.last_id == batch.items[-1], "the last one is another"
        for id in set(batch.items) & set(self.delivered):
            # Where everything around it was deleted, nothing says that it came before.
            assert self._is_displaced(id), "twice"
            assert self._nothing_is_left_behind(id), "twice"
            # What stood behind it was deleted, and stands before it now.
            self.delivered = [
                one for one in self.delivered if one != id and self.places[one] <= self.places[id]
            ]
        if batch.items:
            self.windows.append((self.saved, asdict(end), batch.items))
        self.delivered += batch.items
        self.saved = json.dumps(asdict(end))
        self._check()

    def _held_together(self) -> int:
        """Return how many objects may have to come at once: those of a second, and displaced ones
        among them.
        """
        placed = Counter(self.places.values()) + Counter(self.made.values())
        return max(placed.values(), default=0) + self.displaced

    def _is_displaced(self, id: str) -> bool:
        return self.places[id] != self.made[id]

    def _nothing_is_left_behind(self, id: str) -> bool:
        behind = {one for one in self.delivered if self.places[one] > self.places[id]}
        return behind <= self.deleted

    def _check(self) -> None:
        """Nothing twice, in the order of the list, and nothing missing of what is done."""
        places = [self.places[id] for id in self.delivered]
        assert len(set(self.delivered)) == len(self.delivered), "delivered twice"
        assert places == sorted(places), "not in the order of the list"
        before = json.loads(self.saved)["before"]
        due = {
            id
            for id, created in self.made.items()
            if self.start <= created and max(created, self.places[id]) < before
        }
        assert due - set(self.delivered) <= self.deleted, "missing"

    @precondition(lambda self: self.windows)
    @rule(data=st.data())
    def read_again(self, data: Any) -> None:
        """A window that was delivered has the same objects in the same order, but for the deleted
        ones.
        """
        self._read_again(*data.draw(st.sampled_from(self.windows)))

    def _read_again(self, start: str, end: dict[str, Any], ids: list[str]) -> None:
        self.limiter.open()
        troubled, alive = self.troubled, set(ids) - self.deleted
        try:
            stretch = window(self.feed, Position(**json.loads(start)), Position(**end))
            again = [item["id"] for item in read(self.client, stretch)]
        except StripeError:
            assert troubled
            return
        assert set(again) <= alive
        again = [id for id in again if id not in self.deleted]
        due = [id for id in ids if id not in self.deleted]
        if ids[-1] in self.deleted:
            # Where the last one was deleted, nothing but their dates tells the ones before it from
            # what came later.
            while due and due != again and self.made[due[-1]] >= end["before"]:
                due.pop()
        assert again == due

    def teardown(self) -> None:
        """When the faults are over and time goes on, everything arrives that was not deleted
        before.
        """
        if not hasattr(self, "saved"):
            return
        self.fake.faults.clear()
        # Within a day, a list that has no word for it is known to have lost an object; and other
        # objects come, so that few dates are wrong.
        self.host_off = 0
        self._tick(200_000)
        for _ in range(2 * self.displaced + 1):
            self._tick(1)
            self._make(1, int(self.clock.now))
        self._tick(self.min_age + 500)
        for _ in range(len(self.made) + 2):
            batch = self._poll(100)
            self._accept(batch, 100)
            if not batch.more:
                break
        assert not batch.more
        assert set(self.made) - self.deleted <= set(self.delivered) | self._before_the_start()
        for start, end, ids in self.windows[:1] + self.windows[-2:]:
            self._read_again(start, end, ids)

    def _before_the_start(self) -> set[str]:
        return {
            id for id, created in self.made.items() if min(created, self.places[id]) < self.start
        }


@pytest.fixture
def history(server: SharedServer) -> type[History]:
    """Histories that share one server, one client and its connection: ten thousand of them are to
    be affordable.
    """

    class Shared(History):
        pass

    Shared.server, Shared.limiter = server, FakeLimiter()
    Shared.client = client_for(server.url, limiter=Shared.limiter)
    return Shared


def test_every_object_is_delivered_exactly_once(history: type[History]) -> None:
    """P1, P2, P3: whatever happens, nothing is missed, nothing comes twice, and a window stays what
    it was.
    """
    run_state_machine_as_test(
        history,
        settings=settings(
            max_examples=HISTORIES or 40,
            derandomize=not HISTORIES,
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
