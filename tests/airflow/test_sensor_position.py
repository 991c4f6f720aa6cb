"""Positions that a list cannot go on from: what is said, and that doing it helps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite.core.times import DAY
from airflow_provider_stripe_lite.errors import StripeInputError
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.sensors import StripeEventSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.airflow.streams import new_customers, stream
from tests.harness import ONCE, Run, ids, set_variable, variable
from tests.helpers import NOW, Clock


def events(dag: DAG, **options: Any) -> None:
    """Give the DAG a sensor of failed charges."""
    with dag:
        StripeEventSensor(task_id="new", types=["charge.failed"], **ONCE | options)


@pytest.mark.parametrize("returns", ["rows", "window"])
def test_an_event_stream_that_has_looked_goes_on(
    dag: DAG, stripe: FakeStripe, clock: Clock, returns: Any
) -> None:
    """How old its last event is does not matter: 80 days are more than what Stripe keeps."""
    events(dag, returns=returns)
    stripe.add("event", created=NOW, type="charge.failed")
    clock.now += 100
    Run(dag, NOW).go()
    for day in (20, 40, 60, 79):
        clock.now = NOW + day * DAY
        Run(dag, clock.now).go()
    clock.now = NOW + 80 * DAY
    made = stripe.add("event", created=NOW + 80 * DAY - 100, type="charge.failed")
    found = Run(dag, clock.now).go().xcom("new")
    assert ids(StripeHook().read(found) if returns == "window" else found) == [made]


@pytest.mark.parametrize("returns", ["rows", "window"])
@pytest.mark.parametrize("with_event", [True, False])
def test_an_event_stream_that_has_not_looked_for_30_days_is_refused(
    dag: DAG, stripe: FakeStripe, clock: Clock, returns: Any, with_event: bool
) -> None:
    """Stripe has dropped events since that nobody has seen: it is red until a start is written."""
    events(dag, retries=2, returns=returns)
    if with_event:
        stripe.add("event", created=NOW, type="charge.failed")
        clock.now += 100
    Run(dag, NOW).go()
    clock.now += 31 * DAY
    made = stripe.add("event", created=int(clock.now) - 100, type="charge.failed")
    red = Run(dag, clock.now).go()
    refused(red, dag, "more than 30 days back")
    set_variable(stream(dag), {"start_from": "2026-03-03T00:00:00Z"})
    found = Run(dag, clock.now + 1).go().xcom("new")
    assert ids(StripeHook().read(found) if returns == "window" else found) == [made]


def test_a_first_run_that_would_begin_too_early_says_what_helps(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Another `start_from` in the DAG file: no cursor has begun."""
    events(dag, start_from=datetime.fromtimestamp(NOW - 31 * DAY, UTC))
    made = stripe.add("event", created=NOW, type="charge.failed")
    clock.now += 100
    (error,) = Run(dag, NOW).go().errors
    assert "start_from must not lie more than 30 days back" in str(error)
    assert variable(stream(dag)) is None
    dag.get_task("new").start_from = "2026-02-01"
    assert ids(Run(dag, NOW + 1).go().xcom("new")) == [made]


def test_a_position_in_the_future_is_refused(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """Nothing would be delivered until then: somebody's clock was wrong, and the sentence helps."""
    new_customers(dag)
    Run(dag, NOW).go()
    ahead = {"created_gte": "2026-03-01T00:00:00+00:00", "after": None}
    set_variable(stream(dag), {**variable(stream(dag)), "position": ahead})
    made = stripe.add_many("customer", 2, created=NOW)
    clock.now += 100
    refused(Run(dag, NOW + 1).go(), dag, "lies in the future")
    set_variable(stream(dag), {"start_from": NOW})
    assert ids(Run(dag, NOW + 2).go().xcom("new")) == made


def refused(run: Run, dag: DAG, words: str) -> None:
    """Expect a run that is red at once, by a sentence that names the Variable to write."""
    (error,) = run.errors
    assert isinstance(error, StripeInputError)
    assert run.state("new") == "failed"
    assert words in str(error)
    assert '{"start_from": "' in str(error)
    assert f"the Variable {stream(dag)}" in str(error)
