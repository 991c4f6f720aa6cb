"""What fails around a poll: a connection that is away, a poll that is killed, a late change."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse, GetConnection
from airflow.sdk.execution_time.supervisor import InProcessSupervisorComms
from airflow.triggers.base import TriggerEvent

from airflow_provider_stripe_lite import _compat
from airflow_provider_stripe_lite._runs import Runs
from airflow_provider_stripe_lite.operators import StripeApiOperator
from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from airflow_provider_stripe_lite.triggers import StripeSensorTrigger
from tests.airflow.streams import new_customers, stream
from tests.harness import ONCE, Run, ids, variable
from tests.helpers import NOW, Clock

CONNECTION = "AIRFLOW_CONN_STRIPE_DEFAULT"
LACKS = {"error": {"type": "invalid_request_error", "message": "The key lacks rak_charge_read."}}


def api_operator(dag: DAG) -> None:
    """Make a task that reads."""
    with dag:
        StripeApiOperator(task_id="new", path="/v1/customers", retries=1)


def errors_of_both_tries(dag: DAG) -> list[str]:
    """Run it, and return the names of the errors."""
    api_operator(dag)
    return [type(error).__name__ for error in Run(dag, NOW).go().errors]


def sensor(dag: DAG) -> None:
    """Make a sensor."""
    new_customers(dag, retries=1, soft_fail=True, start_from="beginning")


@pytest.mark.parametrize("raises", [True, False])
@pytest.mark.parametrize("make", [api_operator, sensor])
def test_a_connection_that_is_away_for_a_moment_is_looked_up_again(
    dag: DAG,
    stripe: FakeStripe,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[DAG], None],
    raises: bool,
) -> None:
    """Airflow says "not found" for every failure on its way; the next try finds it."""
    stripe.add("customer", created=NOW - 1000)
    send, kept, asked = InProcessSupervisorComms.send, os.environ[CONNECTION], list[Any]()
    monkeypatch.delenv(CONNECTION)

    def fails_once(comms: InProcessSupervisorComms, msg: Any) -> Any:
        if isinstance(msg, GetConnection):
            asked.append(msg)
            if len(asked) == 1:
                os.environ[CONNECTION] = kept
                if raises:
                    raise RuntimeError("the API server is away")
                return ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 500})
        return send(comms, msg)

    monkeypatch.setattr(InProcessSupervisorComms, "send", fails_once)
    make(dag)
    run = Run(dag, NOW).go()
    assert run.state("new") == "success"
    assert "Airflow does not find the connection stripe_default now" in str(run.errors[0])


def test_a_connection_is_missing_only_where_airflow_s_database_answers(
    dag: DAG, stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it does not, the API server says "not found", too."""
    monkeypatch.delenv(CONNECTION)

    def fails(_: str) -> bool:
        away = ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 500})
        raise AirflowRuntimeError(away)

    monkeypatch.setattr(_compat, "is_listed", fails)
    assert errors_of_both_tries(dag) == ["StripeError"] * 2


