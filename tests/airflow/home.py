"""A home of its own for the Airflow that these tests import; to be imported before anything of Airflow is.

Nothing outlives the test session, and the Airflow of whoever runs the tests is not touched.
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
    raise RuntimeError("Airflow was imported before its home was set: import tests.airflow.home first.")

HOME = Path(tempfile.mkdtemp(prefix="airflow-tests-"))
DAGS = HOME / "dags"  # stays empty: tests hand their DAGs over themselves
DAGS.mkdir()
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
    del os.environ[name]  # connections, variables and settings of the outside

os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(os.urandom(32)).decode(),
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME / 'airflow.db'}",
    "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(HOME / "logs"),
}
