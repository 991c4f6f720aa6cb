"""Count how a create, a poll and one in vain travel the package: ``python -m dev.moves [--list]``.

A move is each time control passes from a function in one module of the package to a function in
another one, there or back, so that a call into another module and its return are two moves.
Functions of Airflow and of the standard library between two functions of the package do not count;
the resumption of a generator is a call, and its yield a return. The last row takes the core as one
module, as its callers see it: what a reader of the shell has to follow.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any, NamedTuple

PACKAGE = Path(__file__).parents[1] / "airflow_provider_stripe_lite"
# The client is made, and so the connection read, when this function returns.
CONNECTED = "get_conn"
# The fake is no part of the travel, although it lies in the package.
TESTING = "testing"


class Move(NamedTuple):
    """One passage from a module to another.

    :ivar back: whether it is a return, and no call.
    :ivar function: the function that is called, or that returns.
    """

    source: str
    target: str
    back: bool
    function: str


class Trace:
    """The moves of one call, in their order.

    :ivar moves: all of them.
    :ivar connected: how many of them were made before the client was.
    """

    def __init__(self, package: Path = PACKAGE) -> None:
        self.moves: list[Move] = []
        self.connected = 0
        self._root = f"{package}{os.sep}"
        self._stack: list[str] = []
        self._made = False

    def run(self, function: Callable[[], object]) -> Trace:
        """Call the function and record its moves."""
        sys.setprofile(self._record)
        try:
            function()
        finally:
            sys.setprofile(None)
        return self

    def _record(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event not in ("call", "return") or not code.co_filename.startswith(self._root):
            return
        module = code.co_filename.removeprefix(self._root).removesuffix(".py").replace(os.sep, ".")
        # The garbage collector calls __del__ whenever it likes.
        if module.startswith(TESTING) or code.co_name == "__del__":
            return
        back = event == "return"
        if back and self._stack:
            self._stack.pop()
        if self._stack and self._stack[-1] != module:
            ends = (module, self._stack[-1]) if back else (self._stack[-1], module)
            self.moves.append(Move(*ends, back, code.co_qualname))
        if not back:
            self._stack.append(module)
        elif code.co_name == CONNECTED and not self._made:
            self._made, self.connected = True, len(self.moves)


class Context(SimpleNamespace):
    """A task instance without an Airflow around it: whatever else is asked, there is none."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: None


class Supervisor(dict[str, str]):
    """The other side of a task's process: the Variables."""

    def send(self, message: Any) -> Any:
        """Answer one message."""
        from airflow.sdk.exceptions import ErrorType
        from airflow.sdk.execution_time.comms import (
            ErrorResponse,
            VariableKeysResult,
            VariableResult,
        )

        kind = type(message).__name__
        if kind == "PutVariable":
            self[message.key] = message.value
        elif kind == "GetVariableKeys":
            return VariableKeysResult(keys=list(self), total_entries=len(self))
        elif kind == "GetVariable" and message.key in self:
            return VariableResult(key=message.key, value=self[message.key])
        return ErrorResponse(error=ErrorType.VARIABLE_NOT_FOUND)


class Memory(dict[str, Any]):
    """The task state store of one run."""

    def set(self, key: str, value: Any, **_: Any) -> None:
        """Store a value."""
        self[key] = value


def context(run: str) -> dict[str, Any]:
    """Return the context of the first try of a DAG's first run."""
    now = datetime.now(UTC)
    names = {
        "dag_id": "d",
        "task_id": "t",
        "run_id": run,
        "map_index": -1,
        "max_tries": 0,
        "try_number": 1,
    }
    states = {"warm": {"t": "success"}, "counted": {"t": "success"}, run: {"t": "running"}}
    ti = Context(**names, start_date=now, get_task_states=lambda **_: states)
    ti.get_first_reschedule_date = lambda *_: None
    ti.get_ti_count = lambda **_: 0
    return {
        "ti": ti,
        "task_instance": ti,
        "task": Context(retries=0),
        "dag": Context(dag_id="d"),
        "dag_run": Context(run_id=run, run_after=now, logical_date=now, run_type="manual"),
        "run_id": run,
        "logical_date": now,
        "task_state_store": Memory(),
        "params": {},
        "outlet_events": {},
    }


