"""Sensors, run after run: every new object is in exactly one of the runs."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.utils.types import DagRunType

from airflow_provider_stripe_lite._sensor import StripeFeedSensor
from airflow_provider_stripe_lite.core.times import DAY
from airflow_provider_stripe_lite.errors import StripeNotFoundError
from airflow_provider_stripe_lite.sensors import (
    StripeNewChargeSensor,
    StripeNewCustomerSensor,
    StripeNewInvoiceItemSensor,
    StripeNewObjectSensor,
    StripeNewOrderSensor,
)
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.airflow.streams import new_customers, stream
from tests.conftest import SetConnection
from tests.harness import ONCE, Run, ids, variable
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
    dag: DAG, stripe: FakeStripe, clock: Clock, sensor: type[StripeFeedSensor], kind: Any
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


@pytest.mark.parametrize("cursor_variable", [None, "{{ dag.dag_id }}.kept"])
def test_runs_of_all_kinds_share_the_cursor(
    dag: DAG, stripe: FakeStripe, clock: Clock, cursor_variable: str | None
) -> None:
    """Scheduled, manual and asset runs, with a date or none, and a backfill of long ago between."""
    new_customers(dag, cursor_variable=cursor_variable)
    made: list[str] = []
    delivered: list[str] = []
    for number, (kind, logical) in enumerate(
        (
            (DagRunType.SCHEDULED, True),
            (DagRunType.ASSET_TRIGGERED, False),
            (DagRunType.BACKFILL_JOB, True),
            (DagRunType.MANUAL, False),
            (DagRunType.SCHEDULED, True),
        )
    ):
        made += stripe.add_many("customer", 2, created=int(clock.now))
        clock.now += 100
        at = NOW + number - 90 * DAY * (kind is DagRunType.BACKFILL_JOB)
        delivered += ids(Run(dag, at, logical=logical, kind=kind).go().xcom("new"))
    assert delivered == made
    assert variable(f"{dag.dag_id}.kept" if cursor_variable else stream(dag))["v"] == 2


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
