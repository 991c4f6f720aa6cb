"""Fixtures of the core's tests alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.core.limits import Start, starter
from tests.helpers import Connect, client_for


@pytest.fixture
def sleeps() -> list[float]:
    """Return the list of how long the client would have slept between its tries."""
    return []


@pytest.fixture
def connect(fake: FakeStripe, sleeps: list[float]) -> Connect:
    """Return what makes clients of the test's account."""
    return lambda **options: client_for(fake.url, **{"sleep": sleeps.append} | options)


@pytest.fixture
def client(connect: Connect) -> StripeClient:
    """Return a client of the test's account, without a call limit."""
    return connect()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a limiter may keep its calls."""
    return tmp_path / "calls"


@pytest.fixture
def child(path: Path) -> Iterator[Start]:
    """Return what starts processes that share the limiter's file."""
    with starter(path) as start:
        yield start


@pytest.fixture
def redis_url() -> str:
    """Return a local Redis, which may hold other things: each test has a key of its own."""
    pytest.importorskip("redis")
    from dev.benchmarks import limiter

    url = "redis://127.0.0.1:6379/15"
    if not limiter.reachable(url):
        pytest.skip("needs a Redis on 127.0.0.1:6379")
    return url
