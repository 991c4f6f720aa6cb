"""kill -9 at random moments of each process of an Airflow: nothing lost, nothing twice."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from dev.airflow_api import wait_for
from tests.e2e.scenarios import MODES, VICTIMS, kill, started, watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from dev.stack import AirflowStack
    from tests.e2e.scenarios import Scenario, Stream

pytestmark = pytest.mark.e2e

# The deaths of the triggerer, on each of two databases.
DEATHS = [signal.SIGKILL] * 5 + [signal.SIGTERM] * 2
RECOVERY_SECONDS = 240


def tasks_supervisors_scheduler_and_api_server_die(
    airflow: AirflowStack, stream: Callable[[str], Stream]
) -> None:
    """kill -9 of tasks, supervisors, scheduler and api-server: nothing lost, nothing twice."""
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
        # A LocalExecutor never misses a worker that dies with a task it has just taken; only the
        # next scheduler does.
        kills["scheduler"] += kill(airflow, "scheduler")
    print(f"\n{airflow.database}: kill -9 of {dict(kills)}")
    assert kills.total() == 20
    for each in streams:
        each.wait_for_all(RECOVERY_SECONDS)
        assert each.verdict() == "0 lost, 0 twice"


def tasks_die_without_retries(airflow: AirflowStack, stream: Callable[[str], Stream]) -> None:
    """Without retries, advance_after="dag_run" brings every object to a run that succeeds."""
    (strict,) = started([stream("strict")])
    kills = 0
    with strict.arriving(100, seconds=60):
        began = time.monotonic()
        # On a loaded machine, a minute holds few moments in which a task of the DAG can be killed.
        while (seconds := time.monotonic() - began) < 60 or (kills < 3 and seconds < 180):
            # Tasks of the other scenarios are tried again, and a kill of theirs fails no run here.
            kills += kill(airflow, "task", strict.name)
            time.sleep(random.uniform(1, 4))

    def good() -> dict[str, list[str]]:
        states = strict.states()
        return {run: ids for run, ids in strict.received().items() if states.get(run) == "success"}

    def all_in_good_runs() -> bool:
        return set(strict.held()) <= {name for ids in good().values() for name in ids}

    wait_for("every object in a run that succeeded", all_in_good_runs, RECOVERY_SECONDS, every=1)
    failed = Counter(strict.states().values())["failed"]
    print(f"\n{airflow.database}: {kills} kills without retries, {failed} failed runs of strict")
    assert failed
    assert strict.verdict(good()) == "0 lost, 0 twice"


def the_triggerer_dies(airflow: AirflowStack, stream: Callable[[str], Stream]) -> None:
    """The triggerer dies, the DAG's file is broken, the DAG is paused: no window is lost."""
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
    # With the next event, Airflow 3.3.2 delivers the events that it held back while no run could
    # start (docs/modes.md).
    with events.arriving(4, seconds=20):
        pass
    # A person would clear failed runs, too.
    if failed := [run for run, state in events.states().items() if state == "failed"]:
        airflow.clear(events.name, failed)
    events.wait_for_all(RECOVERY_SECONDS)
    print(
        f"\n{airflow.database}: {windows_twice(events)} windows announced twice in {len(DEATHS)} "
        f"deaths; {len(failed)} runs failed while their file was broken"
    )
    assert events.verdict().startswith("0 lost")
    # Each end of the watcher, by a death or the pause, may repeat the one window that it announced
    # in its last ten seconds.
    assert windows_twice(events) <= len(DEATHS) + 1
    assert once_each_window(events) == set(events.held())


def kill_triggerer(events: Stream, signals: Sequence[signal.Signals]) -> None:
    """End the triggerer and start it again, each time after a poll of its watcher."""
    polls = -1
    for signum in signals:
        seen = polls
        wait_for("a poll of the watcher", lambda seen=seen: events.requests() > seen, timeout=120)
        time.sleep(random.uniform(0, 4))
        events.airflow.kill("triggerer", signum)
        polls = events.requests()
        events.airflow.restart("triggerer")


@contextmanager
def broken_for_a_minute(airflow: AirflowStack, name: str) -> Iterator[None]:
    """Give a DAG file an import error; mend it at the end, after a minute at least."""
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
    """Return how many windows were announced more than once, by their ids."""
    entries = [entry for entry in events.fake.read("ledger") if entry["dag"] == "events"]
    runs = {entry["run"]: entry["windows"] for entry in entries}
    counts = Counter(name for windows in runs.values() for name in windows)
    return sum(times > 1 for times in counts.values())


def once_each_window(events: Stream) -> set[str]:
    """Return the ids that a consumer receives who takes each window once."""
    seen: set[str] = set()
    objects: list[str] = []
    for entry in events.fake.read("ledger"):
        if entry["dag"] == "events" and not seen.issuperset(entry["windows"]):
            seen.update(entry["windows"])
            objects += entry["ids"]
    return set(objects)


SCENARIOS = (
    tasks_supervisors_scheduler_and_api_server_die,
    tasks_die_without_retries,
    the_triggerer_dies,
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_kills(running: dict[Scenario, Future[None]], scenario: Scenario) -> None:
    """Hold the promise in the scenario's docstring."""
    running[scenario].result()
