"""Fixtures of the core's tests alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.helpers import client_for


@pytest.fixture
def sleeps() -> list[float]:
    """Return the list of how long the client would have slept between its tries."""
    return []


@pytest.fixture
def connect(fake: FakeStripe, sleeps: list[float]) -> Callable[..., StripeClient]:
    """Return what makes clients of the test's account."""
    return lambda **options: client_for(fake.url, **{"sleep": sleeps.append} | options)


@pytest.fixture
def client(connect: Callable[..., StripeClient]) -> StripeClient:
    """Return a client of the test's account, without a call limit."""
    return connect()
