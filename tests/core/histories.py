"""What Stripe may lawfully do to an account, in every order, while somebody reads it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from airflow_provider_stripe_lite.core import clock
from airflow_provider_stripe_lite.core.lists import feed_named
from airflow_provider_stripe_lite.core.window import Position
from airflow_provider_stripe_lite.testing import FakeStripe, Request
from tests.helpers import NOW, Clock, SharedServer

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


class AccountHistory(RuleBasedStateMachine):
    """One account: what is created and deleted in it, and which requests fail.

    What its reader has saved and delivered is known here, so that just that can be deleted.
    """

    server: SharedServer

    @initialize(
        feed=st.sampled_from(["customer", "invoiceitem"]),
        min_age=st.sampled_from([60, 60, 5, 1, 0]),
        start=st.sampled_from([0, NOW - 100, NOW, NOW + 20]),
        scrambled=st.booleans(),
        deleted_cursors=st.booleans(),
        past=st.sampled_from([0, 0, 1, 150]),
        words=st.sampled_from(["missing", "gone", "plain", "empty"]),
        host_off=st.sampled_from([0, 0, 0, -86_400, -300, -2, 2, 300, 86_400]),
    )
    def begin(
        self,
        feed: str,
        min_age: int,
        start: int,
        scrambled: bool,
        deleted_cursors: bool,
        past: int,
        words: str,
        host_off: int,
    ) -> None:
        self.feed, self.list = feed, feed_named(feed)
        self.min_age, self.start = min_age, start
        self.clock = Clock(NOW + 0.5)
        self.latest = self.clock.now
        self.fake: FakeStripe = self.server.account(self.clock, scrambled=scrambled)
        self.fake.deleted_cursors, self.fake.cursor_words = deleted_cursors, words
        self.host_off = host_off
        clock.use(lambda: self.clock.now + self.host_off)
        self.saved = json.dumps(asdict(Position(start)))
        # Of each object its date, and the second whose place it has in the list.
        self.made: dict[str, int] = {}
        self.places: dict[str, int] = {}
        self.deleted: set[str] = set()
        self.appearances: set[float] = set()
        self.delivered: list[str] = []
        self.windows: list[tuple[str, int, list[str]]] = []
        self._add(past, NOW - 90, NOW - 90)

    @property
    def displaced(self) -> int:
        """How many objects stand in another place than that of their date."""
        return sum(self.made[id] != place for id, place in self.places.items())

    def _add(self, n: int, created: int, place: int, visible_at: float = 0) -> None:
        options = {} if created == place else {"listed_at": place}
        ids = self.fake.add_many(self.feed, n, created=created, visible_at=visible_at, **options)
        self.made |= dict.fromkeys(ids, created)
        self.places |= dict.fromkeys(ids, place)

    def _make(self, n: int, created: int, visible_at: float = 0) -> None:
        """Objects that are not later than `min_age` allows, not even by the clock's furthest
        second.
        """
        created = max(created, int(self.latest) - self.min_age)
        self.appearances.add(visible_at)
        self._add(n, created, created, visible_at)

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
        """Objects whose date and place are both to come."""
        self._make(n, int(self.clock.now) + ahead)

    # A page of which most dates are wrong is refused.
    @precondition(lambda self: self.displaced < 2)
    @rule(ahead=st.integers(700, 100_000))
    def create_with_a_date_to_come(self, ahead: int) -> None:
        """An object in today's place that has a date of the future."""
        place = int(self.latest)
        self._add(1, place + ahead, place)

    @precondition(lambda self: not self.fake.scrambled and self.displaced < 3)
    @rule(seconds=st.integers(1, 3))
    def create_two_in_each_others_place(self, seconds: int) -> None:
        """Two neighbours in the list, of which the older one is dated later."""
        place = int(self.latest)
        self._add(1, place, place)
        self._add(1, place - min(seconds, self.min_age), place)

    @rule(seconds=st.one_of(st.integers(0, 3), st.floats(0, 70), st.just(150)))
    def tick(self, seconds: float) -> None:
        self._tick(seconds)

    @rule(
        seconds=st.sampled_from([-86_400, -3_000, -61, -1, 1, 59, 61, 300, 3_000, 86_400]),
        times=st.integers(1, 4),
        skip=st.integers(0, 2),
    )
    def answers_have_another_clock(self, seconds: int, times: int, skip: int) -> None:
        """Some of the coming answers carry a wrong Date, each one its own; one clock is right."""
        self.host_off = 0
        self.fake.fault(clock=seconds, times=times, skip=skip)

    @rule(times=st.integers(1, 3), over=st.sampled_from([12, 25, 50]), slow=st.booleans())
    def pages_are_too_large(self, times: int, over: int, slow: bool) -> None:
        """Stripe cannot give a page of more than so many objects."""
        self.fake.fault(status=504 if slow else 500, limit_over=over, times=5 * times)

    @rule()
    def clock_runs_back(self) -> None:
        self._tick(-1)

    def _delete(self, id: str | None) -> None:
        if id in self.made and id not in self.deleted:
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
        for id in self.delivered:
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
