"""StripeApiOperator and hook.request: any call, made once for each run."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, task

from airflow_provider_stripe_lite.errors import (
    StripeInputError,
    StripeNotFoundError,
    StripeRateLimitError,
)
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.operators import StripeApiOperator, StripeCreateProductOperator
from airflow_provider_stripe_lite.testing import FakeStripe
from airflow_provider_stripe_lite.testing.shapes import DAY
from tests.airflow.calling import made
from tests.airflow.older import needs_task_state
from tests.harness import Run
from tests.helpers import NOW, Clock, idempotency_keys, posts

PARAMETERS = {
    "description": "Jenny",
    "{{ 'metadata' }}": {"{{ run_id }}": "{{ 6 * 7 }}", "plain": "1.10"},
}


def test_any_call_is_made_with_what_templates_render(dag: DAG, stripe: FakeStripe) -> None:
    """Path, parameters and their keys; the answer's documented fields, and its links."""
    path = "/v1/{{ 'customers' }}"
    run = Run(made(dag, path=path, parameters=PARAMETERS, fields="*"), NOW).go()
    row = run.xcom("act")
    assert row["metadata"] == {run.run_id: "42", "plain": "1.10"}
    assert run.link("act", "Open in Stripe").endswith(f"/customers/{row['id']}")
    assert run.link("act", "Stripe request log")


def test_the_row_has_the_documented_fields_of_the_answer(dag: DAG, stripe: FakeStripe) -> None:
    """Whatever the path is: they hang on the answer's object."""
    row = Run(made(dag), NOW).go().xcom("act")
    assert (row["description"], "livemode" in row) == ("Jenny", False)


