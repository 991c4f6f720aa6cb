"""The call limit under load: processes that ask at the same time, and the permits they get."""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, NamedTuple

from airflow_provider_stripe_lite.core.ratelimit import limiter_for
from airflow_provider_stripe_lite.errors import RateLimitWait, StripeLimiterError


class Load(NamedTuple):
    """How the processes ask.

    :param gap: seconds that the request behind each permit takes; 0 is greedy.
    """

    calls: int
    period: float
    processes: int
    gap: float
    seconds: float


class Served(NamedTuple):
    """The permits of one process.

    :ivar begun: when it first asked.
    :ivar stamps: when it was given each permit.
    :ivar longest: its longest wait.
    :ivar cpu: CPU seconds that it used.
    """

    begun: float
    stamps: list[float]
    longest: float
    cpu: float


class Outcome(NamedTuple):
    """The permits of all processes.

    :ivar worst: the most permits in any sliding period.
    :ivar used: permits, as a share of those that the limit allowed; None if the callers asked for
        fewer.
    :ivar fairness: permits of the least served process over those of the most served one, from the
        second period on: before it, one may be served alone until the next one has asked at all.
    """

    permits: int
    worst: int
    used: float | None
    fairness: float
    longest: float
    cpu: float


# In a worker: the barrier that all workers leave at once.
_start: Any = None


def _prepare(barrier: Any) -> None:
    # A barrier can be inherited, but not sent.
    global _start  # noqa: PLW0603
    _start = barrier


def ask(url: str, load: Load, key: str) -> Served:
    """Ask again and again for as long as the load says."""
    limiter = limiter_for(url, calls=load.calls, period=load.period)
    # From here on the limiter is connected, and its file is made.
    limiter.acquire("warm")
    stamps, longest = [], 0.0
    _start.wait(120)
    begun, cpu = time.monotonic(), time.process_time()
    end = begun + load.seconds
    while (asked := time.monotonic()) < end:
        try:
            limiter.acquire(key, end - asked)
        except RateLimitWait:
            break
        stamps.append(time.monotonic())
        longest = max(longest, stamps[-1] - asked)
        if load.gap:
            time.sleep(load.gap)
    return Served(begun, stamps, longest, time.process_time() - cpu)


def run(url: str, load: Load, key: str = "load") -> Outcome:
    """Let the processes ask, each a fresh interpreter that shares nothing but ``url``."""
    context = get_context("spawn")
    barrier = context.Barrier(load.processes)
    with ProcessPoolExecutor(
        load.processes, mp_context=context, initializer=_prepare, initargs=(barrier,)
    ) as pool:
        jobs = [pool.submit(ask, url, load, key) for _ in range(load.processes)]
        served = [job.result() for job in jobs]
    together = max(one.begun for one in served) + load.period
    shares = [sum(stamp >= together for stamp in one.stamps) for one in served]
    limit = load.calls * math.ceil(load.seconds / load.period)
    greedy = not load.gap or load.processes * load.seconds / load.gap > limit
    stamps = sorted(stamp for one in served for stamp in one.stamps)
    return Outcome(
        permits=len(stamps),
        worst=worst_window(stamps, load.period),
        used=len(stamps) / limit if greedy else None,
        fairness=min(shares) / max(shares),
        longest=max(one.longest for one in served),
        cpu=sum(one.cpu for one in served),
    )


def reachable(url: str) -> bool:
    """Return whether there is a Redis, and the package to speak to it."""
    try:
        limiter_for(url).push("reachable", 0)
    except StripeLimiterError:
        return False
    return True


def worst_window(stamps: list[float], period: float) -> int:
    """Return the most of the sorted ``stamps`` that lie in any half-open window of ``period``."""
    return max(
        (bisect_left(stamps, stamp + period) - index for index, stamp in enumerate(stamps)),
        default=0,
    )
