"""What waits costs nothing and loses nothing: deferred sensors and the watcher of an asset (P6, P9)."""

from __future__ import annotations

import random
import re
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.airflow_api import wait_for
from tests.e2e.test_exactly_once import watched

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Stream
    from tests.stack import AirflowStack

pytestmark = pytest.mark.e2e

KILLS = [signal.SIGKILL] * 10 + [signal.SIGTERM] * 3


def test_watcher_survives(airflow: AirflowStack, stream: Callable[[str], Stream]) -> None:
    """300 objects; the triggerer dies 13 times, a DAG file breaks for a minute, the DAG is paused: nothing lost."""
    events = watched(stream("events"))
    broken = airflow.dags_folder / "broken_for_a_while.py"
    with events.arriving(300, seconds=150):
        for number, signum in enumerate(random.sample(KILLS, len(KILLS))):
            time.sleep(random.uniform(1, 4))
            airflow.kill("triggerer", signum)
            airflow.restart("triggerer")
            if number == 2:
                broken.write_text("import nothing_of_this_name\n")
            if number == 6:
                airflow.pause("events")
                time.sleep(5)
                airflow.unpause("events")
        broken.unlink()
    events.wait_for_all()
    print(f"\n{airflow.database}: {windows_twice(events)} windows announced twice in {len(KILLS)} deaths")
    assert events.verdict().startswith("0 lost")
    assert windows_twice(events) <= KILLS.count(signal.SIGKILL)  # at most the one in flight, each time
    assert once_each_window(events) == set(events.held())


def windows_twice(events: Stream) -> int:
    """How many windows were announced more than once: by their ids, as a consumer tells them."""
    runs = {entry["run"]: entry["windows"] for entry in events.fake.read("ledger") if entry["dag"] == "events"}
    return sum(times > 1 for times in Counter(name for windows in runs.values() for name in windows).values())


def once_each_window(events: Stream) -> set[str]:
    """What a consumer receives that takes each window once; no object is in two of them."""
    seen: set[str] = set()
    objects: list[str] = []
    for entry in events.fake.read("ledger"):
        if entry["dag"] == "events" and not seen.issuperset(entry["windows"]):
            seen.update(entry["windows"])
            objects += entry["ids"]
    return set(objects)


def test_burst_arrives_whole(airflow: AirflowStack, stream: Callable[[str], Stream]) -> None:
    """1,000 objects at once reach the DAG in a few events, and the last of them does not wait for a next one."""
    events = watched(stream("events"))
    runs = len(events.states())
    events.create(1000)
    events.wait_for_all(60)
    print(f"\n{airflow.database}: 1,000 objects in {len(events.states()) - runs} runs")
    assert len(events.states()) - runs <= 4


def test_five_hundred_sensors_share_one_look(airflow: AirflowStack) -> None:
    """500 deferred sensors of one feed and connection make one call in each interval, and stall nobody."""
    dags = [f"waiting_{number:02}" for number in range(25)]
    for dag in dags:
        airflow.unpause(dag)
    runs = {dag: airflow.trigger(dag) for dag in dags}

    def waiting() -> int:
        return sum(row["state"] == "deferred" for dag in dags for row in airflow.task_instances(dag, runs[dag]))

    wait_for("500 deferred sensors", lambda: waiting() == 500, 240, every=5)
    quiet(airflow, seconds=15)  # Airflow itself stalls the loop while it loads the DAG for each of them
    cost = costs(airflow, "acct_waiting", seconds=60)
    for dag in dags:
        airflow.call("PATCH", f"/dags/{dag}/dagRuns/{runs[dag]}", json={"state": "failed"})
        airflow.pause(dag)
    assert 4 <= cost["calls"] <= 7  # one in 10 s


def test_a_hundred_dags_share_one_poll(airflow: AirflowStack) -> None:
    """100 DAGs on one asset: one poll in each interval for all of them."""
    names = [f"shared_{number:02}" for number in range(100)]
    for name in names:
        airflow.unpause(name)
    time.sleep(10)
    cost = costs(airflow, "acct_shared", seconds=30)
    for name in names:
        airflow.pause(name)
    assert 4 <= cost["calls"] <= 9  # one in 4 s


def quiet(airflow: AirflowStack, seconds: float) -> None:
    """Wait until the triggerer has written nothing for so long: all triggers run."""
    size, since = -1, time.monotonic()
    while time.monotonic() - since < seconds:
        time.sleep(1)
        if (now := len(airflow.log_of("triggerer"))) != size:
            size, since = now, time.monotonic()


def costs(airflow: AirflowStack, account: str, seconds: float) -> dict[str, float]:
    """Measure and print what the triggerer costs meanwhile: calls, CPU, memory, the longest stall of its loop."""
    fake = airflow.fake  # type: ignore[attr-defined]
    processes = [psutil.Process(pid) for pid in airflow.descendants("triggerer")]
    log = len(airflow.log_of("triggerer"))
    calls, cpu = seen(fake, account), cpu_seconds(processes)
    time.sleep(seconds)
    stalls = re.findall(r"blocked for ([\d.]+) seconds", airflow.log_of("triggerer")[log:])
    cost = {
        "calls": seen(fake, account) - calls,
        "cpu_percent": round(100 * (cpu_seconds(processes) - cpu) / seconds, 1),
        "memory_mb": round(sum(process.memory_info().rss for process in processes) / 1e6),
        "stall": max(map(float, stalls), default=0.0),
    }
    print(f"\n{airflow.database}, triggerer for {seconds:g} s: {cost}")
    return cost


def seen(fake: object, account: str) -> int:
    """How many requests the fake has seen for this account."""
    return sum(request["headers"].get("stripe-account") == account for request in fake.read("requests"))  # type: ignore[attr-defined]


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """CPU time that these processes have used."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)
