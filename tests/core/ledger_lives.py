"""Random lives of a sensor under the ledger: all chance is in a seed, and in a list of actions, of
which any may be left out.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from airflow_provider_stripe_lite.core.times import DAY
from tests.core.ledger_parts import LAG, Task
from tests.core.ledger_process import Process
from tests.core.ledger_world import START, World, clock_of, iso

__all__ = ["Life", "drain", "live", "story"]

Action = tuple[str, float, float]
Pick = Callable[[Sequence[Any]], Any]
# fmt: off
_WEIGHTS = {
    "calls": 30, "call": 100, "start": 35, "wake": 30, "run": 22, "objects": 14, "tick": 14,
    "drop": 2, "fault": 5, "land": 5, "kill": 4, "timeout": 1, "clear": 10, "delete": 1.5,
    "mark": 1.5, "xcoms": 0.5, "list": 4,
}
# fmt: on
_FAULTS = ("before", "before", "lost", "lost", "late", "again", "lie")
_MOST_RUNS, _MOST_ROUNDS = 14, 500


class Life(World):
    """A world whose fate is drawn from a seed."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        mapped = chance.random() < 0.3
        super().__init__(streams=2 if mapped else 0)
        self.changes_list = mapped and chance.random() < 0.7
        self.limit = not mapped and chance.random() < 0.4
        self.mode = chance.choice(("poke", "reschedule", "deferrable"))
        self.max_runs = chance.choice((1, 3, 9))
        self.clock, self.max_items = chance.choice((0, 0, -30, 20, 400)), chance.choice((2, 1000))
        self.returns_windows = chance.random() < 0.3
        self.start_from = chance.choice((START - 1000, None))
        count = chance.choice((60, 120, 240))
        kinds = chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=count)
        self.unlawful: list[str] = []
        self.actions = [(kind, chance.random(), chance.random()) for kind in kinds]

    def act(self, action: Action) -> None:
        """Do one thing, where it is possible and lawful."""
        kind, a, b = action
        getattr(self, f"_{kind}")(
            lambda things: things[int(a * len(things))] if things else None, b
        )

    def _calls(self, pick: Pick, b: float) -> None:
        if process := pick(self.processes):
            all(self.step(process) for _ in range(2 + int(b * 8)))

    def _call(self, pick: Pick, b: float) -> None:
        if process := pick(self.processes):
            self.step(process)

    def _start(self, pick: Pick, b: float) -> None:
        if task := pick([task for task in self.tasks if self.can_start(task)]):
            self.log.append(f"{task} starts")
            self.start(task)

    def _wake(self, pick: Pick, b: float) -> None:
        asleep = [process for process in self.processes if process.waiting]
        tasks = [task for task in self.tasks if self.can_start(task, waking=True)]
        match pick([*asleep, *tasks]):
            case Process() as process:
                process.waiting = False
            case Task() as task:
                self.start(task)

    def _run(self, pick: Pick, b: float) -> None:
        if len(self.runs) < _MOST_RUNS:
            self.new_run(backfill=b < 0.25)

    def _objects(self, pick: Pick, b: float) -> None:
        pick(self.streams).add(1 + int(b * 3), int(b * 1000) % LAG)

    def _tick(self, pick: Pick, b: float) -> None:
        self.now += DAY + 1 if b > 0.98 else 1 + int(b * 120)

    def _drop(self, pick: Pick, b: float) -> None:
        stream = pick(self.streams)
        # It is often an object that a position names.
        named = [claim["window"][end] for claim in stream.claims for end in ("after", "last")]
        known = [int(id) for id in named if id is not None] if b < 0.6 else []
        known = known or [at for at, second in enumerate(stream.visible) if second <= self.now]
        stream.dead |= {known[int(b * 1000) % len(known)]} if known else set()

    def _fault(self, pick: Pick, b: float) -> None:
        self.fault = pick(_FAULTS)

    def _land(self, pick: Pick, b: float) -> None:
        if self.late:
            self.log.append("a late write lands")
            self.land()

    def _kill(self, pick: Pick, b: float) -> None:
        if process := pick([one for one in self.processes if one.left is None]):
            self.kill(process, final=b < 0.3)
            self.log.append(f"{process.task} is killed before {process.at!r}")

    def _timeout(self, pick: Pick, b: float) -> None:
        if task := pick(self.waiting):
            self.time_out(task, "failed" if b < 0.6 else "skipped")
            self.log.append(f"{task} finds nothing in time: {task.state}")

    def _mark(self, pick: Pick, b: float) -> None:
        states = (None, "running", "up_for_retry", "up_for_reschedule", "deferred")
        if task := pick([task for task in self._alive() if task.state in states]):
            self.log.append(f"{task} is marked failed")
            self.mark_failed(task, int(b * 8))

    def _clear(self, pick: Pick, b: float) -> None:
        tasks = [task for task in self._alive() if not task.is_unseen]
        if task := pick(tasks):
            both = [one for one in task.run.tasks if one in tasks] if b < 0.5 else [task]
            for one in both:
                self.log.append(f"{one} is cleared: {one.state}")
                self.clear(one, int(b * 8))

    def _delete(self, pick: Pick, b: float) -> None:
        runs = [run for run in self.runs if not run.deleted]
        if run := pick([run for run in runs if not any(task.is_unseen for task in run.tasks)]):
            self.log.append(f"{run.id} is deleted")
            self.delete(run, int(b * 8))

    def _xcoms(self, pick: Pick, b: float) -> None:
        # Where the list changes, too, nothing says any more what a task has delivered.
        for task in [] if self.changes_list else self.tasks:
            task.xcom = None

    def _list(self, pick: Pick, b: float) -> None:
        if self.changes_list:
            one, other = self.streams
            self.order = pick([[one], [other], [one, other], [other, one], [other, one]])
            self.log.append(f"the list is {[stream.number for stream in self.order]}")

    def _alive(self) -> list[Task]:
        for stream in self.streams:
            stream.settle()
        return [task for task in self.tasks if not task.run.deleted]

    def refuse(self, process: Process) -> None:
        """Accept no refusal but that of a cleared run whose claim the document has forgotten."""
        super().refuse(process)
        trimmed = process.stream.document.get("trimmed") or ""
        if not process.task.clears or iso(process.task.run.after) > trimmed:
            self.unlawful.append(f"{process.task}: {process.error}")

    def problems(self) -> dict[str, list[Any]]:
        """Return what should not have happened."""
        return super().problems() | {"unlawful": self.unlawful}


