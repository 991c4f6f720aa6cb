"""Fixtures of the triggers' tests alone; the others stand in tests/conftest.py.

Airflow's home is set before a test imports Airflow.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import airflow_home  # noqa: F401
from tests.airflow.triggering import TICK, Supervisor


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    """Return the other side of the process."""
    from airflow.sdk.execution_time.supervisor import set_supervisor_comms

    with set_supervisor_comms(Supervisor()):
        from airflow.sdk.execution_time import task_runner

        yield task_runner.SUPERVISOR_COMMS


@pytest.fixture
def events_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test wait for ten seconds between two events."""
    monkeypatch.setattr("airflow_provider_stripe_lite._window_producer._EVENT_SECONDS", TICK)
