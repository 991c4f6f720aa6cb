"""Charges into object storage: a backfill of 90 days in a living Airflow whose tasks are killed."""

from __future__ import annotations

import os
import random
import signal
import string
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dev.airflow_api import wait_for
from dev.fake_process import FakeStripeProcess
from dev.stack import AirflowStack
from tests.e2e.conftest import ABSENT, KEY, ROOT, is_there
from tests.e2e.lake import Lake, ids, serve_lake
from tests.e2e.scenarios import SOON, kill

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.scale

DAG, DAGS = "storage", Path(__file__).parent / "storage_dags"
SETTINGS = {
    # Only processes below a supervisor are killed, so whoever else is silent is only slow.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "120",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "120",
    # Amazon's hook takes a connection that it gets no answer about for none, and asks AWS itself.
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_EC2_METADATA_DISABLED": "true",
}
DAY = 86_400
SHORT, LONG = 30, 250
# Since gzip looks back over 32 KB, it finds no repetition: a long day takes two parts of 5 MB.
NOISE = "".join(random.choices(string.ascii_letters, k=40_000))
# Some task is killed each time that so many files more are there; and so many in a file's middle.
FILES_BETWEEN, MIDDLES = 5, 10
LEAST_KILLS = 15

Charges = dict[str, list[str]]


@pytest.fixture
def days() -> list[str]:
    """Return the last 90 days, oldest first."""
    now = datetime.now(UTC)
    return [f"{now - timedelta(days=back):%Y-%m-%d}" for back in range(90, 0, -1)]


@pytest.fixture
def stripe() -> Iterator[FakeStripeProcess]:
    """Run a Stripe that takes a second to answer, and answers every second request."""
    with FakeStripeProcess() as running:
        running.control("fault", path="/v1/charges", every=2, reset=True)
        running.control("fault", path="/v1/charges", every=1, delay=1)
        yield running


@pytest.fixture
def lake() -> Iterator[Lake]:
    """Serve an empty bucket."""
    with serve_lake() as lake:
        yield lake


@pytest.fixture
def airflow(
    days: list[str], stripe: FakeStripeProcess, lake: Lake, tmp_path: Path
) -> Iterator[AirflowStack]:
    """Run an Airflow that knows both."""
    if not is_there("postgresql"):
        pytest.skip(ABSENT)
    limit = {"rate_limit_calls": 100_000, "rate_limit_url": f"file://{tmp_path}/calls"}
    with AirflowStack(
        dags_folder=DAGS,
        home=ROOT / ".e2e" / DAG,
        database="postgresql",
        env={"LAST_DAY": days[-1], **SETTINGS},
        components=("api-server", "scheduler", "dag-processor"),
        connections={
            "stripe_default": {**stripe.connection(KEY), "extra": limit},
            "aws": lake.connection,
        },
    ) as stack:
        yield stack


def path(day: str) -> str:
    """Return where the file of a day is."""
    return f"charges/{day}.jsonl.gz"


class Backfill:
    """A backfill whose tasks die, while charges come and go and the bucket is watched.

    :param made: the charges of each day, oldest first.
    :ivar deeds: how often each thing was done.
    """

    def __init__(
        self, airflow: AirflowStack, stripe: FakeStripeProcess, lake: Lake, made: Charges
    ) -> None:
        self.airflow, self.stripe, self.lake, self.made = airflow, stripe, lake, made
        self.deeds: Counter[str] = Counter()
        self._deleted: set[str] = set()
        self._interrupted: set[str] = set()

    def run(self) -> None:
        """Let it run to its end; the schedule makes the run of the last day."""
        self.airflow.unpause(DAG)
        wait_for("the scheduled run", lambda: self.airflow.runs(DAG))
        first, *_, last = self.made
        which = ("--dag-id", DAG, "--from-date", first, "--to-date", last)
        self.airflow.command("backfill", "create", *which, "--max-active-runs", "16")
        wait_for("the backfill", self._ended, 4 * SOON)
        self.lake.look()

    def _ended(self) -> bool:
        self.lake.look()
        self.stripe.control("add", kind="charge")
        self._interrupt()
        unread = [day for day in self.made if path(day) not in self.lake.contents]
        if unread and self.deeds["kills"] * FILES_BETWEEN <= len(self.lake.contents):
            self.deeds["kills"] += kill(self.airflow, "task")
            # One behind which a task reads on just now, and one of a day that is read soon.
            asked = [dict(call["query"]) for call in self.stripe.read("calls")]
            cursors = [query["ending_before"] for query in asked if "ending_before" in query]
            self._delete(*cursors[-1:], random.choice(self.made[random.choice(unread[:16])]))
        states = [run["state"] for run in self.airflow.runs(DAG)]
        return len(states) == len(self.made) and set(states) <= {"success", "failed"}

    def _interrupt(self) -> None:
        """Kill the task that has uploaded a part of its file and not all; for each file once."""
        begun = self.lake.left().keys() - self._interrupted
        if not begun or len(self._interrupted) >= MIDDLES:
            return
        rows = self.airflow.task_instances(DAG)
        files = {row["id"]: path(row["logical_date"][:10]) for row in rows}
        for pid, title in self.airflow.descendants().items():
            if (file := files.get(title.partition(" -- ")[2].strip())) in begun:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    self.deeds["kills in a file's middle"] += 1
                    self._interrupted.add(file)

    def _delete(self, *names: str) -> None:
        for name in set(names) - self._deleted:
            self.stripe.control("delete", id=name)
            self._deleted.add(name)
            self.deeds["deletions"] += 1


