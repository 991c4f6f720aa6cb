"""A POST is made once for each run in a living Airflow, whatever becomes of its tries."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from dev.airflow_api import wait_for
from tests.e2e.scenarios import SOON, kill

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from dev.stack import AirflowStack
    from tests.e2e.scenarios import Stream

pytestmark = pytest.mark.e2e
PHASE = "calm"
RUNS, KILLS = 6, 8


def made(stream: Stream, kind: str, field: str) -> Counter[str]:
    """Count the objects of a stream's account by a field."""
    objects = stream.fake.read("objects", kind=kind, account=f"acct_{stream.name}")
    return Counter(each[field] for each in objects)


def workers_die_between_answer_and_end(
    airflow: AirflowStack, stream: Callable[..., Stream]
) -> None:
    """One object for each run; a cleared run makes none, and one that is made again another."""
    writes = stream("writes")
    airflow.unpause(writes.name)
    runs = [airflow.trigger(writes.name) for _ in range(RUNS)]
    kills, until = 0, time.monotonic() + SOON
    while kills < KILLS and time.monotonic() < until and not ended(writes):
        kills += kill(airflow, "task", writes.name)
        time.sleep(1)
    once = dict.fromkeys(runs, 1)
    for run_id in runs:
        assert airflow.wait_run(writes.name, run_id) == "success"
    print(f"\n{airflow.database}: kill -9 of {kills} tasks, {len(runs)} runs", flush=True)
    assert kills >= 3
    assert made(writes, "customer", "description") == once

    cleared, again = runs[:2]
    airflow.clear(writes.name, [cleared], ["new"])
    wait_for("the cleared run", lambda: tries(writes, cleared) > 1)
    assert airflow.wait_run(writes.name, cleared) == "success"
    assert made(writes, "customer", "description") == once

    airflow.call("DELETE", f"/dags/{writes.name}/dagRuns/{quote(again, safe='')}")
    airflow.trigger(writes.name, dag_run_id=again)
    assert airflow.wait_run(writes.name, again) == "success"
    assert made(writes, "customer", "description") == {**once, again: 2}


def ended(stream: Stream) -> bool:
    """Return whether all runs have ended."""
    return set(stream.states().values()) <= {"success", "failed"}


def tries(stream: Stream, run_id: str) -> int:
    """Return how often the task of a run was tried and ended."""
    (row,) = stream.airflow.task_instances(stream.name, run_id)
    return int(row["try_number"]) if row["state"] == "success" else 0


def answers_that_stripe_repeats(airflow: AirflowStack, stream: Callable[..., Stream]) -> None:
    """A saved conflict and a saved refusal make one object in the end; a saved 500 is said."""
    products, hasty = stream("products"), stream("hasty")
    for each in (products, hasty):
        airflow.unpause(each.name)

    def run(each: Stream, end: str, times: int = 1, **fault: Any) -> str:
        each.fake.control("fault", path="/v1/products", method="POST", times=times, **fault)
        return each.run_once(end)

    def error(kind: str, **more: str) -> dict[str, Any]:
        return {"saved": True, "body": {"error": {"type": kind, "message": "No.", **more}}}

    invalid = error("invalid_request_error")
    locked = run(products, "success", status=429, **error("api_error", code="lock_timeout"))
    refused = run(products, "failed", status=400, **invalid)
    airflow.clear(products.name, [refused], ["new"])
    assert airflow.wait_run(products.name, refused) == "success"
    broken = run(products, "failed", status=500, **error("api_error"))
    assert "look at the request log" in airflow.logs(products.name, broken, "new")
    assert made(products, "product", "name") == {locked: 1, refused: 1}

    # Every try of the client loses its answer, and the next try of the task says something else.
    lost = run(hasty, "failed", times=5, drop=True)
    assert "has sent this call with other parameters" in airflow.logs(hasty.name, lost, "new", 2)
    assert made(hasty, "product", "name").total() == 1


SCENARIOS = (workers_die_between_answer_and_end, answers_that_stripe_repeats)


def test_writing(outcome: Future[None]) -> None:
    """Hold the promise in the scenario's docstring."""
    outcome.result()
