"""The sensors' trigger is an alarm clock: it looks, and wakes the sensor when it must."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.airflow.triggering import TICK, fire, run, until
from tests.conftest import SetConnection
from tests.helpers import NOW, Clock

FIRED = {"feed": "customer", "deadline": None}


def comes(fake: FakeStripe, clock: Clock) -> Callable[[Any], None]:
    """Return a hook by which an object comes, and more than a minute passes."""

    def hook(request: Any) -> None:
        fake.add("customer", created=NOW + 1)
        clock.now += 100

    return hook


def test_the_alarm_fires_when_something_is_new(stripe: FakeStripe, clock: Clock) -> None:
    """It looks, sees nothing, looks again, and fires when an object has come."""
    stripe.fault(path="/v1/customers", skip=2, hook=comes(stripe, clock))
    assert run(fire()) == FIRED
    # The third call was sent before the clocks moved, and the fourth still goes by that.
    assert len(stripe.calls) == 5
    assert all(dict(request.query)["limit"] == "1" for request in stripe.calls)


async def looks_on(fake: FakeStripe, **kwargs: Any) -> None:
    """Pass if an alarm has not fired after its third look."""
    alarm = asyncio.create_task(fire(**kwargs))
    await until(lambda: len(fake.calls) > 3 or alarm.done())
    assert not alarm.done()
    alarm.cancel()


@pytest.mark.parametrize("age", [None, 1, 1000])
def test_the_alarm_does_not_fire_for_what_is_old(stripe: FakeStripe, age: int | None) -> None:
    """No object, or only such as were there before its position: it goes on looking."""
    if age:
        stripe.add("customer", created=NOW - age)
    run(looks_on(stripe))


@pytest.mark.parametrize(("age", "behind"), [(60, 0), (61, 100)])
def test_the_alarm_does_not_fire_for_what_is_too_young(
    stripe: FakeStripe, clock: Clock, age: int, behind: int
) -> None:
    """An object that the worker could not deliver yet, by the earlier clock, wakes it later."""
    stripe.fault(clock=-behind, every=1)
    stripe.add("customer", created=NOW - age)
    run(looks_on(stripe, since=NOW - age))
    clock.now += 1 + behind
    assert run(fire(since=NOW - age)) == FIRED


@pytest.mark.parametrize("status", [401, 403, 400])
def test_the_alarm_fires_for_what_the_worker_must_see(stripe: FakeStripe, status: int) -> None:
    """A permanent error wakes the sensor, which meets it itself and fails with its type."""
    body = {"error": {"type": "invalid_request_error", "message": "no"}}
    stripe.fault(path="/v1/customers", status=status, body=body, every=1)
    assert run(fire()) == FIRED
    assert len(stripe.calls) == 1


def test_the_alarm_fires_when_the_connection_is_gone(set_connection: SetConnection) -> None:
    """So does a connection that has been deleted meanwhile."""
    assert run(fire(stripe_conn_id="nowhere")) == FIRED


def test_the_alarm_keeps_passing_failures_to_itself(stripe: FakeStripe, clock: Clock) -> None:
    """Four server errors in a row are nobody's business; the fifth wakes the sensor."""
    stripe.fault(path="/v1/customers", status=503, times=4)
    stripe.fault(path="/v1/customers", skip=2, hook=comes(stripe, clock))
    assert run(fire()) == FIRED
    assert len(stripe.calls) == 9
    stripe.calls.clear()
    stripe.fault(path="/v1/customers", status=503, every=1)
    assert run(fire(since=NOW + 100)) == FIRED
    assert len(stripe.calls) == 5


def test_waiting_sensors_share_their_looks(stripe: FakeStripe, clock: Clock) -> None:
    """Thirty sensors that wait for one feed of one connection cost one call a look, not thirty."""
    stripe.fault(path="/v1/customers", skip=2, hook=comes(stripe, clock))

    async def all_of_them() -> Any:
        return await asyncio.gather(*(fire(since=NOW - number) for number in range(30)))

    assert run(all_of_them()) == [FIRED] * 30
    assert len(stripe.calls) == 5


def test_sensors_of_two_accounts_share_no_look(stripe: FakeStripe, clock: Clock) -> None:
    """What has come to one connected account wakes no sensor of another one."""
    stripe.add("customer", created=NOW, account="acct_1")
    clock.now += 100

    async def both() -> None:
        other = asyncio.create_task(fire(stripe_account="acct_2"))
        assert await fire(stripe_account="acct_1") == FIRED
        await until(lambda: looked().count("acct_2") > 2)
        assert not other.done()
        other.cancel()

    def looked() -> list[str]:
        return [call.headers["stripe-account"] for call in stripe.calls]

    run(both())
    assert set(looked()) == {"acct_1", "acct_2"}


def test_an_alarm_without_a_position_only_waits(stripe: FakeStripe) -> None:
    """Where the call limit kept the worker from polling, the trigger does not call either."""
    start = time.monotonic()
    assert run(fire(since=None, poll_interval=0.1)) == FIRED
    assert time.monotonic() - start >= 0.1
    assert stripe.calls == []


def test_an_alarm_fires_at_its_deadline(stripe: FakeStripe) -> None:
    """At the latest, whether or not it looks, and tells it to the sensor, which must end then."""
    for since in (NOW, None):
        for deadline in (NOW + TICK, NOW - TICK):
            told = FIRED | {"deadline": deadline}
            assert run(fire(since=since, poll_interval=3600, deadline=deadline)) == told
    assert stripe.calls == []


def test_a_deadline_goes_by_the_clock_of_a_fake(stripe: FakeStripe, clock: Clock) -> None:
    """Where a test moves the time, the next look sees that the deadline has passed."""

    def passes(request: Any) -> None:
        clock.now += 3600

    stripe.fault(path="/v1/customers", skip=2, hook=passes)
    assert run(fire(since=NOW + 10_000, deadline=NOW + 3600))["deadline"] == NOW + 3600
    assert len(stripe.calls) == 3


def test_a_deadline_wakes_nobody_else(stripe: FakeStripe, clock: Clock) -> None:
    """The look that it interrupts goes on for the others who share it."""
    stripe.fault(path="/v1/customers", delay=0.1)

    async def both() -> None:
        other = asyncio.create_task(fire())
        await until(lambda: stripe.calls)
        assert (await fire(deadline=NOW + TICK))["deadline"] == NOW + TICK
        assert not other.done()
        comes(stripe, clock)(None)
        assert await other == FIRED

    run(both())


def test_an_alarm_waits_for_the_call_limit(
    fake: FakeStripe, clock: Clock, set_connection: SetConnection
) -> None:
    """Its looks are calls as well: they keep to the connection's limit, and hold no thread."""
    set_connection(extra={"rate_limit_calls": 1, "rate_limit_period": 1})
    fake.add("customer", created=NOW)
    clock.now += 100
    StripeHook().get_conn().get("/v1/balance")
    start = time.monotonic()
    assert run(fire()) == FIRED
    assert time.monotonic() - start > 0.9
