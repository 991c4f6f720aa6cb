"""A cursor in a person's hand: a start written, a value pasted, one that hides another."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite.errors import StripeInputError
from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.airflow.streams import new_customers, remade, stream
from tests.harness import ONCE, Run, ids, set_variable, variable
from tests.helpers import NOW, Clock

START = {"start_from": "2026-01-31T00:00:00Z"}


def filled(dag: DAG, stripe: FakeStripe, clock: Clock, number: int = 0) -> tuple[Run, list[str]]:
    """Let two customers come and the DAG run, and return the run and its customers."""
    made = stripe.add_many("customer", 2, created=int(clock.now))
    clock.now += 100
    return Run(dag, NOW + number).go(), made


# --- A start


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("2026-02-02T03:41:00+01:00", 2),
        (NOW, 4),
        ("beginning", 5),
        ("now", 0),
    ],
)
def test_a_start_that_somebody_wrote_begins_there(
    dag: DAG, stripe: FakeStripe, clock: Clock, start: Any, expected: int
) -> None:
    """At the next poll, whatever was delivered before: anything that `start_from` takes."""
    new_customers(dag)
    made = [stripe.add("customer", created=NOW - 100_000)]
    made += filled(dag, stripe, clock)[1]
    made += filled(dag, stripe, clock, 1)[1]
    set_variable(stream(dag), {"start_from": start})
    run = Run(dag, NOW + 2).go()
    assert ids(run.xcom("new")) == (made[-expected:] if expected else [])
    more = filled(dag, stripe, clock, 3)
    assert ids(more[0].xcom("new")) == more[1]


def test_a_start_forgets_the_claims(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """What a failed run had claimed is not taken; an older run that is cleared is refused."""
    new_customers(dag)
    delivered, _ = filled(dag, stripe, clock)
    failed, _ = filled(dag, stripe, clock, 1)
    failed.mark("new", "failed")
    set_variable(stream(dag), {"start_from": "now"})
    run, made = filled(dag, stripe, clock, 300)
    # It is written when this run starts, and what came before that is behind it.
    assert (run.state("new"), ids(run.xcom("new"))) == ("failed", [])
    for old in (delivered, failed):
        (error,) = old.clear("new").go().errors
        assert isinstance(error, StripeInputError)
        assert "no longer knows what this run returned" in str(error)
    later, made = filled(dag, stripe, clock, 400)
    assert ids(later.xcom("new")) == made


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"start_from": "yesterday"}, 'start_from must be "now", "beginning" or a date-time'),
        ({"start_from": "2027-01-01"}, "start_from must not lie in the future"),
        ({"start_from": NOW * 1000}, "start_from must be a time between 2010 and 2100"),
        ({"start_from": "2026-01-01", "rev": 5}, "holds no cursor of this version"),
    ],
    ids=range(4),
)
def test_a_start_that_is_none_is_refused(
    dag: DAG, stripe: FakeStripe, clock: Clock, value: Any, words: str
) -> None:
    """The value stays as it is, and a good one helps."""
    new_customers(dag, retries=2)
    _, made = filled(dag, stripe, clock)
    set_variable(stream(dag), value)
    stripe.calls.clear()
    (error,) = Run(dag, NOW + 1).go().errors
    assert isinstance(error, StripeInputError)
    assert words in str(error)
    assert (stripe.calls, variable(stream(dag))) == ([], value)
    set_variable(stream(dag), START)
    assert ids(Run(dag, NOW + 2).go().xcom("new")) == made


# --- A value


def test_an_xcom_pasted_into_the_variable_goes_on(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """What a run had pushed: everything behind it comes, what came in between once more."""
    new_customers(dag)
    first, _ = filled(dag, stripe, clock)
    _, second = filled(dag, stripe, clock, 1)
    set_variable(stream(dag), first.xcom("new", "cursor"))
    again, third = filled(dag, stripe, clock, 2)
    assert ids(again.xcom("new")) == second + third
    last, made = filled(dag, stripe, clock, 3)
    assert ids(last.xcom("new")) == made


@pytest.mark.parametrize(
    "value",
    ["***", '"***"', "nonsense", "[]", '{"v": 1, "window": {}}', '{"v": 2}'],
    ids=range(6),
)
def test_what_is_no_cursor_is_refused(
    dag: DAG, stripe: FakeStripe, clock: Clock, value: str
) -> None:
    """It is neither gone on from nor overwritten, and writing what the sentence says helps."""
    new_customers(dag, retries=2)
    _, made = filled(dag, stripe, clock)
    set_variable(stream(dag), value)
    stripe.calls.clear()
    red = Run(dag, NOW + 1).go()
    (error,) = red.errors
    assert isinstance(error, StripeInputError)
    assert f"The Variable {stream(dag)} holds no cursor of this version" in str(error)
    assert ("the *** that Airflow shows" in str(error)) == ("***" in value)
    assert '{"start_from": "' in str(error)
    assert stripe.calls == []
    set_variable(stream(dag), START)
    assert ids(Run(dag, NOW + 2).go().xcom("new")) == made


# --- Whose it is


def test_a_variable_of_another_sensor_is_refused(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Two sensors of one cursor would miss objects: the second is red; a name of its own helps."""
    name = f"{dag.dag_id}.both"
    new_customers(dag, cursor_variable=name)
    made = stripe.add_many("customer", 2, created=NOW)
    clock.now += 100
    assert ids(Run(dag, NOW).go().xcom("new")) == made
    second = DAG(f"{dag.dag_id}_too", schedule=None)
    red = Run(new_customers(second, cursor_variable=name), NOW).go()
    (error,) = red.errors
    assert isinstance(error, StripeInputError)
    words = (f"the cursor of {dag.dag_id}/new, not of {second.dag_id}/new", "of its own")
    assert all(word in str(error) for word in words)
    red.dag = remade(second, cursor_variable=f"{name}.second")
    assert ids(red.clear("new").go().xcom("new")) == made


