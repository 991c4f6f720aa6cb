"""The published files: wheel and sdist are complete, and Airflow finds the installed provider."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
PACKAGE = "airflow_provider_stripe_lite"


def run(*command: str | Path, **environment: str) -> str:
    """Run a command and return what it printed; fail where it fails."""
    env = {**os.environ, **environment}
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_package(tmp_path: Path) -> None:
    """The wheel holds the package and nothing else; installed alone, Airflow lists the provider."""
    run(sys.executable, "-m", "build", "--outdir", tmp_path)
    (wheel,), (sdist,) = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    tracked = run("git", "ls-files", PACKAGE).split()
    assert held == set(tracked)
    assert f"{PACKAGE}/py.typed" in held
    with tarfile.open(sdist) as archive:
        tops = {name.split("/")[1] for name in archive.getnames()}
    files = {"README.md", "LICENSE", "pyproject.toml"}
    assert {PACKAGE, "tests", "dev", "example_dags", "docs", *files} <= tops
    assert not tops & {".venv", ".git", ".ci", ".e2e", ".demo", ".bench", ".hypothesis"}
    run(sys.executable, "-m", "venv", tmp_path / "empty")
    run(tmp_path / "empty/bin/pip", "install", "--quiet", wheel)
    airflow, home = tmp_path / "empty/bin/airflow", str(tmp_path / "home")
    listed = run(airflow, "providers", "list", AIRFLOW_HOME=home)
    assert "airflow-provider-stripe-lite" in listed
