"""Bad input: one clear sentence that names what is wrong, no request where it could be known before, never the key."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite.errors import StripeConnectionError, StripeError, StripeInputError
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.operators import (
    StripeCreateCustomerOperator,
    StripeCreateProductOperator,
)
from airflow_provider_stripe_lite.output import projection
from airflow_provider_stripe_lite.polling import Position
from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor, StripeNewObjectSensor
from tests.airflow.conftest import KEY, NOW, Connect
from tests.airflow.harness import Run
from tests.fake_stripe import FakeStripe

Call = Callable[[StripeHook], Any]
LONG = "x" * 600
NINE = [f"https://example.com/{number}.png" for number in range(9)]


def _product(**given: Any) -> Call:
    return lambda hook: hook.create_product(**({"name": "Mug"} | given))


def _update_product(**given: Any) -> Call:
    return lambda hook: hook.update_product(**({"product_id": "prod_1", "name": "Mug"} | given))


def _customer(**given: Any) -> Call:
    return lambda hook: hook.create_customer(**given)


def _update_customer(**given: Any) -> Call:
    return lambda hook: hook.update_customer(**({"customer_id": "cus_1"} | given))


def _get(customer_id: Any) -> Call:
    return lambda hook: hook.get_customer(customer_id)


# What to call, and what its sentence must say.
ARGUMENTS: list[tuple[Call, str]] = [
    # ids
    (_get(None), "customer_id"),
    (_get(""), "customer_id"),
    (_get("   "), "customer_id"),
    (_get(5), "customer_id"),
    (_get(["cus_1"]), "customer_id"),
    (_get("../charges"), "no slash"),
    (_get("cus_1/../../balance"), "no slash"),
    (_get("cus_1\\sources"), "no slash"),
    (_get(".."), "customer_id"),
    (_get("."), "customer_id"),
    (_get(" cus_1"), "no space around"),
    (_get("cus_1\n"), "no space around"),
    (_get("cus_\x001"), "printable"),
    (_get("cus_é"), "printable"),
    (_get("c" * 256), "at most 255"),
    (_update_customer(customer_id="../products/prod_1", description="x"), "customer_id"),
    (_update_product(product_id="a/b"), "product_id"),
    (_update_product(product_id=""), "product_id"),
    (_product(product_id="../customers"), "product_id"),
    (_product(product_id=7), "product_id"),
    # names
    (_product(name=""), "name is required"),
    (_product(name=None), "name is required"),
    (_product(name="   "), "name must not be empty"),
    (_product(name=5), "name must be text"),
    (_product(name="x" * 5001), "name must have at most 5000 characters, got 5001"),
    (_product(name="a\x00b"), "name holds a control character"),
    (_product(name="a\x1b[31mb"), "name holds a control character"),
    (_product(name="\ud800"), "name holds a control character"),
    (_update_product(name=""), "name is required"),
    (_update_product(name=None), "name is required"),
    # texts
    (_customer(customer_email=LONG), "customer_email must have at most 512 characters, got 600"),
    (_customer(customer_email=["a@b.example"]), "customer_email must be text"),
    (_customer(customer_email="a@b.example\x07"), "customer_email holds a control character"),
    (_customer(description=5), "description must be text"),
    (_customer(description="x" * 5001), "description must have at most 5000"),
    (_product(description="x" * 40001), "description must have at most 40000"),
    (_product(url=5), "url must be text"),
    (_product(caption=b"Grey"), "caption must be text"),
    (_product(caption="x" * 501), "caption must have at most 500"),
    (_update_customer(description=False), "description must be text"),
    # flags
    (_product(active="maybe"), "active must be true or false"),
    (_product(active=1), "active must be true or false"),
    (_product(shippable=""), "shippable must be true or false"),
    (_product(shippable=[]), "shippable must be true or false"),
    # images
    (_product(images=NINE), "images takes at most 8 URLs, got 9"),
    (_product(images=",".join(NINE)), "images takes at most 8 URLs, got 9"),
    (_product(images=[5]), "images must be a list of URLs"),
    (_product(images=[""]), "images"),
    (_product(images={"a": "b"}), "images must be a list of URLs"),
    (_product(images=["https://a.example/\x00"]), "images[0] holds a control character"),
    # metadata
    (_customer(metadata="text"), "metadata must be a mapping"),
    (_customer(metadata=[("a", "b")]), "metadata must be a mapping"),
    (_customer(metadata={f"k{number}": "v" for number in range(51)}), "metadata takes at most 50 keys, got 51"),
    (_customer(metadata={"k" * 41: "v"}), "metadata keys"),
    (_customer(metadata={"": "v"}), "metadata keys"),
    (_customer(metadata={5: "v"}), "metadata keys"),
    (_customer(metadata={"a[b]": "v"}), "square brackets"),
    (_customer(metadata={"a": "v" * 501}), "metadata[a] must have at most 500"),
    (_customer(metadata={"a": ["v"]}), "metadata[a] must be text"),
    (_customer(metadata={"a": None}), "metadata[a] must be text"),
    (_customer(metadata={"a": "b\x00"}), "metadata[a] holds a control character"),
    (_product(caption="Grey", metadata={"caption": "Blue"}), "caption"),
    # updates of nothing
    (_update_customer(), "would change nothing"),
    (_update_customer(metadata={}), "would change nothing"),
    # idempotency keys
    (_customer(idempotency_key=""), "idempotency_key"),
    (_customer(idempotency_key="k" * 256), "idempotency_key"),
    (_customer(idempotency_key="a b"), "idempotency_key"),
    (_customer(idempotency_key="a\r\nX: 1"), "idempotency_key"),
    (_customer(idempotency_key="é"), "idempotency_key"),
    (_customer(idempotency_key=5), "idempotency_key"),
    # feeds and positions
    (lambda hook: hook.poll("customers", Position(0)), "feed must be one of customer, charge"),
    (lambda hook: hook.poll(None, Position(0)), "feed must be one of"),
    (lambda hook: hook.poll(["customer"], Position(0)), "feed must be one of"),
    (lambda hook: hook.poll("customer", None), "A position must be"),
    (lambda hook: hook.poll("customer", {"until": "now"}), "A position must be"),
    (lambda hook: hook.poll("customer", Position(0), settle=-1), "settle must be a whole number of at least 0"),
    (lambda hook: hook.poll("customer", Position(0), settle="60"), "settle must be a whole number"),
    (lambda hook: hook.poll("customer", Position(0), max_items=0), "max_items must be a whole number of at least 1"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "words"), ARGUMENTS, ids=range(len(ARGUMENTS)))
def test_a_bad_argument_is_refused_before_any_request(stripe: FakeStripe, call: Call, words: str) -> None:
    """One sentence that names the argument; nothing is sent."""
    with pytest.raises(StripeInputError) as refused:
        call(StripeHook())
    message = str(refused.value)
    assert words in message
    assert len(message) < 300
    assert "\n" not in message
    assert KEY not in message
    assert stripe.requests == []


FIELDS = ["id", "", 5, [], {}, [5], [None], ["a..b"], [".a"], [""], ["a", "a.b"], {"id": 1}, "**", b"id"]


@pytest.mark.parametrize("fields", FIELDS, ids=repr)
def test_bad_fields_are_refused_before_any_request(dag: DAG, stripe: FakeStripe, fields: Any) -> None:
    """Of an action and of a sensor: nothing is created that could then not be returned."""
    with pytest.raises(StripeInputError, match="fields"):
        projection("customer", fields)


def test_bad_fields_do_not_create_anything(dag: DAG, stripe: FakeStripe) -> None:
    """The fields are looked at before the request, and the sensor's before the poll."""
    with dag:
        StripeCreateCustomerOperator(task_id="act", fields=["a", "a.b"])
        StripeNewCustomerSensor(task_id="new", fields="nonsense", timeout=0)
    run = Run(dag, NOW).go()
    assert [type(error) for error in run.errors] == [StripeInputError] * 2
    assert stripe.requests == []


