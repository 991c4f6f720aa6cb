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
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.reading import Batch, poll, read
from airflow_provider_stripe_lite.core.resources import RESOURCES
from airflow_provider_stripe_lite.core.window import Position
from airflow_provider_stripe_lite.errors import RateLimitWait, StripeError
from airflow_provider_stripe_lite.testing import FakeStripe, Request
from tests.helpers import NOW, Clock, FakeLimiter, SharedServer, client_for, window

HISTORIES = int(os.environ.get("HYPOTHESIS_HISTORIES", "0"))
FAULTS: dict[str, dict[str, Any]] = {
    "429": {"status": 429},
    "500": {"status": 500},
    "503": {"status": 503},
    "reset": {"reset": True},
    "drop": {"drop": True},
    "short": {"truncate": "length"},
    "half": {"truncate": "json"},
}
SIZES = st.one_of(st.integers(1, 4), st.sampled_from([99, 100, 101, 130, 210]))


class History(RuleBasedStateMachine):
    """One account, one reader that is killed at will, and what must be true of everything it
    delivered.
    """

    server: SharedServer
    limiter: FakeLimiter
    client: StripeClient

    @initialize(
        feed=st.sampled_from(["customer", "invoiceitem"]),
        min_age=st.sampled_from([60, 60, 5, 1, 0]),
        start=st.sampled_from([0, NOW - 100, NOW, NOW + 20]),
        scrambled=st.booleans(),
        deleted_cursors=st.booleans(),
        past=st.sampled_from([0, 0, 1, 150]),
    )
    def begin(
        self,
        feed: str,
        min_age: int,
        start: int,
        scrambled: bool,
        deleted_cursors: bool,
        past: int,
    ) -> None:
        self.feed, self.field = feed, RESOURCES[feed].time_field
        self.min_age, self.start = min_age, start
        self.clock = Clock(NOW + 0.5)
        self.latest = self.clock.now
        self.fake: FakeStripe = self.server.account(self.clock, scrambled=scrambled)
        self.fake.deleted_cursors = deleted_cursors
        self.saved = json.dumps(asdict(Position(start)))
        self.made: dict[str, int] = {}
        self.deleted: set[str] = set()
        self.appearances: set[float] = set()
        self.delivered: list[tuple[int, str]] = []
        self.windows: list[tuple[str, int, list[str]]] = []
        self.made |= dict.fromkeys(self.fake.add_many(feed, past, created=NOW - 90), NOW - 90)

    # What happens at Stripe

    def _make(self, n: int, created: int, visible_at: float = 0) -> None:
        """Objects that are not later than `min_age` allows, not even by the clock's furthest
        second.
        """
        created = max(created, int(self.latest) - self.min_age)
        ids = self.fake.add_many(self.feed, n, created=created, visible_at=visible_at)
        self.appearances.add(visible_at)
        self.made |= dict.fromkeys(ids, created)

    def _tick(self, seconds: float) -> None:
        then = self.clock.now + seconds
        if any(then < moment <= self.clock.now for moment in self.appearances):
            # What was seen stays seen, even where the clock runs back.
            return
        self.clock.now = then
        self.latest = max(self.latest, self.clock.now)

    @rule(n=SIZES)
    def create(self, n: int) -> None:
        """A burst in one second."""
        self._make(n, int(self.clock.now))

    @rule(n=SIZES, age=st.integers(0, 59))
    def create_dated_back(self, n: int, age: int) -> None:
        """Objects that become visible now and are dated up to `min_age` seconds ago."""
        self._make(n, int(self.clock.now) - min(age, self.min_age))

    @rule(n=SIZES, lateness=st.floats(0, 59.9))
    def create_late(self, n: int, lateness: float) -> None:
        """Objects that are dated now and become visible less than `min_age` seconds later."""
        self._make(n, int(self.clock.now), self.clock.now + min(lateness, self.min_age * 0.99))

    @rule(n=st.integers(1, 3), ahead=st.integers(1, 90))
    def create_in_the_future(self, n: int, ahead: int) -> None:
        self._make(n, int(self.clock.now) + ahead)

    @rule(seconds=st.one_of(st.integers(0, 3), st.floats(0, 70), st.just(150)))
    def tick(self, seconds: float) -> None:
        self._tick(seconds)

    @rule()
    def clock_runs_back(self) -> None:
        self._tick(-1)

    def _delete(self, id: str | None) -> None:
        if id in self.made:
            self.fake.delete(id)
            self.deleted.add(id)

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def delete(self, data: Any) -> None:
        """Any object: delivered or not, visible or not."""
        self._delete(data.draw(st.sampled_from(sorted(self.made))))

    @rule()
    def delete_the_last_one_delivered(self) -> None:
        self._delete(json.loads(self.saved)["last_id"])

    @rule()
    def delete_all_that_was_handed_over(self) -> None:
        for _, id in self.delivered:
            self._delete(id)

    @rule()
    def delete_everything(self) -> None:
        for id in self.made:
            self._delete(id)

    @rule(kind=st.sampled_from(sorted(FAULTS)), times=st.integers(1, 6), skip=st.integers(0, 3))
    def pages_fail(self, kind: str, times: int, skip: int) -> None:
        """Some of the coming requests fail; five in a row are too many for the client."""
        self.fake.fault(**FAULTS[kind], times=times, skip=skip)

    @rule(times=st.integers(1, 6), skip=st.integers(0, 3))
    def cursors_vanish(self, times: int, skip: int) -> None:
        """Between two pages, the object that the next request names is deleted."""

        def strike(request: Request) -> None:
            cursors = dict(request.query)
            self._delete(cursors.get("ending_before") or cursors.get("starting_after"))

        self.fake.fault(hook=strike, times=times, skip=skip)

    @rule(
        n=SIZES,
        age=st.integers(0, 59),
        seconds=st.integers(-1, 3),
        skip=st.integers(0, 3),
        times=st.integers(1, 2),
    )
    def objects_appear_between_pages(
        self, n: int, age: int, seconds: int, skip: int, times: int
    ) -> None:
        def strike(_: Request) -> None:
            self._tick(seconds)
            self._make(n, int(self.clock.now) - min(age, self.min_age))

        self.fake.fault(hook=strike, times=times, skip=skip)

    # What the reader does

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
