"""Fixtures that tests of several folders use.

Airflow is imported inside the functions that need it, so that the core's tests run without it. The
folders whose tests do need it import ``tests.airflow_home`` in their own conftest, before Airflow.
"""

from __future__ import annotations

import gc
import json
import os
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_stripe_lite.core import clock as host_clock
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.helpers import KEY, Clock, SharedServer

if TYPE_CHECKING:
    from airflow.sdk import DAG

SetConnection = Callable[..., None]

_AIRFLOW_FOLDERS = tuple(Path(__file__).parent / name for name in ("airflow", "docs"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make matrix` run a part of the tests in each environment."""
    parser.addoption("--share", default="1/1", help="K/N: each N-th test, from the K-th one on")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Make a warning an error only where the package causes it, in the tests that run Airflow.

    Airflow's own dependencies warn a lot. The type checkers come first: they take long, and with
    two processes the last test of one keeps the other waiting.
    """
    first, step = map(int, config.getoption("share").split("/"))
    items[:] = items[first - 1 :: step]
    items.sort(key=lambda item: "typing" not in item.path.parts)
    for item in items:
        if _runs_airflow(item):
            item.add_marker(
                pytest.mark.filterwarnings("ignore", "error:::airflow_provider_stripe_lite")
            )


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Collect the sockets that Airflow's in-process supervisor leaves open.

    The tests that follow in other folders would count them as their own unclosed resources.
    """
    if _runs_airflow(item) and not (nextitem and _runs_airflow(nextitem)):
        gc.collect()


def _runs_airflow(item: pytest.Item) -> bool:
    return any(folder in item.path.parents for folder in _AIRFLOW_FOLDERS)


@pytest.fixture(scope="session", autouse=True)
def no_proxy() -> Iterator[None]:
    """Reach this machine directly, whatever proxy its user has."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("no_proxy", "NO_PROXY"):
            others = os.environ.get(name)
            patch.setenv(name, ",".join(filter(None, ["127.0.0.1,localhost", others])))
        yield


@pytest.fixture(autouse=True)
def own_clock() -> None:
    """Begin with the clock of this host, which an earlier test's fake may have replaced."""
    host_clock.use()


@pytest.fixture(scope="session")
def server(no_proxy: None) -> Iterator[SharedServer]:
    """Start the one server of all fake accounts."""
    with SharedServer() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    """Return Stripe's time."""
    return Clock()


@pytest.fixture
def fake(clock: Clock) -> Iterator[FakeStripe]:
    """Start a Stripe of the test's own: a thread that an earlier test left behind finds none."""
    with FakeStripe(clock=clock) as running:
        yield running


@pytest.fixture(scope="session")
def database() -> None:
    """Make Airflow's tables, once in each process."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.utils.db import initdb

    initdb()
    DagBundlesManager().sync_bundles_to_db()


@pytest.fixture
def dag(request: pytest.FixtureRequest, database: None) -> DAG:
    """Return a DAG of the test's own, whose retries do not wait."""
    from airflow.sdk import DAG

    name = re.sub(r"[^\w.-]+", "_", request.node.name).strip("_")
    retries = {"retry_delay": timedelta(0)}
    return DAG(name[:100], schedule=None, max_active_runs=1, default_args=retries)


@pytest.fixture
def set_connection(
    fake: FakeStripe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SetConnection:
    """Return what sets a connection, by default to the fake and with a call limit nobody meets."""

    def set_(conn_id: str = "stripe_default", *, extra: Any = (), **fields: Any) -> None:
        options = {
            "rate_limit_url": f"file://{tmp_path}/calls",
            "rate_limit_calls": 10_000,
            "timeout": 5,
        }
        extra = extra if isinstance(extra, str) else options | dict(extra)
        usual = {"conn_type": "stripe", "password": KEY, "host": fake.url, "extra": extra}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(usual | fields))

    return set_


@pytest.fixture
def stripe(fake: FakeStripe, set_connection: SetConnection) -> FakeStripe:
    """Return the fake, with stripe_default connected to it."""
    set_connection()
    return fake
