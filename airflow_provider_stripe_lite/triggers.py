"""Waiting without a worker: the alarm clock of a deferred sensor, and the watcher that starts DAGs.

Blocking calls run in threads; waiting, also for the call limit, is a sleep on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from airflow.sdk import Asset, AssetWatcher, Variable
from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent
from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

from airflow_provider_stripe_lite.cursors import first_second
from airflow_provider_stripe_lite.errors import StripeError, StripeInputError, WouldWait
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.polling import (
    MAX_ITEMS,
    SETTLE,
    Position,
    at_least,
    feed_named,
    newest_before,
    poll,
    read_window,
)

POLL_SECONDS = 120  # one poll of a trigger in 120 s: 21,600 calls a month
_EVENT_SECONDS = 10.0  # between two events: of a quicker series Airflow 3.3.2 keeps the rest for a later event
_LONGEST_BACKOFF = 600.0
_PATIENCE = 5  # failures in a row that a waiting trigger keeps to itself
_T = TypeVar("_T")

if TYPE_CHECKING:
    from airflow.sdk import Context


async def _in_daemon_thread(call: Callable[[], _T]) -> _T:
    """Run a blocking call in a thread that the end of the process does not wait for.

    What asks Airflow's supervisor (Variables, ``mask_secret``) is never answered when that has died. The event loop
    would wait for a thread of its own, and the triggerer's child hold the database connection that it has inherited.
    """
    answer: Future[_T] = Future()
    answer.set_running_or_notify_cancel()  # a waiter that is cancelled does not cancel it under the thread

    def in_thread() -> None:
        try:
            answer.set_result(call())
        except Exception as exc:  # noqa: BLE001 - raised where it is awaited
            answer.set_exception(exc)

    # The context tells Airflow to which trigger a line in the log belongs.
    threading.Thread(target=copy_context().run, args=(in_thread,), name="stripe", daemon=True).start()
    return await asyncio.wrap_future(answer)


async def _call(conn_id: str, call: Callable[[StripeHook], _T]) -> _T:
    """Run a call in a thread, with a fresh hook: a rotated key is seen, and threads share no session."""
    connection = await StripeHook.aget_connection(conn_id)

    def in_thread() -> _T:
        hook = StripeHook(conn_id)
        hook.client = hook.client_for(connection, tries=1)
        return call(hook)

    while True:
        try:
            return await _in_daemon_thread(in_thread)
        except WouldWait as exc:
            await asyncio.sleep(exc.seconds)


class _Watch:
    """One look in every interval for all triggers of this process that wait for the same feed of a connection."""

    def __init__(self, conn_id: str, feed: str, settle: int, interval: float) -> None:
        self._conn_id, self._feed, self._settle, self._interval = conn_id, feed, settle, interval
        self._looked = 0.0
        self._skew = 0  # Stripe's clock less ours
        self._failures = 0
        self._task: asyncio.Task[int | None] | None = None

    async def next(self) -> int | None:
        """The second of the newest settled object, at the next look; None where there is none.

        :raises Exception: what the worker is to meet itself.
        """
        if self._task is None or self._task.done():
            now = time.monotonic()
            if self._looked + self._interval < now:  # nobody was waiting; the worker has just polled
                self._looked = now
            self._task = asyncio.create_task(self._look())
        return await asyncio.shield(self._task)

    async def _look(self) -> int | None:
        await asyncio.sleep(self._looked + self._interval - time.monotonic())
        self._looked = time.monotonic()
        before = int(time.time()) + self._skew - self._settle
        try:
            newest, date = await _call(self._conn_id, lambda hook: newest_before(hook.client, self._feed, before))
        except StripeError as exc:
            self._failures += 1
            if not exc.retryable or self._failures >= _PATIENCE:
                raise
            return None
        self._failures, self._skew = 0, date - int(time.time())
        return newest


_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, _Watch]] = WeakKeyDictionary()


class StripeAlarmTrigger(BaseTrigger):
    """Wakes a deferred sensor when something newer than its position may exist, or when polling needs its attention.

    It hands over nothing: the sensor polls again on the worker, and rows and errors come from there.

    :param feed: a key of ``FEEDS``.
    :param stripe_conn_id: id of the connection.
    :param since: epoch second that an object must have reached; None wakes after one ``poll_interval``.
    :param settle: seconds an object must be old.
    :param poll_interval: seconds between two looks.
    """

    def __init__(self, *, feed: str, stripe_conn_id: str, since: int | None, settle: int, poll_interval: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.feed = feed
        self.stripe_conn_id = stripe_conn_id
        self.since = since
        self.settle = settle
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Its path and arguments, as the metadata database keeps them."""
        names = ("feed", "stripe_conn_id", "since", "settle", "poll_interval")
        return f"{__name__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then fire once."""
        if self.since is None:
            await asyncio.sleep(self.poll_interval)
        else:
            await self._wait_for_news(self.since)
        yield TriggerEvent({"feed": self.feed})

    async def _wait_for_news(self, since: int) -> None:
        key = (self.stripe_conn_id, self.feed, self.settle, self.poll_interval)
        watches = _watches.setdefault(asyncio.get_running_loop(), {})
        watch = watches.setdefault(key, _Watch(*key))
        try:
            while (newest := await watch.next()) is None or newest < since:
                pass
        except Exception as exc:  # noqa: BLE001 - the worker meets it again and raises it with its type
            self.log.warning("Waking the sensor, as looking at feed %s failed: %s", self.feed, exc)


