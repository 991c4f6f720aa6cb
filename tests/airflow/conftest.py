"""Airflow's home is set before a test imports Airflow; the fixtures stand in tests/conftest.py."""

from __future__ import annotations

from tests import airflow_home  # noqa: F401
