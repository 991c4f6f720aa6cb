"""Each step of the protocol is needed: without it, a life or a forced schedule goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from airflow_provider_stripe_lite._cursor import Ledger
from airflow_provider_stripe_lite.core import document as documents
from tests.core.ledger_lives import drain, live
from tests.core.ledger_process import Process, Runs
from tests.core.ledger_schedules import add, elsewhere, go_before, rest, started, used
from tests.core.ledger_world import World

# So many lives are tried until one goes wrong; one in twenty does.
LIVES = 400
Scene = Callable[[World], None]


@pytest.fixture(autouse=True)
def _few_claims(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Let the document forget after four claims, and let nobody say that it falls behind."""
    monkeypatch.setattr(documents, "MOST_CLAIMS", 4)
    caplog.set_level("ERROR", "airflow_provider_stripe_lite")


def delivered(world: World, count: int = 1) -> list[Process]:
    """Let runs return what is new, one after the other."""
    processes = []
    for _ in range(count):
        processes += started(world, 1)
        world.go(processes[-1])
        add(world, 1)
    return processes


def four_writers(world: World) -> None:
    """The entry of a process comes back in an older document, and is gone in one older still."""
    one, two, three, four = started(world, 4)
    world.go(one, "write")
    world.go(two, "write")
    world.go(one, "sleep")
    add(world, 1)
    world.go(three, "write")
    world.go(two, "sleep")
    world.go(one, "read")
    world.step(one)
    add(world, 1)
    world.go(four, "write")
    world.go(three, "sleep")
    world.step(one)
    rest(world, one, four, two, three)


def two_takers(world: World) -> None:
    """Two runs see one free window, and the second writes when the first has returned it."""
    owner, one, other = started(world, 3)
    world.kill(world.go(owner, "push"), final=True)
    world.go(other, "read")
    world.step(other)
    rest(world, one)
    rest(world, other)


def cleared_when_seen(world: World) -> None:
    """A run is cleared whose success a poll has seen, and another poll comes first."""
    owner = delivered(world)[0]
    rest(world, *started(world, 1))
    world.clear(owner.task)
    rest(world, *started(world, 1))


def cleared_when_forgotten(world: World) -> None:
    """A run is cleared of which the document knows nothing any more."""
    owner = delivered(world, 7)[0]
    world.clear(owner.task)
    rest(world, *[again for again in [world.start(owner.task)] if again])


def moved(world: World) -> None:
    """A mapped task has succeeded with another stream than that of its first try."""
    _, again = elsewhere(world)
    rest(world, again)


def lied_to(world: World) -> None:
    """Airflow says twice in a row that a Variable is missing which is there."""
    delivered(world)
    process = started(world, 1)[0]
    for _ in range(2):
        world.go(process, "read")
        world.fault = "lie"
    rest(world, process)


def _no_second_read(patch: pytest.MonkeyPatch) -> None:
    read = Runs.read

    def same(runs: Runs) -> str | None:
        asked, text = runs._asked, read(runs)
        return runs._known if asked else text

    patch.setattr(Runs, "read", same)


def _no_second_read_of_the_free(patch: pytest.MonkeyPatch) -> None:
    read, is_running = Runs.read, Runs.is_running

    def asked(runs: Runs) -> bool:
        runs.__dict__["takes"] = runs._process.at == "states"
        return is_running(runs)

    def same(runs: Runs) -> str | None:
        takes = runs._asked and runs.__dict__["takes"]
        text = read(runs)
        return runs._known if takes else text

    patch.setattr(Runs, "is_running", asked)
    patch.setattr(Runs, "read", same)


def _no_wait(patch: pytest.MonkeyPatch) -> None:
    sleep = Runs.sleep
    patch.setattr(Runs, "sleep", lambda runs, seconds: sleep(runs, 0))


