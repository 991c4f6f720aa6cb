"""A sensor with returns="window": one call for its end, whatever stands in it."""

from __future__ import annotations

from itertools import chain, pairwise
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite.core.window import Window
from airflow_provider_stripe_lite.errors import StripeInputError
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.sensors import StripeNewChargeSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.conftest import SetConnection
from tests.harness import ONCE, Run, ids
from tests.helpers import NOW, Clock


def sensor(dag: DAG, **options: Any) -> None:
    """Give the DAG a sensor that returns a window."""
    with dag:
        StripeNewChargeSensor(task_id="new", returns="window", **ONCE | options)


def test_a_window_travels_by_reference(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """No object passes through XCom; the hook reads the same objects at any later time."""
    sensor(dag)
    made = stripe.add_many("charge", 150, created=NOW, spread=9)
    clock.now += 100
    window = Run(dag, NOW).go().xcom("new")
    assert set(window) == set(Window.__annotations__)
    assert (window["feed"], window["count"], window["last"]) == ("charge", None, made[-1])
    stripe.add_many("charge", 20, created=int(clock.now))
    clock.now += 100
    for _ in range(2):
        assert ids(StripeHook().read(window)) == made


@pytest.mark.parametrize("size", [0, 1, 100, 1_234])
@pytest.mark.parametrize("first", [True, False], ids=["first run", "later run"])
def test_a_window_costs_one_call(
    dag: DAG, stripe: FakeStripe, clock: Clock, size: int, first: bool
) -> None:
    """Whether nothing is new or a thousand: everything that is new is in it."""
    sensor(dag, max_items=5)
    number = 0
    if not first:
        stripe.add("charge", created=NOW)
        clock.now += 100
        assert Run(dag, NOW).go().state("new") == "success"
        number = 1
    stripe.calls.clear()
    made = stripe.add_many("charge", size, created=int(clock.now), spread=50)
    clock.now += 200
    run = Run(dag, NOW + number).go()
    assert len(stripe.calls) == 1
    # With timeout=0, a sensor that finds nothing is at its end.
    assert run.state("new") == ("success" if size else "failed")
    if size:
        window = run.xcom("new")
        assert ids(StripeHook().read(window)) == made
        assert window["count"] is None


def test_each_object_is_in_one_window(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """Run after run, also where two windows meet within one second of the list."""
    sensor(dag)
    made: list[str] = []
    windows: list[Window] = []
    for number in range(3):
        made += stripe.add_many("charge", 130, created=int(clock.now), spread=20)
        clock.now += 100
        windows.append(Run(dag, NOW + number).go().xcom("new"))
    read = [ids(StripeHook().read(window)) for window in windows]
    assert list(chain(*read)) == made
    for before, behind in pairwise(windows):
        end = (before["created_lt"], before["last"])
        assert (behind["created_gte"], behind["after"]) == end


def test_a_cleared_run_gives_its_window_again_without_a_call(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Whatever has come since; the runs around it are not disturbed."""
    sensor(dag)
    runs = []
    for number in range(2):
        stripe.add_many("charge", 3, created=int(clock.now))
        clock.now += 100
        runs.append(Run(dag, NOW + number).go())
    windows = [run.xcom("new") for run in runs]
    made = stripe.add_many("charge", 3, created=int(clock.now))
    clock.now += 100
    stripe.calls.clear()
    assert [run.clear("new").go().xcom("new") for run in runs] == windows
    assert stripe.calls == []
    assert ids(StripeHook().read(Run(dag, NOW + 2).go().xcom("new"))) == made


def test_what_is_too_young_is_in_the_next_window(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """A window ends at its last object, not at the time of the poll: late ones are behind it."""
    sensor(dag)
    old = stripe.add("charge", created=NOW)
    young = stripe.add("charge", created=NOW + 50)
    clock.now += 100
    window = Run(dag, NOW).go().xcom("new")
    assert window["created_lt"] == "2026-02-02T02:40:01+00:00"
    late = stripe.add("charge", created=NOW + 20)
    clock.now += 100
    later = Run(dag, NOW + 1).go().xcom("new")
    assert ids(StripeHook().read(window)) == [old]
    assert sorted(ids(StripeHook().read(later))) == sorted([late, young])


def test_a_used_up_call_limit_gives_no_window(
    dag: DAG, stripe: FakeStripe, clock: Clock, set_connection: SetConnection
) -> None:
    """The sensor comes back when there is room, and nothing is taken until then."""
    set_connection(extra={"rate_limit_calls": 1, "rate_limit_period": 600})
    StripeHook().get_conn().get("/v1/balance")
    sensor(dag, mode="reschedule", timeout=3600)
    made = stripe.add_many("charge", 2, created=NOW)
    clock.now += 100
    run = Run(dag, NOW).go()
    assert (run.state("new"), len(stripe.calls)) == ("up_for_reschedule", 1)
    set_connection(extra={"rate_limit_calls": 100, "rate_limit_period": 600})
    assert ids(StripeHook().read(run.again("new").xcom("new"))) == made


@pytest.mark.parametrize("fields", ["*", ["id"], "{{ params.fields }}"])
def test_fields_beside_a_window_are_refused_in_the_dag_file(fields: Any) -> None:
    """They would change nothing: rows are made by whoever reads the window."""
    with pytest.raises(StripeInputError, match=r"^fields belong to rows: .* StripeHook\.read"):
        StripeNewChargeSensor(task_id="new", returns="window", fields=fields)


def test_the_reader_of_a_window_chooses_its_fields(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """As Stripe sent them, the documented ones, or some."""
    sensor(dag)
    made = stripe.add("charge", created=NOW, amount=700)
    clock.now += 100
    window = Run(dag, NOW).go().xcom("new")
    hook = StripeHook()
    (whole,) = hook.read(window)
    assert (whole["object"], whole["created"]) == ("charge", NOW)
    (documented,) = hook.read(window, fields=None)
    assert documented["created"] == "2026-02-02T02:40:00+00:00"
    assert "object" not in documented
    assert list(hook.read(window, fields=["id", "amount"])) == [{"id": made, "amount": 700}]
    stripe.calls.clear()
    with pytest.raises(StripeInputError, match=r"^fields must be None"):
        hook.read(window, fields="id")
    assert stripe.calls == []
