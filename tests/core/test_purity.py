"""The core knows nothing of Airflow, and parsing a DAG file does not pay for an HTTP library."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest

CORE = ("errors", "catalog", "params", "output", "ratelimit", "client", "polling")
SHELL = ("operators", "sensors")


def loaded(modules: tuple[str, ...], forbidden: str = "") -> set[str]:
    """The top-level packages that importing these modules loads in a process of their own."""
    code = f"""
import importlib, json, sys
for name in {forbidden!r}.split():
    sys.modules[name] = None
for name in {modules!r}:
    importlib.import_module("airflow_provider_stripe_lite." + name)
print(json.dumps(sorted({{name.split(".")[0] for name, module in sys.modules.items() if module}})))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_core_works_without_airflow() -> None:
    """Every module of it imports where there is no Airflow, and none loads `requests` before it is needed."""
    assert not loaded(CORE, forbidden="airflow") & {"airflow", "requests", "urllib3", "redis", "orjson"}


def test_importing_the_package_loads_none_of_it() -> None:
    """`import airflow_provider_stripe_lite` gives a version and costs nothing."""
    code = (
        "import sys, airflow_provider_stripe_lite as package; assert package.__version__;"
        "print([name for name in sys.modules if name.startswith(package.__name__ + '.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(importlib.util.find_spec("airflow") is None, reason="Airflow is not installed.")
def test_parsing_a_dag_file_loads_no_http_library() -> None:
    """Operators and sensors are imported every few seconds by the DAG processor: `requests` can wait."""
    assert "requests" not in loaded(SHELL)
