"""Wait without a worker: the alarm clock of a deferred sensor, and the watcher of an asset.

Blocking calls run in threads; waiting, also for the call limit, is a sleep on the event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Hashable
from typing import Any
from weakref import WeakKeyDictionary

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

from airflow_provider_stripe_lite._compat import SharedStreamProducer
from airflow_provider_stripe_lite._threads import call_stripe
from airflow_provider_stripe_lite._window_producer import WindowProducer
from airflow_provider_stripe_lite.core.lists import feed_list
from airflow_provider_stripe_lite.core.reading import MIN_AGE, POLL_SECONDS, newest_before
from airflow_provider_stripe_lite.errors import StripeError
from airflow_provider_stripe_lite.hooks import StripeHook

__all__ = ["StripeEventTrigger", "StripeSensorTrigger"]

# After this many consecutive failures the trigger wakes the sensor, which raises the error itself.
_MAX_CONSECUTIVE_FAILURES = 5


class _SharedPoll:
    """One poll in every interval for all triggers of this process that wait for the same feed."""

    def __init__(
        self,
        conn_id: str,
        stripe_account: str | None,
        feed: str,
        types: tuple[str, ...] | None,
        min_age: int,
        interval: float,
    ) -> None:
        self._conn_id, self._stripe_account = conn_id, stripe_account
        self._resource = feed_list(feed, types)
        self._min_age, self._interval = min_age, interval
        self._looked = 0.0
        # The skew is Stripe's clock less this host's.
        self._skew = 0
        self._failures = 0
        self._task: asyncio.Task[int | None] | None = None

    async def next(self) -> int | None:
        """Return the second of the newest object that is old enough, at the next poll.

        :raises StripeError: one that is not retryable, or the fifth failure in a row.
        :raises StripeInputError: the connection cannot be used.
        """
        if self._task is None or self._task.done():
            now = time.monotonic()
            if self._looked + self._interval < now:
                # Unused for a whole interval: the sensor polled just before it deferred, so the
                # interval starts now.
                self._looked = now
            self._task = asyncio.create_task(self._look())
        return await asyncio.shield(self._task)

    async def _look(self) -> int | None:
        await asyncio.sleep(self._looked + self._interval - time.monotonic())
        self._looked = time.monotonic()
        before = int(time.time()) + self._skew - self._min_age
        try:
            newest, date = await call_stripe(
                self._conn_id,
                self._stripe_account,
                lambda client: newest_before(client, self._resource, before),
            )
        except StripeError as exc:
            self._failures += 1
            if not exc.retryable or self._failures >= _MAX_CONSECUTIVE_FAILURES:
                raise
            return None
        self._failures, self._skew = 0, date - int(time.time())
        return newest


_polls: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, _SharedPoll]]
_polls = WeakKeyDictionary()


class StripeSensorTrigger(BaseTrigger):
    """Wake a deferred sensor when something newer than its position may exist.

    It delivers nothing: the sensor polls again on the worker, and rows and errors come from there.

    :param feed: a key of ``RESOURCES``.
    :param types: the event types of an event feed.
    :param stripe_conn_id: id of the connection.
    :param since: epoch second that an object must have reached; None wakes after one
        ``poll_interval``.
    :param min_age: seconds an object must be old.
    :param poll_interval: seconds between two polls.
    :param stripe_account: act for this connected account.
    """

    def __init__(
        self,
        *,
        feed: str,
        stripe_conn_id: str,
        since: int | None,
        min_age: int,
        poll_interval: float,
        stripe_account: str | None = None,
        types: list[str] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.feed = feed
        self.types = types
        self.stripe_conn_id = stripe_conn_id
        self.since = since
        self.min_age = min_age
        self.poll_interval = poll_interval
        self.stripe_account = stripe_account

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return its path and arguments, as the metadata database keeps them."""
        names = (
            "feed",
            "types",
            "stripe_conn_id",
            "since",
            "min_age",
            "poll_interval",
            "stripe_account",
        )
        arguments = {name: getattr(self, name) for name in names}
        return f"{__name__}.{type(self).__name__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then fire once."""
        if self.since is None:
            await asyncio.sleep(self.poll_interval)
        else:
            await self._wait_for_news(self.since)
        yield TriggerEvent({"feed": self.feed})

    async def _wait_for_news(self, since: int) -> None:
        key = (
            self.stripe_conn_id,
            self.stripe_account,
            self.feed,
            None if self.types is None else tuple(self.types),
            self.min_age,
            self.poll_interval,
        )
        polls = _polls.setdefault(asyncio.get_running_loop(), {})
        poll = polls.setdefault(key, _SharedPoll(*key))
        try:
            while (newest := await poll.next()) is None or newest < since:
                pass
        except Exception as exc:  # noqa: BLE001
            # The worker meets the error again and raises it with its type.
            self.log.warning("Waking the sensor, as looking at feed %s failed: %s", self.feed, exc)


class StripeEventTrigger(BaseEventTrigger):
    """Fire one asset event for each batch of new objects: ids and window, no contents.

    Its position is saved in an Airflow Variable ten seconds after Airflow has confirmed that the
    event is in its database, so a batch may be announced twice when the triggerer ends, and is
    never missed. Made by :func:`~airflow_provider_stripe_lite.assets.stripe_asset`.

    :param name: of the asset; names the Variable too.
    :param feed: a key of ``RESOURCES``.
    :param stripe_conn_id: id of the connection.
    :param poll_interval: seconds between two polls.
    :param start_from: ``"now"``, ``"beginning"`` or a date-time, for the first poll ever.
    :param min_age: seconds an object must be old, by the earlier of Stripe's clock and this host's.
    :param stripe_account: act for this connected account.
    """

    def __init__(
        self,
        *,
        name: str,
        feed: str,
        stripe_conn_id: str = StripeHook.default_conn_name,
        poll_interval: float = POLL_SECONDS,
        start_from: str = "now",
        min_age: int = MIN_AGE,
        stripe_account: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.name = name
        self.feed = feed
        self.stripe_conn_id = stripe_conn_id
        self.poll_interval = poll_interval
        self.start_from = start_from
        self.min_age = min_age
        self.stripe_account = stripe_account

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return its path and arguments; none depends on the time, as Airflow compares them."""
        names = (
            "name",
            "feed",
            "stripe_conn_id",
            "poll_interval",
            "start_from",
            "min_age",
            "stripe_account",
        )
        arguments = {name: getattr(self, name) for name in names}
        return f"{__name__}.{type(self).__name__}", arguments

    def shared_stream_key(self) -> Hashable:
        """Return one key for all triggers with the same arguments: they share one poll."""
        return (type(self).__name__, *self.serialize()[1].values())

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        """Return a producer whose position is saved when Airflow has the event."""
        return WindowProducer(**kwargs)

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[Any]
    ) -> AsyncIterator[TriggerEvent]:
        """Make every batch an event."""
        async for payload in shared_stream:
            yield TriggerEvent(payload)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Refuse: a trigger with a shared stream is driven through it."""
        raise NotImplementedError(
            "StripeEventTrigger watches an asset; to defer a task, use a sensor"
        )
        # The statement makes this a generator.
        yield  # pragma: no cover
