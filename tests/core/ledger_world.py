"""Airflow and Stripe as the ledger meets them: runs and their tries, one list and one Variable for
each account. Nothing waits here: whoever holds the world says which process makes its next call.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from airflow_provider_stripe_lite.core import clock
from airflow_provider_stripe_lite.errors import StripeCursorError, StripeInputError
from tests.core.ledger_parts import TRIES, Run, Stream, Task
from tests.core.ledger_process import Process

__all__ = ["START", "World", "clock_of", "iso"]

START = 1_767_225_600
_MOST_CALLS = 1000
_WAITING = ("up_for_reschedule", "deferred")
_ENDED = ("success", "failed", "skipped", "removed")


def iso(second: int) -> str:
    """Return a time as Airflow's runs have it."""
    return datetime.fromtimestamp(second, UTC).isoformat(timespec="microseconds")


@contextmanager
def clock_of(world: World) -> Iterator[None]:
    """Let the ledger's clock show the time of the world."""
    before = clock.use(lambda: world.now)
    try:
        yield
    finally:
        clock.use(*before)


class World:
    """One sensor of one DAG.

    :ivar order: which stream each index of a mapped sensor stands for; None in an unmapped one.
    :ivar returns_windows: whether a look reads nothing but the end of what is new.
    :ivar limit: whether max_active_tis_per_dag is 1.
    :ivar fault: what happens to the next call that it can happen to.
    :ivar underway: the writes that may follow at once, or have not landed yet.
    :ivar late: those that have not landed.
    :ivar log: what happened: sentences, and the claims of a list after each write.
    :ivar changed: what a task has returned that had returned something else before.
    :ivar refused: the processes that the ledger has failed for good.
    :ivar taken: how many windows were taken over.
    """

    def __init__(self, streams: int = 0) -> None:
        self.now, self.clock, self.max_items = START, 0, 1000
        self.start_from: int | None = START
        self.returns_windows = False
        self.mode, self.limit, self.max_runs = "poke", False, 9
        self.streams = [Stream(self, number) for number in range(streams or 1)]
        self.order = [*self.streams] if streams else None
        self.runs: list[Run] = []
        self.tasks: list[Task] = []
        self.processes: list[Process] = []
        self.fault: str | None = None
        self.underway: set[int] = set()
        self.late: list[tuple[int, Callable[[], None]]] = []
        self.log: list[Any] = []
        self.changed: list[str] = []
        self.refused: list[Process] = []
        self.taken = 0
        self._ways = 0
        self._by_owner: dict[tuple[str, int], Task] = {}

    def new_way(self) -> int:
        """Return the number of a write that may follow."""
        self._ways += 1
        self.underway.add(self._ways)
        return self._ways

    def land(self) -> None:
        """Let the oldest late write take effect."""
        way, write = self.late.pop(0)
        write()
        self.underway.discard(way)
        # A start takes longer than both: until a late write lands, and until those have written
        # that have not seen it.
        for process in self.processes:
            if process.at == "start" and way in process.behind:
                process.wait_behind()

    def task(self, run_id: str, index: int) -> Task:
        """Return a task by its names."""
        return self._by_owner[run_id, index]

    def new_run(self, *, backfill: bool = False) -> Run:
        """Create a DAG run with the indexes that the list has now."""
        run = Run(len(self.runs), START - 100 if backfill else self.now, backfill)
        indexes = [-1] if self.order is None else range(len(self.order))
        run.tasks = [Task(run, index) for index in indexes]
        self.runs.append(run)
        self.tasks += run.tasks
        self._by_owner |= {(run.id, task.index): task for task in run.tasks}
        return run

    def can_start(self, task: Task, *, waking: bool = False) -> bool:
        """Tell whether the scheduler may start a try, or wake a task that waits without one."""
        states = _WAITING if waking else (None, "up_for_retry")
        run = task.run
        if (
            run.deleted
            or task.state not in states
            or any(p.task is task and p.left is None for p in self.processes)
        ):
            return False
        busy = sum(r.state == "running" and not (r.deleted or r.backfill) for r in self.runs)
        return (run.state != "queued" or run.backfill or busy < self.max_runs) and not (
            self.limit
            and any(
                other.state in ("running", "deferred") and other is not task
                for other in self.tasks
                if not other.run.deleted
            )
        )

    def start(self, task: Task) -> Process | None:
        """Start a try; None where the list has no such index any more."""
        resumed = task.state == "deferred"
        task.run.state, task.state = "running", "running"
        if not resumed:
            task.xcom = None
        streams = self.streams if self.order is None else self.order
        number = max(task.index, 0)
        if number >= len(streams):
            self.end_try(task)
            return None
        task.stream = streams[number]
        task.process = Process(self, task, task.stream)
        self.processes.append(task.process)
        return task.process

    def step(self, process: Process) -> bool:
        """Let a process make its next call; False where it is over, or waits."""
        if process.is_blocked or process.waiting:
            return False
        if process.left is not None:
            process.left -= 1
            if not process.left:
                process.kill()
        if not process.is_over:
            process.go_on()
            if not process.is_over:
                return True
        self.processes.remove(process)
        self._end(process)
        return False

    def go(self, process: Process | None, to: str = "") -> Process:
        """Let a process go on until it stands before a call, waits or is over."""
        assert process is not None
        calls = 0
        while self.step(process) and process.at != to:
            calls += 1
            assert calls < _MOST_CALLS, f"{process.task} comes to no end"
        return process

    def _end(self, process: Process) -> None:
        task, error, rows = process.task, process.error, process.rows
        final = isinstance(error, StripeInputError)
        if final:
            self.refuse(process)
        elif error and not isinstance(error, RuntimeError | StripeCursorError):
            raise error
        if task.process is not process:
            return
        task.process = None
        if task.state == "restarting":
            task.state, task.tries = None, TRIES
        elif task.state == "running" and not task.run.deleted:
            if error:
                self.end_try(task, final=final)
            elif rows is None:
                task.state = "deferred" if self.mode == "deferrable" else "up_for_reschedule"
            else:
                task.rows[process.stream] = rows
                self.log.append(f"{task} succeeds with {rows} of list {process.stream.number}")
                self._finish(task, "success")

    def refuse(self, process: Process) -> None:
        """Note that the ledger has failed a try for good."""
        self.refused.append(process)

    def end_try(self, task: Task, *, final: bool = False, state: str = "failed") -> None:
        """End a try without success; the last one ends the task."""
        task.process, task.tries = None, task.tries - 1
        if final or not task.tries:
            self._finish(task, state)
        else:
            task.state = "up_for_retry"

    def _finish(self, task: Task, state: str) -> None:
        task.state, run = state, task.run
        if all(one.state in _ENDED for one in run.tasks):
            run.state = "failed" if any(t.state == "failed" for t in run.tasks) else "success"

    def note_shown(self, task: Task, stream: Stream, rows: list[int]) -> None:
        """Hold what a try returns against what an earlier one of the same task has returned."""
        before = task.shown.get(stream)
        if before is not None and set(rows) - stream.dead != set(before) - stream.dead:
            self.changed.append(f"{task} returns {rows} after {before}")
        task.shown[stream] = rows

    def kill(self, process: Process, *, final: bool = False) -> None:
        """Kill a process, as its host does when it runs out of memory."""
        process.kill()
        self.processes.remove(process)
        self.end_try(process.task, final=final)

    @property
    def waiting(self) -> list[Task]:
        """The tasks that have found nothing yet."""
        asleep = [process.task for process in self.processes if process.waiting]
        return asleep + [task for task in self.tasks if task.state in _WAITING]

    def time_out(self, task: Task, state: str = "failed") -> None:
        """Let the time run out in which a sensor waits for something new."""
        if process := task.process:
            process.kill()
            self.processes.remove(process)
        self.end_try(task, final=True, state=state)

    def clear(self, task: Task, steps: int = 0) -> None:
        """Clear a task; a process that runs lives on for some steps."""
        self._condemn(task, steps)
        if task.state == "restarting":
            return
        task.clears, task.tries, task.run.state = task.clears + 1, TRIES, "queued"
        gone = self.order is not None and task.index >= len(self.order)
        running = task.state == "running"
        task.state = "restarting" if running else "removed" if gone else None

    def delete(self, run: Run, steps: int = 0) -> None:
        """Delete a DAG run."""
        run.deleted = True
        for task in run.tasks:
            task.xcom = None
            self._condemn(task, steps)

    def mark_failed(self, task: Task, steps: int = 0) -> None:
        """Mark a task by hand."""
        self._condemn(task, steps)
        self.end_try(task, final=True)

    def _condemn(self, task: Task, steps: int) -> None:
        if task.process:
            task.process.left = 1 + steps

    def problems(self) -> dict[str, list[Any]]:
        """Return what was delivered never, more than once, or otherwise in a later try."""
        lost, twice = [], []
        for stream in self.streams:
            counts = Counter(at for task in self.tasks for at in task.rows.get(stream, ()))
            first = bisect_left(stream.made, self.now if stream.start is None else stream.start)
            alive = [at for at in range(first, len(stream.made)) if at not in stream.dead]
            lost += [(stream.number, at) for at in alive if not counts[at]]
            twice += [(stream.number, at) for at, count in counts.items() if count > 1]
        return {"lost": lost, "twice": twice, "changed": self.changed}
