"""Deaths in a living Airflow whose runs overlap, and of the triggerer that rings the bells."""

from __future__ import annotations

import json
import random
import shutil
import signal
import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from dev.airflow_api import ApiError, wait_for
from tests.e2e.scenarios import SOON, kill, rung, started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from dev.stack import AirflowStack
    from tests.e2e.scenarios import Stream

pytestmark = pytest.mark.e2e
PHASE = "deaths"

# The deaths on each of two databases; those of the triggerer hit deferred sensors and bells.
COMPONENTS = ["scheduler", "api-server", "execution-api"]
VICTIMS = ["task"] * 13 + ["untried"] * 5 + ["supervisor"] * 8 + COMPONENTS
DEATHS = [signal.SIGKILL] * 5 + [signal.SIGTERM] * 2
OVERLAPPING = Path(__file__).parent / "overlapping"
DAGS = ("limited", "free", "deferred", "mapped", "untried")
ACCOUNTS = ("acct_mapped_a", "acct_mapped_b", "acct_mapped_c")
DEEDS = ("undated", "dated", "asset", "cleared", "failed cleared", "backfill", "reordered")
MOST_DEEDS = 40


def overlapping_runs_of_every_kind_die(
    airflow: AirflowStack, stream: Callable[..., Stream]
) -> None:
    """Up to 16 runs at once, backfills, clears and kill -9: nothing lost, nothing twice."""
    reorder(airflow)
    (airflow.dags_folder / "began.txt").write_text(datetime.now(UTC).isoformat())
    shutil.copy(OVERLAPPING / "overlapping.py", airflow.dags_folder)
    streams = started(
        [stream(name, accounts=ACCOUNTS if name == "mapped" else ()) for name in DAGS]
    )
    kills: Counter[str] = Counter()
    with ExitStack() as meanwhile:
        for each in streams:
            meanwhile.enter_context(each.arriving(1))
        deeds = meanwhile.enter_context(runs_of_every_kind(streams))
        for victim in random.sample(VICTIMS, len(VICTIMS)):
            time.sleep(random.uniform(0.5, 2))
            # Its own end fails a run that has no retries.
            dag = victim if victim == "untried" else None
            if not kill(airflow, "task" if dag else victim, dag):
                kill(airflow, victim := "scheduler")
            kills[victim] += 1
        # A LocalExecutor never misses a worker that dies with a task it has just taken; only the
        # next scheduler does.
        kills["scheduler"] += kill(airflow, "scheduler")
    for each in streams:
        deeds["failed cleared"] += wait_for_every_object(each)
        print(f"\n{airflow.database} {each.name}: sensors {dict(each.ends())}", flush=True)
    print(f"\n{airflow.database}: kill -9 of {dict(kills)}; beside them {dict(deeds)}", flush=True)
    assert {each.name: each.verdict() for each in streams} == dict.fromkeys(DAGS, "0 lost, 0 twice")
    assert all(deeds[deed] for deed in DEEDS)


def reorder(airflow: AirflowStack) -> None:
    """Give the mapped sensor its accounts, in another order than before."""
    path = airflow.dags_folder / "accounts.json"
    before = path.read_text() if path.exists() else ""
    while (order := json.dumps(random.sample(ACCOUNTS, len(ACCOUNTS)))) == before:
        pass
    path.write_text(order)


@contextmanager
def runs_of_every_kind(streams: list[Stream]) -> Iterator[Counter[str]]:
    """Start manual and asset runs and backfills, clear runs, and reorder the mapped sensor."""
    deeds: Counter[str] = Counter()
    end, until = threading.Event(), time.monotonic() + 2 * SOON

    def run() -> None:
        for deed, each in zip(cycle(DEEDS), cycle(streams), strict=False):
            done = all(deeds[name] for name in DEEDS) or time.monotonic() > until
            if deeds.total() >= MOST_DEEDS or (done and end.is_set()):
                return
            time.sleep(3)
            # The api-server may be dead just now.
            with suppress(requests.RequestException, ApiError, TimeoutError):
                deeds[deed] += do(deed, each, streams)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield deeds
    finally:
        end.set()
        thread.join()


def do(deed: str, stream: Stream, streams: list[Stream]) -> int:
    """Do what a person may do to a DAG, or to all of them, and return how often it was done."""
    airflow, name, now = stream.airflow, stream.name, datetime.now(UTC)
    if deed == "undated":
        airflow.trigger(name)
    elif deed == "dated":
        airflow.trigger(name, logical_date=(now - random.choice((0, 40)) * DAY).isoformat())
    elif deed == "asset":
        airflow.emit("e2e_go")
    elif deed == "backfill":
        # On SQLite Airflow gives a backfill up while another process writes.
        first = now - 60 * DAY
        last = first + timedelta(seconds=30)
        dates = {"from_date": first.isoformat(), "to_date": last.isoformat()}
        body = {"dag_id": name, **dates, "max_active_runs": 2}
        wait_for("a backfill", lambda: airflow.call("POST", "/backfills", json=body), 20)
    elif deed == "reordered":
        reorder(airflow)
    elif deed == "failed cleared":
        return sum(clear_failed(each) for each in streams)
    else:
        return sum(clear_delivered(each) for each in streams)
    return 1


def clear_delivered(stream: Stream) -> int:
    """Clear a run of which a later poll has seen the success, and return how many these were.

    The mapped sensor's runs are not cleared: where the order has changed, one gets another's rows.
    """
    delivered = sorted(stream.seen_delivered()) if len(stream.accounts) == 1 else []
    chosen = random.sample(delivered, min(1, len(delivered)))
    stream.airflow.clear(stream.name, chosen, ["new"])
    return len(chosen)


DAY = timedelta(days=1)


def clear_failed(stream: Stream) -> int:
    """Clear the failed tasks of failed runs, and return how many runs these were."""
    failed = [run for run, state in stream.states().items() if state == "failed"]
    stream.airflow.clear(stream.name, failed, only_failed=True)
    return len(failed)


def wait_for_every_object(stream: Stream) -> int:
    """Wait until every object was received: a person clears what failed, and starts another run.

    :returns: how many runs were cleared.
    """
    cleared, until = 0, time.monotonic() + SOON
    while time.monotonic() < until:
        cleared += clear_failed(stream)
        with suppress(TimeoutError):
            stream.wait_for_all(20)
            return cleared
        stream.airflow.trigger(stream.name)
    stream.wait_for_all(0)
    return cleared


def the_triggerer_dies(airflow: AirflowStack, stream: Callable[..., Stream]) -> None:
    """The triggerer dies seven times in an inflow: each of two DAGs on a bell gets every object."""
    both = [stream("killed"), stream("killed_too", bell="killed")]
    first, _ = started(both)
    with first.arriving(1.5):
        for signum in random.sample(DEATHS, len(DEATHS)):
            first.wait_for_looks(1)
            time.sleep(random.uniform(0, 4))
            airflow.kill("triggerer", signum)
            airflow.restart("triggerer")
    for each in both:
        each.wait_for_all()
    print(f"\n{airflow.database}: {len(DEATHS)} deaths of the triggerer: {rung(*both)}")
    assert [each.verdict() for each in both] == ["0 lost, 0 twice"] * 2


SCENARIOS = (overlapping_runs_of_every_kind_die, the_triggerer_dies)


def test_kills(outcome: Future[None]) -> None:
    """Hold the promise in the scenario's docstring."""
    outcome.result()
