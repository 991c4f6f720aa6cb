"""kill -9 at random moments of whatever an Airflow consists of: nothing lost, nothing twice (P1, P9)."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from tests.airflow_api import wait_for
from tests.e2e.test_exactly_once import MODES, started, watched
from tests.stack import APIS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from tests.e2e.conftest import Scenario, Stream
    from tests.stack import AirflowStack

pytestmark = pytest.mark.e2e

VICTIMS = ["task"] * 10 + ["supervisor"] * 6 + ["scheduler", "api-server", "execution-api"]
DEATHS = [signal.SIGKILL] * 5 + [signal.SIGTERM] * 2  # of the triggerer, on each of two databases
RECOVERY = 240  # seconds


def tasks_supervisors_scheduler_and_api_server_die(airflow: AirflowStack, stream: Callable[[str], Stream]) -> None:
    """kill -9 of tasks, their supervisors, scheduler and api-server at random moments: nothing lost, nothing twice."""
    streams = started([stream(mode) for mode in MODES])
    kills: Counter[str] = Counter()
    with ExitStack() as inflow:
        for each in streams:
            inflow.enter_context(each.arriving(80, seconds=60))
        for victim in random.sample(VICTIMS, len(VICTIMS)):
            time.sleep(random.uniform(0.5, 2.5))
            if not kill(airflow, victim):
                kill(airflow, victim := "scheduler")
            kills[victim] += 1
        # A LocalExecutor never misses a worker that dies with a task it has just taken; the next scheduler does.
        kills["scheduler"] += kill(airflow, "scheduler")
    print(f"\n{airflow.database}: kill -9 of {dict(kills)}")
    assert kills.total() == 20
    for each in streams:
        each.wait_for_all(RECOVERY)
        assert each.verdict() == "0 lost, 0 twice"


def kill(airflow: AirflowStack, victim: str) -> bool:
    """Kill a component and start it again, or a process of a running task; say whether there was one."""
    if victim in ("scheduler", *APIS):
        airflow.kill(victim)
        airflow.restart(victim)
        return True
    pids: list[int] = []
    with suppress(TimeoutError):
        pids = wait_for(victim, airflow.tasks if victim == "task" else airflow.supervisors, timeout=15)
    if pids:
        with suppress(ProcessLookupError):
            os.kill(random.choice(pids), signal.SIGKILL)
            return True
    return False


def tasks_die_without_retries(airflow: AirflowStack, stream: Callable[[str], Stream]) -> None:
    """Without retries, advance_after="dag_run" brings every object to a run that succeeds, whatever is killed."""
    (strict,) = started([stream("strict")])
    kills = 0
    with strict.arriving(100, seconds=60):
        until = time.monotonic() + 60
        while time.monotonic() < until:
            kills += kill(airflow, "task")
            time.sleep(random.uniform(1, 4))

    def good() -> dict[str, list[str]]:
        states = strict.states()
        return {run: ids for run, ids in strict.received().items() if states.get(run) == "success"}

    def all_in_good_runs() -> bool:
        return set(strict.held()) <= {name for ids in good().values() for name in ids}

    wait_for("every object in a run that succeeded", all_in_good_runs, RECOVERY, every=1)
    failed = Counter(strict.states().values())["failed"]
    print(f"\n{airflow.database}: {kills} kills without retries, {failed} failed runs of strict")
    assert failed
    assert strict.verdict(good()) == "0 lost, 0 twice"


def the_triggerer_dies(airflow: AirflowStack, stream: Callable[[str], Stream]) -> None:
    """The triggerer dies, the DAG's file is broken for a minute, the DAG is paused: every window is announced."""
    events = stream("events")
    polls = events.requests()
    watched(events)
    # Unpaused, the watcher begins when the file has been read: not while it is broken.
    wait_for("the watcher's first poll", lambda: events.requests() > polls)
    deaths = random.sample(DEATHS, len(DEATHS))
    with events.arriving(300, seconds=80):
        with broken_for_a_minute(airflow, events.name):
            kill_triggerer(events, deaths[:3])
        kill_triggerer(events, deaths[3:5])
        airflow.pause(events.name)
        time.sleep(5)
        airflow.unpause(events.name)
        kill_triggerer(events, deaths[5:])
    with events.arriving(4, seconds=20):
        pass  # with a next event Airflow 3.3.2 hands over what it held back while no run could start (docs/modes.md)
    if failed := [run for run, state in events.states().items() if state == "failed"]:  # as a person would
        airflow.clear(events.name, failed)
    events.wait_for_all(RECOVERY)
    print(
        f"\n{airflow.database}: {windows_twice(events)} windows announced twice in {len(DEATHS)} deaths; "
        f"{len(failed)} runs failed while their file was broken"
    )
    assert events.verdict().startswith("0 lost")
    assert windows_twice(events) <= DEATHS.count(signal.SIGKILL)  # at most the one in flight, each time
    assert once_each_window(events) == set(events.held())


def kill_triggerer(events: Stream, signals: Sequence[signal.Signals]) -> None:
    """End it and start it again, each time after a poll of its watcher."""
    polls = -1
    for signum in signals:
        wait_for("a poll of the watcher", lambda polls=polls: events.requests() > polls, timeout=120)
        time.sleep(random.uniform(0, 4))
        events.airflow.kill("triggerer", signum)
        polls = events.requests()
        events.airflow.restart("triggerer")


@contextmanager
def broken_for_a_minute(airflow: AirflowStack, name: str) -> Iterator[None]:
    """Give a DAG file an import error from now on; at the end, after a minute at least, it is mended."""
    path, began = airflow.dags_folder / f"{name}.py", time.monotonic()
    good = path.read_text()
    path.write_text(good.replace("import os\n", "import os\nimport nothing_of_this_name\n"))
    try:
        wait_for("the import error", airflow.import_errors)
        yield
        time.sleep(max(0.0, began + 60 - time.monotonic()))
    finally:
        path.write_text(good)
    wait_for("the file to be good again", lambda: not airflow.import_errors())


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


SCENARIOS = (tasks_supervisors_scheduler_and_api_server_die, tasks_die_without_retries, the_triggerer_dies)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_kills(running: dict[Scenario, Future[None]], scenario: Scenario) -> None:
    """The promise in the scenario's docstring."""
    running[scenario].result()