def _no_read_back(patch: pytest.MonkeyPatch) -> None:
    read, write, sleep = Runs.read, Runs.write, Runs.sleep

    def noted(runs: Runs, text: str) -> None:
        runs.__dict__["wrote"] = text
        write(runs, text)

    def slept(runs: Runs, seconds: float) -> None:
        sleep(runs, seconds)
        runs.__dict__["back"] = True

    def same(runs: Runs) -> str | None:
        text = read(runs)
        return runs.__dict__["wrote"] if runs.__dict__.pop("back", False) else text

    patch.setattr(Runs, "write", noted)
    patch.setattr(Runs, "sleep", slept)
    patch.setattr(Runs, "read", same)


def _no_standing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "_stood", property(lambda _: mock.ANY, lambda *_: None), raising=False)


def _no_done(patch: pytest.MonkeyPatch) -> None:
    states = Runs.states

    def answered(runs: Runs, entries: Any) -> dict[tuple[str, int], str | None]:
        # What has succeeded is seen, and left as it is.
        answer = states(runs, entries)
        return {one: "running" if state == "success" else state for one, state in answer.items()}

    patch.setattr(Runs, "states", answered)


def _no_refusal(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Runs, "is_cleared", property(lambda _: False, lambda *_: None), raising=False)


def _no_xcom(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Runs, "pushed", lambda *_: None)


def _no_list_of_keys(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Runs, "is_absent", lambda _: True)
    patch.setattr(Runs, "cursors", lambda _: [])
    patch.setattr(Runs, "has_succeeded", lambda _: False)


STEPS: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], Scene | None]] = {
    "read again before the write": (_no_second_read, None),
    "read again before a free window is taken": (_no_second_read_of_the_free, two_takers),
    "wait": (_no_wait, None),
    "read back": (_no_read_back, None),
    "an entry of mine must stand": (_no_standing, four_writers),
    "done is written": (_no_done, cleared_when_seen),
    "who is forgotten is refused": (_no_refusal, cleared_when_forgotten),
    "a mapped success is asked for its window": (_no_xcom, moved),
    "absent is what the list of keys says": (_no_list_of_keys, lied_to),
}
SCENES = [scene for _, scene in STEPS.values() if scene]


def played(scene: Scene) -> dict[str, list[Any]]:
    """Return what is wrong at the end of a scene."""
    with used(2 if scene is moved else 0) as world:
        scene(world)
        drain(world)
        return world.problems()


@pytest.mark.parametrize("scene", SCENES)
def test_the_scene_ends_well(scene: Scene) -> None:
    """Each object is in one run, and a run that comes again returns what it has returned."""
    assert not any(played(scene).values())


@pytest.mark.parametrize("step", STEPS)
def test_each_step_of_the_fence_is_needed(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it something is lost, or comes twice."""
    leave_out, scene = STEPS[step]
    leave_out(monkeypatch)
    worlds = [played(scene)] if scene else (live(seed).problems() for seed in range(LIVES))
    assert any(problems["lost"] or problems["twice"] for problems in worlds)


def test_a_task_that_was_marked_claims_nothing() -> None:
    """Its process lives on for some seconds, and leaves what is new to others."""
    with used() as world:
        process = world.go(started(world, 1)[0], "is_running")
        world.mark_failed(process.task, steps=9)
        before = world.streams[0].document
        assert "marked or cleared" in str(world.go(process).error)
        assert world.streams[0].document == before


@pytest.mark.parametrize("call", ["sleep", "read"])
def test_a_task_that_was_marked_while_it_waits_returns_nothing(call: str) -> None:
    """Its window is in the document already, and free: another run may take it at any time."""
    with used() as world:
        process = world.go(started(world, 1)[0], "write")
        world.step(process)
        go_before(world, process, call)
        world.mark_failed(process.task, steps=9)
        assert "marked or cleared" in str(world.go(process).error)
        rest(world, taker := started(world, 1)[0])
        assert taker.rows == [0, 1]
