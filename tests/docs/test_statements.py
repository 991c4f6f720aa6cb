"""What docs/guarantees.md says about the less usual runs, each sentence shown to be so."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.models.xcom import XComModel
from airflow.sdk import DAG, task
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from sqlalchemy import delete

from airflow_provider_stripe_lite.core import document as documents
from airflow_provider_stripe_lite.core.times import iso
from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.harness import ONCE, Run, delete_variable, dies_once, ids, set_variable, variable
from tests.helpers import NOW, Clock

BY_HAND = {
    "success": (TaskInstanceState.SUCCESS, DagRunState.SUCCESS),
    "failed": (TaskInstanceState.FAILED, DagRunState.FAILED),
}


def made(stripe: FakeStripe, clock: Clock, number: int = 2) -> list[str]:
    """Make customers and let them grow old enough to be delivered."""
    new = stripe.add_many("customer", number, created=int(clock.now))
    clock.now += 100
    return new


def rows(dag: DAG, at: float) -> list[str]:
    """Return what a new run's sensor delivers."""
    return ids(Run(dag, at).go().xcom("new"))


def mark(run: Run, name: str) -> None:
    """Mark the sensor and its run by hand, as the buttons do."""
    state, run_state = BY_HAND[name]
    with create_session() as session:
        session.merge(run._ti("new", -1)).state = state
        run._run(session).state = run_state


def key(dag: DAG, task_id: str = "new") -> str:
    """Return the name of the Variable that the page gives."""
    return f"stripe_cursor.{dag.dag_id}.{task_id}"


def forget_xcoms(dag: DAG) -> None:
    """Delete the XComs of all runs, as `airflow db clean` does."""
    with create_session() as session:
        session.execute(delete(XComModel).where(XComModel.dag_id == dag.dag_id))


def test_the_next_run_gets_the_window_of_a_failed_sensor(
    dag: DAG, stripe: FakeStripe, clock: Clock, tmp_path: Any
) -> None:
    """Alone; what is newer comes in the run after. The failed run, cleared, gets what is new."""
    with dag:
        StripeNewCustomerSensor(task_id="new", post_execute=dies_once(tmp_path), **ONCE)
    old = made(stripe, clock)
    failed = Run(dag, NOW).go()
    assert failed.state("new") == "failed"
    new = made(stripe, clock)
    assert [rows(dag, NOW + 1), rows(dag, NOW + 2)] == [old, new]
    newest = made(stripe, clock)
    assert ids(failed.clear("new").go().xcom("new")) == newest


def test_a_failed_run_that_is_cleared_first_gets_its_rows(
    dag: DAG, stripe: FakeStripe, clock: Clock, tmp_path: Any
) -> None:
    """While no run has come behind it, its window is its own."""
    with dag:
        StripeNewCustomerSensor(task_id="new", post_execute=dies_once(tmp_path), **ONCE)
    old = made(stripe, clock)
    failed = Run(dag, NOW).go()
    new = made(stripe, clock)
    assert ids(failed.clear("new").go().xcom("new")) == old
    assert rows(dag, NOW + 1) == new


def test_the_rows_of_a_task_behind_that_fails_stay_in_its_run(
    dag: DAG, stripe: FakeStripe, clock: Clock, tmp_path: Any
) -> None:
    """The next run goes on behind them; cleared, the red run gets the same rows and is green."""
    with dag:
        new = StripeNewCustomerSensor(task_id="new", **ONCE)

        @task
        def load(rows: list[dict[str, Any]]) -> list[str]:
            if not (tmp_path / "mended").exists():
                raise RuntimeError("on purpose")
            return ids(rows)

        load(new.output)
    old = made(stripe, clock)
    red = Run(dag, NOW).go()
    assert red.state() == "failed"
    newer = made(stripe, clock)
    assert rows(dag, NOW + 1) == newer
    (tmp_path / "mended").touch()
    assert red.clear("new", "load").go().state() == "success"
    assert red.xcom("load") == old


@pytest.mark.parametrize("by_hand", BY_HAND)
def test_a_mark_by_hand_says_whether_the_window_was_delivered(
    dag: DAG, stripe: FakeStripe, clock: Clock, tmp_path: Any, by_hand: str
) -> None:
    """Of a sensor marked success, the next run does not get the window; of a failed one it does."""
    with dag:
        StripeNewCustomerSensor(task_id="new", post_execute=dies_once(tmp_path), **ONCE)
    old = made(stripe, clock)
    run = Run(dag, NOW).go()
    mark(run, by_hand)
    new = made(stripe, clock)
    assert rows(dag, NOW + 1) == (new if by_hand == "success" else old)
    # A clear of the task that was marked success brings its window back.
    assert ids(run.clear("new").go().xcom("new")) == (old if by_hand == "success" else new)


