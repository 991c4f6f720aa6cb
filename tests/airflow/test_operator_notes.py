"""What a task notes of its calls: which try is the first one, and what it has made before."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite._once import _NOTE
from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.operators import StripeCreateProductOperator
from airflow_provider_stripe_lite.testing import FakeStripe
from airflow_provider_stripe_lite.testing.shapes import DAY
from tests.airflow.calling import made
from tests.airflow.older import needs_task_state
from tests.conftest import SetConnection
from tests.harness import Run
from tests.helpers import NOW, Clock, idempotency_keys, posts

DECLINED = {
    "error": {"type": "card_error", "message": "Declined.", "payment_intent": {"id": "pi_1"}}
}
REFUSAL = {"error": {"type": "invalid_request_error", "message": "No."}}


@needs_task_state
def test_a_path_that_changes_and_changes_back_makes_each_once(
    dag: DAG, stripe: FakeStripe, capfd: pytest.CaptureFixture[str]
) -> None:
    """A note for each call: the last one does not take the place of the others."""
    paths = ["/v1/customers"]
    dag.user_defined_macros = {"path": lambda: paths[-1]}
    run = Run(made(dag, path="{{ path() }}", parameters={"name": "Mug"}), NOW).go()
    for path in ("/v1/products", "/v1/customers", "/v1/products"):
        paths.append(path)
        assert run.clear("act").go().state("act") == "success"
    assert [call.path for call in posts(stripe)] == ["/v1/customers", "/v1/products"]
    assert "and now it is another call" in "".join(capfd.readouterr())


@needs_task_state
def test_a_key_of_one_s_own_that_changes_back_means_what_it_has_made(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Also when Stripe has forgotten the key; without one, the last call is meant."""
    keys = ["a"]
    dag.user_defined_macros = {"key": lambda: keys[-1]}
    run = Run(made(dag, idempotency_key="{{ key() }}"), NOW).go()
    names = [run.xcom("act")["id"]]
    for key, forward in (("b", 0), ("a", 2 * DAY), ("", 0), ("b", 0)):
        keys.append(key)
        clock.now += forward
        names.append(run.clear("act").go().xcom("act")["id"])
    first, second = stripe.ids("customer")
    assert names == [first, second, first, second, second]


@needs_task_state
@pytest.mark.parametrize(
    "before", [{"status": 429}, {"status": 503, "saved": False}, {"reset": True}, {"drop": True}]
)
def test_a_refusal_behind_other_answers_lets_the_next_try_be_the_first(
    dag: DAG, stripe: FakeStripe, before: dict[str, Any]
) -> None:
    """Stripe would have repeated what an earlier request with the same key had made."""
    ids = ["mug"]
    stripe.add("product", id="mug")
    dag.user_defined_macros = {"id": lambda: ids[-1]}
    with dag:
        StripeCreateProductOperator(task_id="act", name="Mug", product_id="{{ id() }}")
    stripe.fault(method="POST", **before)
    run = Run(dag, NOW).go()
    assert run.state("act") == "failed"
    ids.append("mug-2")
    assert run.clear("act").go().state("act") == "success"
    assert sorted(stripe.ids("product")) == ["mug", "mug-2"]


def test_a_refusal_of_other_parameters_says_nothing_of_the_first_ones(
    dag: DAG, stripe: FakeStripe
) -> None:
    """The answer was lost, then the template rendered something else, and back: one object."""
    texts = ["Jenny"]
    dag.user_defined_macros = {"text": lambda: texts[-1]}
    lost = stripe.fault(method="POST", drop=True, every=1)
    run = Run(made(dag, parameters={"description": "{{ text() }}"}), NOW).go()
    lost.times = 0
    texts.append("Rosen")
    stripe.fault(method="POST", status=400, body=REFUSAL, saved=False)
    assert run.clear("act").go().state("act") == "failed"
    texts.append("Jenny")
    assert run.clear("act").go().state("act") == "success"
    assert len(stripe.ids("customer")) == 1


