"""P1 and P2 of the ledger against random lives of a sensor.

Runs overlap, tries are killed, runs are cleared, marked and deleted, calls of Airflow fail before
or after they take effect, and the list of a mapped sensor changes. LEDGER_LIVES says how many lives
are tried: always the same ones.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from typing import Any

import pytest

from airflow_provider_stripe_lite.core import document as documents
from tests.core.ledger_lives import live, story

LIVES, CHUNKS = int(os.environ.get("LEDGER_LIVES", "2000")), 8


@pytest.fixture(autouse=True)
def _few_claims(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Let the document forget after four claims, so that lives get past that."""
    monkeypatch.setattr(documents, "MOST_CLAIMS", 4)
    # Sensors that fall behind say so, thousands of times here.
    caplog.set_level(logging.ERROR, "airflow_provider_stripe_lite")


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_object_is_in_one_run(chunk: int) -> None:
    """Successful runs hold every object once, and a try returns what the one before it has."""
    wrong = dict[int, dict[str, list[Any]]]()
    for seed in range(chunk, LIVES, CHUNKS):
        problems = {what: found for what, found in live(seed).problems().items() if found}
        wrong |= {seed: problems} if problems else {}
    assert not wrong, f"{len(wrong)} lives: {wrong}\n{story(min(wrong))}"


def test_the_lives_reach_what_they_are_about() -> None:
    """Windows are taken over, cleared runs refused, claims forgotten, and every fault happens."""
    met = Counter[str]()
    for seed in range(200):
        life = live(seed)
        told = [line.rsplit(": ", 1)[-1] for line in life.log if isinstance(line, str)]
        met.update(told)
        met["taken"] += life.taken
        met["refused"] += len(life.refused)
        met["delivered"] += sum(len(rows) for task in life.tasks for rows in task.rows.values())
        met["forgotten"] += any(stream.document.get("trimmed") for stream in life.streams)
    assert met["delivered"] > 1000
    for what in ("taken", "refused", "forgotten", "before", "lost", "late", "again", "lie"):
        assert met[what] > 10, what


def test_a_life_is_the_same_each_time() -> None:
    """Everything that happens comes from the seed, so that a failure can be repeated."""
    assert live(7).log == live(7).log
