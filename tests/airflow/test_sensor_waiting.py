"""A sensor waits, in each mode, without a worker where it can, and then finds the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException

from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.conftest import SetConnection
from tests.harness import Run, ids
from tests.helpers import NOW, Clock


def test_reschedule_mode_gives_the_slot_back_and_finds_the_same(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Between two polls no worker is held; what comes in the end is what poke mode would give."""
    with dag:
        StripeNewCustomerSensor(task_id="new", mode="reschedule", poke_interval=120)
    run = Run(dag, NOW).go()
    assert run.state("new") == "up_for_reschedule"
    made = stripe.add_many("customer", 3, created=NOW + 10)
    clock.now += 40
    # They are there, but too young.
    assert run.again("new").state("new") == "up_for_reschedule"
    clock.now += 60
    assert run.again("new").state("new") == "success"
    assert ids(run.xcom("new")) == made
    assert len(stripe.calls) == 3


def test_poke_mode_waits_in_place(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """The same in one process: nothing, nothing, then what is new."""
    with dag:
        StripeNewCustomerSensor(
            task_id="new", mode="poke", poke_interval=0.01, allow_fast_polling=True, timeout=20
        )
    made: list[str] = []

    def later(request: Any) -> None:
        made.extend(stripe.add_many("customer", 3, created=NOW + 10))
        clock.now += 100

    stripe.fault(path="/v1/customers", skip=2, hook=later)
    run = Run(dag, NOW).go()
    assert run.state("new") == "success"
    assert ids(run.xcom("new")) == made
    # The third poll was sent before the clocks moved, and goes by that.
    assert len(stripe.calls) == 4


def test_deferrable_mode_waits_in_the_triggerer(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """The trigger looks, the worker polls again: the same rows as in the other modes."""
    with dag:
        StripeNewCustomerSensor(
            task_id="new", deferrable=True, poke_interval=0.01, allow_fast_polling=True, timeout=20
        )
    made: list[str] = []

    def later(request: Any) -> None:
        made.extend(stripe.add_many("customer", 3, created=NOW + 10))
        clock.now += 100

    stripe.fault(path="/v1/customers", skip=3, hook=later)
    run = Run(dag, NOW).go()
    assert run.state("new") == "success"
    assert ids(run.xcom("new")) == made


def test_sensors_that_wait_alike_can_share_a_look(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Two deferred sensors ask for the very same interval, although they polled at two times."""
    deferred: list[Any] = []

    class Noting(StripeNewCustomerSensor):
        def defer(self, *, trigger: Any, **kwargs: Any) -> None:
            deferred.append(trigger.serialize())
            raise AirflowSkipException

    with dag:
        Noting(task_id="one", deferrable=True)
        Noting(task_id="two", deferrable=True)
    Run(dag, NOW).go()
    assert deferred[0] == deferred[1]
    assert deferred[0][1]["poll_interval"] == 120


def test_a_used_up_call_limit_gives_the_slot_back(
    dag: DAG, stripe: FakeStripe, clock: Clock, set_connection: SetConnection
) -> None:
    """In reschedule mode a sensor does not sleep on the call limit: it comes back for a slot."""
    set_connection(extra={"rate_limit_calls": 1, "rate_limit_period": 600})
    StripeHook().get_conn().get("/v1/balance")
    with dag:
        StripeNewCustomerSensor(task_id="new", mode="reschedule", poke_interval=120)
    run = Run(dag, NOW).go()
    assert run.state("new") == "up_for_reschedule"
    assert [request.path for request in stripe.calls] == ["/v1/balance"]
    assert 590 < run.waits("new") < 601
    made = stripe.add_many("customer", 1, created=NOW)
    clock.now += 100
    set_connection(extra={"rate_limit_calls": 100, "rate_limit_period": 600})
    assert ids(run.again("new").xcom("new")) == made


@pytest.mark.parametrize(
    ("soft_fail", "end"),
    [(False, AirflowSensorTimeout), (True, AirflowSkipException)],
    ids=["fails", "is skipped"],
)
def test_a_sensor_whose_time_is_up_does_not_defer(soft_fail: bool, end: type[Exception]) -> None:
    """It ends as in the other modes: a trigger over at once would race with the worker's end."""
    sensor = StripeNewCustomerSensor(
        task_id="new", deferrable=True, soft_fail=soft_fail, timeout=60
    )
    sensor._limit_wait = sensor._since = None
    late = datetime.now(UTC) - timedelta(seconds=61)
    context: Any = {"ti": SimpleNamespace(start_date=late)}
    with pytest.raises(end, match=r"Nothing new in feed customer within the timeout of 60 s\."):
        sensor._defer(context, 1)