@needs_task_state
def test_a_post_is_made_once_for_each_run(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """A clear reads it, also when Stripe has forgotten the key; another run makes another."""
    run = Run(made(dag), NOW).go()
    clock.now += 2 * DAY
    assert run.clear("act").go().xcom("act")["id"] == run.xcom("act")["id"]
    assert len(posts(stripe)) == 1
    Run(dag, NOW + 1).go()
    assert len(stripe.ids("customer")) == len(set(idempotency_keys(stripe))) == 2


def test_an_update_is_applied_in_each_execution(dag: DAG, stripe: FakeStripe) -> None:
    """A POST to the object's own path has a fresh key each time."""
    name = stripe.add("customer")
    run = Run(made(dag, path=f"/v1/customers/{name}"), NOW).go()
    StripeHook().request("POST", f"/v1/customers/{name}", {"description": "By hand"})
    assert run.clear("act").go().xcom("act")["description"] == "Jenny"
    assert len(set(idempotency_keys(stripe))) == 3


def test_a_get_returns_a_list(dag: DAG, stripe: FakeStripe) -> None:
    """As Stripe sent it: nothing is documented of lists."""
    names = stripe.add_many("customer", 3)
    with dag:
        StripeApiOperator(task_id="act", path="/v1/customers", parameters={"limit": 2})
    page = Run(dag, NOW).go().xcom("act")
    assert [item["id"] for item in page["data"]] == names[:0:-1]


@needs_task_state
def test_a_delete_that_was_done_is_done(dag: DAG, stripe: FakeStripe) -> None:
    """Where its answer was lost, and where its run is cleared; at the first try it is an error."""
    name = stripe.add("customer")
    made(dag, method="DELETE", path=f"/v1/customers/{name}", parameters=None)
    stripe.fault(method="DELETE", drop=True)
    run = Run(dag, NOW).go()
    assert run.xcom("act") == {"id": name, "deleted": True}
    assert run.clear("act").go().state("act") == "success"
    (error,) = Run(dag, NOW + 1).go().errors
    assert isinstance(error, StripeNotFoundError)


@needs_task_state
@pytest.mark.parametrize("status", [409, 429])
def test_a_conflict_that_stripe_has_saved_takes_another_key(
    dag: DAG, stripe: FakeStripe, status: int
) -> None:
    """It proves that nothing was made: one object in the end, and the answers are not awaited."""
    error = {"error": {"type": "invalid_request_error", "code": "lock_timeout", "message": "Busy"}}
    stripe.fault(method="POST", status=status, body=error, saved=True)
    run = Run(made(dag), NOW).go()
    assert run.state("act") == "success"
    assert len(stripe.ids("customer")) == 1
    assert [keys := idempotency_keys(stripe), len(keys), len(set(keys))][1:] == [3, 2]


def test_a_conflict_of_a_key_of_one_s_own_is_said(stripe: FakeStripe) -> None:
    """Nobody but the caller has another one."""
    error = {"error": {"type": "invalid_request_error", "code": "lock_timeout", "message": "Busy"}}
    stripe.fault(method="POST", status=429, body=error, saved=True)
    with pytest.raises(StripeRateLimitError, match="pass another idempotency_key") as caught:
        StripeHook().request("POST", "/v1/customers", {"description": "d"}, idempotency_key="k")
    assert not caught.value.retryable


@needs_task_state
def test_behind_a_refusal_a_clear_asks_anew(dag: DAG, stripe: FakeStripe) -> None:
    """Stripe keeps a refusal for a day; nothing was made, so the next try has another key."""
    stripe.add("product", id="mug")
    with dag:
        StripeCreateProductOperator(task_id="act", name="Mug", product_id="mug")
    run = Run(dag, NOW).go()
    assert run.state("act") == "failed"
    stripe.delete("mug")
    assert run.clear("act").go().xcom("act")["id"] == "mug"
    assert len(set(idempotency_keys(stripe))) == 2


@needs_task_state
def test_what_nobody_knows_a_day_later_is_left_to_a_person(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Stripe has forgotten the key, so another try might make a second object."""
    fault = stripe.fault(method="POST", drop=True, every=1)
    run = Run(made(dag), NOW).go()
    fault.times = 0
    clock.now += DAY + 1
    assert run.clear("act").go().state("act") == "failed"
    assert isinstance(run.errors[-1], StripeInputError)
    assert "pass a new idempotency_key" in str(run.errors[-1])
    assert len(stripe.ids("customer")) == 1


def test_if_exists_updates(dag: DAG, stripe: FakeStripe, capfd: pytest.CaptureFixture[str]) -> None:
    """What an update does not take is left out, and said."""
    stripe.add("product", id="mug", name="Cup")
    with dag:
        StripeCreateProductOperator(
            task_id="act",
            name="Mug",
            product_id="mug",
            if_exists="update",
            parameters={"default_price_data": {"currency": "eur", "unit_amount": 900}},
        )
    assert Run(dag, NOW).go().xcom("act")["name"] == "Mug"
    assert [request.path for request in posts(stripe)] == ["/v1/products", "/v1/products/mug"]
    assert "without default_price_data" in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"if_exists": "replace"}, "if_exists must be"),
        ({"if_exists": "update"}, "needs product_id"),
    ],
)
def test_if_exists_is_checked_in_the_dag_file(options: Any, words: str) -> None:
    """Where its author sees it."""
    with pytest.raises(StripeInputError, match=words):
        StripeCreateProductOperator(task_id="act", name="Mug", **options)


def test_mapped_calls_carry_names(dag: DAG, stripe: FakeStripe) -> None:
    """Of products, and else the id of what was made."""
    with dag:
        StripeCreateProductOperator.partial(task_id="product").expand(name=["Mug", "Cup"])
        StripeApiOperator.partial(task_id="call", method="POST", path="/v1/customers").expand(
            parameters=[{"description": "a"}, {"description": "b"}]
        )
    run = Run(dag, NOW).go()
    assert run.names("product") == ["Mug", "Cup"]
    assert run.names("call") == [run.xcom("call", map_index=at)["id"] for at in (0, 1)]


def test_text_stays_text_in_native_templates(dag: DAG, stripe: FakeStripe) -> None:
    """Letter by letter; what is a list or a mapping is one."""
    dag.render_template_as_native_obj = True
    with dag:

        @task
        def row() -> dict[str, Any]:
            return {"version": "1.10", "locales": ["de", "en"], "quoted": "'x'", "year": 2024}

        given = row()
        StripeApiOperator(
            task_id="act",
            method="POST",
            path="/v1/customers",
            fields="*",
            parameters={
                "description": "{{ ti.xcom_pull(task_ids='row')['quoted'] }}",
                "preferred_locales": "{{ ti.xcom_pull(task_ids='row')['locales'] }}",
                "metadata": {
                    "version": "{{ ti.xcom_pull(task_ids='row')['version'] }}",
                    "year": "{{ ti.xcom_pull(task_ids='row')['year'] }}",
                    "both": "{{ 1 }}0{{ 2 }}",
                    "flag": "True",
                    "{{ 'key' }}": "0x10",
                },
            },
        )
        StripeCreateProductOperator(
            task_id="product", name="2024", product_id="{{ 1000 + 1 }}", description="'quoted'"
        )
        given >> dag.get_task("act")
    run = Run(dag, NOW).go()
    forms = {request.path: dict(request.form) for request in posts(stripe)}
    assert forms["/v1/customers"] == {
        "description": "'x'",
        "preferred_locales[0]": "de",
        "preferred_locales[1]": "en",
        "metadata[version]": "1.10",
        "metadata[year]": "2024",
        "metadata[both]": "102",
        "metadata[flag]": "True",
        "metadata[key]": "0x10",
    }
    assert run.xcom("product")["id"] == "1001"
    assert forms["/v1/products"]["description"] == "'quoted'"


def test_a_missing_value_of_a_native_template_is_an_error(dag: DAG, stripe: FakeStripe) -> None:
    """As it is in any other one."""
    dag.render_template_as_native_obj = True
    Run(made(dag, parameters={"description": "{{ nowhere }}"}), NOW).go()
    assert stripe.calls == []


@pytest.mark.parametrize(
    "options",
    [{"parameters": {"description": "{{ none }}"}}, {"path": "/v1/customers/{{ none }}/sources"}],
)
def test_a_value_that_is_none_is_refused(dag: DAG, stripe: FakeStripe, options: Any) -> None:
    """A template makes the text "None" of it, which nobody means."""
    (error,) = Run(made(dag, **options), NOW).go().errors
    assert "the text 'None'" in str(error)
    assert stripe.calls == []


def test_without_a_state_of_the_task_the_key_is_made_of_the_run(
    dag: DAG, stripe: FakeStripe
) -> None:
    """Airflow before 3.3 keeps none: the same run has the same key, and another one another."""

    def forget(context: Any) -> None:
        context.pop("task_state_store", None)

    run = Run(made(dag, pre_execute=forget), NOW).go()
    assert run.clear("act").go().state("act") == "success"
    Run(dag, NOW + 1).go()
    first, again, other = idempotency_keys(stripe)
    assert (first == again, first == other) == (True, False)
    assert len(stripe.ids("customer")) == 2
