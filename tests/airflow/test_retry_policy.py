"""When a task is tried again, and after how long."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite import operators, sensors
from airflow_provider_stripe_lite.errors import (
    RateLimitWait,
    StripeAuthenticationError,
    StripeConnectionError,
    StripeError,
    StripeInputError,
    StripeNotFoundError,
    StripePermissionError,
    StripeRateLimitError,
    StripeReplayedError,
    StripeServerError,
)
from airflow_provider_stripe_lite.operators import StripeGetCustomerOperator
from airflow_provider_stripe_lite.retry_policy import StripeRetryPolicy
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.harness import Run
from tests.helpers import NOW


def later(seconds: float) -> StripeServerError:
    return StripeServerError("down", status=503, retryable=True, retry_after=seconds)


@pytest.mark.parametrize(
    ("error", "action", "wait"),
    [
        (StripeInputError("mend it"), "fail", None),
        (StripeAuthenticationError("bad key", status=401), "fail", None),
        (StripePermissionError("may not", status=403), "fail", None),
        (StripeNotFoundError("none", status=404), "fail", None),
        (StripeReplayedError("saved", status=500), "fail", None),
        (StripeError("declined", status=402), "fail", None),
        (StripeConnectionError("TLS"), "fail", None),
        (RateLimitWait(12.5), "retry", 12.5),
        (RateLimitWait(1e9), "retry", 3_600),
        (
            StripeRateLimitError("slow", status=429, retryable=True, retry_after=7),
            "retry",
            7,
        ),
        (
            StripeServerError("down", status=503, retryable=True, retry_after=0),
            "retry",
            0,
        ),
        (later(365 * 86_400), "retry", 3_600),
        (later(math.inf), "retry", 3_600),
        (later(math.nan), "retry", 3_600),
        (later(-5), "retry", 0),
        (StripeRateLimitError("slow", status=429, retryable=True), "default", None),
        (StripeServerError("down", status=503, retryable=True), "default", None),
        (StripeConnectionError("timeout", retryable=True), "default", None),
        (RuntimeError("not ours"), "default", None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_what_a_retry_is_worth(error: Exception, action: str, wait: float | None) -> None:
    """No retry in vain, the wait that was asked for, and otherwise what the task says."""
    decision = StripeRetryPolicy().evaluate(error, 1, 3)
    assert decision.action.value == action
    assert decision.retry_delay == (None if wait is None else timedelta(seconds=wait))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (StripeNotFoundError("none", status=404), "Stripe refused the request (404)"),
        (StripeConnectionError("no certificate"), "not answered, and another try cannot mend that"),
        (StripeReplayedError("saved", status=500), "Stripe repeats an error that it saved (500)"),
    ],
)
def test_a_reason_is_true(error: Exception, reason: str) -> None:
    """It stands in the task's log; who was not answered was not refused."""
    assert StripeRetryPolicy().evaluate(error, 1, 3).reason == reason


def test_the_policy_is_everybody_s_default() -> None:
    """All tasks have it, unless one says otherwise; and it can be kept in the database."""
    assert isinstance(
        operators.StripeGetCustomerOperator(task_id="a", customer_id="cus_1").retry_policy,
        StripeRetryPolicy,
    )
    assert isinstance(sensors.StripeNewCustomerSensor(task_id="b").retry_policy, StripeRetryPolicy)
    assert sensors.StripeNewCustomerSensor(task_id="c", retry_policy=None).retry_policy is None
    policy = StripeRetryPolicy()
    assert isinstance(StripeRetryPolicy.deserialize(policy.serialize()), StripeRetryPolicy)


REFUSAL = {"error": {"type": "invalid_request_error", "message": "no"}}


@pytest.mark.parametrize(("status", "tries"), [(401, 1), (403, 1), (404, 1), (400, 1)])
def test_a_task_is_not_tried_again_in_vain(
    dag: DAG, stripe: FakeStripe, status: int, tries: int
) -> None:
    """With retries=3, a refusal still fails at once, after one request."""
    stripe.fault(path="/v1/", status=status, body=REFUSAL, every=1)
    with dag:
        StripeGetCustomerOperator(task_id="act", customer_id="cus_1", retries=3)
    run = Run(dag, NOW).go()
    assert run.state("act") == "failed"
    assert len(run.errors) == len(stripe.calls) == tries


def test_a_task_is_tried_again_where_it_helps(dag: DAG, stripe: FakeStripe) -> None:
    """What may pass is retried, first by the client, then by the task, and succeeds in the end."""
    made = stripe.add("customer")
    stripe.fault(path="/v1/", status=503, headers={"Retry-After": "0"}, times=6)
    with dag:
        StripeGetCustomerOperator(task_id="act", customer_id=made, retries=1)
    run = Run(dag, NOW).go()
    assert run.state("act") == "success"
    assert (len(run.errors), len(stripe.calls)) == (1, 7)
