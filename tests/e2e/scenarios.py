"""The parts that the end-to-end tests share: streams of customers, faults and kills."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from dev.airflow_api import wait_for
from dev.stack import APIS, AirflowStack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.fake_process import FakeStripeProcess

MODES = ("poke", "reschedule", "deferrable")
FAULTS: tuple[dict[str, Any], ...] = (
    {"status": 429},
    {"status": 503},
    {"status": 500, "saved": False},
    {"reset": True},
    {"truncate": "length"},
    {"truncate": "json"},
    # This is longer than the connection's timeout.
    {"delay": 4},
)
VICTIMS = ["task"] * 10 + ["supervisor"] * 6 + ["scheduler", "api-server", "execution-api"]

Scenario = Callable[[AirflowStack, Callable[[str], "Stream"]], None]


class Stream:
    """One DAG, its Stripe account, and the objects that its runs have received."""

    def __init__(self, airflow: AirflowStack, name: str) -> None:
        self.airflow, self.name, self.account = airflow, name, f"acct_{name}"
        self.fake: FakeStripeProcess = airflow.fake  # type: ignore[attr-defined]

    def create(self, n: int = 1, **arguments: Any) -> list[str]:
        """Make customers; by default created now."""
        arguments |= {"kind": "customer", "n": n, "account": self.account}
        return list(self.fake.control("add_many", **arguments))

    @contextmanager
    def arriving(self, n: int, seconds: float) -> Iterator[None]:
        """Let n customers arrive in bursts, some visible two seconds late; at the end all are."""
        made: list[str] = []

        def run() -> None:
            began = time.monotonic()
            while len(made) < n:
                due = min(n, 1 + int(n * (time.monotonic() - began) / seconds))
                if burst := due - len(made):
                    late = random.choice((0, 0, 1, 2))
                    made.extend(self.create(burst, visible_at=time.time() + late))
                time.sleep(random.uniform(0.1, 0.8))

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            thread.join()
        wait_for("the last ones to be visible", lambda: set(made) <= set(self.held()), timeout=10)

    def held(self) -> list[str]:
        """Return the ids that Stripe holds, oldest first."""
        return list(self.fake.read("ids", kind="customer", account=self.account))

    def requests(self) -> int:
        """Return how many requests Stripe has seen for this account."""
        seen = self.fake.read("calls")
        return sum(call["headers"].get("stripe-account") == self.account for call in seen)

    def received(self) -> dict[str, list[str]]:
        """Return the ids that the task behind the sensor received: for each run, its last try."""
        runs: dict[str, list[str]] = {}
        for entry in self.fake.read("ledger"):
            if entry["dag"] == self.name:
                runs[entry["run"]] = entry["ids"]
        return runs

    def states(self) -> dict[str, str]:
        """Return the state of every run."""
        return {run["dag_run_id"]: run["state"] for run in self.airflow.runs(self.name)}

    def wait_for_all(self, timeout: float = 180) -> None:
        """Wait until every object has been received by some run."""
        held = set(self.held())

        def missing() -> set[str]:
            return held - {name for ids in self.received().values() for name in ids}

        objects = f"{self.name}: {len(held)} objects received"
        try:
            wait_for(objects, lambda: not missing(), timeout, every=1)
        except TimeoutError as exc:
            states = dict(Counter(self.states().values()))
            raise TimeoutError(f"{exc}: {len(missing())} are missing; runs: {states}") from None

    def verdict(self, runs: dict[str, list[str]] | None = None) -> str:
        """Count the objects that were lost or came twice; print and return the counts."""
        runs = self.received() if runs is None else runs
        count = Counter(name for ids in runs.values() for name in ids)
        held = self.held()
        lost = sum(count[name] == 0 for name in held)
        twice = sum(times > 1 for times in count.values())
        verdict = f"{lost} lost, {twice} twice"
        sizes = f"{len(held)} objects, {len(runs)} runs"
        print(f"\n{self.airflow.database} {self.name}: {sizes}: {verdict}", flush=True)
        return verdict

    def run_once(self, end: str = "success", **arguments: Any) -> str:
        """Trigger a manual run, wait for its end, which is to be ``end``, and return its run id."""
        run_id = self.airflow.trigger(self.name, **arguments)
        state = self.airflow.wait_run(self.name, run_id)
        story = "" if state == end else self.airflow.story(self.name, run_id)
        assert state == end, f"{self.name}, {run_id}: {state}\n{story}"
        return run_id


@contextmanager
def streams(airflow: AirflowStack) -> Iterator[Callable[[str], Stream]]:
    """Get streams by their names; their DAGs are paused at the end."""
    used: list[str] = []

    def get(name: str) -> Stream:
        used.append(name)
        return Stream(airflow, name)

    try:
        yield get
    finally:
        for name in used:
            airflow.pause(name)


def started(streams: list[Stream]) -> list[Stream]:
    """Unpause the DAGs and wait until each has its first cursor: from then on all objects count."""
    for stream in streams:
        stream.airflow.unpause(stream.name)

    def has_cursor(stream: Stream) -> bool:
        xcoms = (stream.airflow.xcom(stream.name, run, "new", "cursor") for run in stream.states())
        return any(xcoms)

    for stream in streams:
        wait_for(f"the first cursor of {stream.name}", lambda stream=stream: has_cursor(stream))
    return streams


def watched(events: Stream) -> Stream:
    """Unpause the DAG and wait until its watcher has written down where it starts."""
    events.airflow.unpause(events.name)
    variable = "stripe_asset_e2e_customers"
    wait_for("the watcher's start", lambda: variable in events.airflow.variables())
    return events


def kill(airflow: AirflowStack, victim: str, dag: str | None = None) -> bool:
    """Kill a component and start it again, or kill a process of a running task, if there is one.

    :param dag: whose tasks to kill; None is all.
    :returns: whether anything was killed.
    """
    if victim in ("scheduler", *APIS):
        airflow.kill(victim)
        airflow.restart(victim)
        return True
    pids: list[int] = []
    look = partial(airflow.tasks, dag) if victim == "task" else airflow.supervisors
    with suppress(TimeoutError):
        pids = wait_for(victim, look, timeout=15)
    if pids:
        with suppress(ProcessLookupError):
            os.kill(random.choice(pids), signal.SIGKILL)
            return True
    return False
