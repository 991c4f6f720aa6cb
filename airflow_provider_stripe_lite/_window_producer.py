"""Poll a feed for an asset and announce one window after the other."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from airflow.sdk import Variable

from airflow_provider_stripe_lite._compat import AdvanceItem, SharedStreamProducer
from airflow_provider_stripe_lite._threads import call_stripe, in_daemon_thread
from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.lists import feed_named
from airflow_provider_stripe_lite.core.reading import MAX_ITEMS, poll, read
from airflow_provider_stripe_lite.core.times import first_second
from airflow_provider_stripe_lite.core.window import (
    Position,
    Source,
    Window,
    behind,
    checked,
    end_of,
    is_empty,
    refuse_foreign,
    start_of,
    stretch,
)

__all__ = ["WindowProducer"]

# Minimum seconds between two asset events. Airflow 3.3.2 queues one row per (asset, DAG): events
# that arrive before the scheduler has created the run are delivered only with the next event.
_EVENT_SECONDS = 10.0
_LONGEST_BACKOFF = 600.0
_START_OVER_HINT = "Delete it to start afresh."
_T = TypeVar("_T")


class WindowProducer(SharedStreamProducer):
    """Poll for ever and announce one window after the other.

    The Variable holds the window that is being announced; between two announcements it is empty and
    tells the position that Airflow has confirmed. After a crash the very same window is announced
    again, so that a repetition can be told by its id.
    """

    def __init__(
        self,
        *,
        name: str,
        feed: str,
        stripe_conn_id: str,
        poll_interval: float,
        start_from: str,
        min_age: int,
        stripe_account: str | None,
    ) -> None:
        self._variable = f"stripe_asset_{name}"
        self._feed, self._conn_id, self._stripe_account = feed, stripe_conn_id, stripe_account
        self._interval, self._start_from, self._min_age = poll_interval, start_from, min_age
        self._confirmed = asyncio.Event()
        self._log = logging.getLogger(__name__)

    async def open_stream(self) -> AsyncIterator[tuple[Any, Any]]:
        """Yield a payload for each batch, and wait until Airflow has it before the next."""
        state = await self._forever(self._restored)
        while True:
            look = partial(self._next, state=state)
            call = partial(call_stripe, self._conn_id, self._stripe_account, look)
            state, ids = await self._forever(call)
            if ids:
                # Saved before it is announced, the window will not grow after a crash.
                await self._save(state)
                self._confirmed.clear()
                yield _payload(state, ids), state
                await self._confirmed.wait()
                # Airflow 3.3.2 confirms an event, too, whose trigger it has just deleted (a DAG was
                # paused), and stores nothing. It cancels such a trigger a moment later: this wait
                # ends with it, and the window is announced again.
                await asyncio.sleep(_EVENT_SECONDS)
                await self._save(behind(state))
            state = behind(state)
            await asyncio.sleep(max(0, self._interval - _EVENT_SECONDS) if ids else self._interval)

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Go on behind the stored events; another one is announced again after a restart."""
        for item in batch:
            if not item.outcome.is_clean:
                raise RuntimeError(
                    f"An event of {self._variable} was not stored: going on from the last that was."
                )
        self._confirmed.set()

    def _next(self, client: StripeClient, state: Window) -> tuple[Window, list[str]]:
        """Return the window to announce: the one begun before a crash, or what is new."""
        source = Source(self._feed, self._conn_id, client.account, client.livemode)
        what = f"position (Variable {self._variable})"
        refuse_foreign(state, source, what, _START_OVER_HINT)
        if not is_empty(state):
            return state, [item["id"] for item in read(client, state)]
        start = start_of(state)
        batch = poll(
            client,
            feed_named(self._feed),
            start,
            take=lambda item: item["id"],
            min_age=self._min_age,
            max_items=MAX_ITEMS,
            max_wait=0,
        )
        return stretch(source, start, batch.position, len(batch.items)), batch.items

    async def _restored(self) -> Window:
        get = partial(Variable.get, self._variable, None, deserialize_json=True)
        state: Any = await in_daemon_thread(get)
        if state is not None:
            return checked(state, f"The Variable {self._variable}", _START_OVER_HINT)
        # `Variable.get` also returns None on a transient API error. Starting over then would skip
        # everything since the saved position, so check that the key really does not exist.
        keys = await in_daemon_thread(lambda: list(Variable.keys(prefix=self._variable)))
        if self._variable in keys:
            raise RuntimeError(f"the Variable {self._variable} cannot be read")
        start = Position(first_second(self._start_from, datetime.now(UTC)))
        window = stretch(Source(self._feed, self._conn_id, None, None), start, start, 0)
        # Saved before the first event: a restart must not begin at a later "now".
        await self._save(window)
        return window

    async def _save(self, state: Window) -> None:
        call = partial(Variable.set, self._variable, state, serialize_json=True)
        await self._forever(partial(in_daemon_thread, call))

    async def _forever(self, step: Callable[[], Awaitable[_T]]) -> _T:
        """Repeat a step until it succeeds: a watcher that ends is started again at once."""
        failures = 0
        while True:
            try:
                return await step()
            except Exception as exc:  # noqa: BLE001
                jitter = random.uniform(0.5, 1)  # noqa: S311
                wait = min(self._interval * 2**failures, _LONGEST_BACKOFF) * jitter
                failures = min(failures + 1, 10)
                self._log.error(
                    "Trying feed %s of %s again in %.0f s: %s",
                    self._feed,
                    self._conn_id,
                    wait,
                    exc,
                )
            await asyncio.sleep(wait)


def _payload(window: Window, ids: list[str]) -> dict[str, Any]:
    bounds = f"{start_of(window).before}-{end_of(window).before}-{window['last']}"
    name = f"{window['feed']}-{bounds}"
    # Objects of a window that is announced again may have been deleted meanwhile.
    return {"id": name, **window, "count": len(ids), "ids": ids}
