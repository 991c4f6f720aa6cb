"""The end-to-end tests again and again, half of them on busy cores: make soak SERIES=10."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from airflow_provider_stripe_lite._cursor import FENCE_SECONDS
from tests.e2e.claims import CLAIMS, show_claims
from tests.e2e.conftest import DATABASES

pytestmark = pytest.mark.soak

SERIES = int(os.environ.get("SERIES", "10"))
ENOUGH = 1000
# The package and its pages are the same each time.
FOLDER = Path(__file__).parent
TESTS = [FOLDER / f"test_{name}.py" for name in ("bell", "exactly_once", "kills", "writing")]


@pytest.fixture(scope="module")
def claims() -> Path:
    """Return the file to which each series adds its claims, which is empty in the beginning."""
    CLAIMS.unlink(missing_ok=True)
    return CLAIMS


@pytest.mark.parametrize("number", range(1, SERIES + 1))
def test_series(claims: Path, number: int) -> None:
    """All is green every time, also while something else keeps every core busy."""
    command = [sys.executable, "-m", "pytest", "-s", "-m", "e2e", *TESTS]
    with ExitStack() as burning:
        if busy := number % 2 == 0:
            for _ in range(os.cpu_count() or 1):
                burner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
                burning.callback(burner.wait)
                burning.callback(burner.kill)
        print(f"\nSeries {number} of {SERIES}{', every core busy' if busy else ''}", flush=True)
        assert subprocess.run(command, cwd=FOLDER.parents[1]).returncode == 0


def test_the_fence_is_wide_enough(claims: Path) -> None:
    """The wait behind a write is five times what 99.9 % of the claims on PostgreSQL need before it.

    SQLite has one writer at a time, for whom the others wait up to 30 s here: no wait that a sensor
    can spare is five times that, so there it is to be longer than what they need.
    """
    held = [json.loads(line) for line in claims.read_text().splitlines()]
    of = {database: [one for one in held if one["database"] == database] for database in DATABASES}
    figures = {database: show_claims(database, some) for database, some in of.items()}
    assert len(of["postgresql"]) >= ENOUGH
    assert figures["postgresql"]["p99.9"] * 5 <= FENCE_SECONDS
    assert figures["sqlite"]["p99.9"] < FENCE_SECONDS
