"""The documentation is tested on the ground of the Airflow tests: one home, a fake Stripe for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.airflow import home  # noqa: F401  # isort: skip - before Airflow
from tests.airflow.conftest import clock, connect, dag, database, fake, stripe

__all__ = ["clock", "connect", "dag", "database", "fake", "stripe"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Here a warning is an error only where the package causes it: Airflow's own dependencies warn a lot."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore", "error:::airflow_provider_stripe_lite"))
