"""What docs/guarantees.md says about the less usual runs, each sentence shown to be so."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, task
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState

from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.harness import ONCE, Run, dies_once, ids
from tests.helpers import NOW, Clock


def made(stripe: FakeStripe, clock: Clock, number: int = 2) -> list[str]:
    """Make customers and let them grow old enough to be delivered."""
    new = stripe.add_many("customer", number, created=int(clock.now))
    clock.now += 100
    return new


def set_state(run: Run, state: TaskInstanceState, run_state: DagRunState) -> None:
    """Mark the sensor and its run by hand, as the buttons do."""
    with create_session() as session:
        session.merge(run._ti("new", -1)).state = state
        run._run(session).state = run_state


def test_a_failed_run_that_is_cleared_later_gives_its_rows_twice(
    dag: DAG, stripe: FakeStripe, clock: Clock, tmp_path: Any
) -> None:
    """The run after a failed one delivers its rows; clearing the failed one then repeats them."""
    with dag:
        StripeNewCustomerSensor(task_id="new", post_execute=dies_once(tmp_path), **ONCE)
    old = made(stripe, clock)
    failed = Run(dag, NOW).go()
    assert failed.state("new") == "failed"
    new = made(stripe, clock)
    assert ids(Run(dag, NOW + 1).go().xcom("new")) == old + new
    assert ids(failed.clear("new").go().xcom("new")) == old


def test_success_by_hand_counts_as_delivered(
    dag: DAG, stripe: FakeStripe, clock: Clock, tmp_path: Any
) -> None:
    """A sensor that failed after its poll and is marked success: the next run goes on behind it."""
    with dag:
        StripeNewCustomerSensor(task_id="new", post_execute=dies_once(tmp_path), **ONCE)
    made(stripe, clock)
    failed = Run(dag, NOW).go()
    set_state(failed, TaskInstanceState.SUCCESS, DagRunState.SUCCESS)
    new = made(stripe, clock)
    assert ids(Run(dag, NOW + 1).go().xcom("new")) == new


def test_success_by_hand_of_a_run_that_found_nothing_loses_nothing(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """A run marked success before it claimed a window delivered nothing; the next goes on there."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    nothing = Run(dag, NOW).go()
    set_state(nothing, TaskInstanceState.SUCCESS, DagRunState.SUCCESS)
    new = made(stripe, clock)
    assert ids(Run(dag, NOW + 1).go().xcom("new")) == new


@pytest.mark.parametrize("cursor_variable", [None, "{{ dag.dag_id }}.position"])
def test_a_backfilled_run_gets_what_is_new_now(
    dag: DAG, stripe: FakeStripe, clock: Clock, cursor_variable: str | None
) -> None:
    """The cursor knows no data intervals; live runs go on behind.

    This is exact with cursor_variable; without it objects may come twice, and none is lost.
    """
    with dag:
        StripeNewCustomerSensor(task_id="new", cursor_variable=cursor_variable, **ONCE)
    for at in (NOW, NOW - 3600, NOW + 100):
        new = made(stripe, clock)
        rows = ids(Run(dag, at).go().xcom("new"))
        assert rows[-2:] == new
        assert rows == new or not cursor_variable


@pytest.mark.parametrize("advance_after", ["sensor", "dag_run"])
@pytest.mark.parametrize("cursor_variable", [None, "{{ dag.dag_id }}.position"])
def test_when_all_runs_are_gone(
    dag: DAG, stripe: FakeStripe, clock: Clock, cursor_variable: str | None, advance_after: Any
) -> None:
    """Without cursor_variable the sensor begins at start_from; with it, the last window repeats."""
    with dag:
        StripeNewCustomerSensor(
            task_id="new", cursor_variable=cursor_variable, advance_after=advance_after, **ONCE
        )
    runs = []
    for number in range(2):
        old = made(stripe, clock)
        runs.append(Run(dag, NOW + number).go())
    for run in runs:
        run.delete()
    unseen = made(stripe, clock)
    new = stripe.add_many("customer", 1, created=NOW + 1500)
    clock.now = NOW + 2000
    rows = ids(Run(dag, NOW + 1000).go().xcom("new"))
    assert rows == (old + unseen + new if cursor_variable else new)


@pytest.mark.parametrize("state", ["failed", "success"])
def test_with_dag_run_the_rows_of_a_failed_run_come_again(
    dag: DAG, stripe: FakeStripe, clock: Clock, state: str
) -> None:
    """advance_after="dag_run": after a later task failed, the next run gets its rows, too."""
    with dag:
        new = StripeNewCustomerSensor(task_id="new", advance_after="dag_run", **ONCE)

        @task
        def load(rows: list[dict[str, Any]]) -> None:
            if state == "failed" and len(rows) == 2:
                raise RuntimeError("on purpose")

        load(new.output)
    old = made(stripe, clock, 2)
    assert Run(dag, NOW).go().state() == state
    newer = made(stripe, clock, 3)
    assert ids(Run(dag, NOW + 1).go().xcom("new")) == (old + newer if state == "failed" else newer)


@pytest.mark.parametrize("advance_after", ["sensor", "dag_run"])
def test_a_run_that_succeeds_although_its_sensor_failed_does_not_count(
    dag: DAG, stripe: FakeStripe, clock: Clock, tmp_path: Any, advance_after: Any
) -> None:
    """A task with trigger_rule="all_done" makes the run green; its red sensor's rows come again."""
    with dag:
        dies = dies_once(tmp_path)
        new = StripeNewCustomerSensor(
            task_id="new", advance_after=advance_after, post_execute=dies, **ONCE
        )

        @task(trigger_rule="all_done")
        def tidy() -> None:
            """Nothing depends on rows here."""

        new >> tidy()
    old = made(stripe, clock)
    first = Run(dag, NOW).go()
    assert (first.state("new"), first.state()) == ("failed", "success")
    assert ids(Run(dag, NOW + 1).go().xcom("new")) == old