class StripeNewObjectTrigger(BaseEventTrigger):
    """Fires one asset event for each batch of new objects: ids and window, no contents.

    Its position is saved in an Airflow Variable after Airflow has confirmed that the event is in its database, so a
    batch may be announced twice when the triggerer is killed, and is never missed. Made by :func:`stripe_asset`.

    :param name: of the asset; names the Variable too.
    :param feed: a key of ``FEEDS``.
    :param stripe_conn_id: id of the connection.
    :param poll_interval: seconds between two polls.
    :param start_from: ``"now"``, ``"beginning"`` or a date-time, for the first poll ever.
    :param settle: seconds an object must be old, by Stripe's clock.
    """

    def __init__(
        self,
        *,
        name: str,
        feed: str,
        stripe_conn_id: str = StripeHook.default_conn_name,
        poll_interval: float = POLL_SECONDS,
        start_from: str = "now",
        settle: int = SETTLE,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.name = name
        self.feed = feed
        self.stripe_conn_id = stripe_conn_id
        self.poll_interval = poll_interval
        self.start_from = start_from
        self.settle = settle

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Its path and arguments; nothing in them depends on the time, as Airflow tells triggers apart by them."""
        names = ("name", "feed", "stripe_conn_id", "poll_interval", "start_from", "settle")
        return f"{__name__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    def shared_stream_key(self) -> Hashable:
        """One poll for all triggers with the same arguments."""
        return (type(self).__name__, *self.serialize()[1].values())

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        """Ack mode: the position is saved when Airflow has the event in its database."""
        return _Producer(**kwargs)

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """Every batch is an event."""
        async for payload in shared_stream:
            yield TriggerEvent(payload)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Not used: a trigger with a shared stream is driven through it."""
        raise NotImplementedError("StripeNewObjectTrigger watches an asset; to defer a task, use a sensor")
        yield  # pragma: no cover - makes this a generator


class _Producer(SharedStreamProducer):
    """Polls for ever and announces one window after the other.

    The Variable holds the position that Airflow has confirmed and, while a window is being announced, its end: after
    a crash the very same window is announced again, so that a repetition can be told by its id.
    """

    def __init__(
        self, *, name: str, feed: str, stripe_conn_id: str, poll_interval: float, start_from: str, settle: int
    ) -> None:
        self._variable = f"stripe_asset_{name}"
        self._feed, self._conn_id, self._interval = feed, stripe_conn_id, poll_interval
        self._start_from, self._settle = start_from, settle
        self._confirmed = asyncio.Event()
        self._log = logging.getLogger(__name__)

    async def open_stream(self) -> AsyncIterator[tuple[Any, Any]]:
        """Yield a payload for each batch, with the state to save when Airflow has it; wait for that before the next."""
        state = await self._forever(self._restored)
        while True:
            state, ids = await self._forever(partial(_call, self._conn_id, partial(self._next, state=state)))
            if ids:
                await self._save(state)  # before it is announced: it will not grow after a crash
                self._confirmed.clear()
                yield self._payload(state, ids), state
                await self._confirmed.wait()
            state = {**state, "from": state["to"], "to": None}
            await asyncio.sleep(max(self._interval, _EVENT_SECONDS) if ids else self._interval)

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Save how far the stored events reach; one that was not stored is announced again after a restart."""
        for item in batch:
            if not item.outcome.is_clean:
                raise RuntimeError(f"An event of {self._variable} was not stored: going on from the last that was.")
            await self._save({**item.broker_payload, "from": item.broker_payload["to"], "to": None})
        self._confirmed.set()

    def _next(self, hook: StripeHook, state: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """The window to announce: the one begun before a crash, or what is new."""
        hook.refuse_foreign(state, self._feed, f"position (Variable {self._variable})", "Delete it to start afresh.")
        start = Position.from_dict(state["from"])
        if state["to"] is not None:
            items = list(read_window(hook.client, self._feed, start, state["to"]["until"]))
            return state, [item["id"] for item in items]
        batch = poll(hook.client, self._feed, start, settle=self._settle, max_items=MAX_ITEMS, max_wait=0)
        who = {"account": hook.client.account, "mode": hook.client.mode}
        return {**state, **who, "to": batch.position.as_dict()}, [item["id"] for item in batch.items]

    @staticmethod
    def _payload(state: dict[str, Any], ids: list[str]) -> dict[str, Any]:
        window = {name: state[name] for name in ("feed", "account", "mode", "from")} | {"until": state["to"]["until"]}
        name = f"{state['feed']}-{window['from']['until']}-{window['until']}"
        return {"id": name, **window, "count": len(ids), "ids": ids}

    async def _restored(self) -> dict[str, Any]:
        state: dict[str, Any] | None = await _in_daemon_thread(
            partial(Variable.get, self._variable, None, deserialize_json=True)
        )
        if state is None:
            # Airflow says None after a passing failure, too; a new start would then lose what came before it.
            if self._variable in await _in_daemon_thread(lambda: list(Variable.keys(prefix=self._variable))):
                raise RuntimeError(f"the Variable {self._variable} cannot be read")
            start = Position(first_second(self._start_from, datetime.now(UTC)))
            state = {"feed": self._feed, "account": None, "mode": None, "from": start.as_dict(), "to": None}
            await self._save(state)  # before the first event: a restart must not begin at a later "now"
        return state

    async def _save(self, state: dict[str, Any]) -> None:
        call = partial(Variable.set, self._variable, state, serialize_json=True)
        await self._forever(partial(_in_daemon_thread, call))

    async def _forever(self, step: Callable[[], Awaitable[_T]]) -> _T:
        """Repeat a step until it succeeds: Airflow would restart a watcher that ends every few seconds."""
        failures = 0
        while True:
            try:
                return await step()
            except Exception as exc:  # noqa: BLE001 - a watcher that ends is started again at once
                wait = min(self._interval * 2**failures, _LONGEST_BACKOFF) * random.uniform(0.5, 1)  # noqa: S311 - jitter
                failures = min(failures + 1, 10)
                self._log.error("Trying feed %s of %s again in %.0f s: %s", self._feed, self._conn_id, wait, exc)
            await asyncio.sleep(wait)


def stripe_asset(
    name: str,
    *,
    feed: str,
    stripe_conn_id: str = StripeHook.default_conn_name,
    poll_interval: float = POLL_SECONDS,
    start_from: str | datetime = "now",
    settle: int = SETTLE,
    allow_fast_polling: bool = False,
) -> Asset:
    """Make an asset that gets an event for each batch of new objects, for ``schedule=[stripe_asset(…)]``.

    :param name: of the asset; the watcher's position is kept in the Variable ``stripe_asset_<name>``.
    :param feed: a key of ``FEEDS``.
    :param poll_interval: seconds between two polls; fewer than 120 are warned of. Two events are 10 s apart at least.
    :param start_from: ``"now"`` (when the watcher first runs), ``"beginning"`` or a date-time.
    :param settle: seconds an object must be old, by Stripe's clock.
    :param allow_fast_polling: do not warn of a short ``poll_interval``.
    :raises StripeInputError: an argument cannot be used.
    """
    if poll_interval <= 0:
        raise StripeInputError(f"poll_interval must be a positive number of seconds, got {poll_interval:g}.")
    if poll_interval < POLL_SECONDS and not allow_fast_polling:
        warnings.warn(f"Asset {name}: {too_fast('poll_interval', poll_interval)}", stacklevel=2)
    first_second(start_from, datetime.now(UTC))  # a bad one is refused here, not in the triggerer
    trigger = StripeNewObjectTrigger(
        name=name,
        feed=feed_named(feed).name,
        stripe_conn_id=stripe_conn_id,
        poll_interval=poll_interval,
        start_from=start_from if isinstance(start_from, str) else start_from.isoformat(),
        settle=at_least("settle", settle, 0),
    )
    return Asset(name=name, watchers=[AssetWatcher(name=f"{name}_watcher", trigger=trigger)])


def too_fast(name: str, seconds: float) -> str:
    """The sentence for polls that are less than 120 s apart, by accident perhaps."""
    return (
        f"{name} is {seconds:g} s, less than {POLL_SECONDS}: every poll is one of the reads that Stripe allots to the "
        "account. To poll that fast, add allow_fast_polling=True."
    )


def event_windows(context: Context) -> list[dict[str, Any]]:
    """The windows of the asset events that started this run, oldest first, each once.

    Each is good for :meth:`StripeHook.read_window`. Where the triggerer was killed, a window may start a second run:
    with the same ``id``.
    """
    events = [event for events in context["triggering_asset_events"].values() for event in events]
    windows = {window["id"]: window for event in events if "id" in (window := event.extra.get("payload") or {})}
    return sorted(windows.values(), key=lambda window: (window["feed"], window["until"]))
