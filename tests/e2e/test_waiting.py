"""Waiting costs nothing and loses nothing: deferred sensors and the watcher of an asset."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from dev.airflow_api import wait_for
from tests.e2e.scenarios import Stream, watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dev.stack import AirflowStack

pytestmark = pytest.mark.e2e

# In the folder of the other DAGs they would keep the dag-processor busy all the time.
MANY_DAGS = Path(__file__).parent / "many_dags"


def test_burst_arrives_whole(airflow: AirflowStack, stream: Callable[[str], Stream]) -> None:
    """1,000 objects at once reach the DAG in a few events, and the last does not wait for more."""
    events = watched(stream("events"))
    runs = len(events.states())
    events.create(1000)
    events.wait_for_all(60)
    print(f"\n{airflow.database}: 1,000 objects in {len(events.states()) - runs} runs")
    assert len(events.states()) - runs <= 4


@pytest.fixture(scope="module")
def cost(airflow: AirflowStack) -> Iterator[dict[str, float]]:
    """Return the triggerer's cost of 500 deferred sensors of one feed and 100 DAGs on one asset."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(MANY_DAGS, airflow.dags_folder, dirs_exist_ok=True, ignore=ignored)
    shared = [f"shared_{number:02}" for number in range(100)]
    waiting = [f"waiting_{number:02}" for number in range(25)]
    for dag in (*shared, *waiting):
        airflow.unpause(dag)
    runs = {dag: airflow.trigger(dag) for dag in waiting}

    def deferred() -> int:
        rows = airflow.all("/dags/~/dagRuns/~/taskInstances", "task_instances", state="deferred")
        return sum(row["dag_id"] in runs for row in rows)

    wait_for("500 deferred sensors", lambda: deferred() == 500, 240, every=5)
    # Airflow itself stalls the loop while it loads the DAG for each of them.
    quiet(airflow, seconds=10)
    accounts = {"sensors": Stream(airflow, "waiting"), "dags": Stream(airflow, "shared")}
    yield costs(airflow, accounts, seconds=40)
    for dag, run_id in runs.items():
        airflow.change(f"/dags/{dag}/dagRuns/{run_id}", {"state": "failed"})
    for dag in (*shared, *waiting):
        airflow.pause(dag)


def test_five_hundred_sensors_share_one_look(cost: dict[str, float]) -> None:
    """500 deferred sensors of one feed and connection make one call in each interval of 10 s."""
    assert 3 <= cost["calls_sensors"] <= 5


def test_a_hundred_dags_share_one_poll(cost: dict[str, float]) -> None:
    """100 DAGs on one asset: one poll in each interval of 4 s for all of them."""
    assert 6 <= cost["calls_dags"] <= 11


def quiet(airflow: AirflowStack, seconds: float) -> None:
    """Wait until the triggerer has written nothing for so long: all triggers run."""
    size, since = -1, time.monotonic()
    while time.monotonic() - since < seconds:
        time.sleep(1)
        if (now := len(airflow.log_of("triggerer"))) != size:
            size, since = now, time.monotonic()


def costs(airflow: AirflowStack, accounts: dict[str, Stream], seconds: float) -> dict[str, float]:
    """Measure and print the triggerer's cost meanwhile: calls, CPU, memory, its longest stall."""
    processes = [psutil.Process(pid) for pid in airflow.descendants("triggerer")]
    log = len(airflow.log_of("triggerer"))
    calls = {name: stream.requests() for name, stream in accounts.items()}
    cpu = cpu_seconds(processes)
    time.sleep(seconds)
    stalls = re.findall(r"blocked for ([\d.]+) seconds", airflow.log_of("triggerer")[log:])
    made = {name: stream.requests() - calls[name] for name, stream in accounts.items()}
    cost = {
        **{f"calls_{name}": number for name, number in made.items()},
        "cpu_percent": round(100 * (cpu_seconds(processes) - cpu) / seconds, 1),
        "memory_mb": round(sum(process.memory_info().rss for process in processes) / 1e6),
        "stall": max(map(float, stalls), default=0.0),
    }
    setting = f"triggerer with 500 sensors and 100 DAGs for {seconds:g} s"
    print(f"\n{airflow.database}, {setting}: {cost}")
    return cost


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """Return the CPU time that these processes have used."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)
