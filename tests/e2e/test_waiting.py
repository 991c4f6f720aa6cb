"""What waiting costs the triggerer: deferred sensors of one feed, and DAGs on one bell."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from dev.airflow_api import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from dev.stack import AirflowStack
    from tests.e2e.scenarios import Stream

pytestmark = pytest.mark.scale
PHASE = "waiting"

# In the folder of the other DAGs they would keep the dag-processor busy all the time.
MANY_DAGS = Path(__file__).parent / "many_dags"
SECONDS = 30.0


def five_hundred_sensors_and_a_hundred_dags(
    airflow: AirflowStack, stream: Callable[..., Stream]
) -> None:
    """500 deferred sensors of a feed make one call in 10 s, 100 DAGs on a bell one in 4 s."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(MANY_DAGS, airflow.dags_folder, dirs_exist_ok=True, ignore=ignored)
    shared = [stream(f"shared_{number:02}", bell="shared") for number in range(100)]
    waiting = [stream(f"waiting_{number:02}", bell="waiting") for number in range(25)]
    for each in (*shared, *waiting):
        airflow.unpause(each.name)
    runs = {each.name: airflow.trigger(each.name) for each in waiting}

    def deferred() -> int:
        rows = airflow.all("/dags/~/dagRuns/~/taskInstances", "task_instances", state="deferred")
        return sum(row["dag_id"] in runs for row in rows)

    wait_for("500 deferred sensors", lambda: deferred() == 500, 240, every=5)
    # Airflow itself stalls the loop while it loads the DAG for each of them.
    quiet(airflow, seconds=10)
    calls = costs(airflow, {"sensors": waiting[0], "dags": shared[0]})
    assert 2 <= calls["sensors"] <= 4
    assert 6 <= calls["dags"] <= 9
    for dag, run_id in runs.items():
        airflow.change(f"/dags/{dag}/dagRuns/{run_id}", {"state": "failed"})


def quiet(airflow: AirflowStack, seconds: float) -> None:
    """Wait until the triggerer has written nothing for so long: all triggers run."""
    size, since = -1, time.monotonic()
    while time.monotonic() - since < seconds:
        time.sleep(1)
        if (now := len(airflow.log_of("triggerer"))) != size:
            size, since = now, time.monotonic()


def costs(airflow: AirflowStack, accounts: dict[str, Stream]) -> dict[str, int]:
    """Print the triggerer's cost meanwhile: calls, CPU, memory, longest stall; return the calls."""
    processes = [psutil.Process(pid) for pid in airflow.descendants("triggerer")]
    log = len(airflow.log_of("triggerer"))
    before = {name: stream.requests() for name, stream in accounts.items()}
    cpu = cpu_seconds(processes)
    time.sleep(SECONDS)
    cpu = cpu_seconds(processes) - cpu
    calls = {name: stream.requests() - before[name] for name, stream in accounts.items()}
    stalls = re.findall(r"blocked for ([\d.]+) seconds", airflow.log_of("triggerer")[log:])
    memory = sum(process.memory_info().rss for process in processes) / 1e6
    print(
        f"\n{airflow.database}: triggerer with 500 deferred sensors and 100 DAGs on one bell: in "
        f"{SECONDS:g} s {calls['sensors']} and {calls['dags']} calls, {100 * cpu / SECONDS:.1f} % "
        f"CPU, {memory:.0f} MB, longest stall {max(map(float, stalls), default=0):g} s",
        flush=True,
    )
    return calls


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """Return the CPU time that these processes have used."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


SCENARIOS = (five_hundred_sensors_and_a_hundred_dags,)


def test_waiting(outcome: Future[None]) -> None:
    """Hold the promise in the scenario's docstring."""
    outcome.result()
