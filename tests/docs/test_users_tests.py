"""The DAG and the test of docs/testing-your-dags.md, laid out and run as a reader would."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

from airflow_provider_stripe_lite.testing import FakeStripe
from tests.docs.blocks import ROOT, placed

PAGE = "docs/testing-your-dags.md"
# `make build` names the Python of an environment that has the wheel, Airflow and pytest alone.
PYTHON = os.environ.get("USERS_PYTHON", sys.executable)


def test_the_test_of_the_page_passes(tmp_path: Path) -> None:
    """Its three files are all that pytest needs, and its database is not this process's."""
    for place, text in placed(PAGE).items():
        file = tmp_path / place
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    # No checkout may stand in for the installed package.
    inner = ("AIRFLOW", "PYTHONPATH")
    outside = {name: text for name, text in os.environ.items() if not name.startswith(inner)}
    done = subprocess.run(
        [PYTHON, "-m", "pytest", "tests", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env=outside,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_the_test_of_the_page_is_ten_lines() -> None:
    """What a reader has to write, besides imports."""
    _, _, body = placed(PAGE)["tests/test_welcome.py"].partition("def ")
    assert len(body.splitlines()) <= 10


def test_the_table_names_what_the_fake_has() -> None:
    """Each name of the table is one of FakeStripe's, with the parameters that are shown."""
    rows = re.findall(r"^\| `\.(\w+)(?:\(([^)]*)\))?` \|", (ROOT / PAGE).read_text(), re.MULTILINE)
    assert len(rows) >= 9
    with FakeStripe() as fake:
        for name, given in rows:
            assert hasattr(fake, name), name
            known = inspect.signature(getattr(fake, name)).parameters if given else {}
            shown = re.findall(r"^(\w+)|, (\w+)(?:=|,|$)", given)
            assert {one or other for one, other in shown} <= set(known), name
