"""When the ledger believes that there is no Variable, and that a write has changed it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_stripe_lite.errors import StripeCursorError
from tests.core.ledger_parts import Stream
from tests.core.ledger_process import Runs
from tests.core.ledger_schedules import document, put, refusal, run, used
from tests.core.ledger_world import World

KEY = "stripe_cursor.dag.new.0"


@pytest.fixture
def world() -> Iterator[World]:
    """Return a sensor whose first run has found nothing; two objects are new since."""
    with used() as world:
        yield world


def test_absent_is_what_the_list_of_keys_says(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Variable that is there and cannot be read is read again; the third time ends the try."""
    read, lies = Runs.read, [2]

    def lying(runs: Runs) -> str | None:
        text = read(runs)
        lies[0] -= 1
        return text if lies[0] < 0 else None

    monkeypatch.setattr(Runs, "read", lying)
    assert run(world).rows == [0, 1]
    lies[0], before = 3, document(world)
    error = run(world).error
    assert isinstance(error, StripeCursorError)
    assert f"The Variable {KEY} is there, and Airflow cannot read it" in str(error)
    assert document(world) == before


def test_the_list_of_keys_cannot_be_asked(world: World) -> None:
    """The try fails, and nothing is begun."""
    world.streams[0].text = None
    process = run(world, "is_absent")
    world.fault = "before"
    assert isinstance(world.go(process).error, RuntimeError)
    assert world.streams[0].text is None


@pytest.mark.parametrize("begun", [True, False])
def test_a_value_that_hides_the_variable(
    world: World, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    """After three writes that change nothing a sentence names what hides them."""
    if not begun:
        put(world, {"start_from": "2026-01-01"})
    before, writes = world.streams[0].text, list[str]()
    monkeypatch.setattr(Stream, "write", lambda _, text, begun=None: writes.append(text))
    sentence = refusal(run(world))
    assert f"The Variable {KEY} does not change" in sentence
    assert f"AIRFLOW_VAR_{KEY.upper()}" in sentence
    assert len(writes) == 3
    assert world.streams[0].text == before
