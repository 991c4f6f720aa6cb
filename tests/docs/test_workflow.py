"""The workflow of a public host runs what the project runs, and builds what its tag names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.blocks import ROOT, VERSION

# With another loader, the key `on` would be read as true.
WORKFLOW: dict[str, Any] = yaml.load(
    (ROOT / ".github/workflows/ci.yml").read_text(), yaml.BaseLoader
)
STEPS = WORKFLOW["jobs"]["ci"]["steps"]
TAGGED = "github.ref_type == 'tag'"


def place(key: str, text: str) -> int:
    """Return which step has this text."""
    (number,) = [number for number, step in enumerate(STEPS) if text in step.get(key, "")]
    return number


def test_it_runs_for_every_change() -> None:
    """Pushes, tags among them, and pull requests run .ci/run, which can only read."""
    assert WORKFLOW["on"] == {"push": {"branches": ["main"], "tags": ["*"]}, "pull_request": ""}
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert (ROOT / ".ci" / "run").exists()
    assert "if" not in STEPS[place("run", ".ci/run")]


def test_a_tag_keeps_what_was_built() -> None:
    """What is kept was built after everything else was green, for a tag alone."""
    run, kept = place("run", ".ci/run"), place("uses", "actions/upload-artifact")
    assert place("name", "The tag is the version") < run < kept
    assert "make build\n" in (ROOT / ".ci" / "run").read_text()
    assert STEPS[kept]["if"] == TAGGED
    assert STEPS[kept]["with"]["path"] == "dist/"


@pytest.mark.parametrize("tag", [VERSION, f"v{VERSION}", "0.1.0"])
def test_another_tag_than_the_version_is_refused(tag: str) -> None:
    """The step ends with one sentence, before anything runs for an hour."""
    step = STEPS[place("name", "The tag is the version")]
    assert step["if"] == TAGGED
    done = subprocess.run(
        ["bash", "-e", "-c", step["run"]],
        cwd=ROOT,
        env={"GITHUB_REF_NAME": tag, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    sentence = f"The tag is {tag}, and the version in pyproject.toml is {VERSION}.\n"
    assert done.stderr == ""
    assert (done.returncode, done.stdout) == ((0, "") if tag == VERSION else (1, sentence))
