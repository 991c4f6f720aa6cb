"""Wait without a worker: the alarm clock of a deferred sensor, and the watcher of an asset.

Blocking calls run in threads; waiting, also for the call limit, is a sleep on the event loop.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import time
from collections.abc import AsyncIterator, Hashable
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

from airflow_provider_stripe_lite._asset_event import payload
from airflow_provider_stripe_lite._compat import exceptions
from airflow_provider_stripe_lite._threads import call_stripe
from airflow_provider_stripe_lite.core import clock
from airflow_provider_stripe_lite.core.lists import feed_list
from airflow_provider_stripe_lite.core.pages import Item
from airflow_provider_stripe_lite.core.reading import MIN_AGE, POLL_SECONDS, newest_before
from airflow_provider_stripe_lite.core.scrub import scrub
from airflow_provider_stripe_lite.errors import StripeError, StripeInputError
from airflow_provider_stripe_lite.hooks import StripeHook

__all__ = ["StripeEventTrigger", "StripeSensorTrigger"]

# After this many failures in a row, a worker has to meet the error itself.
_MAX_CONSECUTIVE_FAILURES = 5
# Stripe's clock is known to the second, and the sensor that an event starts must not find the
# object too young that has made it.
_MARGIN = 2


class _Lookout:
    """Look at the newest object of a trigger's feed, one call at a time.

    :param min_age: seconds the object must be old.
    :ivar newest: the object, as last seen.
    :ivar bound: epoch second; everything older was in the list by then.
    :ivar trouble: why nothing can be seen: an error that stays, or the fifth in a row.
    """

    def __init__(self, trigger: StripeSensorTrigger | StripeEventTrigger, min_age: int) -> None:
        self._trigger, self._min_age = trigger, min_age
        self.newest: Item | None = None
        self.bound: int | None = None
        self.trouble: Exception | None = None
        # The skew is Stripe's clock less this host's.
        self._skew, self._failures = 0, 0

    async def look(self) -> Exception | None:
        """Look once, and return why that failed."""
        of, before = self._trigger, int(clock.now()) + self._skew - self._min_age
        try:
            resource = feed_list(of.feed, of.types)
            newest, date = await call_stripe(
                of.stripe_conn_id,
                of.stripe_account,
                lambda client: newest_before(client, resource, before),
            )
        except Exception as exc:  # noqa: BLE001
            self._failures += 1
            # Airflow's own answer may fail for a moment, as while its API server starts again.
            stays = isinstance(exc, StripeInputError | exceptions.AirflowNotFoundException) or (
                isinstance(exc, StripeError) and not exc.retryable
            )
            if stays or self._failures >= _MAX_CONSECUTIVE_FAILURES:
                self.trouble = exc
            return exc
        self._failures, self.trouble, self._skew = 0, None, date - int(clock.now())
        bound = min(before, date - self._min_age)
        # An object that only this host's clock makes old enough is left to the next look, which
        # knows Stripe's.
        if newest is None or newest.second < bound:
            self.newest, self.bound = newest, bound
        return None


class _SharedLookout(_Lookout):
    """Look once in every interval for all triggers of this process that wait for the same feed."""

    def __init__(self, trigger: StripeSensorTrigger) -> None:
        super().__init__(trigger, trigger.min_age)
        self._interval, self._looked = trigger.poll_interval, 0.0
        self._task: asyncio.Task[None] | None = None

    async def next(self) -> None:
        """Wait for the next look."""
        if self._task is None or self._task.done():
            now = time.monotonic()
            if self._looked + self._interval < now:
                # Unused for a whole interval: the sensor polled just before it deferred, so the
                # interval starts now.
                self._looked = now
            self._task = asyncio.create_task(self._wait_and_look())
        await asyncio.shield(self._task)

    async def _wait_and_look(self) -> None:
        await asyncio.sleep(self._looked + self._interval - time.monotonic())
        self._looked = time.monotonic()
        await self.look()


_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, _SharedLookout]]
_shared = WeakKeyDictionary()


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
    :param deadline: epoch second at which it wakes the sensor at the latest; None sets none.
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
        deadline: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.feed = feed
        self.types = types
        self.stripe_conn_id = stripe_conn_id
        self.since = since
        self.min_age = min_age
        self.poll_interval = poll_interval
        self.stripe_account = stripe_account
        self.deadline = deadline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return its path and arguments, as the metadata database keeps them."""
        return _serialized(self)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then fire once."""
        # Nobody but the trigger itself ends the wait in `dag.test()`.
        left = None if self.deadline is None else self.deadline - clock.now()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wait(), left)
        # The sensor is told the deadline, too: `dag.test()` gives it a new start_date.
        yield TriggerEvent({"feed": self.feed, "deadline": self.deadline})

    async def _wait(self) -> None:
        if self.since is None:
            await asyncio.sleep(self.poll_interval)
            return
        who = (self.stripe_conn_id, self.stripe_account, self.feed, *(self.types or ()))
        known = _shared.setdefault(asyncio.get_running_loop(), {})
        lookout = known.setdefault((who, self.min_age, self.poll_interval), _SharedLookout(self))
        while self.deadline is None or clock.now() < self.deadline:
            await lookout.next()
            if lookout.trouble:
                # The worker meets the error again and raises it with its type.
                self.log.warning(
                    "Waking the sensor, as looking at feed %s failed: %s",
                    self.feed,
                    lookout.trouble,
                )
                return
            if lookout.newest and lookout.newest.second >= self.since:
                return


class StripeEventTrigger(BaseEventTrigger):
    """Make an asset event when something may be new, which says no more: a sensor reads it.

    There is one when it starts, when the newest object is another and not an older one than at the
    last event, and when there would be none for longer than ``at_least_every``. An error that
    stays, or the fifth in a row, makes one event, with its sentence; then there is none until a
    look succeeds, which makes one. It keeps nothing and never ends. Made by
    :func:`~airflow_provider_stripe_lite.assets.stripe_asset`.

    :param feed: a key of ``RESOURCES``.
    :param types: the event types of an event feed.
    :param stripe_conn_id: id of the connection.
    :param stripe_account: act for this connected account.
    :param poll_interval: seconds between two looks, of one call each.
    :param min_age: seconds an object must be old for the sensor; the event comes two seconds
        later.
    :param at_least_every: the most seconds between two events.
    """

    def __init__(
        self,
        *,
        feed: str,
        types: list[str] | None = None,
        stripe_conn_id: str = StripeHook.default_conn_name,
        stripe_account: str | None = None,
        poll_interval: float = POLL_SECONDS,
        min_age: int = MIN_AGE,
        at_least_every: float = 3600,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.feed = feed
        self.types = types
        self.stripe_conn_id = stripe_conn_id
        self.stripe_account = stripe_account
        self.poll_interval = poll_interval
        self.min_age = min_age
        self.at_least_every = at_least_every

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return its path and arguments; none depends on the time, as Airflow compares them."""
        return _serialized(self)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look and make events, for ever: Airflow starts a watcher that ends again at once."""
        lookout = _Lookout(self, self.min_age + _MARGIN)
        since, last, last_event, told = int(clock.now()), None, -math.inf, False
        while True:
            failure = await lookout.look()
            if failure is None:
                newest, told = lookout.newest, False
                # The next look would come too late for an event that is due until then.
                due = clock.now() + self.poll_interval > last_event + self.at_least_every
                if due or _is_another(newest, last):
                    last, last_event = newest, clock.now()
                    yield TriggerEvent(payload(self, since, newest and newest.id, None))
                since = lookout.bound or since
            elif not told:
                self.log.warning("Looking at feed %s failed: %s", self.feed, failure)
                if lookout.trouble:
                    # The next look that succeeds is due, so that it makes an event, too.
                    told, last_event = True, -math.inf
                    error = scrub(str(failure) or repr(failure))
                    yield TriggerEvent(payload(self, since, None, error))
            await asyncio.sleep(self.poll_interval)


def _is_another(newest: Item | None, last: Item | None) -> bool:
    """Tell whether an object came; an older one only shows that the last was deleted."""
    if newest is None or last is None:
        return newest is not None
    return newest.id != last.id and newest.second >= last.second


def _serialized(trigger: BaseTrigger) -> tuple[str, dict[str, Any]]:
    names = inspect.signature(type(trigger)).parameters
    path = f"{__name__}.{type(trigger).__name__}"
    return path, {name: getattr(trigger, name) for name in names}
