"""A sensor's run again, after a retry or a clear: the same rows, none lost."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, task

from airflow_provider_stripe_lite.errors import StripeServerError
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.harness import ONCE, Run, dies_once, ids
from tests.helpers import NOW, Clock


@pytest.mark.parametrize("returns", ["rows", "window"])
def test_a_retry_delivers_the_same(
    dag: DAG, stripe: FakeStripe, clock: Clock, tmp_path: Any, returns: Any
) -> None:
    """A task that dies with its window claimed gets the same again, although more has come."""
    with dag:
        StripeNewCustomerSensor(
            task_id="new", retries=1, post_execute=dies_once(tmp_path), returns=returns, **ONCE
        )
    made = stripe.add_many("customer", 5, created=NOW)
    clock.now += 100
    run = Run(dag, NOW)
    stripe.fault(path="/v1/customers", hook=lambda _: stripe.add("customer"), skip=1)
    clock.now += 1
    run.go()
    assert run.state("new") == "success"
    assert len(run.errors) == 1
    result = run.xcom("new")
    if returns == "window":
        assert (result["count"], result["last"]) == (None, made[-1])
        result = StripeHook().read(result)
    assert ids(result) == made
    assert stripe.ids("customer") != made


def test_a_clear_delivers_the_same(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """A cleared task gets the same rows; the runs around it are not disturbed."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    made, runs = [], []
    for number in range(2):
        made.append(stripe.add_many("customer", 4, created=int(clock.now)))
        clock.now += 200
        runs.append(Run(dag, NOW + number).go())
    for number in (0, 1):
        before = runs[number].xcom("new")
        assert ids(before) == made[number]
        assert runs[number].clear("new").go().xcom("new") == before
    made.append(stripe.add_many("customer", 4, created=int(clock.now)))
    clock.now += 200
    assert ids(Run(dag, NOW + 2).go().xcom("new")) == made[2]


def test_a_failed_task_behind_it_keeps_its_rows(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """The sensor has delivered them: the next run goes on, and a clear mends the red run."""
    broken = [True]
    with dag:
        new = StripeNewCustomerSensor(task_id="new", **ONCE)

        @task
        def process(rows: list[Any]) -> list[str]:
            if broken:
                raise RuntimeError("cannot process these")
            return ids(rows)

        process(new.output)
    first = stripe.add_many("customer", 2, created=NOW)
    clock.now += 100
    red = Run(dag, NOW).go()
    assert red.state() == "failed"
    broken.clear()
    second = stripe.add_many("customer", 1, created=NOW + 100)
    clock.now += 200
    assert Run(dag, NOW + 1).go().xcom("process") == second
    for cleared in (("process",), ("new", "process")):
        assert red.clear(*cleared).go().xcom("process") == first


def test_a_failed_page_loses_nothing(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """A server error between two pages fails the task with its type; the next run gets it all."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    made = stripe.add_many("customer", 250, created=NOW)
    clock.now += 100
    # Five tries for a page of 100, and one each for pages of 50, 25 and 12.
    headers = {"Retry-After": "0"}
    stripe.fault(path="/v1/customers", status=503, headers=headers, skip=1, times=8)
    failed = Run(dag, NOW).go()
    assert failed.state("new") == "failed"
    assert isinstance(failed.errors[0], StripeServerError)
    assert len(stripe.calls) == 9
    assert ids(Run(dag, NOW + 1).go().xcom("new")) == made


def test_a_page_is_tried_again_although_stripe_says_it_is_of_no_use(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """That header is about writes: a read is free, and its failure may pass."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    made = stripe.add_many("customer", 250, created=NOW)
    clock.now += 100
    headers = {"Stripe-Should-Retry": "false", "Retry-After": "0"}
    stripe.fault(path="/v1/customers", status=503, headers=headers, skip=1)
    run = Run(dag, NOW).go()
    assert (ids(run.xcom("new")), run.errors) == (made, [])
