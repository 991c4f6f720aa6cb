"""A cursor whose Variable is gone, or seems to be: what goes on, what is refused, what helps."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, task
from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse
from airflow.sdk.execution_time.supervisor import InProcessSupervisorComms

from airflow_provider_stripe_lite._compat import MARKER
from airflow_provider_stripe_lite.core.window import Position
from airflow_provider_stripe_lite.errors import StripeCursorError, StripeInputError
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.airflow.older import AIRFLOW
from tests.airflow.streams import new_customers, stream
from tests.harness import Run, delete_variable, ids, set_variable, variable
from tests.helpers import NOW, Clock, window

START = {"start_from": "2026-01-31T00:00:00Z"}
QUESTIONS = {
    (3, 1): ["GetPreviousDagRun", "PutVariable"],
    (3, 2): ["GetPreviousTI", "PutVariable"],
}.get(AIRFLOW, ["GetPreviousTI", "GetVariableKeys"])


def filled(dag: DAG, stripe: FakeStripe, clock: Clock, number: int = 0) -> tuple[Run, list[str]]:
    """Let two customers come and the DAG run, and return the run and its customers."""
    made = stripe.add_many("customer", 2, created=int(clock.now))
    clock.now += 100
    return Run(dag, NOW + number).go(), made


# --- It is gone


@pytest.mark.parametrize("logical", [True, False], ids=["dated", "undated"])
def test_a_run_that_finds_no_variable_goes_on_from_the_xcom(
    dag: DAG, stripe: FakeStripe, clock: Clock, logical: bool
) -> None:
    """Run after run, where runs have a date or none: nothing is lost, and nothing comes twice."""
    new_customers(dag)
    made, delivered = [], []
    for number in range(4):
        made += stripe.add_many("customer", 2, created=int(clock.now))
        clock.now += 100
        run = Run(dag, NOW + number, logical=logical).go()
        delivered += ids(run.xcom("new"))
        assert variable(stream(dag))["v"] == 2
        delete_variable(stream(dag))
    assert delivered == made


def test_a_run_that_found_nothing_can_be_gone_on_from(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Its XCom has the position too, and so has that of one which was rescheduled."""
    new_customers(dag)
    Run(dag, NOW).go()
    delete_variable(stream(dag))
    made = stripe.add_many("customer", 2, created=NOW + 10)
    clock.now += 100
    assert ids(Run(dag, NOW + 90).go().xcom("new")) == made