@pytest.mark.parametrize(("arguments", "words"), [
    ({"feed": "customers"}, "feed must be one of customer, charge"),
    ({"feed": None}, "feed must be one of"),
    ({"settle": -1}, "settle must be a whole number of at least 0"),
    ({"settle": 1.5}, "settle must be a whole number"),
    ({"settle": "60"}, "settle must be a whole number"),
    ({"settle": True}, "settle must be a whole number"),
    ({"max_items": 0}, "max_items must be a whole number of at least 1"),
    ({"max_items": None}, "max_items must be a whole number"),
    ({"output": "row"}, "output must be one of rows, window"),
    ({"output": None}, "output must be one of"),
    ({"advance_after": "never"}, "advance_after must be one of sensor, dag_run"),
    ({"poke_interval": 1}, "allow_fast_polling=True"),
])  # fmt: skip
def test_a_bad_sensor_is_refused_in_the_dag_file(arguments: dict[str, Any], words: str) -> None:
    """Where its author sees it: as an import error, before anything runs."""
    with pytest.raises(StripeInputError, match=words):
        StripeNewObjectSensor(**({"task_id": "new", "feed": "customer"} | arguments))


@pytest.mark.parametrize("start_from", ["", "yesterday", "2026-13-01", "{{ none }}", 5, None])
def test_a_bad_start_is_refused_before_any_request(dag: DAG, stripe: FakeStripe, start_from: Any) -> None:
    """start_from may be a template, so it is looked at when it is rendered."""
    with dag:
        StripeNewCustomerSensor(task_id="new", start_from=start_from, timeout=0, retries=2)
    (error,) = Run(dag, NOW).go().errors
    assert isinstance(error, StripeInputError)
    assert 'start_from must be "now", "beginning" or a date-time' in str(error)
    assert stripe.requests == []


