"""An operator's buttons open the object and the request."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite.operators import (
    StripeCreateCustomerOperator,
    StripeCreateProductOperator,
    StripeGetCustomerOperator,
)
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.conftest import SetConnection
from tests.harness import Run
from tests.helpers import KEY, NOW


@pytest.mark.parametrize(
    ("fields", "page"),
    [
        ({"password": KEY}, "https://dashboard.stripe.com/test/"),
        ({"password": KEY.replace("test", "live")}, "https://dashboard.stripe.com/"),
        (
            {"extra": {"stripe_account": "acct_1A2b"}},
            "https://dashboard.stripe.com/acct_1A2b/test/",
        ),
    ],
)
def test_links_open_the_object_and_the_request(
    dag: DAG, fake: FakeStripe, set_connection: SetConnection, fields: dict[str, Any], page: str
) -> None:
    """The customer or product, and the task's request, in the connection's mode and account."""
    set_connection(**fields)
    with dag:
        StripeCreateCustomerOperator(task_id="customer", description="Jenny")
        StripeCreateProductOperator(task_id="product", name="Mug", product_id="mug 1")
    run = Run(dag, NOW).go()
    assert run.link("customer", "Open in Stripe") == f"{page}customers/{run.xcom('customer')['id']}"
    assert run.link("product", "Open in Stripe") == f"{page}products/mug%201"
    request = next(request for request in fake.calls if request.path == "/v1/customers")
    assert run.link("customer", "Stripe request log") == f"{page}logs/{request.request_id}"


def test_a_failed_task_links_to_its_request(dag: DAG, stripe: FakeStripe) -> None:
    """Where Stripe has refused, the log link shows the request; there is no object to open."""
    with dag:
        StripeGetCustomerOperator(task_id="act", customer_id="cus_none")
    run = Run(dag, NOW).go()
    assert stripe.calls[0].request_id in run.link("act", "Stripe request log")
    assert not run.link("act", "Open in Stripe")
