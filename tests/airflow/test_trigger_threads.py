"""Triggers call from threads: these do HTTP alone, none waits for another, and all end."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import Any

import pytest
from airflow.sdk import log as airflow_log
from airflow.sdk.execution_time.comms import ErrorResponse
from airflow.sdk.execution_time.supervisor import set_supervisor_comms

from airflow_provider_stripe_lite import triggers
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.airflow.triggering import fire, listening, run, until
from tests.conftest import SetConnection
from tests.core.hostile import Hostile, dripping
from tests.helpers import NOW


def test_a_thread_does_nothing_but_http(
    stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connection, secrets and supervisor are the event loop's: Airflow 3.1 ends where both ask."""
    used: list[tuple[str, str]] = []

    def use(what: str) -> None:
        used.append((what, threading.current_thread().name))

    class Supervisor:
        def send(self, _: Any) -> Any:
            use("supervisor")
            return ErrorResponse()

        async def asend(self, message: Any) -> Any:
            return self.send(message)

    class Watched:
        def __init__(self, connection: Any) -> None:
            self._connection = connection

        def __getattr__(self, name: str) -> Any:
            use(name)
            return getattr(self._connection, name)

    aget_connection, newest_before = StripeHook.aget_connection, triggers.newest_before

    async def watched(conn_id: str) -> Any:
        return Watched(await aget_connection(conn_id))

    def looked(*arguments: Any) -> Any:
        use("HTTP")
        return newest_before(*arguments)

    monkeypatch.setattr(StripeHook, "aget_connection", watched)
    monkeypatch.setattr(airflow_log, "mask_secret", lambda _: use("mask_secret"))
    monkeypatch.setattr(triggers, "newest_before", looked)

    async def main() -> str:
        async with listening(stripe) as bell:
            await bell.rung(1)
        await fire(since=None)
        return threading.current_thread().name

    with set_supervisor_comms(Supervisor()):
        loop = run(main())
    assert {what for what, thread in used if thread != loop} == {"HTTP"}
    assert {"password", "extra", "host", "mask_secret", "supervisor"} <= {what for what, _ in used}
    assert ("HTTP", loop) not in used


def test_what_a_trigger_logs_in_a_thread_is_in_its_context(
    stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow tells by a context variable to which trigger a line belongs; the threads see it."""
    trigger = ContextVar[int | None]("trigger", default=None)
    seen: set[int | None] = set()

    def newest_before(*_: Any) -> Any:
        seen.add(trigger.get())
        return None, NOW

    monkeypatch.setattr(triggers, "newest_before", newest_before)

    async def main() -> None:
        trigger.set(7)
        async with listening(stripe) as bell:
            await bell.rung(1)

    run(main())
    assert seen == {7}


def test_an_answer_that_drips_keeps_no_other_trigger_waiting(
    stripe: FakeStripe, set_connection: SetConnection
) -> None:
    """A bad answer silences one feed of one connection, and only until the deadline of its call."""
    stripe.add("charge", created=NOW - 61)
    server = Hostile(dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b" "))

    async def main() -> None:
        silenced = asyncio.create_task(fire(stripe_conn_id="other"))
        await until(lambda: server.connections)
        for feed in ("charge", "customer"):
            stripe.add(feed, created=NOW - 61)
            assert (await fire(feed=feed, since=NOW - 61))["feed"] == feed
        assert (silenced.done(), server.connections) == (False, 1)
        # It looks again, once its first look is over.
        await until(lambda: server.connections > 1)
        silenced.cancel()

    with server as url:
        set_connection("other", host=url, extra={"timeout": 2})
        run(main())


def test_the_triggerer_ends_although_stripe_does_not_answer(
    fake: FakeStripe, set_connection: SetConnection
) -> None:
    """It waits for none of its threads, however long an answer takes."""
    server = Hostile(dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b" "))

    async def main() -> None:
        async with listening(fake):
            await until(lambda: server.connections)

    with server as url:
        set_connection(host=url, extra={"timeout": 60})
        process = threading.Thread(target=run, args=(main(),), daemon=True)
        process.start()
        process.join(10)
        ended = not process.is_alive()
    assert server.connections == 1
    assert ended
