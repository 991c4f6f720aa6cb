"""For which account an operator acts."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite.operators import (
    StripeCreateCustomerOperator,
    StripeCreateProductOperator,
    StripeGetCustomerOperator,
    StripeUpdateCustomerOperator,
    StripeUpdateProductOperator,
)
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.conftest import SetConnection
from tests.harness import Run
from tests.helpers import NOW


@pytest.mark.parametrize(
    ("operator", "arguments"),
    [
        (StripeCreateProductOperator, {"name": "Mug"}),
        (StripeUpdateProductOperator, {"product_id": "prod_1", "name": "Mug"}),
        (StripeGetCustomerOperator, {"customer_id": "cus_1"}),
        (StripeCreateCustomerOperator, {"description": "Jenny"}),
        (StripeUpdateCustomerOperator, {"customer_id": "cus_1", "description": "Jenny"}),
    ],
)
def test_an_operator_acts_for_a_connected_account(
    dag: DAG,
    fake: FakeStripe,
    set_connection: SetConnection,
    operator: type[Any],
    arguments: dict[str, Any],
) -> None:
    """stripe_account, which may be a template, wins over the connection's in every request."""
    set_connection(extra={"stripe_account": "acct_1"})
    fake.add("product", id="prod_1", account="acct_2")
    fake.add("customer", id="cus_1", account="acct_2")
    with dag:
        operator(task_id="act", stripe_account="{{ dag_run.conf.account }}", **arguments)
    run = Run(dag, NOW, conf={"account": "acct_2"}).go()
    assert run.state("act") == "success"
    assert run.rendered("act")["stripe_account"] == "acct_2"
    assert [call.headers["stripe-account"] for call in fake.calls] == ["acct_2"]
    assert "/acct_2/" in str(run.link("act", "Open in Stripe"))


@pytest.mark.parametrize("account", [None, "", "{{ dag_run.conf.get('account', '') }}"])
def test_without_an_account_the_connection_s_counts(
    dag: DAG, fake: FakeStripe, set_connection: SetConnection, account: str | None
) -> None:
    """None and an empty text, also of a template, leave the connection's as it is."""
    set_connection(extra={"stripe_account": "acct_1"})
    with dag:
        StripeCreateCustomerOperator(task_id="act", description="d", stripe_account=account)
    assert Run(dag, NOW).go().xcom("act")["id"] in fake.ids("customer", account="acct_1")