def test_success_by_hand_of_a_run_that_found_nothing_loses_nothing(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """A run marked success before it claimed a window delivered nothing; the next goes on there."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    mark(Run(dag, NOW).go(), "success")
    new = made(stripe, clock)
    assert rows(dag, NOW + 1) == new


def test_a_run_of_any_date_gets_what_is_new_now(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """The cursor knows no data intervals: a run of an old date, or of none, is like any other."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    for at, logical in ((NOW, True), (NOW - 3600, True), (NOW + 50, False), (NOW + 100, True)):
        new = made(stripe, clock)
        assert ids(Run(dag, at, logical=logical).go().xcom("new")) == new


def test_what_dag_test_gets_no_other_run_gets(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """`airflow dags test` is a run like any other."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    old = made(stripe, clock)
    assert ids(Run.whole(dag, NOW).xcom("new")) == old
    new = made(stripe, clock)
    assert rows(dag, NOW + 1) == new


@pytest.mark.parametrize("seen", [True, False])
def test_a_deleted_run_comes_again_unless_its_success_was_seen(
    dag: DAG, stripe: FakeStripe, clock: Clock, seen: bool
) -> None:
    """Deleted runs leave the Variable; a success that no poll has seen is not known any more."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    old = made(stripe, clock)
    run = Run(dag, NOW).go()
    later = [made(stripe, clock), rows(dag, NOW + 1)] if seen else []
    run.delete()
    new = made(stripe, clock)
    assert rows(dag, NOW + 2) == (new if seen else old)
    assert later[:1] == later[1:]


def test_a_run_made_again_under_its_id_returns_the_old_window(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """The claim is found by the run's id."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    old = made(stripe, clock)
    Run(dag, NOW).go().delete()
    made(stripe, clock)
    assert rows(dag, NOW) == old


def test_a_successful_run_that_is_cleared_and_fails_before_a_poll_has_seen_it(
    dag: DAG, stripe: FakeStripe, clock: Clock, tmp_path: Any
) -> None:
    """The next run gets its objects once more."""

    def fails(context: Any, result: Any = None) -> None:
        if (tmp_path / "broken").exists():
            raise RuntimeError("on purpose")

    with dag:
        StripeNewCustomerSensor(task_id="new", post_execute=fails, **ONCE)
    old = made(stripe, clock)
    run = Run(dag, NOW).go()
    (tmp_path / "broken").touch()
    assert run.clear("new").go().state("new") == "failed"
    (tmp_path / "broken").unlink()
    assert rows(dag, NOW + 1) == old


def test_a_run_that_the_document_has_forgotten_is_refused_when_it_is_cleared(
    dag: DAG, stripe: FakeStripe, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many newer claims later, a cleared run gets nothing and takes nothing; a new one does."""
    monkeypatch.setattr(documents, "MOST_CLAIMS", 2)
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    runs = []
    for number in range(4):
        made(stripe, clock)
        runs.append(Run(dag, NOW + number).go())
    new = made(stripe, clock)
    assert runs[0].clear("new").go().state("new") == "failed"
    assert "no longer knows what this run returned" in str(runs[0].errors[-1])
    assert rows(dag, NOW + 10) == new


def test_without_its_variable_a_sensor_goes_on_from_the_xcom(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """The next run gets what is new; a delivered run that is cleared then is refused."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    made(stripe, clock)
    first = Run(dag, NOW).go()
    made(stripe, clock)
    Run(dag, NOW + 1).go()
    delete_variable(key(dag))
    new = made(stripe, clock)
    assert rows(dag, NOW + 2) == new
    assert first.clear("new").go().state("new") == "failed"


def test_an_older_value_that_is_pasted_back_repeats_objects(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """What was delivered since then comes again, and nothing is lost."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    made(stripe, clock)
    Run(dag, NOW).go()
    older = variable(key(dag))
    again = made(stripe, clock)
    assert rows(dag, NOW + 1) == again
    set_variable(key(dag), older)
    new = made(stripe, clock)
    assert rows(dag, NOW + 2) == again + new


def test_where_nothing_says_where_it_stands_the_sentence_helps(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Variable and XComs are gone: the sensor fails, and what its sentence says mends it."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    made(stripe, clock)
    Run(dag, NOW).go()
    delete_variable(key(dag))
    forget_xcoms(dag)
    at, new = iso(int(clock.now)), made(stripe, clock)
    lost = Run(dag, NOW + 1).go()
    assert lost.state("new") == "failed"
    assert f'"start_from": "2026-01-31T00:00:00Z"}} into the Variable {key(dag)}' in str(
        lost.errors[-1]
    )
    set_variable(key(dag), {"start_from": at})
    assert rows(dag, NOW + 2) == new


def test_a_renamed_task_goes_on_from_the_position_of_the_old_one(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Its start_from is the old Variable's position.created_gte: nothing is lost, nothing twice."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    made(stripe, clock)
    Run(dag, NOW).go()
    position = variable(key(dag))["position"]
    new = made(stripe, clock)
    with DAG(f"{dag.dag_id}_renamed", schedule=None) as renamed:
        StripeNewCustomerSensor(task_id="new", start_from=position["created_gte"], **ONCE)
    assert rows(renamed, NOW + 1) == new


def test_a_connection_that_a_mapped_list_names_twice_is_one_stream(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Each object comes to one of the two tasks, not to both."""
    with dag:
        StripeNewCustomerSensor.partial(task_id="new", **ONCE).expand(
            stripe_conn_id=["stripe_default", "stripe_default"]
        )
    new = made(stripe, clock)
    run = Run(dag, NOW).go()
    assert [ids(run.xcom("new", map_index=index)) for index in range(2)] == [new, []]
    stream = f"{key(dag)}.stripe_default"
    assert [run.xcom("new", "cursor", index)["stream"] for index in range(2)] == [stream] * 2
