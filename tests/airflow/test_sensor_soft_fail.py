"""soft_fail=True skips a run that found nothing in time; what must be mended stays red."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite.errors import StripeAuthenticationError, StripeInputError
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.airflow.streams import new_customers, stream
from tests.conftest import SetConnection
from tests.harness import Run, ids, set_variable, variable
from tests.helpers import KEY, NOW, Clock

OTHER_ACCOUNT = KEY.replace("51AbCdEfGhIjKl", "51ZzYyXxWwVvUu")
MODES: dict[str, dict[str, Any]] = {
    "poke": {"mode": "poke"},
    "reschedule": {"mode": "reschedule"},
    "deferrable": {"deferrable": True},
}


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the options of each mode."""
    return MODES[request.param] | {"soft_fail": True, "retries": 2}


def bad_key(fake: FakeStripe, _: SetConnection) -> type[Exception]:
    """Revoke the key."""
    fake.accepted_keys = set()
    return StripeAuthenticationError


def other_account(_: FakeStripe, set_connection: SetConnection) -> type[Exception]:
    """Put the key of another account into the connection."""
    set_connection(password=OTHER_ACCOUNT)
    return StripeInputError


def no_connection(_: FakeStripe, set_connection: SetConnection) -> type[Exception]:
    """Delete the connection."""
    del os.environ["AIRFLOW_CONN_STRIPE_DEFAULT"]
    return Exception


BROKEN = [bad_key, other_account, no_connection]


@pytest.mark.parametrize("broken", BROKEN)
def test_what_must_be_mended_is_red(
    dag: DAG,
    stripe: FakeStripe,
    clock: Clock,
    set_connection: SetConnection,
    mode: dict[str, Any],
    broken: Any,
) -> None:
    """In all modes: such a run is never skipped, and the next one gets what is new."""
    new_customers(dag, **mode)
    stripe.add("customer", created=NOW)
    clock.now += 100
    Run(dag, NOW).go()
    made = stripe.add_many("customer", 2, created=int(clock.now))
    clock.now += 100
    error = broken(stripe, set_connection)
    run = Run(dag, NOW + 1).go()
    assert run.state("new") == "failed"
    assert isinstance(run.errors[0], error)
    stripe.accepted_keys = None
    set_connection()
    assert ids(Run(dag, NOW + 2).go().xcom("new")) == made


@pytest.mark.parametrize("broken", BROKEN)
def test_what_breaks_while_a_sensor_is_deferred_is_red(
    dag: DAG, stripe: FakeStripe, clock: Clock, set_connection: SetConnection, broken: Any
) -> None:
    """The sensor meets the error when it is woken, and Airflow must not skip it for that."""
    new_customers(dag, deferrable=True, soft_fail=True, timeout=2000, poke_interval=0.01, retries=2)
    found: list[Any] = []

    def breaks(_: Any) -> None:
        found.append(broken(stripe, set_connection))
        stripe.add("customer", created=NOW)
        clock.now += 100

    stripe.fault(path="/v1/customers", skip=2, hook=breaks)
    run = Run(dag, NOW).go()
    assert run.state("new") == "failed"
    assert isinstance(run.errors[0], found[0])


@pytest.mark.parametrize("value", ["***", json.dumps({"start_from": "yesterday"})])
def test_a_cursor_that_cannot_be_used_is_red(
    dag: DAG, stripe: FakeStripe, mode: dict[str, Any], value: str
) -> None:
    """So is a shadow, and every other sentence about the cursor."""
    set_variable(stream(dag), value)
    run = Run(new_customers(dag, **mode), NOW).go()
    assert run.state("new") == "failed"
    assert isinstance(run.errors[0], StripeInputError)
    assert len(run.errors) == 1


def test_a_shadow_is_red(
    dag: DAG, stripe: FakeStripe, clock: Clock, mode: dict[str, Any], monkeypatch: Any
) -> None:
    """Its sentence comes from behind the look at Stripe, and is no time that is over."""
    shadow = json.dumps({"start_from": "beginning"})
    monkeypatch.setenv(f"AIRFLOW_VAR_{stream(dag).upper()}", shadow)
    run = Run(new_customers(dag, **mode), NOW).go()
    assert run.state("new") == "failed"
    assert "does not change" in str(run.errors[0])


def test_a_cleared_run_that_is_forgotten_is_red(
    dag: DAG, stripe: FakeStripe, clock: Clock, mode: dict[str, Any]
) -> None:
    """Its rows are not there any more, and nobody may take it for one that found nothing."""
    new_customers(dag, **mode)
    stripe.add("customer", created=NOW)
    clock.now += 100
    run = Run(dag, NOW).go()
    set_variable(stream(dag), {**variable(stream(dag)), "claims": [], "trimmed": "9999"})
    assert run.clear("new").go().state("new") == "failed"


def test_a_time_that_is_over_is_skipped(dag: DAG, stripe: FakeStripe, mode: dict[str, Any]) -> None:
    """In all modes, after one look where the time is 0."""
    new_customers(dag, **mode)
    run = Run(dag, NOW).go()
    assert (run.state("new"), run.errors) == ("skipped", [])
    assert len(stripe.calls) == 1
