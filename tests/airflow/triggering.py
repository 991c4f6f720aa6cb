"""What tests of triggers share: arguments, a triggerer, and the other side of its process."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from airflow.sdk.execution_time.comms import (
    ErrorResponse,
    GetVariable,
    GetVariableKeys,
    OKResponse,
    PutVariable,
    VariableKeysResult,
    VariableResult,
)
from airflow.triggers.shared_stream import SharedStreamManager

from airflow_provider_stripe_lite.core.window import Window
from airflow_provider_stripe_lite.triggers import StripeEventTrigger
from tests.helpers import NOW

# Seconds between two looks.
TICK = 0.02
ALARM: dict[str, Any] = {
    "feed": "customer",
    "types": None,
    "stripe_conn_id": "stripe_default",
    "since": NOW,
    "min_age": 60,
    "poll_interval": TICK,
    "stripe_account": None,
}
WATCHER: dict[str, Any] = {
    "name": "customers",
    "feed": "customer",
    "stripe_conn_id": "stripe_default",
    "poll_interval": TICK,
    "min_age": 60,
    "start_from": datetime.fromtimestamp(NOW, UTC).isoformat(),
    "stripe_account": None,
}
VARIABLE = "stripe_asset_customers"


class Supervisor:
    """The other side of a trigger's process: the Variables, perhaps out of reach for a while."""

    def __init__(self) -> None:
        self.variables: dict[str, str | None] = {}
        self.unreachable = 0
        self.refused = 0

    def send(self, message: Any) -> Any:
        """Answer one message, as the triggerer's supervisor does."""
        if self.unreachable > 0:
            self.unreachable -= 1
            self.refused += 1
            return ErrorResponse()
        if isinstance(message, GetVariableKeys):
            keys = [key for key in self.variables if key.startswith(message.prefix or "")]
            return VariableKeysResult(keys=keys, total_entries=len(keys))
        if isinstance(message, GetVariable) and message.key in self.variables:
            return VariableResult(key=message.key, value=self.variables[message.key])
        if isinstance(message, PutVariable):
            self.variables[message.key] = message.value
            return OKResponse(ok=True)
        return ErrorResponse()

    async def asend(self, message: Any) -> Any:
        """Answer one message on an event loop."""
        return self.send(message)

    @property
    def state(self) -> Window:
        """Return the watcher's position, as saved."""
        state: Window = json.loads(self.variables.get(VARIABLE) or "{}")
        return state


class Triggerer:
    """What the triggerer does for a watcher: its shared stream, and to say what is stored."""

    def __init__(self, watcher: Mapping[str, Any] = WATCHER, **options: Any) -> None:
        self._trigger = StripeEventTrigger(**watcher)
        self._key = self._trigger.shared_stream_key()
        self._manager = SharedStreamManager(**options)
        stream = self._manager.subscribe(trigger_id=1, trigger=self._trigger, key=self._key)
        self._events = self._trigger.filter_shared_stream(stream)
        self._stored: list[int] = []

    async def event(self) -> dict[str, Any]:
        """Return the next event; it is not in the database yet."""
        payload = (await anext(self._events)).payload
        number = self._manager.bind_pending_event(trigger_id=1, key=self._key)
        assert number is not None, "the stream is not in ack mode"
        self._stored.append(number)
        return dict(payload)

    def store(self) -> None:
        """Say that all events so far are in the database."""
        self._manager.confirm_persisted(self._stored)


@asynccontextmanager
async def triggerer(*watcher: Mapping[str, Any], **options: Any) -> AsyncIterator[Triggerer]:
    """Start a triggerer, which is killed in the end."""
    running = Triggerer(*watcher, **options)
    try:
        yield running
    finally:
        await running._manager.stop_all()


@asynccontextmanager
async def going_on(running: Triggerer) -> AsyncIterator[asyncio.Task[dict[str, Any]]]:
    """Let the triggerer ask for the next event, while something else happens."""
    task = asyncio.create_task(running.event())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task


def run(main: Coroutine[Any, Any, Any], seconds: float = 20) -> Any:
    """Run a coroutine to its end, but not for ever."""
    return asyncio.run(asyncio.wait_for(main, seconds))


async def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    """Wait for something to come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        await asyncio.sleep(TICK / 4)
