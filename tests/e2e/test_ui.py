"""`make ui`, from its first word to Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from functools import partial

import psutil
import pytest

from dev.airflow_api import AirflowApi, wait_for
from dev.ui import ROOT, SHOWN

pytestmark = pytest.mark.e2e


def children(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return every process below this one: the components, their workers, the fake."""
    return psutil.Process(process.pid).children(recursive=True)


def lives(process: psutil.Process) -> bool:
    """Tell whether a process is there, and not just waiting for somebody to notice its end."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def succeeded(airflow: AirflowApi, dag: str) -> bool:
    """Tell whether a run of a DAG has succeeded, and refuse one that failed."""
    states = {row["state"] for row in airflow.runs(dag)}
    assert "failed" not in states
    return "success" in states


def test_every_dag_has_rows_and_ctrl_c_ends_it_all() -> None:
    """Each DAG that is named has a run that succeeds; then nothing is left, and nothing is red."""
    with subprocess.Popen(
        [sys.executable, "-m", "dev.ui"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # As a terminal does, Ctrl-C is sent to a process group.
        start_new_session=True,
    ) as process:
        assert process.stdout
        try:
            said = ""
            while "Ctrl-C" not in said:
                line = process.stdout.readline()
                assert line, said
                said += line
            found = re.search(r"up at (\S+)", said)
            assert found
            airflow = AirflowApi(found[1])
            for dag in SHOWN:
                airflow.wait_dag(dag)
                wait_for(dag, partial(succeeded, airflow, dag))
            below = children(process)
        finally:
            os.killpg(process.pid, signal.SIGINT)
            try:
                rest, _ = process.communicate(timeout=120)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
    assert (process.returncode, rest) == (0, "\nStopping …\nStopped.\n")
    assert len(below) > 5
    assert [child for child in below if lives(child)] == []
