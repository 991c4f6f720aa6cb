"""The parts that the end-to-end tests share: streams of customers, faults and kills."""

from __future__ import annotations

import json
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

from dev.airflow_api import ApiError, wait_for
from dev.stack import APIS, AirflowStack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dev.fake_process import FakeStripeProcess

# Each is a way in which a request fails.
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
COMPONENTS = ("scheduler", "triggerer", *APIS)

# An idle machine needs a tenth of this; one that does other things, too, must not fail a test.
SOON = 240

Scenario = Callable[[AirflowStack, Callable[..., "Stream"]], None]


class Stream:
    """One DAG, its Stripe account, and the objects that its runs have received.

    :param bell: the stream whose bell, and so whose account, the DAG has; None is its own.
    :param accounts: the accounts over which its sensor is mapped.
    """

    def __init__(
        self,
        airflow: AirflowStack,
        name: str,
        *,
        bell: str | None = None,
        accounts: Sequence[str] = (),
    ) -> None:
        self.airflow, self.name, self.bell = airflow, name, bell or name
        self.accounts = list(accounts) or [f"acct_{self.bell}"]
        self.variable = f"stripe_cursor.{name}.new"
        self.fake: FakeStripeProcess = airflow.fake  # type: ignore[attr-defined]

    def create(self, n: int = 1, **arguments: Any) -> list[str]:
        """Make customers; by default created now, in one of the accounts."""
        arguments = {"account": random.choice(self.accounts), **arguments}
        return list(self.fake.control("add_many", kind="customer", n=n, **arguments))

    @contextmanager
    def arriving(self, per_second: float, seconds: float = 0) -> Iterator[None]:
        """Let customers arrive in bursts meanwhile, some visible two seconds late.

        :param seconds: so long at least, from the beginning on.
        """
        made: list[str] = []
        began, end = time.monotonic(), threading.Event()

        def run() -> None:
            while (gone := time.monotonic() - began) < seconds or not end.is_set():
                if burst := int(per_second * gone) + 1 - len(made):
                    # An object of this second is delivered two seconds after its beginning, with
                    # min_age=1; one that shows later than that is not promised to anybody.
                    late = random.choice((0, 0, 1, 2))
                    made.extend(self.create(burst, visible_at=int(time.time()) + late))
                time.sleep(random.uniform(0.1, 0.8))

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()
        wait_for("the last ones to be visible", lambda: set(made) <= set(self.held()), timeout=10)

    def held(self) -> list[str]:
        """Return the ids that Stripe holds, oldest first."""
        read = partial(self.fake.read, "ids", kind="customer")
        return [name for account in self.accounts for name in read(account=account)]

    def requests(self) -> int:
        """Return how many requests Stripe has seen for these accounts."""
        seen = self.fake.read("calls")
        return sum(call["headers"].get("stripe-account") in self.accounts for call in seen)

    def received(self) -> dict[str, list[str]]:
        """Return the ids that the task behind the sensor received: for each run, its last try."""
        runs: dict[str, list[str]] = {}
        for entry in self.fake.read("ledger"):
            if entry.get("dag") == self.name:
                runs[entry["run"]] = entry["ids"]
        return runs

    def states(self) -> dict[str, str]:
        """Return the state of every run."""
        return {run["dag_run_id"]: run["state"] for run in self.airflow.runs(self.name)}

    def ends(self) -> Counter[str]:
        """Count the states of the sensor over all runs."""
        rows = self.airflow.task_instances(self.name)
        return Counter(row["state"] or "none" for row in rows if row["task_id"] == "new")

    def rings(self) -> int:
        """Return how often the bell has rung, by itself or as the outlet of a sensor."""
        name = f"e2e_{self.bell}"
        rows = self.airflow.all("/assets", "assets", name_pattern=name)
        (asset,) = (row["id"] for row in rows if row["name"] == name)
        events = partial(self.airflow.call, "GET", "/assets/events", params={"asset_id": asset})
        # Airflow 3.3.2 answers with a 500 while a run that one of the events has caused is queued.
        return int(wait_for(f"the events of {name}", events)["total_entries"])

    def documents(self) -> dict[str, Any]:
        """Return what the Variables of this DAG's cursors hold."""
        rows = self.airflow.all("/variables", "variables", variable_key_pattern=self.variable)
        held = {row["key"]: row["value"] for row in rows}
        return {
            key: json.loads(text) for key, text in held.items() if key.startswith(self.variable)
        }

    def seen_delivered(self) -> set[str]:
        """Return the runs of which a later poll has seen that they were successful."""
        claims = [claim for each in self.documents().values() for claim in each.get("claims", ())]
        return {claim["run_id"] for claim in claims if claim["done"]}

    def wait_for_all(self, timeout: float = SOON, expected: Sequence[str] | None = None) -> None:
        """Wait until every object, or every expected one, has been received by some run."""
        held = set(self.held() if expected is None else expected)

        def missing() -> set[str]:
            return held - {name for ids in self.received().values() for name in ids}

        objects = f"{self.name}: {len(held)} objects received"
        try:
            wait_for(objects, lambda: not missing(), timeout, every=2)
        except TimeoutError as exc:
            states = dict(Counter(self.states().values()))
            few = ", ".join(sorted(missing())[:5])
            raise TimeoutError(f"{exc}: {len(missing())} missing ({few}); {states}") from None

    def wait_for_looks(self, n: int) -> None:
        """Wait until Stripe was asked so often."""
        before = self.requests()
        wait_for(f"{n} looks of {self.name}", lambda: self.requests() >= before + n, timeout=120)

    def verdict(self, expected: Sequence[str] | None = None) -> str:
        """Count the objects that were lost or came twice; print and return the counts.

        :param expected: what is to come, and nothing else; None is all that Stripe holds.
        """
        runs, held = self.received(), self.held() if expected is None else expected
        count = Counter(name for ids in runs.values() for name in ids)
        lost = sum(count[name] == 0 for name in held)
        twice = sum(times > 1 for times in count.values())
        verdict = f"{lost} lost, {twice} twice"
        if lost or twice:
            self._tell({name for name in {*count, *held} if count[name] != 1})
        if others := count.keys() - set(held):
            verdict += f", {len(others)} that were not to come"
        sizes = f"{len(held)} objects, {len(runs)} runs with some of them"
        print(f"\n{self.airflow.database} {self.name}: {sizes}: {verdict}", flush=True)
        return verdict

    def _tell(self, wrong: set[str]) -> None:
        """Print who has claimed what, and which runs received these objects."""
        for entry in self.fake.read("ledger"):
            claimed = entry.get("claim") or entry.get("failed claim") or ""
            if claimed.startswith(self.variable):
                print(json.dumps(entry), flush=True)
            elif entry.get("dag") == self.name and (some := wrong & set(entry["ids"])):
                print(json.dumps({**entry, "ids": sorted(some)}), flush=True)

    def run_once(self, end: str = "success", **arguments: Any) -> str:
        """Trigger a manual run, wait for its end, which is to be ``end``, and return its run id."""
        run_id = self.airflow.trigger(self.name, **arguments)
        state = self.airflow.wait_run(self.name, run_id)
        story = "" if state == end else self.airflow.story(self.name, run_id)
        assert state == end, f"{self.name}, {run_id}: {state}\n{story}"
        return run_id


