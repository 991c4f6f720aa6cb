"""Sensors of several accounts: each reads its own, and none goes on from another's cursor."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.conftest import SetConnection
from tests.harness import ONCE, Run, ids
from tests.helpers import NOW, Clock

# --- Connected accounts


@pytest.mark.parametrize("deferrable", [False, True], ids=["poke", "deferrable"])
def test_a_sensor_reads_a_connected_account(
    dag: DAG, fake: FakeStripe, set_connection: SetConnection, clock: Clock, deferrable: bool
) -> None:
    """stripe_account, which may be a template, goes with each poll, also with the trigger's."""
    set_connection(extra={"stripe_account": "acct_1"})
    with dag:
        StripeNewCustomerSensor(
            task_id="new",
            stripe_account="{{ dag_run.conf.account }}",
            poke_interval=0.01,
            allow_fast_polling=True,
            timeout=20,
            deferrable=deferrable,
        )
    made: list[str] = []

    def later(request: Any) -> None:
        fake.add("customer", created=NOW + 10, account="acct_1")
        made.extend(fake.add_many("customer", 2, created=NOW + 10, account="acct_2"))
        clock.now += 100

    fake.fault(path="/v1/customers", skip=3, hook=later)
    run = Run(dag, NOW, conf={"account": "acct_2"}).go()
    assert run.state("new") == "success"
    assert ids(run.xcom("new")) == made
    assert run.rendered("new")["stripe_account"] == "acct_2"
    assert {call.headers.get("stripe-account") for call in fake.calls} == {"acct_2"}
    # The trigger's polls ask for one object.
    assert ("1" in {dict(call.query)["limit"] for call in fake.calls}) is deferrable
    assert run.xcom("new", "cursor")["window"]["stripe_account"] == "acct_2"


# --- Mapped


def test_each_index_of_a_mapped_sensor_has_its_own_stream(
    dag: DAG, stripe: FakeStripe, clock: Clock, set_connection: SetConnection
) -> None:
    """One sensor over two connections delivers each account's objects once, run after run."""
    set_connection("shop_a", extra={"stripe_account": "acct_a"})
    set_connection("shop_b", extra={"stripe_account": "acct_b"})
    with dag:
        StripeNewCustomerSensor.partial(task_id="new", **ONCE).expand(
            stripe_conn_id=["shop_a", "shop_b"]
        )
    for number in range(2):
        made = [
            stripe.add_many("customer", 2 + number, created=int(clock.now), account=account)
            for account in ("acct_a", "acct_b")
        ]
        clock.now += 100
        run = Run(dag, NOW + number).go()
        assert [ids(run.xcom("new", map_index=index)) for index in (0, 1)] == made


def test_another_order_of_what_is_expanded_is_refused(
    dag: DAG, stripe: FakeStripe, clock: Clock, set_connection: SetConnection
) -> None:
    """Cursors belong to map indexes: in another order, none goes on from another one's cursor."""
    set_connection("shop_a")
    set_connection("shop_b")
    stripe.add_many("customer", 2, created=NOW)
    clock.now += 100
    errors = []
    for number, order in enumerate((["shop_a", "shop_b"], ["shop_b", "shop_a"])):
        with DAG(dag.dag_id, schedule=None, max_active_runs=1) as changed:
            StripeNewCustomerSensor.partial(task_id="new", **ONCE).expand(stripe_conn_id=order)
        errors = Run(changed, NOW + number).go().errors
    assert ["keep the order" in str(error) for error in errors] == [True, True]


def test_another_order_of_accounts_is_refused_with_the_same_remedy(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Giving the task another task_id, as elsewhere, would pass over what is new."""
    for account in ("acct_a", "acct_b"):
        stripe.add("customer", created=NOW, account=account)
    clock.now += 100
    errors = []
    for number, order in enumerate((["acct_a", "acct_b"], ["acct_b", "acct_a"])):
        with DAG(dag.dag_id, schedule=None, max_active_runs=1) as changed:
            StripeNewCustomerSensor.partial(task_id="new", **ONCE).expand(stripe_account=order)
        errors = Run(changed, NOW + number).go().errors
    assert ["keep the order" in str(error) for error in errors] == [True, True]
    assert not any("task_id" in str(error) for error in errors)
