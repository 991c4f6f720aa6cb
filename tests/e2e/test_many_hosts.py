"""One call limit over several hosts: workers, triggerers and the Redis between them die."""

from __future__ import annotations

import random
import shutil
import time
from bisect import bisect_left
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dev.fake_process import FakeStripeProcess
from dev.redis_server import RedisServer
from dev.stack import AirflowStack
from tests.e2e.conftest import ABSENT, DAGS, KEY, ROOT, is_there
from tests.e2e.scenarios import kill, started, streams

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.scale

MANY_HOSTS = Path(__file__).parent / "many_hosts"
HOSTS = ("one", "two")
COMPONENTS = (
    *("api-server", "execution-api", "scheduler", "dag-processor"),
    *(f"{kind}@{host}" for host in HOSTS for kind in ("celery-worker", "triggerer")),
)
ACCOUNT = "acct_hosts"
SENSORS = ("hosts_poke", "hosts_reschedule", "hosts_deferrable", "hosts_bell")
OPERATORS = "hosts_operators"
CALLS, PERIOD = 30, 20
# What dies, twenty times; a host takes its worker and its triggerer with it.
VICTIMS = ["task"] * 12 + [f"triggerer@{host}" for host in HOSTS] * 2 + list(HOSTS) * 2
AWAY_SECONDS = 30


@pytest.fixture
def airflow(tmp_path: Path) -> Iterator[AirflowStack]:
    """Run an Airflow whose hosts share PostgreSQL, and a Redis for tasks and the call limit."""
    pytest.importorskip("celery", reason="no Celery (pip install --group e2e)")
    if not is_there("postgresql"):
        pytest.skip(ABSENT)
    if not RedisServer.is_installed():
        pytest.skip("needs the program redis-server")
    dags = tmp_path / "dags"
    shutil.copytree(MANY_HOSTS, dags, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(DAGS / "reporting.py", dags)
    with ExitStack() as services:
        redis = services.enter_context(RedisServer(tmp_path))
        fake = services.enter_context(FakeStripeProcess())
        old = {"account": ACCOUNT, "created": int(time.time()) - 3600}
        customers = fake.control("add_many", kind="customer", n=10, **old)
        stack = AirflowStack(
            dags_folder=dags,
            home=ROOT / ".e2e" / "hosts",
            database="postgresql",
            env={
                "FAKE_STRIPE": fake.url,
                "CUSTOMERS": ",".join(customers),
                "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
                "AIRFLOW__CELERY__BROKER_URL": f"{redis.url}/0",
                "AIRFLOW__CELERY__WORKER_CONCURRENCY": "16",
                # A worker that dies leaves tasks that it had taken and not begun.
                "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "20",
                "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
                "AIRFLOW__STRIPE__RATE_LIMIT_URL": f"{redis.url}/1",
                "AIRFLOW__STRIPE__RATE_LIMIT_CALLS": str(CALLS),
                "AIRFLOW__STRIPE__RATE_LIMIT_PERIOD": str(PERIOD),
            },
            components=COMPONENTS,
            connections={
                "stripe_hosts": {**fake.connection(KEY), "extra": {"stripe_account": ACCOUNT}}
            },
        )
        stack.fake, stack.redis, stack.customers = fake, redis, customers  # type: ignore[attr-defined]
        with stack:
            yield stack


def test_hosts_that_die_share_one_limit(airflow: AirflowStack) -> None:
    """Twenty kills, a Redis that is away for 30 s, and is flushed: the limit holds for all."""
    redis: RedisServer = airflow.redis  # type: ignore[attr-defined]
    done: Counter[str] = Counter()
    with streams(airflow) as stream:
        sensors = started([stream(name, bell="hosts") for name in SENSORS])
        airflow.unpause(stream(OPERATORS, bell="hosts").name)
        (first, *_) = sensors
        deeds = random.sample(VICTIMS, len(VICTIMS))
        # Each of them leaves some victims before and behind it.
        deeds[7:7], deeds[14:14] = ["flush"], ["absence"]
        with first.arriving(0.5):
            for deed in deeds:
                time.sleep(random.uniform(1, 4))
                do(airflow, redis, deed)
                done[deed] += 1
        # What was there before is not new.
        new = sorted(set(first.held()) - set(airflow.customers))  # type: ignore[attr-defined]
        for each in sensors:
            each.wait_for_all(expected=new)
    calls = [call["time"] for call in first.fake.read("calls")]
    print(f"\n{dict(done)}; {len(calls)} calls in {calls[-1] - calls[0]:.0f} s", flush=True)
    for each in sensors:
        print(f"{each.name}: {dict(each.ends())}", flush=True)
    assert {each.name: each.verdict(new) for each in sensors} == dict.fromkeys(
        SENSORS, "0 lost, 0 twice"
    )
    # Runs of operators that had begun go on, and each that has ended was served.
    states = Counter(run["state"] for run in airflow.runs(OPERATORS))
    print(f"operators: {dict(states)}", flush=True)
    assert states["success"] >= 3
    assert not states["failed"]
    assert most_at_once(calls) <= CALLS


def do(airflow: AirflowStack, redis: RedisServer, deed: str) -> None:
    """Kill something, and bring it back; or flush the store of the limit, or let it be away."""
    if deed == "flush":
        redis.flush(database=1)
    elif deed == "absence":
        redis.stop()
        time.sleep(AWAY_SECONDS)
        redis.start()
    elif deed in HOSTS:
        airflow.crash(deed)
        for component in COMPONENTS:
            if component.endswith(f"@{deed}"):
                airflow.restart(component)
    elif deed == "task":
        assert kill(airflow, "task")
    else:
        airflow.kill(deed)
        airflow.restart(deed)


def most_at_once(calls: list[float]) -> int:
    """Return how many calls the fullest window of a period holds, print the largest ones."""
    ordered = sorted(calls)
    counts = [bisect_left(ordered, time + PERIOD) - at for at, time in enumerate(ordered)]
    print(f"the fullest of {len(counts)} windows of {PERIOD} s holds {max(counts)}", flush=True)
    return max(counts)
