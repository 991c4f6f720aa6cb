"""Every object reaches one run, once: in a living Airflow, with faults, clears and lost cursors."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from dev.airflow_api import wait_for
from tests.airflow.older import AIRFLOW
from tests.e2e.conftest import KEY, WAYS
from tests.e2e.scenarios import FAULTS, started

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from dev.stack import AirflowStack
    from tests.e2e.scenarios import Stream

pytestmark = pytest.mark.e2e
PHASE = "calm"

DAY = 86_400


def polls_and_tasks_that_fail(airflow: AirflowStack, stream: Callable[..., Stream]) -> None:
    """Every third request and every tenth task fails: nothing lost, nothing twice."""
    (shaky,) = started([stream("shaky")])
    # Every third request fails, by turns in one of these ways.
    for index, fault in enumerate(FAULTS):
        when = {"every": 3 * len(FAULTS), "skip": 3 * index}
        shaky.fake.control("fault", path="/v1/customers", **when, **fault)
    try:
        with shaky.arriving(1.5, seconds=40):
            pass
        shaky.wait_for_all()
    finally:
        # Other scenarios have faults of their own in the same fake Stripe.
        shaky.fake.clear("faults", path="/v1/customers")
    assert shaky.verdict() == "0 lost, 0 twice"


def cleared_runs_get_the_same_rows(airflow: AirflowStack, stream: Callable[..., Stream]) -> None:
    """A cleared run gets its own rows again: an old one, a failed one, several at once."""
    manual = stream("manual")
    airflow.unpause("manual")
    # Nothing is new: the run times out, and marks the start.
    failed = manual.run_once("failed")
    runs = []
    for _ in range(3):
        manual.create(3)
        runs.append(manual.run_once())
    before = manual.received()
    # The poll of a later run has seen that these were successful.
    assert manual.seen_delivered() == set(runs[:2])
    for chosen in ([runs[0]], runs[:2]):
        due = len(manual.fake.read("ledger")) + len(chosen)
        airflow.clear("manual", chosen, ["new"])
        wait_for("the cleared runs", lambda due=due: len(manual.fake.read("ledger")) >= due)
        for run_id in chosen:
            assert airflow.wait_run("manual", run_id) == "success"
        assert manual.received() == before
    manual.create(3)
    airflow.clear("manual", [failed])
    assert airflow.wait_run("manual", failed) == "success"
    assert manual.verdict() == "0 lost, 0 twice"


def a_run_that_is_skipped_loses_nothing(
    airflow: AirflowStack, stream: Callable[..., Stream]
) -> None:
    """A time-out is a skip by soft_fail: objects that came meanwhile come in the next run."""
    skips = stream("skips")
    airflow.unpause("skips")
    skips.run_once()
    assert skips.received() == {}
    skips.create(2)
    skips.run_once()
    assert skips.verdict() == "0 lost, 0 twice"


def a_run_that_is_marked_loses_nothing(
    airflow: AirflowStack, stream: Callable[..., Stream]
) -> None:
    """Marked success by hand while it waits, a sensor leaves everything to the next run."""
    marked = stream("marked")
    airflow.unpause("marked")
    marked.run_once("failed")
    marked.create(2)
    marked.run_once()
    run_id = airflow.trigger("marked")

    def waits() -> bool:
        (sensor, *_) = airflow.task_instances("marked", run_id)
        return sensor["state"] == "running"

    wait_for("the sensor", waits)
    airflow.set_state("marked", run_id, "new", "success")
    marked.create(2)
    time.sleep(4)
    marked.run_once()
    assert marked.verdict() == "0 lost, 0 twice"


def every_way_to_wait_ends_alike(airflow: AirflowStack, stream: Callable[..., Stream]) -> None:
    """A time-out fails, soft_fail skips, a wrong key is red all the same: in each mode."""
    names = [f"{end}_{way}" for end in ("late", "skip", "wrong") for way in WAYS]
    runs = {}
    for name in names:
        airflow.unpause(stream(name).name)
        runs[name] = airflow.trigger(name)
    errors = {"late": "AirflowSensorTimeout", "skip": "", "wrong": "StripeAuthenticationError"}
    for name, run_id in runs.items():
        end = name.partition("_")[0]
        airflow.wait_run(name, run_id)
        rows = airflow.task_instances(name, run_id)
        (sensor,) = (row for row in rows if row["task_id"] == "new")
        state = "skipped" if end == "skip" else "failed"
        assert sensor["state"] == state, airflow.story(name, run_id)
        assert errors[end] in airflow.logs(name, run_id, "new", sensor["try_number"]), name


def another_mode_or_account_is_refused(
    airflow: AirflowStack, stream: Callable[..., Stream]
) -> None:
    """Another mode or account in the same connection is refused; the sentence's remedy helps."""
    guarded = stream("guarded")
    airflow.unpause("guarded")
    guarded.run_once("failed")
    guarded.create(2)
    good = airflow.call("GET", "/connections/stripe_guarded")
    live, other = {"password": KEY.replace("test", "live")}, {"stripe_account": "acct_other"}
    for change, both in (
        (live, ("livemode False", "livemode True")),
        ({"password": KEY, "extra": other}, ("acct_guarded", "acct_other")),
    ):
        airflow.set_connection("stripe_guarded", {**guarded.fake.connection(), **change})
        run_id = guarded.run_once("failed")
        log = airflow.logs("guarded", run_id, "new")
        assert all(value in log for value in (*both, "start_from", guarded.variable)), log
        assert run_id not in guarded.received()
    # The connection still leads to the other account.
    airflow.set_variable(guarded.variable, json.dumps({"start_from": hour_ago()}))
    theirs = guarded.create(2, account="acct_other")
    run_id = guarded.run_once()
    assert guarded.received()[run_id] == theirs
    # And so the way back is the same.
    restored = guarded.fake.connection(KEY)
    airflow.set_connection("stripe_guarded", {**restored, "extra": good["extra"]})
    airflow.set_variable(guarded.variable, json.dumps({"start_from": hour_ago()}))
    run_id = guarded.run_once()
    assert guarded.received()[run_id] == guarded.held()


