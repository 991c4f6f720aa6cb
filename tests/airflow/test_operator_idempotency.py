"""A create is done once, whatever becomes of its task; an update is applied every time."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.operators import (
    StripeCreateCustomerOperator,
    StripeCreateProductOperator,
    StripeUpdateCustomerOperator,
)
from airflow_provider_stripe_lite.testing import FakeStripe
from airflow_provider_stripe_lite.testing.shapes import DAY
from tests.airflow.older import needs_task_state
from tests.conftest import SetConnection
from tests.harness import Run
from tests.helpers import NOW, Clock, idempotency_keys, posts


@pytest.mark.parametrize("operator", [StripeCreateProductOperator, StripeCreateCustomerOperator])
def test_a_worker_that_dies_after_the_answer_makes_one_object(
    dag: DAG, stripe: FakeStripe, operator: type[Any], tmp_path: Any
) -> None:
    """A task dies when Stripe has the object and Airflow does not know: the retry returns it."""
    died = []

    def post_execute(context: Any, result: Any = None) -> None:
        died.append(result["id"])
        if len(died) == 1:
            raise RuntimeError("killed")

    name = {"name": "Mug"} if operator is StripeCreateProductOperator else {"description": "Jenny"}
    with dag:
        operator(task_id="act", retries=1, post_execute=post_execute, **name)
    run = Run(dag, NOW).go()
    assert run.state("act") == "success"
    assert died == [run.xcom("act")["id"]] * 2
    assert len(stripe.ids(operator.action.resource)) == 1


def test_an_answer_that_is_lost_makes_one_object(dag: DAG, stripe: FakeStripe) -> None:
    """The connection drops after Stripe has executed: the client gets it under the same key."""
    with dag:
        StripeCreateCustomerOperator(task_id="act", description="Jenny", retries=1)
    stripe.fault(method="POST", drop=True)
    run = Run(dag, NOW).go()
    assert run.state("act") == "success"
    assert len(set(idempotency_keys(stripe))) == 1
    # The client has tried again by itself.
    assert len(posts(stripe)) == 2
    assert stripe.ids("customer") == [run.xcom("act")["id"]]


def test_a_retry_and_a_clear_have_the_same_key(
    dag: DAG, fake: FakeStripe, set_connection: SetConnection
) -> None:
    """The key knows nothing of tries, so a task without an answer makes one object in the end."""
    set_connection(extra={"timeout": 1})
    with dag:
        StripeCreateCustomerOperator(task_id="act", description="Jenny")
    run = Run(dag, NOW)
    # The server error is not kept by the key (nothing was executed), and Stripe says that a retry
    # is of no use.
    body = {"error": {"type": "api_error", "message": "Not now."}}
    fake.fault(method="POST", status=503, body=body, headers={"Stripe-Should-Retry": "false"})
    assert run.go().state("act") == "failed"
    fake.fault(method="POST", drop=True)
    assert run.clear("act").go().state("act") == "success"
    assert len(posts(fake)) == 3
    assert len(set(idempotency_keys(fake))) == 1
    assert len(fake.ids("customer")) == 1


@needs_task_state
def test_a_clear_days_later_makes_no_second_object(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Stripe forgets a key after 24 hours, the task's own state does not: a clear reads it."""
    with dag:
        StripeCreateCustomerOperator(task_id="act", description="Jenny")
    run = Run(dag, NOW).go()
    clock.now += 3 * DAY
    before = run.xcom("act")
    assert run.clear("act").go().xcom("act") == before
    assert len(posts(stripe)) == 1
    assert stripe.ids("customer") == [before["id"]]


@needs_task_state
def test_a_clear_after_the_api_version_changed_makes_no_second_object(
    dag: DAG, fake: FakeStripe, set_connection: SetConnection
) -> None:
    """A caption travels in another way then, and is the same caption."""
    set_connection(extra={"api_version": "2019-10-08"})
    with dag:
        StripeCreateProductOperator(task_id="act", name="Mug", caption="Holds coffee")
    run = Run(dag, NOW).go()
    set_connection(extra={"api_version": "2025-02-24.acacia"})
    assert run.clear("act").go().state("act") == "success"
    assert fake.ids("product") == [run.xcom("act")["id"]]


@needs_task_state
def test_a_clear_after_the_object_was_deleted_says_so(dag: DAG, stripe: FakeStripe) -> None:
    """The object is not made again behind one's back; the error says how to make another one."""
    with dag:
        StripeCreateCustomerOperator(task_id="act", description="Jenny")
    run = Run(dag, NOW).go()
    stripe.delete(run.xcom("act")["id"])
    assert run.clear("act").go().state("act") == "failed"
    assert "pass a new idempotency_key" in str(run.errors[-1])


def changing(dag: DAG, **options: Any) -> list[str]:
    """Give the DAG a create whose description is the last of a list, and return the list."""
    descriptions = ["Jenny"]
    dag.user_defined_macros = {"description": lambda: descriptions[-1]}
    with dag:
        StripeCreateCustomerOperator(task_id="act", description="{{ description() }}", **options)
    return descriptions


@needs_task_state
def test_a_template_that_renders_differently_later_makes_no_second_object(
    dag: DAG, stripe: FakeStripe, capfd: pytest.CaptureFixture[str]
) -> None:
    """A cleared task returns what it has made, and says that its parameters are others now."""
    descriptions = changing(dag)
    run = Run(dag, NOW).go()
    made = run.xcom("act")
    descriptions.append("Rosen")
    assert run.clear("act").go().xcom("act") == made
    assert stripe.ids("customer") == [made["id"]]
    assert "The parameters are not those with which" in "".join(capfd.readouterr())


