"""What tests of triggers share: arguments, and an event loop on which a trigger runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from airflow_provider_stripe_lite.testing import FakeStripe
from airflow_provider_stripe_lite.triggers import StripeEventTrigger, StripeSensorTrigger
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
    "deadline": None,
}
BELL: dict[str, Any] = {
    "feed": "customer",
    "types": None,
    "stripe_conn_id": "stripe_default",
    "stripe_account": None,
    "poll_interval": TICK,
    "min_age": 60,
    "at_least_every": 3600,
}


class Bell:
    """A bell that looks at a fake.

    :ivar rings: the payloads of its events so far.
    """

    def __init__(self, fake: FakeStripe, **options: Any) -> None:
        self.rings: list[dict[str, Any]] = []
        self._fake, self._trigger = fake, StripeEventTrigger(**BELL | options)

    async def run(self) -> None:
        """Do what the triggerer does."""
        async for event in self._trigger.run():
            self.rings.append(event.payload)

    async def rung(self, times: int) -> dict[str, Any]:
        """Return the payload of the ring that makes it so many, once that has come."""
        await until(lambda: len(self.rings) >= times)
        assert len(self.rings) == times
        return self.rings[-1]

    async def looked(self) -> int:
        """Return how often it has rung by the end of a look that begins now."""
        # The first of them may have begun before, and the last one may not be over.
        calls = len(self._fake.calls) + 3
        await until(lambda: len(self._fake.calls) >= calls)
        return len(self.rings)


@asynccontextmanager
async def listening(fake: FakeStripe, **options: Any) -> AsyncIterator[Bell]:
    """Let a bell run, and see that it does not end by itself."""
    bell = Bell(fake, **options)
    task = asyncio.create_task(bell.run())
    ended = True
    try:
        yield bell
        ended = task.done()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert not ended, "the bell has ended"


async def fire(**options: Any) -> Any:
    """Let an alarm run until it fires."""
    async for event in StripeSensorTrigger(**ALARM | options).run():
        return event.payload
    return None


def run(main: Coroutine[Any, Any, Any], seconds: float = 20) -> Any:
    """Run a coroutine to its end, but not for ever."""
    return asyncio.run(asyncio.wait_for(main, seconds))


async def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    """Wait for something to come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        await asyncio.sleep(TICK / 4)