def test_behind_a_secrets_backend_no_connection_is_surely_missing(
    dag: DAG, stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have failed, and Airflow does not tell."""
    monkeypatch.delenv(CONNECTION)
    monkeypatch.setenv(
        "AIRFLOW__SECRETS__BACKEND", "airflow.secrets.local_filesystem.LocalFilesystemBackend"
    )
    assert errors_of_both_tries(dag) == ["StripeError"] * 2


def test_a_poll_that_is_killed_is_red_with_soft_fail(
    dag: DAG, stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Skipped, it would look as if nothing were new, and the next one would be killed, too."""

    def killed(_: float) -> None:
        raise _compat.exceptions.AirflowTaskTimeout

    monkeypatch.setattr(Runs, "sleep", staticmethod(killed))
    run = Run(new_customers(dag, soft_fail=True), NOW).go()
    assert run.state("new") == "failed"


def test_the_sentence_is_logged_where_airflow_skips_an_error(
    dag: DAG, stripe: FakeStripe, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of the error itself `never_fail=True` says nothing."""
    stripe.fault(method="GET", path="/v1/customers", status=403, body=LACKS, every=1)
    run = Run(new_customers(dag, never_fail=True), NOW).go()
    assert run.state("new") == "skipped"
    assert "Connection stripe_default: The API key lacks rak_charge_read" in capfd.readouterr().out


def test_a_later_look_that_fails_has_no_link_to_an_earlier_request(
    dag: DAG, stripe: FakeStripe
) -> None:
    """That one has succeeded, and its log says nothing about the failure."""
    stripe.fault(path="/v1/customers", skip=1, status=403, body=LACKS)
    new_customers(dag, mode="poke", timeout=60)
    run = Run(dag, NOW).go()
    assert run.state("new") == "failed"
    assert not run.link("new", "Stripe request log")


@pytest.mark.parametrize("deferrable", [True, False])
def test_backing_off_begins_with_the_poke_interval(deferrable: bool) -> None:
    """Airflow begins with half of it, and does not know when a deferred sensor began."""
    waits = StripeNewCustomerSensor(
        task_id="new", exponential_backoff=True, deferrable=deferrable, timeout=1_000_000
    )
    began, now = datetime.now(UTC) - timedelta(hours=10), datetime.now(UTC)
    waits._began = began
    # A deferred sensor begins anew each time, as Airflow sees it.
    first, gone = (now, 0.0) if deferrable else (began, 36_000.0)
    assert waits._get_next_poke_interval(first, lambda: gone, 1) > 9_000
    waits._began = now
    assert waits._get_next_poke_interval(now, lambda: 0.0, 1) == 120


def test_backing_off_ends_with_the_sensor_s_time_and_with_max_wait() -> None:
    """As Airflow has it."""
    given = {"exponential_backoff": True, "timeout": 1_000}
    waits, now = StripeNewCustomerSensor(task_id="new", **given), datetime.now(UTC)
    assert waits._get_next_poke_interval(now, lambda: 950.0, 1) == 50
    waits.max_wait = timedelta(seconds=30)
    assert waits._get_next_poke_interval(now, lambda: 0.0, 1) == 30


def test_a_deferred_sensor_goes_on_when_it_is_not_deferrable_any_more(
    dag: DAG, stripe: FakeStripe, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow would skip a task that comes back from the triggerer and asks to be rescheduled."""
    new_customers(dag, deferrable=True, soft_fail=True, timeout=100_000, poke_interval=200)
    events = list[Any]()

    async def wakes(trigger: StripeSensorTrigger) -> Any:
        # So the DAG file says now.
        dag.task_dict["new"].deferrable = False
        if events:
            stripe.add("customer", created=NOW + 1)
            clock.now += 200
        events.append(trigger)
        yield TriggerEvent({"feed": trigger.feed, "deadline": trigger.deadline})

    monkeypatch.setattr(StripeSensorTrigger, "run", wakes)
    run = Run(dag, NOW).go()
    assert (run.state("new"), len(events)) == ("success", 2)
    assert len(ids(run.xcom("new"))) == 1


def test_a_subclass_may_poke_by_itself(dag: DAG, stripe: FakeStripe) -> None:
    """As Airflow's own sensors can be used."""

    class Mine(StripeNewCustomerSensor):
        def execute(self, context: Any) -> Any:
            return bool(self.poke(context))

    with dag:
        Mine(task_id="new", **ONCE)
    assert Run(dag, NOW).go().xcom("new") is False


def test_a_native_template_may_make_a_number_of_a_cursor_s_name(
    database: None, stripe: FakeStripe
) -> None:
    """The Variable is called so."""
    dag = DAG("numbered", schedule=None, render_template_as_native_obj=True)
    Run(new_customers(dag, cursor_variable="{{ 123 }}", soft_fail=True), NOW).go()
    assert variable("123")["task"] == f"{stream(dag).split('.')[1]}/new"
