"""A sensor waits, in each mode, without a worker where it can, and then finds the same."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite._compat import exceptions
from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.airflow.streams import new_customers
from tests.harness import ONCE, Run, ids
from tests.helpers import NOW, Clock


def test_reschedule_mode_is_the_default_and_gives_the_slot_back(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Between two polls no worker is held; what comes in the end is what poke mode would give."""
    with dag:
        sensor = StripeNewCustomerSensor(task_id="new")
    assert (sensor.mode, sensor.poke_interval) == ("reschedule", 120)
    run = Run(dag, NOW).go()
    assert run.state("new") == "up_for_reschedule"
    assert 110 < run.waits("new") < 121
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
    new_customers(dag, mode="poke", poke_interval=0.01, timeout=20)
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
    new_customers(dag, deferrable=True, poke_interval=0.01, timeout=2000)
    made: list[str] = []

    def later(request: Any) -> None:
        made.extend(stripe.add_many("customer", 3, created=NOW + 10))
        clock.now += 100

    stripe.fault(path="/v1/customers", skip=3, hook=later)
    run = Run(dag, NOW).go()
    assert run.state("new") == "success"
    assert ids(run.xcom("new")) == made


# --- In the triggerer


class Noting(StripeNewCustomerSensor):
    """A sensor that notes what it would defer with, and is skipped instead."""

    deferred: list[dict[str, Any]]

    def defer(self, *, trigger: Any, **options: Any) -> Any:
        """Note it."""
        self.deferred.append(trigger.serialize()[1] | options)
        raise exceptions.AirflowSkipException


def test_sensors_that_wait_alike_can_share_a_look(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Two deferred sensors ask for the very same interval, although they polled at two times."""
    deferred: list[dict[str, Any]] = []
    with dag:
        for task_id in ("one", "two"):
            Noting(task_id=task_id, deferrable=True).deferred = deferred
    Run(dag, NOW).go()
    one, two = deferred
    assert one["poll_interval"] == two["poll_interval"] == 120
    shared = ("feed", "types", "stripe_conn_id", "stripe_account", "since", "min_age")
    assert [one[name] for name in shared] == [two[name] for name in shared]


def test_a_deferred_sensor_knows_its_deadline(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """Its trigger carries what is left of its time, and so does the deferral itself."""
    deferred: list[dict[str, Any]] = []
    with dag:
        Noting(task_id="new", deferrable=True, timeout=3600).deferred = deferred
    Run(dag, NOW).go()
    (one,) = deferred
    assert NOW + 3590 < one["deadline"] <= NOW + 3600
    assert 3590 < one["timeout"].total_seconds() <= 3600
    assert (one["since"], one["method_name"]) == (NOW, "execute_complete")


@pytest.mark.parametrize(
    ("soft_fail", "state", "errors"),
    [(False, "failed", [exceptions.AirflowSensorTimeout]), (True, "skipped", [])],
    ids=["fails", "is skipped"],
)
@pytest.mark.parametrize("timeout", [0, 60])
def test_a_deferred_sensor_ends_with_its_time(
    dag: DAG,
    stripe: FakeStripe,
    clock: Clock,
    soft_fail: bool,
    state: str,
    errors: list[type[Exception]],
    timeout: int,
) -> None:
    """With nothing new it looks once more when its time is over, and is red without a retry.

    Nothing but its trigger ends the wait here, as in `dag.test()`, and a task that comes back from
    the triggerer has a new start.
    """
    polls: list[Any] = []

    class Counting(StripeNewCustomerSensor):
        def poke(self, context: Any) -> Any:
            polls.append(context["ti"].start_date)
            assert len(polls) < 5, "it would go on for ever"
            return super().poke(context)

    def later(_: Any) -> None:
        clock.now += 100

    with dag:
        Counting(
            task_id="new",
            deferrable=True,
            retries=2,
            soft_fail=soft_fail,
            **ONCE | {"poke_interval": 0.01, "timeout": timeout},
        )
    stripe.fault(path="/v1/customers", skip=3, hook=later)
    run = Run(dag, NOW).go()
    assert run.state("new") == state
    assert [type(error) for error in run.errors] == errors
    assert len(polls) == (1 if timeout == 0 else 2)


def test_dag_test_ends(dag: DAG, stripe: FakeStripe) -> None:
    """So does a whole run, as a person tries it, by the time of the wall."""
    new_customers(dag, deferrable=True, soft_fail=True, timeout=0.3, poke_interval=0.05)
    assert Run.whole(dag, NOW).state("new") == "skipped"