@contextmanager
def streams(airflow: AirflowStack) -> Iterator[Callable[..., Stream]]:
    """Get streams by their names; their DAGs are paused at the end."""
    used: list[str] = []

    def get(name: str, **arguments: Any) -> Stream:
        used.append(name)
        return Stream(airflow, name, **arguments)

    try:
        yield get
    finally:
        for name in used:
            # An Airflow that never knew the DAG is not what a test fails for.
            with suppress(ApiError):
                airflow.pause(name)


def started(streams: list[Stream]) -> list[Stream]:
    """Unpause the DAGs and wait until each has its cursors: from then on all objects count."""
    for stream in streams:
        stream.airflow.unpause(stream.name)
    for stream in streams:
        number = len(stream.accounts)
        wait_for(
            f"the first cursor of {stream.name}",
            lambda stream=stream, number=number: len(stream.documents()) == number,
            timeout=SOON,
        )
    return streams


def kill(airflow: AirflowStack, victim: str, dag: str | None = None) -> bool:
    """Kill a component and start it again, or kill a process of a running task, if there is one.

    :param dag: whose tasks to kill; None is all.
    :returns: whether anything was killed.
    """
    if victim in COMPONENTS:
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


def rung(*streams: Stream) -> str:
    """Say how often their bell has rung, what it has cost, and how their runs have ended."""
    bell = streams[0]
    said = [f"{bell.rings()} rings, {bell.requests()} calls"]
    for stream in streams:
        ends = ", ".join(f"{number} {end}" for end, number in sorted(stream.ends().items()))
        said.append(f"{stream.name}: {ends}")
    return "; ".join(said)
