"""Set Airflow's home before a test imports Airflow. The fixtures stand in tests/conftest.py."""

from __future__ import annotations

from tests import airflow_home  # noqa: F401
