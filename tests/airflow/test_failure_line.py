"""What a person reads first in the log of a task that fails: one plain line, above the frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite.operators import StripeGetCustomerOperator
from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from airflow_provider_stripe_lite.transfers import StripeToObjectStorageOperator
from tests.conftest import SetConnection
from tests.harness import Run
from tests.helpers import KEY, NOW, Clock

WAYS: dict[str, Callable[..., Any]] = {
    "action": lambda _: StripeGetCustomerOperator(task_id="act", customer_id="cus_1"),
    "sensor": lambda _: StripeNewCustomerSensor(task_id="act"),
    "deferrable": lambda _: StripeNewCustomerSensor(task_id="act", deferrable=True),
    "transfer": lambda folder: StripeToObjectStorageOperator(
        task_id="act",
        feed="charge",
        path=f"{folder}/a.jsonl",
        created_gte=NOW - 900,
        created_lt=NOW - 600,
    ),
}


@pytest.fixture(params=WAYS)
def logged(
    request: pytest.FixtureRequest,
    dag: DAG,
    stripe: FakeStripe,
    clock: Clock,
    tmp_path: Any,
    capfd: pytest.CaptureFixture[str],
) -> Callable[[], list[str]]:
    """Return what runs a task of each kind, and gives the messages that it logs as errors."""
    with dag:
        WAYS[request.param](tmp_path)

    def run() -> list[str]:
        assert Run(dag, NOW).go().state("act") == "failed"
        lines = capfd.readouterr().out.splitlines()
        errors = [line.partition("] ")[2] for line in lines if "[error " in line]
        # To the client of Airflow 3.1, a Variable that is not there yet is one.
        return [line for line in errors if not line.startswith("Variable not found")]

    return run


def test_an_error_of_stripe(logged: Callable[[], list[str]], stripe: FakeStripe) -> None:
    """The line names the connection, what is wrong and what to do, and holds no key."""
    stripe.accepted_keys = set()
    first = logged()[0]
    advice = "Stripe does not accept the API key: put a valid one into the connection"
    assert first.startswith(f"Connection stripe_default: {advice}")
    assert "\n" not in first
    assert KEY not in first


def test_what_is_wrong_with_the_connection(
    logged: Callable[[], list[str]], set_connection: SetConnection
) -> None:
    """It is said in the words of the connection's form."""
    set_connection(extra={"livemode": True})
    first = logged()[0]
    said = "The connection holds a test key, and its Live mode (livemode in the extra) is for live"
    assert first.startswith(f"The connection stripe_default cannot be used. {said} keys: ")