def test_a_try_that_is_interrupted_is_not_forgotten(
    dag: DAG, stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow's time-out strikes behind Stripe's answer: one object."""
    send, ended = StripeClient._request, []

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        answer = send(*args, **kwargs)
        if not ended:
            ended.append(answer)
            args[0].unknown += 1
            raise RuntimeError("the time is over")
        return answer

    monkeypatch.setattr(StripeClient, "_request", interrupted)
    run = Run(made(dag), NOW).go()
    assert run.state("act") == "failed"
    assert run.clear("act").go().state("act") == "success"
    assert len(stripe.ids("customer")) == 1


@needs_task_state
def test_a_declined_intent_is_there_all_the_same(dag: DAG, stripe: FakeStripe) -> None:
    """A clear makes no second one."""
    stripe.fault(method="POST", status=402, body=DECLINED, saved=True)
    run = Run(made(dag, path="/v1/payment_intents", parameters={"amount": 5}), NOW).go()
    run.clear("act").go()
    assert len(set(idempotency_keys(stripe))) == 1
    assert "pi_1 was made all the same: confirm or cancel it" in str(run.errors[-1])


@needs_task_state
@pytest.mark.parametrize("path", ["/v1/payment_intents/pi_1/confirm", "/v1/invoices/in_1/pay"])
def test_an_intent_that_was_there_before_may_be_tried_again(
    dag: DAG, stripe: FakeStripe, path: str
) -> None:
    """The next try is another call, with a key of its own; an invoice has an intent of its own."""
    stripe.fault(method="POST", status=402, body=DECLINED, saved=True, times=2)
    run = Run(made(dag, path=path, parameters=None), NOW).go()
    run.clear("act").go()
    assert len(set(idempotency_keys(stripe))) == 2
    assert not any("was made all the same" in str(error) for error in run.errors)


@needs_task_state
def test_what_has_no_path_of_its_own_is_answered_again_under_its_key(
    dag: DAG, stripe: FakeStripe
) -> None:
    """A 404 without a code speaks of the address; one with a code, of an object that is gone."""
    answer = {"id": "thing_1", "object": "new_thing"}
    stripe.fault(method="POST", status=200, body=answer, saved=True)
    run = Run(made(dag, path="/v1/new_things"), NOW).go()
    error = {"type": "invalid_request_error", "message": "Unrecognized request URL."}
    stripe.fault(method="GET", status=404, body={"error": error}, times=1)
    assert run.clear("act").go().xcom("act") == answer
    assert len(posts(stripe)) == 2
    assert len(set(idempotency_keys(stripe))) == 1
    gone = {"error": error | {"code": "resource_missing"}}
    stripe.fault(method="GET", status=404, body=gone)
    assert run.clear("act").go().state("act") == "failed"
    assert "This task has made /v1/new_things/thing_1 before." in str(run.errors[-1])
    assert len(posts(stripe)) == 2


def test_a_key_that_another_call_has_used_is_not_this_task_s(dag: DAG, stripe: FakeStripe) -> None:
    """Taken out again, it is not sent any more."""
    keys = ["order-1"]
    dag.user_defined_macros = {"key": lambda: keys[-1]}
    StripeHook().request("POST", "/v1/products", {"name": "Mug"}, idempotency_key="order-1")
    run = Run(made(dag, idempotency_key="{{ key() }}"), NOW).go()
    assert run.state("act") == "failed"
    keys.append("")
    assert run.clear("act").go().state("act") == "success"
    assert len(stripe.ids("customer")) == 1


def test_a_rotated_key_that_shows_its_account_is_of_the_same_one(
    dag: DAG, fake: FakeStripe, set_connection: SetConnection
) -> None:
    """A key that does not show it passes, as where a cursor is looked at."""
    set_connection(password="sk_test_4eC39HqLyjWDarjtT1zdp7dc")
    run = Run(made(dag), NOW).go()
    set_connection(password="sk_test_51StreamAccount00secretsecret")
    assert run.clear("act").go().state("act") == "success"
    assert len(fake.ids("customer")) == 1


@needs_task_state
@pytest.mark.parametrize("note", ["text", ["a"], 5, {"made": "x"}, [{"call": "POST /v1/x"}]])
def test_a_damaged_note_is_said(dag: DAG, stripe: FakeStripe, note: Any) -> None:
    """One sentence, nothing sent."""

    def damage(context: Any) -> None:
        context["task_state_store"].set(_NOTE, note)

    (error,) = Run(made(dag, pre_execute=damage), NOW).go().errors
    assert f"The state {_NOTE!r} of this task is not what was noted" in str(error)
    assert stripe.calls == []


@needs_task_state
def test_what_stripe_shows_once_is_shown_again_for_a_day(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """A worker that dies behind the answer does not lose the secret of an endpoint."""
    answer = {"id": "we_1", "object": "webhook_endpoint", "secret": "whsec_3f2a9c1b7d"}
    stripe.fault(method="POST", status=200, body=answer, saved=True)
    run = Run(made(dag, path="/v1/webhook_endpoints", fields=["id", "secret"]), NOW).go()
    first = run.xcom("act")
    assert run.clear("act").go().xcom("act") == first == {"id": "we_1", "secret": answer["secret"]}
    assert len(set(idempotency_keys(stripe))) == 1
    clock.now += 2 * DAY
    run.clear("act").go()
    assert stripe.calls[-1].method == "GET"


def test_a_refusal_of_what_was_made_before_is_no_first_try(dag: DAG, stripe: FakeStripe) -> None:
    """The call that is only repeated for its answer keeps its key."""
    run = Run(made(dag, path="/v1/billing_portal/sessions"), NOW)
    answer = {"id": "bps_1", "object": "billing_portal.session"}
    stripe.fault(method="POST", status=200, body=answer, saved=True)
    assert run.go().state("act") == "success"
    stripe.fault(method="POST", status=400, body=REFUSAL, saved=False)
    assert run.clear("act").go().state("act") == "failed"
    assert run.clear("act").go().xcom("act")["id"] == "bps_1"
    assert len(set(idempotency_keys(stripe))) == 1


def test_a_delete_that_was_held_up_first_is_no_later_one(dag: DAG, stripe: FakeStripe) -> None:
    """What never was there is an error behind a 429, in the same try and in the next one."""
    stripe.fault(method="DELETE", status=429)
    run = Run(made(dag, method="DELETE", path="/v1/customers/cus_typo", parameters=None), NOW).go()
    assert run.state("act") == "failed"
    held = stripe.fault(method="DELETE", status=429, every=1)
    run.clear("act").go()
    held.times = 0
    assert run.clear("act").go().state("act") == "failed"
    assert "No such customer" in str(run.errors[-1])


def test_a_deletion_by_a_post_is_done(dag: DAG, stripe: FakeStripe) -> None:
    """Stripe answers what was deleted."""
    gone = {"id": "appsecret_1", "object": "apps.secret", "deleted": True}
    stripe.fault(method="POST", status=200, body=gone)
    run = Run(made(dag, path="/v1/apps/secrets/delete", parameters={"name": "n"}), NOW).go()
    assert run.xcom("act")["deleted"] is True


@needs_task_state
def test_if_exists_updates_what_this_run_has_made_too(dag: DAG, stripe: FakeStripe) -> None:
    """A cleared run brings a changed value."""
    names = ["Mug"]
    dag.user_defined_macros = {"name": lambda: names[-1]}
    with dag:
        StripeCreateProductOperator(
            task_id="act", name="{{ name() }}", product_id="mug", if_exists="update"
        )
    run = Run(dag, NOW).go()
    names.append("Cup")
    assert run.clear("act").go().xcom("act")["name"] == "Cup"
    assert stripe.ids("product") == ["mug"]
