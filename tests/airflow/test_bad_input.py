"""Bad input fails a task with one clear sentence, before any request, and the key is nowhere.

The arguments of the actions have a table in tests/core/test_refusals.py, everything else that the
core refuses one in tests/core/test_bad_input.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_stripe_lite.errors import StripeError, StripeInputError
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.operators import (
    StripeCreateCustomerOperator,
    StripeCreateProductOperator,
    StripeGetCustomerOperator,
    StripeUpdateCustomerOperator,
    StripeUpdateProductOperator,
)
from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor, StripeNewObjectSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.harness import Run
from tests.helpers import KEY, NOW, Clock

if TYPE_CHECKING:
    from airflow.sdk import DAG

SetConnection = Callable[..., None]


# --- Arguments


@pytest.mark.parametrize(
    ("operator", "arguments", "words"),
    [
        (StripeCreateProductOperator, {"name": ""}, "name is required"),
        (StripeUpdateProductOperator, {"product_id": "..", "name": "Mug"}, "product_id must be"),
        (StripeGetCustomerOperator, {"customer_id": "."}, "customer_id must be an id"),
        (StripeCreateCustomerOperator, {"metadata": "text"}, "metadata must be a mapping"),
        (
            StripeCreateCustomerOperator,
            {"description": "d", "idempotency_key": "a b"},
            "idempotency_key must be",
        ),
        (StripeCreateCustomerOperator, {"fields": ["a", "a.b"]}, "fields holds 'a'"),
        (StripeUpdateCustomerOperator, {"customer_id": "cus_1"}, "would change nothing"),
    ],
)
def test_a_bad_argument_fails_the_task_before_any_request(
    dag: DAG, stripe: FakeStripe, operator: Any, arguments: dict[str, Any], words: str
) -> None:
    """One sentence that names the argument; it is not tried again, and nothing is sent."""
    with dag:
        operator(task_id="act", retries=2, **arguments)
    run = Run(dag, NOW).go()
    (error,) = run.errors
    assert isinstance(error, StripeInputError)
    assert words in str(error)
    assert "\n" not in str(error)
    assert KEY not in str(error)
    assert stripe.calls == []
    assert run.state() == "failed"


def test_bad_fields_of_a_sensor_are_refused_before_any_request(
    dag: DAG, stripe: FakeStripe
) -> None:
    """The fields are looked at before the poll: nothing is read that could then not be returned."""
    with dag:
        StripeNewCustomerSensor(task_id="new", fields="nonsense", timeout=0, retries=2)
    (error,) = Run(dag, NOW).go().errors
    assert isinstance(error, StripeInputError)
    assert "fields must be" in str(error)
    assert stripe.calls == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"feed": "customers"}, "feed must be one of .* such as customer, "),
        ({"feed": None}, "feed must be one of"),
        ({"min_age": -1}, "min_age must be a whole number of at least 0"),
        ({"min_age": 1.5}, "min_age must be a whole number"),
        ({"min_age": "60"}, "min_age must be a whole number"),
        ({"min_age": True}, "min_age must be a whole number"),
        ({"max_items": 0}, "max_items must be a whole number of at least 1"),
        ({"max_items": None}, "max_items must be a whole number"),
        ({"returns": "row"}, """returns must be "rows" or "window", got 'row'"""),
        ({"returns": None}, 'returns must be "rows" or "window", got None'),
        ({"poke_interval": 1}, "allow_fast_polling=True"),
    ],
)
def test_a_bad_sensor_is_refused_in_the_dag_file(arguments: dict[str, Any], words: str) -> None:
    """Where its author sees it: as an import error, before anything runs."""
    with pytest.raises(StripeInputError, match=words):
        StripeNewObjectSensor(**({"task_id": "new", "feed": "customer"} | arguments))


NO_TIME = '^start_from must be "now", "beginning" or a date-time'
OTHER_CENTURY = "^start_from must be a time between 2010 and 2100, got .*seconds since 1970"


@pytest.mark.parametrize(
    ("start_from", "words"),
    [
        ("", NO_TIME),
        ("yesterday", NO_TIME),
        ("2026-13-01", NO_TIME),
        ("{{ none }}", NO_TIME),
        (None, NO_TIME),
        (True, NO_TIME),
        (5, OTHER_CENTURY),
        (-1.5, OTHER_CENTURY),
        ("2009-12-31", OTHER_CENTURY),
        # These are milliseconds.
        (NOW * 1000, OTHER_CENTURY),
        (NOW + 601, "^start_from must not lie in the future"),
        (date(2026, 2, 3), "^start_from must not lie in the future"),
        ("2026-02-02T02:51:00Z", "^start_from must not lie in the future"),
    ],
)
def test_a_bad_start_is_refused_before_any_request(
    dag: DAG, stripe: FakeStripe, start_from: Any, words: str
) -> None:
    """start_from may be a template, so it is looked at when it is rendered."""
    with dag:
        StripeNewCustomerSensor(task_id="new", start_from=start_from, timeout=0, retries=2)
    (error,) = Run(dag, NOW).go().errors
    assert isinstance(error, StripeInputError)
    assert re.search(words, str(error))
    assert stripe.calls == []


VALUES = ["nonsense", "5", "[]", "{}", '"text"', '{"v": 1, "task": "other.task"}']


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_a_variable_that_is_no_cursor_is_refused(
    dag: DAG, stripe: FakeStripe, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Variable that holds something else is not gone on from, and not overwritten."""
    monkeypatch.setenv("AIRFLOW_VAR_POSITION", value)
    with dag:
        StripeNewCustomerSensor(task_id="new", cursor_variable="position", timeout=0, retries=2)
    (error,) = Run(dag, NOW).go().errors
    assert isinstance(error, StripeInputError)
    assert stripe.calls == []