def a_backlog_comes_in_batches(airflow: AirflowStack, stream: Callable[..., Stream]) -> None:
    """A backlog of 3,000 comes as rows in runs of about 1,000, in order, without a gap."""
    batches = stream("batches")
    batches.create(3_000, spread=3_000, created=int(time.time()) - 30_000)
    airflow.unpause("batches")
    batches.wait_for_all()
    runs = batches.received()
    assert batches.verdict() == "0 lost, 0 twice"
    assert [name for ids in runs.values() for name in ids] == batches.held()
    # The last second of a batch may be incomplete, so its objects are left for the next one.
    assert all(990 <= len(ids) <= 1_000 for ids in list(runs.values())[:3])


def a_backlog_is_one_window(airflow: AirflowStack, stream: Callable[..., Stream]) -> None:
    """A backlog of 10,000 comes in one run, in order, by reference."""
    backlog = stream("backlog")
    backlog.create(10_000, spread=10_000, created=int(time.time()) - 30_000)
    airflow.unpause("backlog")
    backlog.wait_for_all()
    [(run_id, ids)] = backlog.received().items()
    assert ids == backlog.held()
    assert len(str(airflow.xcom("backlog", run_id, "new"))) < 400


def what_airflow_forgets(airflow: AirflowStack, stream: Callable[..., Stream]) -> None:
    """Without the Variable a sensor goes on from its XCom, without XComs from the Variable.

    And a time that a person writes into the Variable is where it begins.
    """
    forgets = stream("forgets")
    airflow.unpause("forgets")
    forgets.run_once("failed")
    forgets.create(2)
    forgets.run_once()
    airflow.call("DELETE", f"/variables/{forgets.variable}")
    forgets.create(2)
    forgets.run_once()
    assert forgets.verdict() == "0 lost, 0 twice"

    # Airflow 3.1 cleans all DAGs or none.
    if AIRFLOW >= (3, 2):
        tomorrow = time.strftime("%Y-%m-%d", time.gmtime(time.time() + DAY))
        which = ("--tables", "xcom", "--dag-ids", "forgets")
        clean = ("db", "clean", "--clean-before-timestamp", tomorrow, *which)
        airflow.command(*clean, "--skip-archive", "--yes")
        assert not any(airflow.xcom("forgets", run, "new", "cursor") for run in forgets.states())
    forgets.create(2)
    forgets.run_once()
    assert forgets.verdict() == "0 lost, 0 twice"

    airflow.set_variable(forgets.variable, json.dumps({"start_from": hour_ago()}))
    again = forgets.run_once()
    assert forgets.received()[again] == forgets.held()


def hour_ago() -> str:
    """Return a time as a person writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600))


SCENARIOS = (
    what_airflow_forgets,
    polls_and_tasks_that_fail,
    cleared_runs_get_the_same_rows,
    a_run_that_is_skipped_loses_nothing,
    a_run_that_is_marked_loses_nothing,
    every_way_to_wait_ends_alike,
    another_mode_or_account_is_refused,
    a_backlog_comes_in_batches,
    a_backlog_is_one_window,
)


def test_exactly_once(outcome: Future[None]) -> None:
    """Hold the promise in the scenario's docstring."""
    outcome.result()
