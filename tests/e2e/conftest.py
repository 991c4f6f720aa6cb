"""One running Airflow for each database, and for each stream of customers an account at a fake Stripe."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.airflow_api import wait_for
from tests.stack import COMPONENTS, POSTGRESQL, AirflowStack, FakeStripeProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DAGS = Path(__file__).parent / "dags"
KEY = "sk_test_51StreamAccount00secretsecret"
STREAMS = (
    *("poke", "reschedule", "deferrable", "events", "shaky", "strict", "backlog", "manual", "marked", "skips"),
    *("guarded", "mixed", "mixed_variable", "shared", "waiting", "forgets", "remembers"),
    *(f"{end}_{way}" for end in ("late", "skip", "wrong") for way in ("poke", "reschedule", "deferrable")),
)


Scenario = Callable[[AirflowStack, Callable[[str], "Stream"]], None]


class Stream:
    """One DAG, its Stripe account, and what its runs have received."""

    def __init__(self, airflow: AirflowStack, name: str) -> None:
        self.airflow, self.name, self.account = airflow, name, f"acct_{name}"
        self.fake: FakeStripeProcess = airflow.fake  # type: ignore[attr-defined]

    def create(self, n: int = 1, **arguments: Any) -> list[str]:
        """Make customers; by default created now."""
        return list(self.fake.control("create_many", kind="customer", n=n, account=self.account, **arguments))

    @contextmanager
    def arriving(self, n: int, seconds: float) -> Iterator[None]:
        """Let n customers arrive meanwhile, in bursts, some of them visible two seconds late; at the end all are."""
        made: list[str] = []

        def run() -> None:
            began = time.monotonic()
            while len(made) < n:
                due = min(n, 1 + int(n * (time.monotonic() - began) / seconds))
                if burst := due - len(made):
                    made.extend(self.create(burst, visible_at=time.time() + random.choice((0, 0, 1, 2))))
                time.sleep(random.uniform(0.1, 0.8))

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            thread.join()
        wait_for("the last ones to be visible", lambda: set(made) <= set(self.held()), timeout=10)

    def held(self) -> list[str]:
        """The ids that Stripe holds, oldest first."""
        return list(self.fake.read("objects", kind="customer", account=self.account))

    def requests(self) -> int:
        """How many requests Stripe has seen for this account."""
        seen = self.fake.read("requests")
        return sum(request["headers"].get("stripe-account") == self.account for request in seen)

    def received(self) -> dict[str, list[str]]:
        """What the task behind the sensor received in each run; of several tries the last."""
        runs: dict[str, list[str]] = {}
        for entry in self.fake.read("ledger"):
            if entry["dag"] == self.name:
                runs[entry["run"]] = entry["ids"]
        return runs

    def states(self) -> dict[str, str]:
        """The state of every run."""
        return {run["dag_run_id"]: run["state"] for run in self.airflow.runs(self.name)}

    def wait_for_all(self, timeout: float = 180) -> None:
        """Wait until every object has been received by some run."""
        held = set(self.held())

        def missing() -> set[str]:
            return held - {name for ids in self.received().values() for name in ids}

        try:
            wait_for(f"{self.name}: {len(held)} objects received", lambda: not missing(), timeout, every=1)
        except TimeoutError as exc:
            states = dict(Counter(self.states().values()))
            raise TimeoutError(f"{exc}: {len(missing())} are missing; runs: {states}") from None

    def verdict(self, runs: dict[str, list[str]] | None = None) -> str:
        """Count, print and return what was lost, came twice, or came out of order."""
        runs = self.received() if runs is None else runs
        count = Counter(name for ids in runs.values() for name in ids)
        held = self.held()
        lost = sum(count[name] == 0 for name in held)
        twice = sum(times > 1 for times in count.values())
        verdict = f"{lost} lost, {twice} twice"
        print(f"\n{self.airflow.database} {self.name}: {len(held)} objects, {len(runs)} runs: {verdict}", flush=True)
        return verdict

    def run_once(self, end: str = "success", **arguments: Any) -> str:
        """Trigger a manual run, wait for its end, which is to be ``end``, and return its run id."""
        run_id = self.airflow.trigger(self.name, **arguments)
        state = self.airflow.wait_run(self.name, run_id)
        assert state == end, f"{self.name}, {run_id}: {state}\n{self.airflow.story(self.name, run_id)}"
        return run_id


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def airflow(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowStack]:
    """A running Airflow with a fake Stripe of its own; its DAG files are copies, so that a test may break them."""
    if request.param == "postgresql":
        psycopg2 = pytest.importorskip("psycopg2")
        try:
            psycopg2.connect(f"postgresql://{POSTGRESQL}/postgres").close()
        except psycopg2.OperationalError:
            pytest.skip("no PostgreSQL on 127.0.0.1:5432 (STACK_POSTGRESQL names another one)")
    limits = f"sqlite:///{tmp_path_factory.mktemp('limits')}/calls.sqlite"
    dags = tmp_path_factory.mktemp("dags")
    shutil.copytree(DAGS, dags, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    with FakeStripeProcess() as fake:
        connections = {
            f"stripe_{name}": {
                **fake.connection("mistyped" if name.startswith("wrong") else KEY),
                "extra": {
                    "stripe_account": f"acct_{name}",
                    "timeout": 2 if name == "shaky" else 80,
                    "rate_limit_calls": 100_000,
                    "rate_limit_url": limits,
                },
            }
            for name in STREAMS
        }
        with AirflowStack(
            dags_folder=dags,
            home=Path(__file__).parents[2] / ".e2e" / request.param,
            database=request.param,
            env={"FAKE_STRIPE": fake.url},
            components=(*COMPONENTS, "execution-api"),
            connections=connections,
        ) as stack:
            stack.fake = fake  # type: ignore[attr-defined]
            yield stack


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


@pytest.fixture
def stream(airflow: AirflowStack) -> Iterator[Callable[[str], Stream]]:
    """Get streams by their names."""
    with streams(airflow) as get:
        yield get


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest, airflow: AirflowStack) -> Iterator[dict[Scenario, Future[None]]]:
    """A module's SCENARIOS, begun at the same time in one Airflow: each has streams of its own, and mostly waits."""

    def run(scenario: Scenario) -> None:
        began = time.monotonic()
        with streams(airflow) as stream:
            scenario(airflow, stream)
        print(f"\n{airflow.database}: {scenario.__name__} took {time.monotonic() - began:.0f} s", flush=True)

    scenarios: Sequence[Scenario] = request.module.SCENARIOS
    with ThreadPoolExecutor(len(scenarios)) as pool:
        yield {scenario: pool.submit(run, scenario) for scenario in scenarios}
