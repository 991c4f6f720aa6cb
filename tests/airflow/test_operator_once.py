"""What may hide that a call was made, and what rows of other tasks and odd values do to it."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, task

from airflow_provider_stripe_lite.operators import StripeApiOperator, StripeCreateProductOperator
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.airflow.calling import made
from tests.airflow.older import needs_task_state
from tests.conftest import SetConnection
from tests.harness import Run
from tests.helpers import KEY, NOW, posts


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_says_nothing_about_an_earlier_try(
    dag: DAG, stripe: FakeStripe, status: int
) -> None:
    """Its answer was lost, then the key was wrong for a while: one object in the end."""
    lost = stripe.fault(method="POST", drop=True, every=1)
    run = Run(made(dag), NOW).go()
    lost.times = 0
    error = {"error": {"type": "invalid_request_error", "message": "No."}}
    refused = stripe.fault(method="POST", status=status, body=error, saved=False, every=1)
    assert run.clear("act").go().state("act") == "failed"
    refused.times = 0
    assert run.clear("act").go().state("act") == "success"
    assert len(stripe.ids("customer")) == 1


@needs_task_state
def test_another_call_behind_a_lost_answer_is_refused(dag: DAG, stripe: FakeStripe) -> None:
    """A path that renders differently would hide what the first one made."""
    paths = ["/v1/customers"]
    dag.user_defined_macros = {"path": lambda: paths[-1]}
    lost = stripe.fault(method="POST", drop=True, every=1)
    run = Run(made(dag, path="{{ path() }}", parameters={"name": "Mug"}), NOW).go()
    lost.times = 0
    paths.append("/v1/products")
    assert run.clear("act").go().state("act") == "failed"
    assert "has sent POST /v1/customers, and its answer was lost" in str(run.errors[-1])
    assert stripe.ids("product") == []


@needs_task_state
def test_another_mode_is_refused(dag: DAG, fake: FakeStripe, set_connection: SetConnection) -> None:
    """What has the same id there is another object."""
    set_connection()
    with dag:
        StripeCreateProductOperator(task_id="act", name="Mug", product_id="mug")
    run = Run(dag, NOW).go()
    set_connection(password=KEY.replace("test", "live"))
    assert run.clear("act").go().state("act") == "failed"
    assert "pass a new idempotency_key to make it there, too" in str(run.errors[-1])
    assert len(posts(fake)) == 1


def test_rows_of_other_tasks_are_no_templates(dag: DAG, stripe: FakeStripe) -> None:
    """Neither their keys nor, in a native DAG, their texts."""
    dag.render_template_as_native_obj = True
    with dag:

        @task
        def row() -> list[dict[str, Any]]:
            return [{"description": "{{ 1 + 1 }}", "metadata": {"{{ 2 + 2 }}": "{% x"}}]

        StripeApiOperator.partial(task_id="act", method="POST", path="/v1/customers").expand(
            parameters=row()
        )
    assert Run(dag, NOW).go().state() == "success"
    form = dict(posts(stripe)[0].form)
    assert form == {"description": "{{ 1 + 1 }}", "metadata[{{ 2 + 2 }}]": "{% x"}


def test_a_missing_value_is_refused_in_native_templates_too(dag: DAG, stripe: FakeStripe) -> None:
    """A refund without its amount would be a full one."""
    dag.render_template_as_native_obj = True
    parameters = {"description": "d", "balance": "{{ none }}"}
    (error,) = Run(made(dag, parameters=parameters), NOW).go().errors
    assert "parameters[balance] is the text 'None'" in str(error)


def test_a_name_that_is_a_number_names_a_mapped_task_of_a_native_dag(
    dag: DAG, stripe: FakeStripe
) -> None:
    """Airflow asks for the length of a name."""
    dag.render_template_as_native_obj = True
    with dag:
        StripeCreateProductOperator.partial(task_id="act").expand(name=["2024", "Mug"])
    run = Run(dag, NOW).go()
    assert (run.state(), run.names("act")) == ("success", ["#2024", "Mug"])


def test_if_exists_needs_an_id_that_is_there(dag: DAG, stripe: FakeStripe) -> None:
    """Without one each run would make another product."""
    with dag:
        StripeCreateProductOperator(
            task_id="act", name="Mug", product_id="{{ '' }}", if_exists="update"
        )
    (error,) = Run(dag, NOW).go().errors
    assert "needs product_id" in str(error)
    assert stripe.calls == []


def test_secrets_of_what_is_expanded_stay_out(dag: DAG, stripe: FakeStripe) -> None:
    """Stripe's flow of a new subscription expands the intent of its first invoice."""
    intent = {"object": "payment_intent", "client_secret": "pi_1_secret_x"}
    answer = {"id": "sub_1", "object": "subscription", "latest_invoice": {"payment_intent": intent}}
    stripe.fault(method="POST", status=200, body=answer, every=1)
    row = Run(made(dag, path="/v1/subscriptions"), NOW).go().xcom("act")
    assert row["latest_invoice"] == {"payment_intent": {"object": "payment_intent"}}
