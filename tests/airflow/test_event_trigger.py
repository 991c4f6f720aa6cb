"""The assets' trigger is a bell: when it rings, what it says, and that it does not end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from airflow_provider_stripe_lite import triggers
from airflow_provider_stripe_lite._compat import exceptions
from airflow_provider_stripe_lite.core.times import iso
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.airflow.triggering import TICK, listening, run, until
from tests.conftest import SetConnection
from tests.helpers import KEY, NOW, Clock, gets

START = {
    "feed": "customer",
    "types": None,
    "stripe_conn_id": "stripe_default",
    "stripe_account": None,
    "since": iso(NOW),
    "newest": None,
}


def test_it_rings_when_it_starts(stripe: FakeStripe) -> None:
    """Once, although there is nothing, and says since when something may be new."""

    async def main() -> None:
        async with listening(stripe) as bell:
            assert await bell.rung(1) == START
            assert await bell.looked() == 1

    run(main())


def test_a_look_is_one_small_call_for_what_a_sensor_may_have(stripe: FakeStripe) -> None:
    """It asks for one object, which two seconds ago was old enough."""

    async def main() -> None:
        async with listening(stripe) as bell:
            await bell.looked()

    run(main())
    assert {tuple(query.items()) for query in gets(stripe)} == {
        (("limit", "1"), ("created[lt]", str(NOW - 62)))
    }


def test_it_rings_for_another_object(stripe: FakeStripe, clock: Clock) -> None:
    """Once it is old enough; everything before `since` was there at the look before."""
    old = stripe.add("customer", created=NOW - 500)

    async def main() -> None:
        async with listening(stripe) as bell:
            assert await bell.rung(1) == {**START, "newest": old}
            new = stripe.add("customer", created=NOW, email="jenny@example.com")
            clock.now = NOW + 62
            assert await bell.looked() == 1
            clock.now = NOW + 63
            assert await bell.rung(2) == {**START, "newest": new, "since": iso(NOW)}
            assert await bell.looked() == 2
            assert "jenny" not in json.dumps(bell.rings)

    run(main())


def test_a_deletion_rings_nothing(stripe: FakeStripe, clock: Clock) -> None:
    """What the newest object uncovers is older; one of the same second is not."""
    stripe.add("customer", created=NOW - 500)
    newest = stripe.add("customer", created=NOW - 400)

    async def main() -> None:
        async with listening(stripe) as bell:
            assert (await bell.rung(1))["newest"] == newest
            stripe.delete(newest)
            assert await bell.looked() == 1
            same_second = stripe.add("customer", created=NOW - 400)
            assert (await bell.rung(2))["newest"] == same_second
            stripe.delete(same_second)
            for id in stripe.ids("customer"):
                stripe.delete(id)
            assert await bell.looked() == 2

    run(main())


def test_it_is_never_silent_for_longer_than_at_least_every(
    stripe: FakeStripe, clock: Clock
) -> None:
    """What a run left lying is left no longer, though nothing is new."""

    async def main() -> None:
        async with listening(stripe) as bell:
            await bell.rung(1)
            clock.now = NOW + 3590
            assert await bell.looked() == 1
            # The look after this one would be too late.
            clock.now = NOW + 3600 - TICK / 2
            assert await bell.rung(2) == {**START, "since": iso(NOW + 3590 - 62)}
            clock.now += 3590
            assert await bell.looked() == 2

    run(main())


def test_an_error_that_stays_rings_once(stripe: FakeStripe, clock: Clock) -> None:
    """A person sees one red run, however long it lasts, and then a green one."""

    async def main() -> None:
        async with listening(stripe) as bell:
            await bell.rung(1)
            refused = {"error": {"type": "invalid_request_error", "message": "Invalid API Key"}}
            fault = stripe.fault(path="/v1/customers", status=401, body=refused, every=1)
            ring = await bell.rung(2)
            assert "Invalid API Key" in ring.pop("error")
            assert ring == {**START, "since": iso(NOW - 62)}
            clock.now += 100_000
            assert await bell.looked() == 2
            # Another error is no good look.
            fault.status, fault.body = 503, None
            assert await bell.looked() == 2
            fault.times = 0
            assert await bell.rung(3) == {**START, "since": iso(NOW - 62)}
            assert await bell.looked() == 3

    run(main())


def test_passing_errors_are_the_bell_s_own(stripe: FakeStripe) -> None:
    """Four in a row are nobody's business, as often as they come; the fifth rings."""

    async def main() -> None:
        stripe.fault(path="/v1/customers", status=503, times=4)
        async with listening(stripe) as bell:
            assert await bell.rung(1) == START
            assert len(stripe.calls) == 5
            fault = stripe.fault(path="/v1/customers", status=503, times=4)
            await until(lambda: fault.hits == 4)
            assert await bell.looked() == 1
            fault = stripe.fault(path="/v1/customers", status=503, every=1)
            assert "503" in (await bell.rung(2))["error"]
            assert fault.hits == 5
            assert await bell.looked() == 2

    run(main())