# --- Bad answers


NAMED = {"error": {"type": "invalid_request_error", "message": f"The key {KEY} may not"}}


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 200, "body": "<html>Welcome to the hotel</html>", "saved": False},
        {"truncate": "json"},
        {"drop": True},
        {"redirect": "https://evil.example/"},
        {"status": 403, "body": NAMED, "saved": False},
        {"status": 403, "body": {"error": {"message": f"The key {KEY} may not"}}, "saved": False},
    ],
    ids=repr,
)
def test_a_bad_answer_is_one_sentence_without_the_key(
    fake: FakeStripe,
    set_connection: SetConnection,
    fault: dict[str, Any],
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The hook raises a StripeError that says what came, and neither it nor a log shows the key."""
    set_connection(extra={"timeout": 2})
    headers = {"Stripe-Should-Retry": "false"} if "status" in fault else {}
    fake.fault(path="/v1/customers/", every=1, headers=headers, **fault)
    hook = StripeHook()
    hook.get_conn()._sleep = lambda seconds: None
    with pytest.raises(StripeError) as caught:
        hook.get_customer("cus_1")
    assert len(str(caught.value)) > 20
    assert "\n" not in str(caught.value)
    fields = json.dumps(vars(caught.value), default=str)
    assert not any(KEY in text for text in (str(caught.value), repr(caught.value), fields))
    assert caught.value.__cause__ is None or KEY not in repr(caught.value.__cause__)
    assert KEY not in "".join(capfd.readouterr())


def test_redirects_are_not_followed(stripe: FakeStripe) -> None:
    """The key is sent to the connection's host and to no other, whatever that answers."""
    hook = StripeHook()
    hook.get_conn()._sleep = lambda seconds: None
    with FakeStripe() as elsewhere:
        stripe.fault(path="/v1/", redirect=f"{elsewhere.url}/v1/customers", every=1)
        with pytest.raises(StripeError, match="redirects are not followed"):
            hook.get_customer("cus_1")
        with pytest.raises(StripeError, match="redirects are not followed"):
            hook.create_customer(description="d")
        assert elsewhere.calls == []
    # A redirect is nothing that Stripe says, so both were tried again.
    assert len(stripe.calls) == 10


# --- The key


@pytest.mark.parametrize("good", [True, False])
def test_the_key_is_nowhere(
    dag: DAG,
    fake: FakeStripe,
    set_connection: SetConnection,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    clock: Clock,
    good: bool,
) -> None:
    """Not in a log, an exception, an XCom or a rendered field, whether a task succeeds or fails."""
    set_connection()
    if not good:
        fake.accepted_keys = set()
    fake.add("customer", created=NOW)
    clock.now += 100
    with dag:
        StripeCreateProductOperator(task_id="product", name="Mug", metadata={"a": "b"})
        StripeNewCustomerSensor(task_id="new", timeout=0, poke_interval=0, allow_fast_polling=True)
        StripeNewCustomerSensor(task_id="rescheduled", mode="reschedule")
    run = Run(dag, NOW).go()
    assert run.state() == ("success" if good else "failed")
    log = "".join(capfd.readouterr()) + caplog.text
    assert ("POST /v1/products: product prod_" in log) == good
    secret = KEY.removeprefix("sk_test_")
    shown = [log, *map(repr, run.errors), *map(str, run.errors)]
    names = ("return_value", "cursor", "_link_StripeDashboardLink", "_link_StripeRequestLogLink")
    for task_id in ("product", "new", "rescheduled"):
        shown.append(json.dumps([run.xcom(task_id, name) for name in names]))
        shown.append(json.dumps(run.rendered(task_id), default=str))
    assert not any(secret in text or secret[:14] in text for text in shown)