@needs_task_state
def test_a_template_that_renders_differently_behind_a_lost_answer_is_refused(
    dag: DAG, stripe: FakeStripe
) -> None:
    """Stripe knows the key and the parameters of the first try; the sentence says what to do."""
    descriptions = changing(dag)
    fault = stripe.fault(method="POST", drop=True, every=1)
    run = Run(dag, NOW).go()
    assert run.state("act") == "failed"
    fault.times = 0
    descriptions.append("Rosen")
    assert run.clear("act").go().state("act") == "failed"
    assert "An earlier try of this task has sent this call with other parameters" in str(
        run.errors[-1]
    )
    assert len(stripe.ids("customer")) == 1
    descriptions.pop()
    assert run.clear("act").go().xcom("act")["id"] == stripe.ids("customer")[0]


def test_a_template_that_renders_differently_where_nothing_arrived_is_sent(
    dag: DAG, stripe: FakeStripe
) -> None:
    """The first try's parameters are nowhere then."""
    descriptions = changing(dag)
    fault = stripe.fault(method="POST", status=503, saved=False, every=1)
    run = Run(dag, NOW).go()
    fault.times = 0
    descriptions.append("Rosen")
    assert run.clear("act").go().xcom("act")["description"] == "Rosen"
    assert len(stripe.ids("customer")) == 1


def test_another_key_makes_another_object(dag: DAG, stripe: FakeStripe) -> None:
    """It is the way to make one more in the same run."""
    keys = [""]
    dag.user_defined_macros = {"key": lambda: keys[-1]}
    with dag:
        StripeCreateCustomerOperator(
            task_id="act", description="Jenny", idempotency_key="{{ key() }}"
        )
    run = Run(dag, NOW).go()
    for count, key in enumerate(("one-more", "one-more", "and-another"), 1):
        keys.append(key)
        assert run.clear("act").go().state("act") == "success"
        assert len(stripe.ids("customer")) == 1 + (count + 1) // 2


def test_every_run_task_index_and_account_has_its_own_key(
    dag: DAG, fake: FakeStripe, set_connection: SetConnection
) -> None:
    """Two runs, two tasks, two map indexes and two accounts are eight objects, not one."""
    set_connection()
    set_connection("second", extra={"stripe_account": "acct_2"})
    with dag:
        for number in range(2):
            StripeCreateCustomerOperator.partial(
                task_id=f"act_{number}", description="Jenny"
            ).expand(stripe_conn_id=["stripe_default", "second"])
        StripeCreateCustomerOperator.partial(task_id="mapped").expand(
            customer_email=["a@b.example", "a@b.example"]
        )
    for number in range(2):
        assert Run(dag, NOW + number).go().state() == "success"
    assert len(set(idempotency_keys(fake))) == len(idempotency_keys(fake)) == 12
    assert len(fake.ids("customer")) == 8
    assert len(fake.ids("customer", account="acct_2")) == 4


def test_a_key_of_one_s_own(dag: DAG, stripe: FakeStripe) -> None:
    """idempotency_key replaces the made one: two runs with the same one make one object."""
    with dag:
        StripeCreateCustomerOperator(
            task_id="act", description="Jenny", idempotency_key="order-{{ 6 * 7 }}"
        )
    for number in range(2):
        assert Run(dag, NOW + number).go().state() == "success"
    assert idempotency_keys(stripe) == ["order-42"] * 2
    assert len(stripe.ids("customer")) == 1


def test_an_update_is_applied_every_time(dag: DAG, stripe: FakeStripe) -> None:
    """A cleared update has a fresh key, or Stripe would repeat its answer and change nothing."""
    made = stripe.add("customer")
    with dag:
        StripeUpdateCustomerOperator(task_id="act", customer_id=made, description="Jenny")
    run = Run(dag, NOW).go()
    StripeHook().update_customer(made, description="Changed by hand")
    assert run.clear("act").go().xcom("act")["description"] == "Jenny"
    assert len(set(idempotency_keys(stripe))) == 3


def test_an_update_s_own_retries_share_a_key(dag: DAG, stripe: FakeStripe) -> None:
    """In one execution the key stays: a lost answer is repeated, and the update applied once."""
    made = stripe.add("customer")
    stripe.fault(method="POST", drop=True)
    with dag:
        StripeUpdateCustomerOperator(task_id="act", customer_id=made, description="Jenny")
    assert Run(dag, NOW).go().state("act") == "success"
    assert len(idempotency_keys(stripe)) == 2
    assert len(set(idempotency_keys(stripe))) == 1


def test_the_key_does_not_depend_on_the_order_of_metadata(dag: DAG, stripe: FakeStripe) -> None:
    """The same mapping in another order is the same create."""
    metadata = [{"a": "1", "b": "2"}, {"b": "2", "a": "1"}]
    with dag:
        act = StripeCreateCustomerOperator(task_id="act", metadata=metadata[0], retries=0)
    run = Run(dag, NOW)
    stripe.fault(method="POST", status=503, headers={"Stripe-Should-Retry": "false"})
    run.go()
    act.metadata = metadata[1]
    assert run.clear("act").go().state("act") == "success"
    assert len(set(idempotency_keys(stripe))) == 1
