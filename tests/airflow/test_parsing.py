"""Parsing a DAG file, which Airflow does every few seconds, does not pay for an HTTP library."""

from __future__ import annotations

import json
import subprocess
import sys

CODE = """
import json, sys
import airflow_provider_stripe_lite.operators, airflow_provider_stripe_lite.sensors
print(json.dumps([name for name in ("requests", "urllib3") if name in sys.modules]))
"""


def test_parsing_a_dag_file_loads_no_http_library() -> None:
    """Operators and sensors are imported; `requests` can wait for a task that runs."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "requests" not in json.loads(done.stdout.splitlines()[-1])
