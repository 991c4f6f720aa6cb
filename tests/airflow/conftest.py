"""One Airflow for the session, on SQLite in a home of its own; a fake Stripe and a connection to it for each test."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.core.ground import Clock

from tests.airflow import home  # noqa: F401  # isort: skip - before Airflow
from airflow.sdk import DAG

from tests.fake_stripe import FakeStripe

NOW = 1_770_000_000  # 2026-02-02T02:40:00Z: after the examples' start_date, and not in Airflow's future
KEY = "sk_test_51AbCdEfGhIjKl0123456789abcdef"  # carries its account, as newer keys do


@pytest.fixture(scope="package")
def database() -> Iterator[None]:
    """Airflow's tables, once."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.utils.db import initdb

    initdb()
    DagBundlesManager().sync_bundles_to_db()
    yield
    gc.collect()  # sockets that Airflow's in-process supervisor leaves open: the warnings of others are not so patient


@pytest.fixture
def dag(request: pytest.FixtureRequest, database: None) -> DAG:
    """A DAG of its own for each test, whose retries do not wait."""
    name = re.sub(r"[^\w.-]+", "_", request.node.name).strip("_")
    return DAG(name[:100], schedule=None, max_active_runs=1, default_args={"retry_delay": timedelta(0)})


@pytest.fixture
def clock() -> Clock:
    """Stripe's time."""
    return Clock(NOW)


@pytest.fixture
def fake(clock: Clock) -> Iterator[FakeStripe]:
    """A Stripe of its own for each test."""
    with FakeStripe(clock=clock) as running:
        yield running


Connect = Callable[..., None]


@pytest.fixture
def connect(fake: FakeStripe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Set the connection: by default to the fake, with a call limit of its own that nobody meets."""

    def set_connection(conn_id: str = "stripe_default", *, extra: Any = (), **fields: Any) -> None:
        options = {"rate_limit_url": f"sqlite:///{tmp_path}/calls.sqlite", "rate_limit_calls": 10_000, "timeout": 5}
        extra = extra if isinstance(extra, str) else options | dict(extra)
        connection = {"conn_type": "stripe", "password": KEY, "host": fake.url, "extra": extra} | fields
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))

    return set_connection


@pytest.fixture
def stripe(fake: FakeStripe, connect: Connect) -> FakeStripe:
    """The fake, with stripe_default connected to it."""
    connect()
    return fake


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Here a warning is an error only where the package causes it: Airflow's own dependencies warn a lot."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore", "error:::airflow_provider_stripe_lite"))
