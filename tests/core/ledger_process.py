"""One try of a sensor's task around the real ledger: it stands still before each call it makes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent, greenlet

from airflow_provider_stripe_lite._cursor import Ledger, Outcome
from airflow_provider_stripe_lite.core.batches import Batch
from airflow_provider_stripe_lite.core.window import Position, Window, end_of, start_of

if TYPE_CHECKING:
    from tests.core.ledger_parts import Stream, Task
    from tests.core.ledger_world import World

__all__ = ["Process", "Runs"]


class Process:
    """One try of a task, as a coroutine.

    :ivar at: the name of the call that it stands before.
    :ivar waiting: whether it has found nothing and sleeps until its next poke.
    :ivar left: how many steps it has until Airflow ends it, or None.
    :ivar outcome: what the ledger returned last.
    :ivar rows: what the try returns, or None where it found nothing.
    :ivar error: what it raised.
    :ivar begun: the second where it lets a first run begin.
    """

    def __init__(self, world: World, task: Task, stream: Stream) -> None:
        self.world, self.task, self.stream = world, task, stream
        self.at, self.waiting = "start", False
        self.left: int | None = None
        self.outcome: Outcome | None = None
        self.rows: list[int] | None = None
        self.error: Exception | None = None
        self.begun: int | None = None
        # From its last look at Airflow to its write a process is quicker than a new one can start,
        # and than the ledger's wait. So whoever starts or waits stays behind those on their way.
        self.behind = set(world.underway)
        self._way: int | None = None
        self._light = greenlet(self._live)

    @property
    def is_over(self) -> bool:
        """Whether it has returned or raised."""
        return bool(self._light.dead)

    @property
    def is_blocked(self) -> bool:
        """Whether it sleeps, or is only starting, while others write."""
        return bool(self.behind & self.world.underway)

    def go_on(self) -> None:
        """Make the call that it stands before, and stop before the next one."""
        self.world.log.append(f"  {self.task}: {self.at}")
        self._light.switch()
        if self.is_over:
            self.leave_way()
            self.world.log += [f"  {self.task}: {self.error!r:.90}"] if self.error else []

    def kill(self) -> None:
        """End it where it stands."""
        self._light.throw()
        self.leave_way()

    def enter_way(self) -> int:
        """Say that a write may follow at once."""
        if self._way is None:
            self._way = self.world.new_way()
        return self._way

    def leave_way(self, *, open_still: bool = False) -> None:
        """Say that it has written, or will not.

        :param open_still: whether what it has sent is still on its way.
        """
        if not open_still:
            self.world.underway.discard(self._way)
        self._way = None

    def wait_behind(self) -> None:
        """Go on only when all that are about to write have written."""
        self.behind = self.world.underway - {self._way}

    def call(self, name: str, *faults: str) -> str | None:
        """Stand still, then return which of these faults happens to the call, or None.

        :raises RuntimeError: the call fails.
        """
        self.at = name
        getcurrent().parent.switch()
        fault = self.world.fault
        if fault not in ("before", *faults):
            return None
        self.world.fault = None
        self.world.log.append(f"  {self.task}: {name}: {fault}")
        if fault == "before":
            raise RuntimeError(name)
        return fault

    def _live(self) -> None:
        try:
            self.rows = self._try()
        # Whoever steps the process decides what may be raised here.
        except Exception as error:  # noqa: BLE001
            self.error = error

    def _try(self) -> list[int] | None:
        ledger, task, stream = Ledger(Runs(self), self._first), self.task, self.stream
        while True:
            outcome = self.outcome = ledger.claim(stream.source, self._look)
            self.leave_way()
            if outcome.window is not None:
                break
            self._push(outcome)
            if self.world.mode != "poke":
                return None
            self.waiting = True
            self.call("wake")
            self.waiting = False
        batch = outcome.batch
        rows = batch.items if batch and not batch.unread else self._read(outcome.window)
        if task.process is self and task.state == "running":
            self.world.note_shown(task, stream, rows)
        self._push(outcome)
        self.call("return")
        return rows

    def _read(self, window: Window) -> list[int]:
        self.call("rows")
        return self.stream.rows(start_of(window), end_of(window))

    def _push(self, outcome: Outcome) -> None:
        if outcome.cursor is not None:
            self.call("push")
            self.task.xcom = json.loads(json.dumps(outcome.cursor))

    def _first(self) -> Position:
        run, start = self.task.run, self.world.start_from
        now = self.world.now if run.backfill else run.after
        self.begun = now if start is None else start
        return Position(self.begun)

    def _look(self, position: Position, _: str) -> Batch:
        self.leave_way()
        self.call("look")
        return self.stream.poll(position)


class Runs:
    """What the ledger asks of Airflow; each call may fail."""

    task = "dag.new"

    def __init__(self, process: Process) -> None:
        self._process, self._world, self._stream = process, process.world, process.stream
        task = process.task
        self.key, self.run_id, self.map_index = self._stream.key, task.run.id, task.index
        self.run_after = datetime.fromtimestamp(task.run.after, UTC).isoformat(
            timespec="microseconds"
        )
        self.is_mapped, self.is_cleared = task.index >= 0, task.clears > 0
        # What the first read of a round said, and whether the next one is that before a write.
        self._known: str | None = None
        self._asked = False

    def read(self) -> str | None:
        """Return the Variable's text; a lie is Airflow's "not found"."""
        process, again, self._asked = self._process, self._asked, False
        if not again:
            process.leave_way()
        text = None if process.call("read", "lie") else self._stream.text
        if not again:
            self._known = text
        elif text != self._known:
            process.leave_way()
        return text

    def write(self, text: str) -> None:
        """Write the Variable.

        Its answer is lost, or it lands later than that, or Airflow sends it again.
        """
        process, stream = self._process, self._stream
        begun = process.begun if self._known is None else stream.begins.get(self._known)
        fault = process.call("write", "lost", "late", "again")
        way = process.enter_way()
        if fault == "late":
            self._world.late.append((way, lambda: stream.write(text, begun)))
            process.leave_way(open_still=True)
            raise RuntimeError(fault)
        stream.write(text, begun)
        if fault == "again":
            process.call("write again")
            stream.write(text, begun)
        process.leave_way()
        if fault == "lost":
            raise RuntimeError(fault)

    def is_absent(self) -> bool:
        """Ask for the list of keys, which never lies."""
        self._process.call("is_absent")
        return self._stream.text is None

    def is_running(self) -> bool:
        """Ask for the own state."""
        self._process.call("is_running")
        self._process.enter_way()
        self._asked, task = True, self._process.task
        return task.state == "running" and not task.run.deleted

    def states(self, entries: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str | None]:
        """Ask for the states of tasks."""
        tasks = {entry: self._world.task(*entry) for entry in entries}
        if tasks:
            self._process.call("states")
            self._process.enter_way()
        return {entry: task.state for entry, task in tasks.items() if not task.run.deleted}

    def pushed(self, run_id: str, map_index: int) -> Any:
        """Pull another task's XCom."""
        self._process.call("pushed")
        return self._world.task(run_id, map_index).xcom

    def cursors(self) -> list[Any]:
        """Pull the newest XCom up to this run, and those of the newest successes, of each index."""
        self._process.call("cursors")
        found, mine = [], self._process.task.run.after
        tasks = [task for task in self._world.tasks if task.xcom]
        for index in sorted({task.index for task in tasks}):
            same = [task for task in tasks if task.index == index]
            before = [task for task in same if task.run.after <= mine]
            done = [task for task in same if task.state == "success"]
            earlier = [task for task in done if task.run.after < mine]
            some = filter(None, (before, done, earlier))
            found += [max(tasks, key=lambda task: task.run.after).xcom for tasks in some]
        return found

    def has_succeeded(self) -> bool:
        """Count the successes."""
        self._process.call("has_succeeded")
        return any(task.state == "success" for task in self._world.tasks)

    def sleep(self, seconds: float) -> None:
        """Sleep at least as long as any write takes that has been decided on."""
        if seconds > 0:
            self._process.wait_behind()
        self._process.call("sleep")
