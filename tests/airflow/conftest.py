"""Airflow's home is set before a test imports Airflow; the fixtures stand in tests/conftest.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import airflow_home  # noqa: F401


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Return an empty folder."""
    path = tmp_path / "files"
    path.mkdir()
    return path
