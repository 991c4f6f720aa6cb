"""What makes an operator fail: the error says what it is, and no try is wasted."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_stripe_lite.errors import StripeInputError, StripeNotFoundError
from airflow_provider_stripe_lite.operators import (
    StripeCreateProductOperator,
    StripeGetCustomerOperator,
)
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.harness import Run
from tests.helpers import NOW


def test_a_deleted_customer_is_an_error(dag: DAG, stripe: FakeStripe) -> None:
    """Stripe answers 200 for it; the task says what it is, names it, and is not retried."""
    gone = stripe.add("customer")
    stripe.delete(gone)
    with dag:
        StripeGetCustomerOperator(task_id="act", customer_id=gone, retries=2)
    run = Run(dag, NOW).go()
    assert run.state("act") == "failed"
    (error,) = run.errors
    assert isinstance(error, StripeNotFoundError)
    assert f"{gone} has been deleted" in str(error)


def test_a_customer_that_never_was_is_an_error(dag: DAG, stripe: FakeStripe) -> None:
    """Stripe's own words and the request's number are passed on."""
    with dag:
        StripeGetCustomerOperator(task_id="act", customer_id="cus_none")
    (error,) = Run(dag, NOW).go().errors
    assert isinstance(error, StripeNotFoundError)
    assert "No such customer: 'cus_none'" in str(error)
    assert error.request_id in str(error)


def test_a_missing_connection_is_named(dag: DAG, stripe: FakeStripe) -> None:
    """The error says which connection is not there."""
    with dag:
        StripeGetCustomerOperator(task_id="act", customer_id="cus_1", stripe_conn_id="nowhere")
    (error,) = Run(dag, NOW).go().errors
    assert "nowhere" in str(error)
    assert stripe.calls == []


def test_bad_input_is_not_retried(dag: DAG, stripe: FakeStripe) -> None:
    """What cannot succeed fails at once, whatever `retries` says, and nothing is sent."""
    with dag:
        StripeCreateProductOperator(task_id="act", name="", retries=3)
    run = Run(dag, NOW).go()
    assert run.state("act") == "failed"
    assert [type(error) for error in run.errors] == [StripeInputError]
    assert stripe.calls == []