def operators() -> dict[str, Callable[[], Any]]:
    """Return what makes the operator of each way, by the way's name."""
    from airflow_provider_stripe_lite.operators import StripeCreateCustomerOperator
    from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor

    def create() -> Any:
        given: dict[str, Any] = {"customer_email": "jenny@example.com", "metadata": {"a": "b"}}
        return StripeCreateCustomerOperator(task_id="t", **given)

    def poll() -> Any:
        return StripeNewCustomerSensor(task_id="t", start_from="beginning", min_age=0)

    return {"create": create, "poll": poll}


def traces() -> dict[str, Trace]:
    """Run each way against a fake Stripe and return its moves."""
    from airflow.sdk.execution_time import task_runner

    from airflow_provider_stripe_lite.testing import FakeStripe

    found = {}
    task_runner.SUPERVISOR_COMMS = Supervisor()  # type: ignore[assignment]
    for name, make in operators().items():
        with FakeStripe() as fake:
            os.environ["AIRFLOW_CONN_STRIPE_DEFAULT"] = fake.connection
            # The poll finds this customer: each further one would be a row more to make.
            fake.add("customer", created=int(time.time()) - 100)
            # The first execution imports modules, which would count as moves.
            make().execute(context("warm"))
            fake.add("customer", created=int(time.time()) - 90)
            operator, around = make(), context("counted")
            found[name] = Trace().run(partial(operator.execute, around))
            if name == "poll":
                found["look"] = Trace().run(partial(_in_vain, make(), context("in vain")))
    return found


def _in_vain(sensor: Any, around: dict[str, Any]) -> None:
    """Look once, where nothing is new."""
    from airflow.sdk.exceptions import AirflowRescheduleException

    with suppress(AirflowRescheduleException):
        sensor.execute(around)


def around_core(moves: list[Move]) -> list[Move]:
    """Return the moves with the core as one module, and so without those inside of it."""
    ends = [[end.split(".")[0] for end in (move.source, move.target)] for move in moves]
    pairs = zip(ends, moves, strict=True)
    one = [move._replace(source=source, target=target) for (source, target), move in pairs]
    return [move for move in one if move.source != move.target]


def show(name: str, trace: Trace) -> None:
    """Print three rows of the table: the whole way, its part behind the connection, the shell's."""
    for part, moves in (
        ("whole execute", trace.moves),
        ("with the connection made", trace.moves[trace.connected :]),
        ("… and the core as one module", around_core(trace.moves[trace.connected :])),
    ):
        modules = sorted({module for move in moves for module in (move.source, move.target)})
        names = ", ".join(modules)
        print(f"{name:6}  {part:28}  {len(moves):5}  {len(modules):7}  {names}")


def listed(trace: Trace) -> None:
    """Print the moves themselves, a line for each."""
    for number, move in enumerate(trace.moves, start=1):
        arrow = "<-" if move.back else "->"
        ends = (move.target, move.source) if move.back else (move.source, move.target)
        before = " (before the connection is made)" if number <= trace.connected else ""
        print(f"{number:4}  {ends[0]} {arrow} {ends[1]}: {move.function}{before}")
    print()


def main() -> None:
    """Parse the command line, run both ways, print the table."""
    parser = argparse.ArgumentParser(prog="python -m dev.moves", description=__doc__)
    parser.add_argument("--list", action="store_true", help="print the moves themselves, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        # Airflow reads these when it is imported, which happens in traces().
        os.environ |= {"AIRFLOW_HOME": home, "AIRFLOW__LOGGING__BASE_LOG_FOLDER": home}
        os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
        found = traces()
    for name, trace in found.items():
        if options.list:
            print(name)
            listed(trace)
    print(f"{'way':6}  {'counted':28}  moves  modules")
    for name, trace in found.items():
        show(name, trace)


if __name__ == "__main__":
    main()
