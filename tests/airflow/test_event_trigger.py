"""The assets' trigger is a watcher: what its events are, and that it does not end."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from airflow_provider_stripe_lite.assets import stripe_asset
from airflow_provider_stripe_lite.core.window import Window
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.airflow.triggering import TICK, WATCHER, Supervisor, run, triggerer
from tests.conftest import SetConnection
from tests.harness import arguments_of
from tests.helpers import NOW, Clock

pytestmark = pytest.mark.usefixtures("events_in_a_row")


def test_a_burst_is_one_event(stripe: FakeStripe, clock: Clock, supervisor: Supervisor) -> None:
    """250 objects are one event of ids and a window, without contents, which the hook reads."""
    made = stripe.add_many("customer", 250, created=NOW, spread=20, email="jenny@example.com")
    clock.now += 100

    async def main() -> dict[str, Any]:
        async with triggerer() as running:
            return await running.event()

    payload = run(main())
    assert payload["ids"] == made
    assert set(payload) == {"id", "ids", *Window.__annotations__}
    assert (payload["feed"], payload["livemode"], payload["count"]) == ("customer", False, 250)
    assert "jenny" not in json.dumps(payload)
    assert [item["id"] for item in StripeHook().read(payload)] == made


def test_events_come_one_at_a_time(
    stripe: FakeStripe, clock: Clock, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However fast it polls: of two events at once, a scheduler would keep one for later."""
    monkeypatch.setattr("airflow_provider_stripe_lite._window_producer._EVENT_SECONDS", 0.5)

    async def main() -> float:
        stripe.add_many("customer", 1, created=NOW)
        clock.now += 100
        async with triggerer() as running:
            await running.event()
            stripe.add_many("customer", 1, created=int(clock.now))
            clock.now += 100
            began = time.monotonic()
            running.store()
            await running.event()
            return time.monotonic() - began

    assert run(main()) >= 0.5


def test_the_watcher_does_not_end(stripe: FakeStripe, clock: Clock, supervisor: Supervisor) -> None:
    """Airflow restarts a watcher that ends again and again, so an error only makes it wait."""
    made = stripe.add_many("customer", 2, created=NOW)
    clock.now += 100
    stripe.fault(path="/v1/customers", status=401, body={"error": {"message": "no"}}, times=2)
    stripe.fault(path="/v1/customers", status=503)
    stripe.fault(path="/v1/customers", status=200, body="<html>", saved=False)

    async def main() -> None:
        async with triggerer() as running:
            assert (await running.event())["ids"] == made

    run(main())
    assert len(stripe.calls) == 5


def test_an_asset_watches_a_connected_account(
    fake: FakeStripe, clock: Clock, supervisor: Supervisor, set_connection: SetConnection
) -> None:
    """stripe_account of an asset goes with every poll, and wins over the connection's."""
    set_connection(extra={"stripe_account": "acct_1"})
    (watcher,) = stripe_asset(
        "customers",
        feed="customer",
        stripe_account="acct_2",
        start_from=WATCHER["start_from"],
        poll_interval=TICK,
        allow_fast_polling=True,
    ).watchers
    fake.add_many("customer", 1, created=NOW, account="acct_1")
    made = fake.add_many("customer", 2, created=NOW, account="acct_2")
    clock.now += 100

    async def main() -> dict[str, Any]:
        async with triggerer(arguments_of(watcher)) as running:
            return await running.event()

    event = run(main())
    assert (event["ids"], event["stripe_account"]) == (made, "acct_2")
    assert {call.headers["stripe-account"] for call in fake.calls} == {"acct_2"}