def test_an_open_claim_survives_in_the_xcom(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """The run that goes on knows it as well, and so the window of a run that failed is not lost."""
    new_customers(dag)
    failed, first = filled(dag, stripe, clock)
    failed.mark("new", "running")
    run, second = filled(dag, stripe, clock, 1)
    assert ids(run.xcom("new")) == second
    delete_variable(stream(dag))
    failed.mark("new", "failed")
    run, third = filled(dag, stripe, clock, 2)
    assert ids(run.xcom("new")) == first
    assert ids(Run(dag, NOW + 3).go().xcom("new")) == third


def test_a_run_from_before_the_loss_is_refused_when_it_is_cleared(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """No XCom holds what was delivered, so it would get new rows: triggering another run does."""
    new_customers(dag)
    first, _ = filled(dag, stripe, clock)
    filled(dag, stripe, clock, 1)
    delete_variable(stream(dag))
    made = stripe.add_many("customer", 2, created=int(clock.now))
    clock.now += 100
    assert first.clear("new").go().state("new") == "failed"
    assert "no longer knows what this run returned" in str(first.errors[0])
    assert ids(Run(dag, NOW + 2).go().xcom("new")) == made


def test_deleted_runs_leave_the_variable(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """A DAG whose runs were all deleted goes on; what nobody saw delivered comes once more."""
    new_customers(dag)
    runs = [filled(dag, stripe, clock, number) for number in range(3)]
    for run, _ in runs:
        run.delete()
    # The third run has seen the second one's success, and nobody the third one's.
    run, made = filled(dag, stripe, clock, 3)
    assert ids(run.xcom("new")) == runs[2][1]
    assert ids(Run(dag, NOW + 4).go().xcom("new")) == made


def test_a_cursor_that_is_gone_for_good_is_said(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """The task has succeeded, so this is no first run: it is red until a person says more.

    Doing what the sentence says helps.
    """
    new_customers(dag, retries=2)
    before, made = filled(dag, stripe, clock)
    delete_variable(stream(dag))
    before.forget_xcoms()
    red, more = filled(dag, stripe, clock, 1)
    (error,) = red.errors
    assert isinstance(error, StripeInputError)
    assert (red.state("new"), variable(stream(dag))) == ("failed", None)
    words = ("has succeeded before", f"the Variable {stream(dag)}", '{"start_from": "2026-')
    assert all(word in str(error) for word in words)
    set_variable(stream(dag), START)
    assert ids(Run(dag, NOW + 2).go().xcom("new")) == made + more


def test_an_xcom_of_another_version_is_said(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """0.1 pushed a cursor, too: it is refused with the sentence that says how to go on."""
    old = {"v": 1, "run_id": "x", "map_index": -1, "window": window("customer", Position(0), NOW)}
    pushed_before(dag, old)
    new_customers(dag)
    red, made = filled(dag, stripe, clock, 1)
    (error,) = red.errors
    assert "The XCom cursor of" in str(error)
    assert "holds no cursor of this version" in str(error)
    set_variable(stream(dag), START)
    assert ids(Run(dag, NOW + 2).go().xcom("new")) == made


@pytest.mark.parametrize(
    "nonsense",
    ["text", 7, {"v": 2}, {"v": 1, "run_id": "x"}, {"v": 2, "position": {"created_gte": "x"}}],
    ids=str,
)
def test_an_xcom_that_is_no_cursor_is_refused(dag: DAG, stripe: FakeStripe, nonsense: Any) -> None:
    """What somebody else has pushed under the key `cursor` is named, not stumbled over."""
    pushed_before(dag, nonsense)
    (error,) = Run(new_customers(dag), NOW + 1).go().errors
    assert isinstance(error, StripeInputError)
    assert stripe.calls == []


def pushed_before(dag: DAG, value: Any) -> None:
    """Let an earlier run of a task of that name have pushed something as its cursor."""

    def push(context: Any, result: Any = None) -> None:
        context["ti"].xcom_push("cursor", value)

    with DAG(dag.dag_id, schedule=None) as before:

        @task(task_id="new", post_execute=push)
        def other() -> None:
            """Not a sensor."""

        other()
    Run(before, NOW).go()


# --- It seems to be gone


class Stumbling:
    """Airflow's API server, whose database stumbles when it is asked some questions.

    :ivar times: how often more.
    """

    def __init__(self, patch: pytest.MonkeyPatch, question: str, answer: ErrorType | None) -> None:
        self.times = 0
        send = InProcessSupervisorComms.send

        def stumble(comms: InProcessSupervisorComms, msg: Any) -> Any:
            if type(msg).__name__ == question and self.times > 0:
                self.times -= 1
                if answer is None:
                    raise RuntimeError("the API server is away")
                return ErrorResponse(error=answer)
            return send(comms, msg)

        patch.setattr(InProcessSupervisorComms, "send", stumble)


# Below Airflow 3.3 two questions more are asked before a Variable is missed, three times.
@pytest.mark.parametrize("times", [1, 2, 3] if AIRFLOW >= (3, 3) else [1, 2, 3, 6, 9])
def test_not_found_is_not_believed_while_the_variable_is_there(
    dag: DAG, stripe: FakeStripe, clock: Clock, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """Nor where no XCom is left: three times in a row are an error that a retry heals."""
    new_customers(dag, retries=1)
    before, _ = filled(dag, stripe, clock)
    before.forget_xcoms()
    held, most = variable(stream(dag)), 3 if AIRFLOW >= (3, 3) else 9
    made = stripe.add_many("customer", 20, created=NOW + 100)
    clock.now += 100
    away = Stumbling(monkeypatch, "GetVariable", ErrorType.VARIABLE_NOT_FOUND)
    away.times = times
    run = Run(dag, NOW + 5000).go()
    assert ids(run.xcom("new")) == made
    assert [type(error) for error in run.errors] == [StripeCursorError] * (times == most)
    assert all(f"{stream(dag)} is there" in str(error) for error in run.errors)
    assert variable(stream(dag))["rev"] == held["rev"] + 1


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        *([("GetVariable", ErrorType.PERMISSION_DENIED)] if AIRFLOW >= (3, 2) else []),
        ("GetVariable", None),
        ("GetVariable", ErrorType.GENERIC_ERROR),
        ("GetVariable", ErrorType.API_SERVER_ERROR),
        ("GetTaskStates", None),
        ("PutVariable", None),
    ],
)
def test_a_failed_call_fails_the_try_and_loses_nothing(
    dag: DAG,
    stripe: FakeStripe,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    question: str,
    answer: ErrorType | None,
) -> None:
    """A retry heals it, whatever Airflow could not answer, and gets what is new."""
    new_customers(dag, retries=1)
    filled(dag, stripe, clock)
    made = stripe.add_many("customer", 2, created=NOW + 100)
    clock.now += 100
    Stumbling(monkeypatch, question, answer).times = 1
    run = Run(dag, NOW + 5000).go()
    assert ids(run.xcom("new")) == made
    (error,) = run.errors
    assert not isinstance(error, StripeInputError)
    assert isinstance(error, StripeCursorError) == (answer is not None)


@pytest.mark.parametrize("question", [*QUESTIONS, "GetXCom", "GetTICount"])
def test_a_failed_call_is_no_first_run(
    dag: DAG, stripe: FakeStripe, clock: Clock, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    """Where the Variable is gone, each of these questions must be answered before one begins."""
    new_customers(dag, retries=1)
    before, _ = filled(dag, stripe, clock)
    delete_variable(stream(dag))
    if question == "GetTICount":
        before.forget_xcoms()
    delete_variable(MARKER)
    made = stripe.add_many("customer", 2, created=NOW + 100)
    clock.now += 100
    Stumbling(monkeypatch, question, None).times = 1
    run = Run(dag, NOW + 5000).go()
    assert "is away" in str(run.errors[0])
    if question == "GetTICount":
        assert "has succeeded before" in str(run.errors[1])
        assert variable(stream(dag)) is None
    else:
        assert ids(run.xcom("new")) == made
