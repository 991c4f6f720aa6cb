"""Windows that change hands: of runs that failed, were marked, deleted, or are forgotten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite.core import document as documents
from airflow_provider_stripe_lite.errors import StripeCursorError, StripeInputError
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.airflow.older import AIRFLOW
from tests.airflow.streams import new_customers, stream
from tests.harness import Run, dies_once, ids, variable
from tests.helpers import NOW, Clock

# Lets two customers come and the DAG run.
Next = Callable[[], tuple[Run, list[str]]]


@pytest.fixture
def filled(dag: DAG, stripe: FakeStripe, clock: Clock) -> Next:
    """Return what lets two customers come and the DAG run: the run and its customers."""
    runs: list[Run] = []

    def next_() -> tuple[Run, list[str]]:
        made = stripe.add_many("customer", 2, created=int(clock.now))
        clock.now += 100
        runs.append(Run(dag, NOW + len(runs)).go())
        return runs[-1], made

    return next_


# --- Failed


def test_the_window_of_a_failed_run_goes_to_the_next_one(
    dag: DAG, filled: Next, tmp_path: Any
) -> None:
    """It gets that window alone, and the run after it what is newer.

    The failed run, cleared behind them, gets what is new then, and each object comes once.
    """
    new_customers(dag, post_execute=dies_once(tmp_path))
    failed, first = filled()
    assert failed.state("new") == "failed"
    taker, second = filled()
    assert ids(taker.xcom("new")) == first
    later, third = filled()
    assert ids(later.xcom("new")) == second + third
    assert failed.clear("new").go().state("new") == "failed"
    # Nothing was new at that clear.
    behind, fourth = filled()
    assert ids(behind.xcom("new")) == fourth
    assert ids(taker.clear("new").go().xcom("new")) == first


def test_a_failed_run_that_is_cleared_gets_what_is_new(
    dag: DAG, stripe: FakeStripe, clock: Clock, filled: Next, tmp_path: Any
) -> None:
    """Another run has taken its window, and no object of that comes twice."""
    new_customers(dag, post_execute=dies_once(tmp_path))
    failed, first = filled()
    taker, second = filled()
    assert ids(taker.xcom("new")) == first
    assert ids(failed.clear("new").go().xcom("new")) == second
    assert ids(filled()[0].xcom("new")) == stripe.ids("customer")[4:]


def test_a_failed_run_that_is_cleared_at_once_gets_its_own(
    dag: DAG, filled: Next, tmp_path: Any
) -> None:
    """As long as no other run has come between."""
    new_customers(dag, post_execute=dies_once(tmp_path))
    failed, made = filled()
    assert ids(failed.clear("new").go().xcom("new")) == made
    run, made = filled()
    assert ids(run.xcom("new")) == made


def test_a_run_that_is_running_keeps_its_window(dag: DAG, filled: Next) -> None:
    """Others go on behind it; if it fails then, the oldest window goes first."""
    new_customers(dag)
    slow, first = filled()
    slow.mark("new", "running")
    other, second = filled()
    assert ids(other.xcom("new")) == second
    slow.mark("new", "failed")
    taker, third = filled()
    assert ids(taker.xcom("new")) == first
    later, fourth = filled()
    assert ids(later.xcom("new")) == third + fourth


# --- Marked, deleted


def test_a_run_marked_failed_gives_its_window_away(dag: DAG, filled: Next) -> None:
    """As long as nobody has seen its success."""
    new_customers(dag)
    first, made = filled()
    first.mark("new", "failed")
    taker, _ = filled()
    assert ids(taker.xcom("new")) == made


def test_what_was_once_seen_as_delivered_stays_so(dag: DAG, filled: Next) -> None:
    """A later poll has seen the success: whatever happens to that run, its window never moves."""
    new_customers(dag)
    first, made = filled()
    second, more = filled()
    first.mark("new", "failed")
    third, last = filled()
    assert ids(third.xcom("new")) == last
    second.delete()
    fourth, most = filled()
    assert ids(fourth.xcom("new")) == most
    assert ids(first.clear("new").go().xcom("new")) == made
    assert len(more) == 2


def test_a_failed_run_marked_success_has_delivered(dag: DAG, filled: Next, tmp_path: Any) -> None:
    """A person says that it is done, and no other run gets its window."""
    new_customers(dag, post_execute=dies_once(tmp_path))
    failed, _ = filled()
    failed.mark("new", "success")
    run, made = filled()
    assert ids(run.xcom("new")) == made


def test_the_window_of_a_deleted_run_goes_to_the_next_one(
    dag: DAG, filled: Next, tmp_path: Any
) -> None:
    """Nobody will ever clear it."""
    new_customers(dag, post_execute=dies_once(tmp_path))
    failed, first = filled()
    failed.delete()
    run, second = filled()
    assert ids(run.xcom("new")) == first
    run, third = filled()
    assert ids(run.xcom("new")) == second + third


def test_a_task_that_is_marked_while_it_looks_gets_nothing(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Its look was for nothing: no window is claimed, and the next run has it all."""
    new_customers(dag)
    made = stripe.add_many("customer", 2, created=NOW)
    clock.now += 100
    run = Run(dag, NOW)
    stripe.fault(path="/v1/customers", hook=lambda _: run.mark("new", "failed"))
    run.go()
    # Below Airflow 3.3 `dag.test()` hides the error of a task whose end it cannot note any more.
    if AIRFLOW >= (3, 3):
        (error,) = run.errors
        assert isinstance(error, StripeCursorError)
        assert "marked or cleared this task while it ran" in str(error)
    assert variable(stream(dag))["claims"] == []
    assert ids(Run(dag, NOW + 1).go().xcom("new")) == made


# --- Forgotten


def test_a_run_that_the_cursor_has_forgotten_is_refused_when_it_is_cleared(
    dag: DAG, filled: Next, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the newest claims are kept, so that run gets nothing: not its rows, nor new ones.

    Triggering another run, as the sentence says, gets what is new.
    """
    monkeypatch.setattr(documents, "MOST_CLAIMS", 3)
    new_customers(dag, retries=1)
    runs = [filled() for _ in range(5)]
    assert len(variable(stream(dag))["claims"]) == 3
    for run, made in runs[:2]:
        assert run.clear("new").go().state("new") == "failed"
        error = run.errors[-1]
        assert isinstance(error, StripeInputError)
        assert "no longer knows what this run returned" in str(error)
        assert "trigger another run" in str(error)
        assert len(run.errors) == 1
        assert made
    for run, made in runs[2:]:
        assert ids(run.clear("new").go().xcom("new")) == made
    run, made = filled()
    assert ids(run.xcom("new")) == made


def test_a_window_that_waits_is_never_forgotten(
    dag: DAG, filled: Next, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Only claims that were delivered leave the document, however many came after one."""
    monkeypatch.setattr(documents, "MOST_CLAIMS", 2)
    new_customers(dag)
    slow, first = filled()
    slow.mark("new", "running")
    for _ in range(4):
        run, made = filled()
        assert ids(run.xcom("new")) == made
    slow.mark("new", "failed")
    assert ids(filled()[0].xcom("new")) == first
