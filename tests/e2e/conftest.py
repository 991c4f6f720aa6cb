"""A running Airflow for each database, all at once, and for each stream of customers an account."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dev.airflow_home import POSTGRESQL
from dev.fake_process import FakeStripeProcess
from dev.redis_server import RedisServer
from dev.stack import COMPONENTS, AirflowStack
from tests.e2e.claims import keep_claims
from tests.e2e.scenarios import Scenario, streams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
DAGS = Path(__file__).parent / "dags"
DATABASES = ("sqlite", "postgresql")
KEY = "sk_test_51StreamAccount00secretsecret"
MISTYPED = "mistyped"
ABSENT = "no PostgreSQL on 127.0.0.1:5432 (STACK_POSTGRESQL names another one)"
WAYS = ("poke", "reschedule", "deferrable")
STREAMS = (
    *("shaky", "backlog", "batches", "manual", "marked", "skips", "guarded", "forgets"),
    *(f"{end}_{way}" for end in ("late", "skip", "wrong") for way in WAYS),
    *("limited", "free", "deferred", "mapped", "untried"),
    *("rung", "later", "bounded", "asleep", "wrong_first", "wrong_later", "whole", "again"),
    *("broken", "killed", "shared", "waiting", "writes", "products", "hasty"),
)
WRONG_KEYS = ("wrong_first", *(f"wrong_{way}" for way in WAYS))
# With fewer, a processor would rest. With more, each would take longer, and its deadlines, which
# count from its own beginning, would pass on a machine that is busy with other things.
AT_ONCE = 12
SETTINGS = {
    # Sensors that wait in a worker keep nobody else from running.
    "AIRFLOW__CORE__PARALLELISM": "48",
    # Not each of the DAG files speaks of Airflow.
    "AIRFLOW__CORE__DAG_DISCOVERY_SAFE_MODE": "False",
    # With less, parsing takes a quarter of the machine; with more, a file that changes while it is
    # parsed is not read again for so long.
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "15",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what wants a database's Airflow, or a module's scenarios, once for each."""
    if "database" in metafunc.fixturenames:
        metafunc.parametrize("database", getattr(metafunc.module, "DATABASES", DATABASES))
    if "scenario" in metafunc.fixturenames:
        scenarios = metafunc.module.SCENARIOS
        metafunc.parametrize("scenario", scenarios, ids=lambda scenario: scenario.__name__)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what waits most, beside which others work."""
    items.sort(key=lambda item: item.path.stem != "test_readme")


@pytest.fixture(scope="session")
def airflows(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, AirflowStack]]:
    """Run an Airflow for each database of the chosen tests."""
    chosen = {database for _, database, _ in _chosen(request.session)}
    with ExitStack() as all_of_them, ThreadPoolExecutor() as pool:
        made = {
            database: living_airflow(database, tmp_path_factory.mktemp(database))
            for database in DATABASES
            if database in chosen and is_there(database)
        }
        began = {name: pool.submit(one.__enter__) for name, one in made.items()}
        for name, one in made.items():
            if began[name].exception() is None:
                all_of_them.push(one)
        yield {name: one.result() for name, one in began.items()}


@contextmanager
def living_airflow(database: str, folder: Path) -> Iterator[AirflowStack]:
    """Run an Airflow with a fake Stripe; its DAG files are copies that a test may break."""
    dags = folder / "dags"
    shutil.copytree(DAGS, dags, ignore=shutil.ignore_patterns("__pycache__"))
    limits = f"file://{folder}/calls"
    with FakeStripeProcess() as fake, ExitStack() as services:
        if database == "postgresql" and RedisServer.is_installed():
            limits = f"{services.enter_context(RedisServer(folder)).url}/1"
        connections = {f"stripe_{name}": connection(fake, name, limits) for name in STREAMS}
        with AirflowStack(
            dags_folder=dags,
            home=ROOT / ".e2e" / database,
            database=database,
            env={"FAKE_STRIPE": fake.url, **SETTINGS},
            components=(*COMPONENTS, "execution-api"),
            connections=connections,
        ) as stack:
            stack.fake = fake  # type: ignore[attr-defined]
            yield stack
            keep_claims(stack, fake)


def connection(fake: FakeStripeProcess, name: str, limits: str) -> dict[str, Any]:
    """Return the Airflow connection of a stream."""
    extra = {
        "timeout": 2 if name == "shaky" else 80,
        "rate_limit_calls": 100_000,
        "rate_limit_url": limits,
        # A mapped sensor names the account itself.
        **({} if name == "mapped" else {"stripe_account": f"acct_{name}"}),
    }
    return {**fake.connection(MISTYPED if name in WRONG_KEYS else KEY), "extra": extra}


@pytest.fixture
def airflow(airflows: dict[str, AirflowStack], database: str) -> AirflowStack:
    """Return the Airflow of this database."""
    if database not in airflows:
        pytest.skip(ABSENT)
    return airflows[database]


@pytest.fixture(scope="session")
def begin(
    request: pytest.FixtureRequest, airflows: dict[str, AirflowStack]
) -> Iterator[Callable[[str, str], dict[tuple[str, Scenario], Future[None]]]]:
    """Begin the chosen scenarios of a phase, AT_ONCE of them: each has its own streams.

    A module says in PHASE to which one its scenarios belong. Where components die, and are started
    again, one database after the other has its turn.
    """
    begun: dict[tuple[str, str], dict[tuple[str, Scenario], Future[None]]] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:

        def run(phase: str, database: str) -> dict[tuple[str, Scenario], Future[None]]:
            turn = phase, database if phase == "deaths" else "all"
            if turn not in begun:
                begun[turn] = {
                    (name, scenario): pool.submit(_run, airflows[name], scenario)
                    for of, name, scenario in _chosen(request.session)
                    if of == phase and scenario and name in airflows and turn[1] in (name, "all")
                }
            return begun[turn]

        yield run


@pytest.fixture
def outcome(
    request: pytest.FixtureRequest,
    airflow: AirflowStack,
    begin: Callable[[str, str], dict[tuple[str, Scenario], Future[None]]],
    scenario: Scenario,
) -> Future[None]:
    """Return what becomes of a scenario on one database."""
    return begin(request.module.PHASE, airflow.database)[airflow.database, scenario]


def _chosen(session: pytest.Session) -> list[tuple[str | None, str, Scenario | None]]:
    """Return phase, database and scenario of the chosen tests."""
    items: list[Any] = [item for item in session.items if "database" in item.fixturenames]
    chosen = [(item.module, item.callspec.params) for item in items]
    return [
        (getattr(module, "PHASE", None), params["database"], params.get("scenario"))
        for module, params in chosen
    ]


def is_there(database: str) -> bool:
    """Return whether the database's server answers; SQLite needs none."""
    if database != "postgresql":
        return True
    psycopg2 = pytest.importorskip("psycopg2")
    try:
        psycopg2.connect(f"postgresql://{POSTGRESQL}/postgres").close()
    except psycopg2.OperationalError:
        return False
    return True


def _run(airflow: AirflowStack, scenario: Scenario) -> None:
    began = time.monotonic()
    with streams(airflow) as stream:
        scenario(airflow, stream)
    seconds = time.monotonic() - began
    print(f"\n{airflow.database}: {scenario.__name__} took {seconds:.0f} s", flush=True)
