"""Runs that overlap in this process: each try is a greenlet, which stops at every call of Airflow.

What the ledger asks of Airflow is the only door between a sensor and the runs beside it. So a try
stands still before each such call until the test lets it go on, fails the call, or kills the try.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.models.taskinstance import TaskInstance
from airflow.sdk import DAG
from airflow.sdk.execution_time import task_runner
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from greenlet import getcurrent, greenlet

from airflow_provider_stripe_lite._runs import Runs
from tests.harness import Run, register

_CALLS = ("read", "write", "is_absent", "is_running", "states", "pushed", "cursors")
_END = (TaskInstanceState.SUCCESS, TaskInstanceState.FAILED, TaskInstanceState.SKIPPED)


class Killed(BaseException):
    """The process of a try was killed."""


class FaultError(RuntimeError):
    """Airflow's API did not answer."""


class _Dead:
    """The supervisor of a killed process: whatever the process still sends reaches nobody."""

    def send(self, *_: Any, **__: Any) -> Any:
        raise Killed


class Try(greenlet):
    """One try of a task.

    :ivar in_gap: whether it stands between its last read and its write.
    :ivar waits_for: the tries that must be past their gap before this one goes on.
    """

    def __init__(self, run: Run, ti: TaskInstance, others: list[Try]) -> None:
        super().__init__(lambda: run._execute(ti))
        self.gr_context = copy_context()
        self.dag_run, self.ti = run, ti
        self.in_gap = False
        # A process that starts is slower than one that is about to write.
        self.waits_for = [one for one in others if one.in_gap]
        self._comms: Any = None

    def go(self) -> None:
        """Go on to the next call, or to the end."""
        task_runner.SUPERVISOR_COMMS = self._comms
        self.switch()

    def kill(self) -> None:
        """End the process without another word to Airflow."""
        self._comms = task_runner.SUPERVISOR_COMMS = _Dead()  # type: ignore[assignment]
        with suppress(Killed):
            self.throw(Killed)

    def stop(self) -> None:
        """Stand still until somebody lets this try go on."""
        self._comms = task_runner.SUPERVISOR_COMMS
        assert self.parent is not None
        self.parent.switch()
        task_runner.SUPERVISOR_COMMS = self._comms


class Overlap:
    """The runs of one DAG, side by side.

    :ivar fault: what happens to the next call: None, ``before`` or ``after`` it takes effect.
    """

    def __init__(self, dag: DAG) -> None:
        self.dag = dag
        self.runs: list[Run] = []
        self.tries: list[Try] = []
        self.fault: str | None = None

    def start(self, at: float, **options: Any) -> Run:
        """Make a run; its tasks begin when `begin` finds them due."""
        self.runs.append(Run(self.dag, at, **options))
        return self.runs[-1]

    def change(self, dag: DAG) -> None:
        """Put another version of the DAG in its file, which tries that begin later read."""
        self.dag, known = dag, register(dag)
        for run in self.runs:
            run.dag, run._known = dag, known

    def begin(self) -> None:
        """Begin a try for each task that is due."""
        busy = {one.ti.id for one in self.tries}
        for run in self.runs:
            if run.state() == DagRunState.RUNNING:
                for ti in run._due():
                    if ti.id not in busy:
                        self.tries.append(Try(run, ti, self.tries))

    def step(self, one: Try) -> bool:
        """Let a try go on by one call; tell whether it did."""
        one.waits_for = [other for other in one.waits_for if other.in_gap and other]
        if one.waits_for:
            return False
        one.go()
        if one.dead:
            self.tries.remove(one)
        return not one.dead

    def kill(self, one: Try, *, final: bool = False) -> None:
        """Kill a try; the scheduler retries the task, while it has retries."""
        self.tries.remove(one)
        one.kill()
        with create_session() as session:
            ti = session.get(TaskInstance, one.ti.id)
            if ti is None:
                return
            if ti.state == TaskInstanceState.RESTARTING:
                ti.state = None
            elif ti.state not in _END or not one.dead or final:
                again = ti.try_number <= (ti.max_tries or 0) and not final
                ti.state = TaskInstanceState.UP_FOR_RETRY if again else TaskInstanceState.FAILED
                ti.end_date = datetime.now(UTC)

    def drain(self) -> None:
        """Let everything end that is alive."""
        self.fault = None
        while True:
            self.begin()
            if not self.tries:
                return
            for one in list(self.tries):
                while self.step(one):
                    pass

    @contextmanager
    def patched(self) -> Iterator[None]:
        """Let the tries stand still before each call of Airflow."""
        with pytest.MonkeyPatch.context() as patch:
            for name in _CALLS:
                patch.setattr(Runs, name, self._stopping(name, getattr(Runs, name)))
            patch.setattr(Runs, "sleep", lambda *_: self._sleep())
            try:
                yield
            finally:
                for one in list(self.tries):
                    self.kill(one)

    def _stopping(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def stopping(runs: Runs, *arguments: Any) -> Any:
            one = getcurrent()
            if not isinstance(one, Try):
                return call(runs, *arguments)
            one.stop()
            fault, self.fault = self.fault, None
            if name == "states":
                one.in_gap = True
            if fault == "before":
                one.in_gap = False
                raise FaultError(name)
            answer = call(runs, *arguments)
            if name == "is_running":
                one.in_gap = True
            if name == "write" or fault:
                one.in_gap = False
            if fault:
                raise FaultError(name)
            return answer

        return stopping

    def _sleep(self) -> None:
        """Wait until every write that was about to come has come."""
        one = getcurrent()
        if isinstance(one, Try):
            one.in_gap = False
            one.waits_for = [other for other in self.tries if other.in_gap]
            one.stop()
