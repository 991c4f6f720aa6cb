"""What a sensor delivers: how much at once, and in which form."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite.core.resources import RESOURCES
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.sensors import (
    StripeNewChargeSensor,
    StripeNewCustomerSensor,
    StripeNewObjectSensor,
)
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.harness import ONCE, Run, ids
from tests.helpers import NOW, Clock


def test_max_items_leaves_the_rest_for_the_next_run(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Batches are cut only between two seconds, and nothing is lost between them."""
    with dag:
        StripeNewCustomerSensor(task_id="new", max_items=5, **ONCE)
    made = [
        id for second in range(4) for id in stripe.add_many("customer", 3, created=NOW + second)
    ]
    clock.now += 100
    batches = [ids(Run(dag, NOW + number).go().xcom("new")) for number in range(4)]
    assert batches == [made[0:3], made[3:6], made[6:9], made[9:12]]


def test_one_second_s_objects_stay_together(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """A second with more objects than max_items is one batch."""
    with dag:
        StripeNewCustomerSensor(task_id="new", max_items=10, **ONCE)
    made = stripe.add_many("customer", 130, created=NOW)
    clock.now += 100
    assert ids(Run(dag, NOW).go().xcom("new")) == made


@pytest.mark.parametrize(
    ("fields", "row"),
    [
        (["id", "metadata.order_ref"], {"metadata": {"order_ref": "A-1"}}),
        ("{{ ['id', 'email'] }}", {"email": "jenny@example.com"}),
    ],
)
def test_fields_choose_what_a_row_has(
    dag: DAG, stripe: FakeStripe, clock: Clock, fields: Any, row: dict[str, Any]
) -> None:
    """A list of dotted paths gives those, nested as at Stripe; it may be a native template."""
    dag.render_template_as_native_obj = True
    with dag:
        StripeNewCustomerSensor(task_id="new", fields=fields, **ONCE)
    made = stripe.add("customer", email="jenny@example.com", metadata={"order_ref": "A-1"})
    clock.now += 100
    assert Run(dag, NOW).go().xcom("new") == [{"id": made} | row]


def test_all_fields_are_the_object_as_stripe_sent_it(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """fields="*" changes nothing."""
    with dag:
        StripeNewCustomerSensor(task_id="new", fields="*", **ONCE)
    made = stripe.add("customer", email="jenny@example.com")
    clock.now += 100
    (row,) = Run(dag, NOW).go().xcom("new")
    assert row == StripeHook().get_customer(made)


def test_a_feed_without_documented_fields_gives_what_stripe_sent(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """A row of such a feed is the object, with all that it has."""
    assert RESOURCES["payout"].fields == ()
    with dag:
        StripeNewObjectSensor(task_id="new", feed="payout", **ONCE)
    made = stripe.add_many("payout", 2, created=NOW, amount=1200, currency="usd")
    clock.now += 100
    rows = Run(dag, NOW).go().xcom("new")
    assert ids(rows) == made
    assert rows == stripe.objects("payout")
    assert (rows[0]["object"], rows[0]["created"], rows[0]["amount"]) == ("payout", NOW, 1200)


def test_subscriptions_come_with_those_that_were_canceled(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Without status=all, Stripe would leave canceled ones out, and a run would miss them."""
    with dag:
        StripeNewObjectSensor(task_id="new", feed="subscription", **ONCE)
    made = [
        stripe.add("subscription", created=NOW + second, status=status)
        for second, status in enumerate(("active", "canceled", "trialing", "canceled"))
    ]
    clock.now += 100
    rows = Run(dag, NOW).go().xcom("new")
    assert ids(rows) == made
    assert [row["status"] for row in rows] == ["active", "canceled", "trialing", "canceled"]
    assert {dict(call.query)["status"] for call in stripe.calls} == {"all"}


def test_a_subscription_canceled_between_two_runs_comes_once(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """What was delivered while it ran does not come again; what was canceled unseen does come.

    The list goes on from the canceled one, with one call, as it still shows it.
    """
    with dag:
        StripeNewObjectSensor(task_id="new", feed="subscription", **ONCE)
    first = stripe.add("subscription", created=NOW)
    clock.now += 100
    assert ids(Run(dag, NOW).go().xcom("new")) == [first]
    stored = stripe._stores[False, ""].get("subscription", first)
    assert stored is not None
    stored.fields = {"status": "canceled"}
    stripe.calls.clear()
    more = [
        stripe.add("subscription", created=int(clock.now) + at, status=status)
        for at, status in enumerate(("canceled", "active"))
    ]
    clock.now += 100
    rows = Run(dag, NOW + 1).go().xcom("new")
    assert [(row["id"], row["status"]) for row in rows] == [
        (more[0], "canceled"),
        (more[1], "active"),
    ]
    assert len(stripe.calls) == 1


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_rows_can_be_stored_by_every_database(
    dag: DAG, stripe: FakeStripe, clock: Clock, mode: Any
) -> None:
    """U+0000, which PostgreSQL has not, and half an emoji, which no UTF-8 has, are U+FFFD."""
    with dag:
        StripeNewCustomerSensor(task_id="new", fields="*", mode=mode, **ONCE)
    metadata = {"half\ud83d": "a\x00b", "whole": "\U0001f642"}
    stripe.add("customer", created=NOW, description="\udc00 \x00", metadata=metadata)
    clock.now += 100
    (row,) = Run(dag, NOW).go().xcom("new")
    assert row["description"] == "\ufffd \ufffd"
    assert row["metadata"] == {"half\ufffd": "a\ufffdb", "whole": "\U0001f642"}


def test_the_link_opens_the_window_in_the_dashboard(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """The sensor's "Open in Stripe" is the list of what its window has, in the key's mode."""
    with dag:
        StripeNewChargeSensor(task_id="new", **ONCE)
    stripe.add("charge", created=NOW)
    clock.now += 100
    run = Run(dag, NOW).go()
    query = f"created%5Bgte%5D={NOW}&created%5Blt%5D={NOW + 1}"
    assert (
        run.link("new", "Open in Stripe") == f"https://dashboard.stripe.com/test/payments?{query}"
    )
