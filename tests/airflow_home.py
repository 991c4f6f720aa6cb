"""Give the Airflow that these tests import a home of its own, before anything of it is imported.

Each process has its own, so those of pytest-xdist share none. Nothing outlives the process, and the
Airflow of whoever runs the tests is not touched.
"""

from __future__ import annotations

import atexit
import base64
import os
import shutil
import sys
import tempfile
from pathlib import Path

if "airflow" in sys.modules:
    raise RuntimeError(
        "Airflow was imported before its home was set: import tests.airflow_home first."
    )

HOME = Path(tempfile.mkdtemp(prefix="airflow-tests-"))
# This folder stays empty: tests give their DAGs to Airflow themselves.
DAGS = HOME / "dags"
DAGS.mkdir()
_OWNER = os.getpid()


def _remove() -> None:
    # A forked child inherits this function, and must not remove its parent's home.
    if os.getpid() == _OWNER:
        shutil.rmtree(HOME, ignore_errors=True)


atexit.register(_remove)

# Connections, variables and settings from outside would change what the tests see.
for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
    del os.environ[name]

os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(os.urandom(32)).decode(),
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME / 'airflow.db'}",
    "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(HOME / "logs"),
}