def test_two_sensors_whose_names_make_one_variable_are_told_apart(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """A task `a.new` of a DAG `x` and a task `new` of `x.a` would share it: the second is red."""
    with dag:
        StripeNewCustomerSensor(task_id="a.new", **ONCE)
    other = new_customers(DAG(f"{dag.dag_id}.a", schedule=None))
    made = stripe.add_many("customer", 2, created=NOW)
    clock.now += 100
    assert ids(Run(dag, NOW).go().xcom("a.new")) == made
    red = Run(other, NOW).go()
    assert "a cursor_variable of its own" in str(red.errors[0])
    red.dag = remade(other, cursor_variable=f"{dag.dag_id}.kept")
    assert ids(red.clear("new").go().xcom("new")) == made


def test_a_task_with_a_new_name_takes_its_cursor_along(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """It is red until its name is written into the Variable; then nothing is lost."""
    name = f"{dag.dag_id}.kept"
    new_customers(dag, cursor_variable=name)
    _, first = filled(dag, stripe, clock)
    renamed = new_customers(DAG(f"{dag.dag_id}_renamed", schedule=None), cursor_variable=name)
    red, second = filled(renamed, stripe, clock, 1)
    assert '"task" of the Variable' in str(red.errors[0])
    set_variable(name, {**variable(name), "task": f"{renamed.dag_id}/new"})
    delivered = []
    for number in (2, 3):
        run, third = filled(renamed, stripe, clock, number)
        delivered += ids(run.xcom("new"))
        second += third
    # Nobody knows the old task's runs any more, so its last window is taken once more.
    assert delivered == first + second


# --- A value that hides another


@pytest.mark.parametrize("hidden", [True, False], ids=["its document", "a start"])
def test_a_shadow_is_named_and_helps_when_it_goes(
    dag: DAG,
    stripe: FakeStripe,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    hidden: bool,
) -> None:
    """An environment variable of the Variable's name wins every read, and no write changes it.

    No object is lost or comes twice when it is removed.
    """
    new_customers(dag, retries=2)
    name = f"AIRFLOW_VAR_{stream(dag).upper()}"
    made: list[str] = []
    if hidden:
        _, made = filled(dag, stripe, clock)
    held = variable(stream(dag)) if hidden else START
    delivered = list(made)
    monkeypatch.setenv(name, json.dumps(held))
    red, more = filled(dag, stripe, clock, 1)
    made += more
    (error,) = red.errors
    assert isinstance(error, StripeInputError)
    assert f"The Variable {stream(dag)} does not change" in str(error)
    assert f"an environment variable {name} or a secrets backend hides it" in str(error)
    monkeypatch.delenv(name)
    for number in (2, 3):
        run, more = filled(dag, stripe, clock, number)
        made += more
        delivered += ids(run.xcom("new"))
    delivered += ids(Run(dag, NOW + 4).go().xcom("new"))
    assert delivered == made


def test_a_shadow_that_is_no_cursor_is_named(
    dag: DAG, stripe: FakeStripe, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start that is written into the Variable is hidden, too; removed, it counts."""
    new_customers(dag)
    name = f"AIRFLOW_VAR_{stream(dag).upper()}"
    monkeypatch.setenv(name, "old text")
    red, made = filled(dag, stripe, clock)
    assert f"If that changes nothing, an environment variable {name} or" in str(red.errors[0])
    set_variable(stream(dag), START)
    monkeypatch.delenv(name)
    assert ids(Run(dag, NOW + 1).go().xcom("new")) == made


@pytest.mark.parametrize(
    ("place", "value"),
    [
        *[("run_id", ["a"]), ("run_id", None), ("map_index", {}), ("map_index", "0")],
        *[("window.created_gte", 5), ("window.created_lt", "soon"), ("window.created_lt", None)],
        *[("window", None), ("window", []), ("run_after", 5)],
    ],
)
def test_a_claim_that_somebody_has_broken_is_refused(
    dag: DAG, stripe: FakeStripe, clock: Clock, place: str, value: Any
) -> None:
    """In one sentence, and not where its run is cleared, perhaps a week later."""
    new_customers(dag)
    filled(dag, stripe, clock)
    held = variable(stream(dag))
    within = held["claims"][0]
    *outer, last = place.split(".")
    for name in outer:
        within = within[name]
    within[last] = value
    set_variable(stream(dag), held)
    red, _ = filled(dag, stripe, clock, 1)
    (error,) = red.errors
    assert isinstance(error, StripeInputError)
    assert "holds no cursor of this version" in str(error)
