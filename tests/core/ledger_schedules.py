"""Steps of forced schedules: runs that begin, and stop before a call of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow_provider_stripe_lite.errors import StripeInputError
from tests.core.ledger_parts import LAG
from tests.core.ledger_process import Process
from tests.core.ledger_world import World, clock_of

__all__ = [
    "add",
    "again",
    "begin",
    "document",
    "elsewhere",
    "go_before",
    "judging",
    "put",
    "refusal",
    "rest",
    "run",
    "started",
    "steps",
    "used",
]


@contextmanager
def used(streams: int = 0) -> Iterator[World]:
    """Give a sensor whose first run has found nothing; then two objects are new."""
    world = World(streams)
    with clock_of(world):
        begin(world)
        yield world


def begin(world: World) -> None:
    """Let a first run find nothing in each list; then two objects are new in the first one."""
    for task in world.new_run().tasks:
        world.go(world.start(task))
        world.time_out(task)
    add(world, 2)


def add(world: World, count: int) -> None:
    """Create objects, and let them become old enough."""
    world.streams[0].add(count)
    world.now += LAG + 1


def started(world: World, count: int) -> list[Process]:
    """Return the first tries of new runs."""
    tries = [world.start(world.new_run().tasks[0]) for _ in range(count)]
    return [process for process in tries if process]


def rest(world: World, *processes: Process) -> None:
    """Let processes go on, one after the other, until each is over or has found nothing."""
    while left := [one for one in processes if not (one.is_over or one.waiting)]:
        assert not all(process.is_blocked for process in left)
        for process in left:
            world.go(process)


def steps(world: World, process: Process, count: int) -> None:
    """Let a process make so many calls, if it can."""
    for _ in range(count):
        if not process.is_over:
            world.step(process)


def run(world: World, to: str = "") -> Process:
    """Let a new run's first try go on until it is over, waits, or stands before a call."""
    return world.go(started(world, 1)[0], to)


def again(world: World, process: Process) -> Process:
    """Clear a run, and let it go on until it is over or waits."""
    world.clear(process.task)
    return world.go(world.start(process.task))


def judging(world: World, call: str) -> Process:
    """Let a new run of the first list judge the claims, until it stands before a call."""
    poller = started(world, 1)[0]
    steps(world, poller, 1)
    go_before(world, poller, call)
    return poller


def go_before(world: World, process: Process, call: str) -> None:
    """Let a process go on until it stands before a call, if it comes to one."""
    while process.at != call and world.step(process):
        pass


def elsewhere(world: World) -> tuple[Process, Process]:
    """Return a try that has died with its claim, and the next one, which has another list."""
    one, other = world.streams
    owner = started(world, 1)[0]
    world.kill(world.go(owner, "push"))
    world.order = [other, one]
    other.add(1)
    world.now += 100
    again = world.start(owner.task)
    assert again
    return owner, again


def document(world: World) -> dict[str, Any]:
    """Return what the Variable holds."""
    return world.streams[0].document


def put(world: World, value: Any) -> None:
    """Write the Variable by hand."""
    world.streams[0].text = value if isinstance(value, str) else json.dumps(value)


def refusal(process: Process) -> str:
    """Return the sentence that failed a try for good."""
    assert isinstance(process.error, StripeInputError)
    return str(process.error)
