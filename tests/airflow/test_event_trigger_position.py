"""A watcher saves its position when its event is stored, so that no event is lost."""

from __future__ import annotations

import asyncio
import time

import pytest
from airflow.triggers.shared_stream import AckTimeout

from airflow_provider_stripe_lite.core.window import Position, is_empty, start_of
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.airflow.triggering import TICK, WATCHER, Supervisor, going_on, run, triggerer, until
from tests.conftest import SetConnection
from tests.helpers import NOW, Clock

pytestmark = pytest.mark.usefixtures("events_in_a_row")


def test_the_position_is_saved_when_the_event_is_stored(
    stripe: FakeStripe, clock: Clock, supervisor: Supervisor
) -> None:
    """Until Airflow has the event in its database, the saved position is that from before it."""
    made = stripe.add_many("customer", 3, created=NOW)
    clock.now += 100

    async def main() -> None:
        async with triggerer() as running:
            payload = await running.event()
            assert payload["ids"] == made
            async with going_on(running):
                await asyncio.sleep(10 * TICK)
                assert start_of(supervisor.state) == Position(NOW, None)
                running.store()
                await until(lambda: is_empty(supervisor.state))
                assert start_of(supervisor.state) == Position(NOW + 1, made[-1])

    run(main())


def test_an_event_that_was_not_stored_comes_again(
    stripe: FakeStripe, clock: Clock, supervisor: Supervisor
) -> None:
    """After a crash the very same window is announced again, and then what has come meanwhile."""
    made = stripe.add_many("customer", 3, created=NOW)
    clock.now += 100

    async def main() -> None:
        async with triggerer() as running:
            first = await running.event()
        more = stripe.add_many("customer", 2, created=int(clock.now))
        clock.now += 100
        async with triggerer() as running:
            assert await running.event() == first
            running.store()
            second = await running.event()
        assert (first["ids"], second["ids"]) == (made, more)
        assert second["id"] != first["id"]

    run(main())


def test_an_event_that_airflow_confirms_and_drops_comes_again(
    stripe: FakeStripe, clock: Clock, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a DAG is paused, Airflow confirms what it does not store, and then ends the watcher."""
    monkeypatch.setattr("airflow_provider_stripe_lite._window_producer._EVENT_SECONDS", 5)
    made = stripe.add_many("customer", 3, created=NOW)
    clock.now += 100

    async def main() -> None:
        async with triggerer() as running:
            first = await running.event()
            async with going_on(running):
                running.store()
                await asyncio.sleep(10 * TICK)
        async with triggerer() as running:
            assert await running.event() == first
        assert first["ids"] == made

    run(main())


def test_an_event_that_could_not_be_stored_comes_again(
    stripe: FakeStripe, clock: Clock, supervisor: Supervisor
) -> None:
    """When Airflow gives up on an event, nothing is saved; the next stream announces it again."""
    made = stripe.add_many("customer", 3, created=NOW)
    clock.now += 100

    async def main() -> None:
        async with triggerer(ack_timeout=0.1) as running:
            first = await running.event()
            with pytest.raises(AckTimeout):
                await running.event()
        assert start_of(supervisor.state) == Position(NOW, None)
        async with triggerer() as running:
            assert await running.event() == first
        assert first["ids"] == made

    run(main())


def test_the_start_is_durable_before_the_first_event(
    stripe: FakeStripe, clock: Clock, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """start_from="now" is when the watcher first ran, also if it was killed before it found any."""
    monkeypatch.setitem(WATCHER, "start_from", "now")
    clock.now = time.time()

    async def main() -> None:
        async with triggerer() as running, going_on(running):
            await until(lambda: stripe.calls)
        start = start_of(supervisor.state).before
        assert abs(start - time.time()) < 5
        made = stripe.add_many("customer", 2, created=start + 1)
        clock.now += 1000
        async with triggerer() as running:
            assert (await running.event())["ids"] == made

    run(main())


def test_a_position_that_cannot_be_read_is_not_a_first_start(
    stripe: FakeStripe, clock: Clock, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow says "no such Variable" also when its API is out of reach: the watcher waits."""
    made = stripe.add_many("customer", 2, created=NOW)
    clock.now += 100

    async def main() -> None:
        async with triggerer() as running:
            assert (await running.event())["ids"] == made
        monkeypatch.setitem(WATCHER, "start_from", "now")
        supervisor.unreachable = 5
        async with triggerer() as running:
            assert (await running.event())["ids"] == made
        assert supervisor.refused == 5

    run(main())


def test_a_position_of_another_account_is_not_gone_on_from(
    stripe: FakeStripe,
    clock: Clock,
    supervisor: Supervisor,
    set_connection: SetConnection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The watcher announces nothing of another account; the log says what to do."""
    stripe.add_many("customer", 2, created=NOW)
    clock.now += 100

    async def main() -> None:
        async with triggerer() as running:
            await running.event()
        set_connection(extra={"stripe_account": "acct_2"})
        stripe.add_many("customer", 2, created=NOW, account="acct_2")
        async with triggerer() as running, going_on(running) as event:
            await until(lambda: "Delete it to start afresh" in caplog.text)
            assert not event.done()

    run(main())
