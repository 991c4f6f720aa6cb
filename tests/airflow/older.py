"""What tests do without on Airflows that are not the newest."""

from __future__ import annotations

from importlib.metadata import version

import pytest

__all__ = ["AIRFLOW", "needs_task_state", "since_3_2"]

AIRFLOW = tuple(int(part) for part in version("apache-airflow-core").split(".")[:2])
needs_task_state = pytest.mark.skipif(
    AIRFLOW < (3, 3), reason="what a task has sent is noted by Airflow 3.3 and newer"
)
since_3_2 = pytest.mark.skipif(AIRFLOW < (3, 2), reason="Airflow 3.1 does otherwise")
