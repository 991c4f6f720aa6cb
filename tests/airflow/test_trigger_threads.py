"""Triggers call from threads: their log lines find their way, and the process can end."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import Any

import pytest
from airflow.sdk import Variable

from airflow_provider_stripe_lite import _threads
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.airflow.triggering import Supervisor, run, triggerer, until
from tests.helpers import Clock


def test_what_a_trigger_logs_in_a_thread_is_in_its_context(
    stripe: FakeStripe, clock: Clock, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow tells by a context variable to which trigger a line belongs; the threads see it."""
    trigger = ContextVar[int | None]("trigger", default=None)
    seen: list[Any] = []
    original = _threads.connect

    def connect(*args: Any, **kwargs: Any) -> Any:
        seen.append((trigger.get(), threading.current_thread() is threading.main_thread()))
        return original(*args, **kwargs)

    monkeypatch.setattr(_threads, "connect", connect)

    async def main() -> None:
        trigger.set(7)
        async with triggerer():
            await until(lambda: seen and stripe.calls)

    run(main())
    assert set(seen) == {(7, False)}


def test_the_triggerer_ends_although_its_supervisor_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When the supervisor dies while the watcher asks for the Variable, that call never ends."""
    asked, silence = threading.Event(), threading.Event()

    def get(*_: Any, **__: Any) -> None:
        asked.set()
        silence.wait()

    monkeypatch.setattr(Variable, "get", get)

    async def main() -> None:
        async with triggerer():
            await until(asked.is_set)

    process = threading.Thread(target=run, args=(main(),), daemon=True)
    process.start()
    process.join(10)
    ended = not process.is_alive()
    silence.set()
    assert asked.is_set()
    assert ended
