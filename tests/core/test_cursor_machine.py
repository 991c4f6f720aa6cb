"""P1, P2 and P3 against thousands of histories.

What Stripe may lawfully do happens in every order, at the worst moment. HYPOTHESIS_HISTORIES says
how many histories are tried, other ones each time; without it, the same few are tried.
"""

from __future__ import annotations

import json
import os
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
        return any(fault.hits < (fault.times or 0) for fault in self.fake.faults)

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
            self.client, self.feed, start, min_age=self.min_age, max_items=max_items, max_wait=wait
        )

    def _accept(self, batch: Batch, max_items: int) -> None:
        start, before = json.loads(self.saved)["before"], batch.position.before
        rows = [(item[self.field], item["id"]) for item in batch.items]
        seconds = [second for second, _ in rows]
        assert start <= before, "the position ran back"
        assert all(start <= second < before for second in seconds), "an object of another window"
        assert len(rows) <= max_items or len(set(seconds)) == 1, "too many at once"
        assert rows or not batch.more, "there is more, but nothing comes"
        self.windows.append((self.saved, before, [id for _, id in rows]))
        self.delivered += rows
        self.saved = json.dumps(asdict(batch.position))
        self._check()

    def _check(self) -> None:
        """Nothing twice, oldest first, and nothing missing of what the position says is done."""
        ids, seconds = {id for _, id in self.delivered}, [second for second, _ in self.delivered]
        assert len(ids) == len(self.delivered), "delivered twice"
        assert seconds == sorted(seconds), "not oldest first"
        before = json.loads(self.saved)["before"]
        due = {id for id, created in self.made.items() if self.start <= created < before}
        assert due - ids <= self.deleted, "missing"

    @precondition(lambda self: self.windows)
    @rule(data=st.data())
    def read_again(self, data: Any) -> None:
        """A window that was delivered has the same objects in the same order, but for the deleted
        ones.
        """
        self._read_again(*data.draw(st.sampled_from(self.windows)))

    def _read_again(self, start: str, end: int, ids: list[str]) -> None:
        self.limiter.open()
        troubled, before = self.troubled, set(ids) - self.deleted
        try:
            stretch = window(self.feed, Position(**json.loads(start)), end)
            again = [item["id"] for item in read(self.client, stretch)]
        except StripeError:
            assert troubled
            return
        assert set(again) <= before
        assert [id for id in again if id not in self.deleted] == [
            id for id in ids if id not in self.deleted
        ]

    def teardown(self) -> None:
        """When the faults are over and time goes on, everything arrives that was not deleted
        before.
        """
        if not hasattr(self, "saved"):
            return
        self.fake.faults.clear()
        self._tick(self.min_age + 500)
        for _ in range(len(self.made) + 2):
            batch = self._poll(100)
            self._accept(batch, 100)
            if not batch.more:
                break
        assert not batch.more
        assert (
            set(self.made) - self.deleted
            <= {id for _, id in self.delivered} | self._before_the_start()
        )
        for start, end, ids in self.windows[:1] + self.windows[-2:]:
            self._read_again(start, end, ids)

    def _before_the_start(self) -> set[str]:
        return {id for id, created in self.made.items() if created < self.start}


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
