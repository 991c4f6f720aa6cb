"""Triggers call from threads: none waits for another, their lines find their way, and all end."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import Any

import pytest
from airflow.sdk import Variable

from airflow_provider_stripe_lite import _threads
from airflow_provider_stripe_lite.testing import FakeStripe
from airflow_provider_stripe_lite.triggers import StripeSensorTrigger
from tests.airflow.triggering import ALARM, Supervisor, run, triggerer, until
from tests.conftest import SetConnection
from tests.core.hostile import Hostile, dripping
from tests.helpers import NOW, Clock


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


def test_an_answer_that_drips_keeps_no_other_trigger_waiting(
    stripe: FakeStripe, set_connection: SetConnection
) -> None:
    """A bad answer silences one feed of one connection, and only until the deadline of its call."""
    stripe.add("charge", created=NOW)
    server = Hostile(dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b" "))

    async def main() -> None:
        silenced = asyncio.create_task(fire(stripe_conn_id="other"))
        await until(lambda: server.connections)
        for feed in ("charge", "customer"):
            stripe.add(feed, created=NOW)
            assert await fire(feed=feed) == {"feed": feed}
        assert (silenced.done(), server.connections) == (False, 1)
        # It looks again, once its first look is over.
        await until(lambda: server.connections > 1)
        silenced.cancel()

    with server as url:
        set_connection("other", host=url, extra={"timeout": 2})
        run(main())


async def fire(**options: Any) -> Any:
    """Let an alarm run until it fires."""
    async for event in StripeSensorTrigger(**ALARM | options).run():
        return event.payload
    return None


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
