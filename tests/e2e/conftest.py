"""One running Airflow for each database, and for each stream of customers a Stripe account."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dev.airflow_home import POSTGRESQL
from dev.fake_process import FakeStripeProcess
from dev.stack import COMPONENTS, AirflowStack
from tests.e2e.scenarios import MODES, Scenario, Stream, streams

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DAGS = Path(__file__).parent / "dags"
KEY = "sk_test_51StreamAccount00secretsecret"
STREAMS = (
    *(
        "poke",
        "reschedule",
        "deferrable",
        "events",
        "shaky",
        "strict",
        "backlog",
        "batches",
        "manual",
    ),
    *("batches", "marked", "skips", "guarded", "mixed", "mixed_variable", "shared", "waiting"),
    *("forgets", "remembers"),
    *(f"{end}_{way}" for end in ("late", "skip", "wrong") for way in MODES),
)


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def airflow(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AirflowStack]:
    """Run an Airflow with a fake Stripe; its DAG files are copies that a test may break."""
    if request.param == "postgresql":
        psycopg2 = pytest.importorskip("psycopg2")
        try:
            psycopg2.connect(f"postgresql://{POSTGRESQL}/postgres").close()
        except psycopg2.OperationalError:
            pytest.skip("no PostgreSQL on 127.0.0.1:5432 (STACK_POSTGRESQL names another one)")
    limits = f"sqlite:///{tmp_path_factory.mktemp('limits')}/calls.sqlite"
    dags = tmp_path_factory.mktemp("dags")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(DAGS, dags, dirs_exist_ok=True, ignore=ignored)
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


@pytest.fixture
def stream(airflow: AirflowStack) -> Iterator[Callable[[str], Stream]]:
    """Get streams by their names."""
    with streams(airflow) as get:
        yield get


@pytest.fixture(scope="module")
def running(
    request: pytest.FixtureRequest, airflow: AirflowStack
) -> Iterator[dict[Scenario, Future[None]]]:
    """Begin a module's SCENARIOS at once: each has its own streams, and mostly waits."""

    def run(scenario: Scenario) -> None:
        began = time.monotonic()
        with streams(airflow) as stream:
            scenario(airflow, stream)
        seconds = time.monotonic() - began
        print(f"\n{airflow.database}: {scenario.__name__} took {seconds:.0f} s", flush=True)

    scenarios: Sequence[Scenario] = request.module.SCENARIOS
    with ThreadPoolExecutor(len(scenarios)) as pool:
        yield {scenario: pool.submit(run, scenario) for scenario in scenarios}