def drain(world: World) -> None:
    """Let nothing fail any more, and runs come until three in a row find nothing."""
    world.log.append("-- from here on nothing fails")
    world.fault, world.now, empty, rounds = None, world.now + 10 * LAG, 0, 0
    while world.late:
        world.land()
    if world.order is not None:
        world.order = [*world.streams]
    while empty < 3:
        rounds += 1
        assert rounds < _MOST_ROUNDS, "it comes to no end"
        texts = [stream.text for stream in world.streams]
        _settle(world)
        # A window may be free for those that have found nothing.
        for process in world.processes:
            process.waiting = False
        for task in world.tasks:
            if world.can_start(task, waking=True):
                world.start(task)
        _settle(world)
        if texts != [stream.text for stream in world.streams]:
            continue
        if waiting := world.waiting:
            for task in waiting:
                world.time_out(task)
            continue
        last = world.runs[-1].tasks if world.runs else []
        empty = empty + 1 if all(task.state == "failed" for task in last) else 0
        world.now += 5 * LAG
        world.new_run()


def _settle(world: World) -> None:
    """Let everything that can start, start, and go on until it ends or waits."""
    moved = True
    while moved:
        moved = False
        for task in world.tasks:
            if world.can_start(task):
                world.start(task)
                moved = True
        for process in list(world.processes):
            moved |= not (process.waiting or process.is_blocked)
            world.go(process)


def live(seed: int, actions: Sequence[Action] | None = None) -> Life:
    """Return a life after its end."""
    life = Life(seed)
    with clock_of(life):
        for action in life.actions if actions is None else actions:
            life.act(action)
        drain(life)
    return life


def story(seed: int) -> str:
    """Return what happens in a life that has problems, without all that they do not need."""
    life, actions = live(seed), Life(seed).actions
    what = next(name for name, found in life.problems().items() if found)
    for size in (64, 16, 4, 1, 1):
        at = 0
        while at < len(actions):
            fewer = actions[:at] + actions[at + size :]
            shorter = live(seed, fewer)
            if shorter.problems()[what]:
                actions, life = fewer, shorter
            else:
                at += size
    settings = f"seed {seed}, {life.mode}, limit {life.limit}, mapped {life.order is not None}"
    return "\n".join([settings, *map(_line, life.log), str(life.problems())])


def _line(entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    number, claims = entry
    told = [
        f"{claim['run_id']}[{claim['map_index']}] {claim['window']['after']}.."
        f"{claim['window']['last']}{' done' if claim['done'] else ''}"
        for claim in claims
    ]
    return f"    list {number}: {', '.join(told) or 'no claims'}"
