"""Sensors, run after run: every new object is in exactly one of the runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import count, repeat
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSensorTimeout

from airflow_provider_stripe_lite._sensor import StripeFeedSensor
from airflow_provider_stripe_lite.errors import StripeNotFoundError
from airflow_provider_stripe_lite.sensors import (
    StripeNewChargeSensor,
    StripeNewCustomerSensor,
    StripeNewInvoiceItemSensor,
    StripeNewObjectSensor,
    StripeNewOrderSensor,
)
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.conftest import SetConnection
from tests.harness import ONCE, Run, ids
from tests.helpers import NOW, Clock


@pytest.mark.parametrize(
    ("sensor", "kind"),
    [
        (StripeNewCustomerSensor, "customer"),
        (StripeNewChargeSensor, "charge"),
        (StripeNewInvoiceItemSensor, "invoiceitem"),
    ],
)
def test_three_runs_in_a_row_deliver_disjoint_sets_that_add_up(
    dag: DAG, stripe: FakeStripe, clock: Clock, sensor: type[StripeFeedSensor], kind: str
) -> None:
    """Every object that is created between three runs is in exactly one of them, oldest first."""
    with dag:
        sensor(task_id="new", **ONCE)
    made: list[str] = []
    delivered: list[str] = []
    for number in range(3):
        made += stripe.add_many(kind, 120, created=int(clock.now), spread=90)
        clock.now += 200
        run = Run.whole(dag, NOW + number)
        assert run.state() == "success"
        delivered += ids(run.xcom("new"))
        assert len(delivered) == 120 * (number + 1)
    assert delivered == made


def test_orders_of_an_old_account_are_delivered(
    dag: DAG, fake: FakeStripe, set_connection: SetConnection, clock: Clock
) -> None:
    """With API version 2020-08-27, which still has orders, the sensor works like the others."""
    set_connection(extra={"api_version": "2020-08-27"})
    with dag:
        StripeNewOrderSensor(task_id="new", **ONCE)
    made = fake.add_many("order", 3, created=NOW)
    clock.now += 100
    assert ids(Run.whole(dag, NOW).xcom("new")) == made


def test_the_order_sensor_says_that_stripe_has_removed_orders(dag: DAG, stripe: FakeStripe) -> None:
    """With a newer API version the error names the last one that had orders, and what to use."""
    with dag:
        StripeNewOrderSensor(task_id="new", retries=3, **ONCE)
    run = Run(dag, NOW).go()
    assert run.state("new") == "failed"
    (error,) = run.errors
    assert isinstance(error, StripeNotFoundError)
    assert "removed the Orders API" in str(error)
    assert "2020-08-27" in str(error)
    assert 'feed="checkout.session"' in str(error)


def test_what_stripe_has_today_instead_of_orders(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Checkout sessions are a feed too."""
    with dag:
        StripeNewObjectSensor(task_id="new", feed="checkout.session", **ONCE)
    made = stripe.add_many("checkout.session", 2)
    clock.now += 100
    rows = Run(dag, NOW).go().xcom("new")
    assert ids(rows) == made
    assert set(rows[0]) == {
        "id",
        "amount",
        "created",
        "currency",
        "customer",
        "email",
        "payment_status",
        "status",
    }


def test_what_is_too_young_is_left_for_the_next_run(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """An object younger than `min_age` waits, so that one that Stripe shows late is not missed."""
    with dag:
        StripeNewCustomerSensor(task_id="new", min_age=60, **ONCE)
    first = stripe.add("customer", created=NOW)
    second = stripe.add("customer", created=NOW + 30)
    late = stripe.add_many("customer", 1, created=NOW + 30, visible_at=NOW + 85)
    clock.now = NOW + 80
    assert ids(Run(dag, NOW).go().xcom("new")) == [first]
    clock.now = NOW + 200
    assert sorted(ids(Run(dag, NOW + 1).go().xcom("new"))) == sorted([second, *late])


def test_a_deleted_last_object_loses_nothing(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """When the last customer that was delivered is deleted, the next run goes on behind it."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    stripe.add_many("customer", 3, created=NOW)
    clock.now += 100
    first = Run(dag, NOW).go()
    stripe.delete(first.xcom("new", "cursor")["window"]["last"])
    made = stripe.add_many("customer", 3, created=NOW + 100)
    clock.now += 200
    assert ids(Run(dag, NOW + 1).go().xcom("new")) == made


@pytest.mark.parametrize("soft_fail", [False, True])
def test_an_empty_first_run_loses_nothing(
    dag: DAG, stripe: FakeStripe, clock: Clock, soft_fail: bool
) -> None:
    """The first run found nothing and failed or was skipped: the second begins where it began."""
    with dag:
        StripeNewCustomerSensor(task_id="new", soft_fail=soft_fail, **ONCE)
    first = Run(dag, NOW).go()
    assert first.state("new") == ("skipped" if soft_fail else "failed")
    assert [type(error) for error in first.errors] in ([AirflowSensorTimeout], [])
    made = stripe.add_many("customer", 3, created=NOW + 5)
    clock.now += 500
    assert ids(Run(dag, NOW + 400).go().xcom("new")) == made


def test_a_first_run_that_could_not_begin_loses_nothing(
    dag: DAG, stripe: FakeStripe, clock: Clock, set_connection: SetConnection
) -> None:
    """A run that failed before it could leave a cursor counts as the first one all the same."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    set_connection(password="pk_test_0123456789")
    assert Run(dag, NOW).go().state("new") == "failed"
    set_connection()
    made = stripe.add_many("customer", 3, created=NOW + 5)
    clock.now += 500
    assert ids(Run(dag, NOW + 400).go().xcom("new")) == made


def test_a_first_run_that_is_tried_again_loses_nothing(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """A retry deletes the first try's XComs, which are all that a run without a date has."""
    polls: Iterator[int] = count()

    class DiesFromItsSecondPollOn(StripeNewCustomerSensor):
        def poke(self, context: Any) -> Any:
            found = super().poke(context)
            if next(polls) >= 1:
                raise RuntimeError("killed")
            return found

    with dag:
        DiesFromItsSecondPollOn(
            task_id="new",
            poke_interval=0.01,
            timeout=10,
            allow_fast_polling=True,
            retries=1,
            retry_delay=timedelta(),
        )
    first = Run(dag, NOW, logical=False).go()
    assert len(first.errors) == 2
    made = stripe.add_many("customer", 3, created=NOW + 5)
    clock.now += 500
    polls = repeat(0)
    assert ids(Run(dag, NOW + 400, logical=False).go().xcom("new")) == made


def test_a_quiet_run_costs_one_call(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """Nothing new is one request; 250 new ones are three."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    stripe.add_many("customer", 1, created=NOW)
    clock.now += 100
    Run(dag, NOW).go()
    stripe.calls.clear()
    Run(dag, NOW + 1).go()
    assert len(stripe.calls) == 1
    stripe.add_many("customer", 250, created=NOW + 100)
    clock.now += 200
    stripe.calls.clear()
    assert len(Run(dag, NOW + 2).go().xcom("new")) == 250
    assert len(stripe.calls) == 3
