"""Fixtures of the core's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from airflow_provider_stripe_lite.client import StripeClient
from tests.core.ground import Clock, Stage, client_for
from tests.fake_stripe import FakeStripe


@pytest.fixture(scope="session", autouse=True)
def no_proxy() -> Iterator[None]:
    """The tests speak to this machine only, whatever proxy its user has."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def stage(no_proxy: None) -> Iterator[Stage]:
    with Stage() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    """What the fake holds for the time."""
    return Clock()


@pytest.fixture
def fake(stage: Stage, clock: Clock) -> FakeStripe:
    """An empty Stripe account of the test's own, on a real socket."""
    return stage.world(clock)


@pytest.fixture
def naps() -> list[float]:
    """How long the client would have slept between its tries."""
    return []


@pytest.fixture
def connect(fake: FakeStripe, naps: list[float]) -> Callable[..., StripeClient]:
    """Makes clients of that account."""
    return lambda **options: client_for(fake.url, **{"sleep": naps.append} | options)


@pytest.fixture
def client(connect: Callable[..., StripeClient]) -> StripeClient:
    """A client of that account, without a call limit."""
    return connect()