VALUES = ["nonsense", "5", "[]", "{}", '"text"', '{"v": 1, "task": "other.task"}']


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_a_variable_that_is_no_cursor_is_refused(dag: DAG, stripe: FakeStripe, value: str, monkeypatch: Any) -> None:
    """What the Variable of cursor_variable holds by mistake is not gone on from, and not overwritten."""
    monkeypatch.setenv("AIRFLOW_VAR_POSITION", value)
    with dag:
        StripeNewCustomerSensor(task_id="new", cursor_variable="position", timeout=0, retries=2)
    (error,) = Run(dag, NOW).go().errors
    assert isinstance(error, StripeInputError)
    assert stripe.requests == []


# --- Bad answers


@pytest.mark.parametrize("fault", [
    {"status": 200, "body": "<html>Welcome to the hotel</html>", "saved": False},
    {"status": 200, "body": "[]", "saved": False},
    {"status": 200, "body": "null", "saved": False},
    {"status": 200, "body": "", "saved": False},
    {"truncate": "json"},
    {"truncate": "length"},
    {"reset": True},
    {"drop": True},
    {"redirect": "https://evil.example/"},
    {"status": 400, "body": "<html>400</html>", "saved": False},
    {"status": 404, "body": {"error": "text"}, "saved": False},
    {"status": 418, "body": {"error": {"message": None, "code": 5}}, "saved": False},
    {"status": 403, "body": {"error": {"message": f"The key {KEY} may not"}}, "saved": False},
    {"status": 502, "body": "", "saved": False},
], ids=repr)  # fmt: skip
def test_a_bad_answer_is_one_sentence_without_the_key(
    fake: FakeStripe, connect: Connect, fault: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    """HTML, half a document, a dropped connection, a redirect, an error of no known shape: a StripeError says it."""
    connect(extra={"timeout": 2})
    fake.fault(
        path="/v1/customers/", every=1, headers={"Stripe-Should-Retry": "false"} if "status" in fault else {}, **fault
    )
    hook = StripeHook()
    hook.client._sleep = lambda seconds: None
    with pytest.raises(StripeError) as caught:
        hook.get_customer("cus_1")
    assert len(str(caught.value)) > 20
    assert "\n" not in str(caught.value)
    for shown in (str(caught.value), repr(caught.value), json.dumps(vars(caught.value), default=str)):
        assert KEY not in shown
    assert caught.value.__cause__ is None or KEY not in repr(caught.value.__cause__)
    assert KEY not in "".join(capfd.readouterr())


def test_a_list_that_is_none_is_no_empty_list(stripe: FakeStripe) -> None:
    """What is not a list of objects with id and time is an error: to take it for "nothing new" would lose objects."""
    for body in (
        {},
        {"data": None},
        {"data": {}},
        {"data": [5]},
        {"data": [{"id": "cus_1"}]},
        {"data": [], "has_more": True},
    ):
        stripe.fault(path="/v1/customers", status=200, body=body, saved=False)
        with pytest.raises(StripeConnectionError, match="gave no list of objects"):
            StripeHook().poll("customer", Position(0))


def test_redirects_are_not_followed(stripe: FakeStripe) -> None:
    """The key is sent to the connection's host and to no other, whatever that answers."""
    with FakeStripe() as elsewhere:
        stripe.fault(path="/v1/", redirect=f"{elsewhere.url}/v1/customers", every=1)
        with pytest.raises(StripeError, match="redirects are not followed"):
            StripeHook().get_customer("cus_1")
        with pytest.raises(StripeError, match="redirects are not followed"):
            StripeHook().poll("customer", Position(0))
        with pytest.raises(StripeError, match="redirects are not followed"):
            StripeHook().create_customer()
        assert elsewhere.requests == []


# --- The key


@pytest.mark.parametrize("good", [True, False])
def test_the_key_is_nowhere(
    dag: DAG, fake: FakeStripe, connect: Connect, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture,
    clock: Any, good: bool,
) -> None:  # fmt: skip
    """Not in a log, an exception, an XCom or a rendered field, of tasks that succeed and of tasks that fail."""
    connect()
    if not good:
        fake.accepted_keys = set()
    fake.create("customer", created=NOW)
    clock.now += 100
    with dag:
        StripeCreateProductOperator(task_id="product", name="Mug", metadata={"a": "b"})
        StripeNewCustomerSensor(task_id="new", timeout=0, poke_interval=0, allow_fast_polling=True)
        StripeNewCustomerSensor(task_id="rescheduled", mode="reschedule")
    run = Run(dag, NOW).go()
    assert run.state() == ("success" if good else "failed")
    log = "".join(capfd.readouterr()) + caplog.text
    assert ("Created product" in log) == good
    secret = KEY.removeprefix("sk_test_")
    shown = [log, *map(repr, run.errors), *map(str, run.errors)]
    for task_id in ("product", "new", "rescheduled"):
        keys = ("return_value", "cursor", "_link_StripeDashboardLink", "_link_StripeRequestLogLink")
        shown += [json.dumps([run.xcom(task_id, key) for key in keys]), json.dumps(run.rendered(task_id), default=str)]
    assert not any(secret in text or secret[:14] in text for text in shown)