def make_charges(stripe: FakeStripeProcess, days: list[str]) -> Charges:
    """Make charges from the first second of each day to its last one; return their ids by day."""
    made: Charges = {}
    for number, day in enumerate(days):
        first = int(datetime.fromisoformat(f"{day}T00:00Z").timestamp())
        size, text = (SHORT, "short") if number % 9 else (LONG, NOISE)
        add = partial(stripe.control, "add_many", kind="charge", description=text)
        made[day] = add(n=size, created=first, spread=DAY) + add(n=1, created=first + DAY - 1)
    return made


def check_files(lake: Lake, made: Charges, living: set[str]) -> None:
    """Check that there is a file for each day, and that it never held anything but its charges.

    A charge that was deleted may be in it or not; those that were always there give its bytes.
    """
    assert set(lake.contents) == set(map(path, made))
    for day, names in made.items():
        contents = lake.contents[path(day)]
        assert lake.read(path(day)) == contents[-1]
        held = [ids(content) for content in contents]
        for found in held:
            assert found == [name for name in names if name in living or name in found]
        assert len(set(contents)) == len(set(map(tuple, held)))


def run_again(airflow: AirflowStack, lake: Lake, days: list[str]) -> None:
    """Clear all runs of these days, and check that they write the same bytes again."""
    before = {day: list(lake.contents[path(day)]) for day in days}
    runs = [run["dag_run_id"] for run in airflow.runs(DAG) if run["logical_date"][:10] in days]
    airflow.clear(DAG, runs)
    assert {airflow.wait_run(DAG, run, SOON) for run in runs} == {"success"}
    lake.look()
    for day, contents in before.items():
        assert set(lake.contents[path(day)][len(contents) :]) == {contents[-1]}


def test_a_backfill_whose_tasks_are_killed(
    airflow: AirflowStack, stripe: FakeStripeProcess, lake: Lake, days: list[str]
) -> None:
    """Each day becomes one file, whole at any time; a cleared run writes the same bytes again."""
    made = make_charges(stripe, days)
    began = time.monotonic()
    backfill = Backfill(airflow, stripe, lake, made)
    backfill.run()
    seconds = time.monotonic() - began
    rows = airflow.task_instances(DAG)
    tries = Counter({path(row["logical_date"][:10]): row["try_number"] for row in rows})
    living = set(stripe.read("ids", kind="charge"))
    answers = Counter(call["status"] for call in stripe.read("calls"))
    print(
        f"\n{len(days)} days, {len(lake.contents)} files, {sum(map(len, made.values()))} charges, "
        f"{seconds:.0f} s: {dict(backfill.deeds)}, {tries.total()} tries, "
        f"{sum(map(len, lake.contents.values()))} writes, {lake.left().total()} uploads left; "
        f"{answers.total()} calls, {answers[0]} of them reset, {answers[400]} lost their cursor",
        flush=True,
    )
    assert {run["state"] for run in airflow.runs(DAG)} == {"success"}
    assert backfill.deeds["kills"] >= LEAST_KILLS
    check_files(lake, made, living)
    # A try that succeeded leaves no upload.
    assert lake.left() <= tries - Counter(tries.keys())
    run_again(
        airflow, lake, random.sample([day for day in days if living.issuperset(made[day])], 10)
    )
