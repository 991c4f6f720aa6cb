"""One running Airflow for each file of tests and database, and for each stream an account at a fake Stripe."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.airflow_api import wait_for
from tests.stack import POSTGRESQL, AirflowStack, FakeStripeProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

DAGS = Path(__file__).parent / "dags"
KEY = "sk_test_51StreamAccount00secretsecret"
STREAMS = (
    *(
        "poke",
        "reschedule",
        "deferrable",
        "shaky",
        "strict",
        "backlog",
        "manual",
        "marked",
        "skips",
        "guarded",
        "mixed",
    ),
    *("mixed_variable", "events", "shared", "waiting", "forgets", "remembers"),
    *(f"{end}_{way}" for end in ("late", "skip", "wrong") for way in ("poke", "reschedule", "deferrable")),
)


class Stream:
    """One DAG, its Stripe account, and what its runs have received."""

    def __init__(self, airflow: AirflowStack, fake: FakeStripeProcess, name: str) -> None:
        self.airflow, self.fake, self.name, self.account = airflow, fake, name, f"acct_{name}"

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

    def wait_for_all(self, timeout: float = 120) -> None:
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

    def run_once(self, **arguments: Any) -> tuple[str, str]:
        """Trigger a manual run and wait for its end: run id and state."""
        run_id = self.airflow.trigger(self.name, **arguments)
        return run_id, self.airflow.wait_run(self.name, run_id)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def airflow(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowStack]:
    """A running Airflow with a fake Stripe of its own."""
    if request.param == "postgresql":
        psycopg2 = pytest.importorskip("psycopg2")
        try:
            psycopg2.connect(f"postgresql://{POSTGRESQL}/postgres").close()
        except psycopg2.OperationalError:
            pytest.skip("no PostgreSQL on 127.0.0.1:5432 (STACK_POSTGRESQL names another one)")
    limits = f"sqlite:///{tmp_path_factory.mktemp('limits')}/calls.sqlite"
    with FakeStripeProcess() as fake:
        connections = {
            f"stripe_{name}": {
                **fake.connection("mistyped" if name.startswith("wrong") else KEY),
                "extra": {"stripe_account": f"acct_{name}", "rate_limit_calls": 100_000, "rate_limit_url": limits},
            }
            for name in STREAMS
        }
        home = Path(__file__).parents[2] / ".e2e" / f"{request.path.stem}-{request.param}"
        with AirflowStack(
            dags_folder=DAGS,
            home=home,
            database=request.param,
            env={"FAKE_STRIPE": fake.url},
            connections=connections,
        ) as stack:
            stack.fake = fake  # type: ignore[attr-defined]
            yield stack


@pytest.fixture
def stream(airflow: AirflowStack) -> Any:
    """Get a stream by its name; its DAG is paused at the end."""
    used: list[str] = []

    def get(name: str) -> Stream:
        used.append(name)
        return Stream(airflow, airflow.fake, name)  # type: ignore[attr-defined]

    yield get
    for name in used:
        airflow.pause(name)
