"""The call limit: at most ``calls`` in any ``period``, over every process that shares a store.

Calls take ``calls`` slots in turn, and a slot is free again one period after its call, so no
period holds more calls than there are slots. Who asks knows the wait before it begins, nobody
polls, and callers are served in the order in which they asked. Who will not wait is promised a
slot, for a period or 20 seconds, or callers that wait would take them all. A caller that dies
wastes its slot, which is the safe side.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from airflow_provider_stripe_lite.core.ratelimit_file import FileStore, own_directory
from airflow_provider_stripe_lite.core.ratelimit_redis import RedisStore
from airflow_provider_stripe_lite.errors import RateLimitWait, StripeInputError, StripeLimiterError

__all__ = [
    "AWAY_SECONDS",
    "CALLS",
    "FIELDS",
    "PERIOD",
    "STEP_BACK",
    "Limiter",
    "Record",
    "limiter_for",
]

CALLS, PERIOD = 100, 60.0
# A wait of so few seconds gets no line in the log, and others get one in so many seconds,
# as a long read may wait before each page.
_SILENT_WAIT, _SECONDS_BETWEEN_LINES = 1.0, 10.0
# A store that is away for so many seconds fails nothing.
AWAY_SECONDS = 60.0
# The promises stand behind the slots, each at one of some places that follow from who was promised.
_MOST_PROMISES, _PROBES = 100_000, 4
# A task that was told to come back does so within this, and Airflow takes most of it.
_COME_BACK_SECONDS = 20.0
# Seconds that a caller yields to others: fewer than a request takes, more than a wake-up needs.
STEP_BACK = 0.02
# What a record holds beside its slots and promises. All times are the store's own, plus "ahead".
FIELDS = ("born", "ahead", "seen", "hold", "turn", "last", "caller", "others")

_T = TypeVar("_T")


class Record(Protocol):
    """What a store keeps for one limit, while nobody else changes it.

    :ivar now: the time of the store's clock, in seconds.
    :ivar lost_at: until when calls may have been made that it has forgotten, else 0.
    """

    now: float
    lost_at: float

    def __getitem__(self, name: str | int) -> float:
        """Return a field, or the number at an index; 0 where none was written."""
        ...

    def __setitem__(self, name: str | int, value: float) -> None:
        """Write a field, or the number at an index, when the change is complete."""
        ...


class Limiter:
    """Keep the limit in a store.

    :param store: where it is kept, such as a :class:`~.ratelimit_file.FileStore`.
    :param calls: how many calls fit into any ``period``.
    :param period: seconds.
    :param notify: takes a line for the log, where a wait is worth one.
    :param sleep: how to wait for a slot.
    :ivar asker: who asks, as a text that is the same in the next process of the same task; None
        where one process asks again by itself.
    """

    def __init__(
        self,
        store: Any,
        *,
        calls: int = CALLS,
        period: float = PERIOD,
        notify: Callable[[str], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.store, self.calls, self.period, self._sleep = store, calls, period, sleep
        # The margin is for a caller that wakes up late: without it, its call could come closer than
        # a period to the call that has the same slot in the next turn.
        self._spacing = period + min(0.5, period * 0.04)
        # So long after its time a promise is kept.
        self._life = max(period, _COME_BACK_SECONDS)
        self._notify, self._told = notify, -math.inf
        self.asker: str | None = None
        self._caller, self._known = os.urandom(6), dict[str, tuple[float, float]]()

    def __str__(self) -> str:
        return str(self.store)

    def acquire(self, key: str, max_wait: float | None = None) -> float:
        """Wait for the next free slot and return the seconds waited.

        :param key: what the limit is kept for, such as a connection; never an API key.
        :param max_wait: seconds that the caller is ready to wait; None waits as long as it takes.
        :raises RateLimitWait: the slot is further away than ``max_wait``. Where there is an asker,
            it is kept for when the seconds are over, for one more period or 20 seconds.
        :raises StripeLimiterError: the store cannot be used, so the call must not be made.
        """
        waited, granted = 0.0, False
        while not granted:
            left = None if max_wait is None else max_wait - waited
            wait, granted = self._change(key, partial(self._take, max_wait=left))
            if left is not None and not granted and wait > left:
                raise RateLimitWait(wait)
            if wait > 0:
                self._tell(wait)
                self._sleep(wait)
            waited += wait
        return waited

    def push(self, key: str, seconds: float) -> None:
        """Let no slot be free for the next ``seconds``: the server asks everybody to slow down."""

        def hold(record: Record, now: float) -> None:
            record["hold"] = max(record["hold"], now + seconds)

        self._change(key, hold)

    def _tell(self, wait: float) -> None:
        began = time.monotonic()
        if self._notify and wait > _SILENT_WAIT and began - self._told >= _SECONDS_BETWEEN_LINES:
            self._told = began
            self._notify(f"Waiting {wait:.1f} s for the call limit")

    def _change(self, key: str, step: Callable[[Record, float], _T]) -> _T:
        """Change the record of a key, and wait for a store that is away."""
        spent, delay = 0.0, 0.001
        # With another number of slots, or another period, each would have another turn.
        name = f"{key}-{self.calls}-{self.period:g}"
        while True:
            began = time.monotonic()
            try:
                done: tuple[_T, tuple[float, float]] = self.store.change(
                    name, FIELDS, lambda record: self._step(key, record, step)
                )
                self._known[key] = done[1]
                return done[0]
            except TimeoutError as exc:
                spent += max(0.0, time.monotonic() - began)
                if spent >= AWAY_SECONDS:
                    raise StripeLimiterError(str(exc), retryable=True) from exc
            self._sleep(delay)
            spent, delay = spent + delay, min(1.0, 1.5 * delay)

    def _step(
        self, key: str, record: Record, step: Callable[[Record, float], _T]
    ) -> tuple[_T, tuple[float, float]]:
        """Do a step at the time of the record, which does not go back; return which one it is."""
        now = record.now + record["ahead"]
        if now < record["seen"]:
            # The host was restarted, or the server's clock was set back. How long that took is not
            # known, so it counts as no time.
            record["ahead"] += record["seen"] - now
            now = record["seen"]
        record["born"] = record["born"] or now
        born, turn = self._known.get(key, (record["born"], 0.0))
        # Where this process knows another record, or a newer copy, calls were forgotten.
        other = record["born"] if born != record["born"] else now if record["turn"] < turn else 0.0
        if lost_at := max(record.lost_at, other):
            # They may have been a whole period's.
            record["hold"] = max(record["hold"], lost_at + self._spacing)
        record["seen"] = now
        return step(record, now), (record["born"], record["turn"])

    def _take(self, record: Record, now: float, max_wait: float | None) -> tuple[float, bool]:
        """Take the next slot, or promise it; return the seconds until then, and which of both."""
        earliest, latest = max(now, record["hold"]), None if max_wait is None else now + max_wait
        caller = self._number()
        asker = caller if self.asker is None else _number_of(self.asker)
        entry = 0 if latest is None else self._entry(record, asker, now)
        if latest is not None and record[entry] == asker and entry:
            at = self._redeemable(record, entry, earliest)
            # Behind that, those who wait have the slot.
            if at <= record[entry + 2] + self._life:
                if at <= latest:
                    self._redeem(record, entry, at)
                return at - now, at <= latest
        slot = int(record["turn"]) % self.calls
        used = record[2 * slot]
        if used < 0 and -used + self._life < now:
            # Who was promised this slot has not come.
            used = 0.0
        free = abs(used) + self._spacing if used else 0.0
        # Who was promised it may still come, and late.
        at, surely = max(earliest, free), max(earliest, free + self._life * (used < 0))
        if record["caller"] not in (0.0, caller):
            record["others"] = now
        elif record["others"] and now - record["others"] < 2 * self._spacing:
            # This caller was served last, and others ask, too.
            surely = max(surely, record["last"] + STEP_BACK)
        granted = latest is None or surely <= latest
        # Who does not come again, and does not wait here, would leave the slot empty.
        comes = self.asker is not None or (latest is not None and at <= latest)
        if not granted and not (entry and comes):
            return at - now, False
        at = surely if granted else at
        # A process may die between both lines: then the slot is promised to nobody.
        record[2 * slot] = at if granted else -at
        if not granted:
            record[entry], record[entry + 1], record[entry + 2] = asker, slot, at
        record["last"], record["caller"] = at, caller
        record["turn"] += 1
        return at - now, granted

    def _entry(self, record: Record, asker: float, now: float) -> int:
        """Return where the promise of an asker stands or may stand, or 0 where there is no room."""
        free = 0
        for step in range(_PROBES):
            entry = 2 * self.calls + 3 * (int(asker + step) % _MOST_PROMISES)
            if record[entry] == asker:
                return entry
            if not free and (not record[entry] or now > record[entry + 2] + self._life):
                free = entry
        return free

    def _redeemable(self, record: Record, entry: int, earliest: float) -> float:
        """Return when a promise can be redeemed: another one of its slot may have been before."""
        slot, at = int(record[entry + 1]), max(earliest, record[entry + 2])
        redeemed, used = record[2 * slot + 1], record[2 * slot]
        at = max(at, redeemed + self._spacing if redeemed else 0.0)
        # Who waits for the slot knew of this promise, but not who took it when a later one was
        # redeemed first.
        return at if used <= 0 or at + self._spacing <= used else max(at, used + self._spacing)

    def _redeem(self, record: Record, entry: int, at: float) -> None:
        slot, promised = int(record[entry + 1]), record[entry + 2]
        record[2 * slot + 1] = at
        # A process may die between any two lines: then the slot is empty for longer.
        record[entry] = record[entry + 1] = record[entry + 2] = 0.0
        used = record[2 * slot]
        if used == -promised or 0 < used < at:
            record[2 * slot] = at

    def _number(self) -> float:
        """Return what tells this process from others: a forked one has another."""
        return _number_of(f"{self._caller.hex()}-{os.getpid()}")


def _number_of(text: str) -> float:
    """Return a number that stands for a text, and is none but 0."""
    return 1.0 + int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])


def limiter_for(
    url: str | None,
    *,
    calls: int = CALLS,
    period: float = PERIOD,
    notify: Callable[[str], None] | None = None,
) -> Limiter:
    """Return the limiter that ``url`` names.

    :param url: empty for a directory of this host and user, ``file:///directory`` for another one
        on a local disk, ``redis://…`` or ``rediss://…`` for several hosts.
    :param calls: how many calls fit into any ``period``.
    :param period: seconds.
    :param notify: takes a line for the log, where a wait is worth one.
    :raises StripeInputError: the URL is of another kind.
    :raises StripeLimiterError: the store cannot be used.
    """
    if not url:
        store: Any = FileStore(own_directory())
    elif url.startswith("file:///"):
        store = FileStore(Path(url.removeprefix("file://")))
    elif url.startswith(("redis://", "rediss://")):
        store = RedisStore(url)
    else:
        raise StripeInputError(
            "rate_limit_url must begin with redis://, rediss:// or file:///, or be empty."
        )
    return Limiter(store, calls=calls, period=period, notify=notify)