def test_each_outage_is_one_of_its_own(stripe: FakeStripe) -> None:
    """The end of one rings, too, and then all counts anew."""

    async def main() -> None:
        async with listening(stripe) as bell:
            await bell.rung(1)
            for outage in (1, 2):
                fault = stripe.fault(path="/v1/customers", status=403, every=1)
                assert "error" in await bell.rung(2 * outage)
                fault.times = 0
                assert "error" not in await bell.rung(2 * outage + 1)
                passing = stripe.fault(path="/v1/customers", status=503)
                await until(lambda fault=passing: fault.hits)
                assert await bell.looked() == 2 * outage + 1

    run(main())


def test_an_error_at_the_start_moves_nothing(
    stripe: FakeStripe, clock: Clock, set_connection: SetConnection
) -> None:
    """Once it is mended, a first run receives everything since the watcher first started."""
    stripe.options(accepted_keys={KEY})
    set_connection(password="sk_test_of_somebody_else")

    async def main() -> None:
        async with listening(stripe) as bell:
            assert (await bell.rung(1))["since"] == iso(NOW)
            made = stripe.add("customer", created=NOW + 1)
            clock.now += 5_000
            assert await bell.looked() == 1
            set_connection()
            assert await bell.rung(2) == {**START, "newest": made}

    run(main())


def test_a_connection_that_is_gone_rings(stripe: FakeStripe, set_connection: SetConnection) -> None:
    """With Airflow's own sentence; once it is there again, too."""

    async def main() -> None:
        async with listening(stripe, stripe_conn_id="later") as bell:
            assert "later" in (await bell.rung(1))["error"]
            set_connection("later", password="not a key")
            await asyncio.sleep(3 * TICK)
            assert len(bell.rings) == 1
            set_connection("later")
            assert await bell.rung(2) == {**START, "stripe_conn_id": "later"}

    run(main())


@pytest.mark.parametrize(
    ("error", "said"), [(KeyError(), "KeyError()"), (OSError(f"with {KEY}"), "with sk_test_***")]
)
def test_what_nobody_foresaw_rings(
    stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    """It is never raised: a watcher that ends is started again two seconds later, for ever."""

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(triggers, "newest_before", fail)

    async def main() -> None:
        async with listening(stripe) as bell:
            assert (await bell.rung(1))["error"] == said

    run(main())


def test_it_looks_no_faster_while_it_fails(
    monkeypatch: pytest.MonkeyPatch, fake: FakeStripe
) -> None:
    """The next look is one interval away, whatever the last one met."""
    asked: list[str] = []

    async def aget_connection(conn_id: str) -> Any:
        asked.append(conn_id)
        raise exceptions.AirflowNotFoundException("no such connection")

    monkeypatch.setattr(StripeHook, "aget_connection", aget_connection)

    async def main() -> None:
        async with listening(fake, poll_interval=3600, at_least_every=3600) as bell:
            await bell.rung(1)
            await asyncio.sleep(3 * TICK)

    run(main())
    assert asked == ["stripe_default"]


def test_a_host_whose_clock_is_ahead_misses_nothing(stripe: FakeStripe, clock: Clock) -> None:
    """What Stripe's clock calls too young at the first look rings when it is old enough."""
    stripe.fault(clock=-100, every=1)
    early = stripe.add("customer", created=NOW - 63)

    async def main() -> None:
        async with listening(stripe) as bell:
            assert await bell.rung(1) == START
            assert await bell.looked() == 1
            clock.now += 100
            assert await bell.rung(2) == {**START, "newest": early, "since": iso(NOW - 162)}

    run(main())


def test_a_bell_of_types_hears_nothing_else(stripe: FakeStripe, clock: Clock) -> None:
    """It looks at the events of its types alone."""
    types = ["charge.failed", "charge.refunded"]

    async def main() -> None:
        async with listening(stripe, feed="event", types=types) as bell:
            assert await bell.rung(1) == {**START, "feed": "event", "types": types}
            stripe.add("event", created=NOW, type="charge.captured")
            clock.now += 100
            assert await bell.looked() == 1
            made = stripe.add("event", created=NOW, type="charge.refunded")
            assert (await bell.rung(2))["newest"] == made

    run(main())


def test_a_bell_is_of_one_connected_account(
    fake: FakeStripe, clock: Clock, set_connection: SetConnection
) -> None:
    """stripe_account goes with every look, and wins over the connection's."""
    set_connection(extra={"stripe_account": "acct_1"})

    async def main() -> None:
        async with listening(fake, stripe_account="acct_2") as bell:
            assert await bell.rung(1) == {**START, "stripe_account": "acct_2"}
            fake.add("customer", created=NOW, account="acct_1")
            clock.now += 100
            assert await bell.looked() == 1
            made = fake.add("customer", created=NOW, account="acct_2")
            assert (await bell.rung(2))["newest"] == made

    run(main())
    assert {call.headers["stripe-account"] for call in fake.calls} == {"acct_2"}
