"""The call limit under load: processes that ask at the same time, and what they were given."""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, NamedTuple

from airflow_provider_stripe_lite.errors import StripeLimiterError, WouldWait
from airflow_provider_stripe_lite.ratelimit import limiter_for


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
    """What one process was given since it first asked: when, its longest wait, and the CPU seconds that it took."""

    begun: float
    stamps: list[float]
    longest: float
    cpu: float


class Outcome(NamedTuple):
    """What all of them were given.

    :ivar worst: the most permits in any sliding period.
    :ivar used: permits, as a share of what the limit allowed; None where the callers asked for less.
    :ivar fairness: permits of the least served process over those of the most served one, while all of them ask.
    """

    permits: int
    worst: int
    used: float | None
    fairness: float
    longest: float
    cpu: float


_start: Any = None  # of a worker: the barrier that all of them leave at once


def _prepare(barrier: Any) -> None:
    global _start  # noqa: PLW0603 - a barrier can be inherited, but not sent
    _start = barrier


def ask(url: str, load: Load, key: str) -> Served:
    """Ask again and again for as long as the load says."""
    limiter = limiter_for(url, calls=load.calls, period=load.period)
    limiter.acquire("warm")  # connected, and its file made
    stamps, longest = [], 0.0
    _start.wait(120)
    begun, cpu = time.monotonic(), time.process_time()
    end = begun + load.seconds
    while (asked := time.monotonic()) < end:
        try:
            limiter.acquire(key, end - asked)
        except WouldWait:
            break
        stamps.append(time.monotonic())
        longest = max(longest, stamps[-1] - asked)
        if load.gap:
            time.sleep(load.gap)
    return Served(begun, stamps, longest, time.process_time() - cpu)


def run(url: str, load: Load, key: str = "load") -> Outcome:
    """Let the processes ask, each a fresh interpreter that shares nothing but ``url``."""
    context = get_context("spawn")
    prepare = {"mp_context": context, "initializer": _prepare, "initargs": (context.Barrier(load.processes),)}
    with ProcessPoolExecutor(load.processes, **prepare) as pool:
        served = [job.result() for job in [pool.submit(ask, url, load, key) for _ in range(load.processes)]]
    together = max(one.begun for one in served)
    shares = [sum(stamp >= together for stamp in one.stamps) for one in served]
    limit = load.calls * math.ceil(load.seconds / load.period)
    stamps = sorted(stamp for one in served for stamp in one.stamps)
    return Outcome(
        permits=len(stamps),
        worst=worst_window(stamps, load.period),
        used=len(stamps) / limit if not load.gap or load.processes * load.seconds / load.gap > limit else None,
        fairness=min(shares) / max(shares),
        longest=max(one.longest for one in served),
        cpu=sum(one.cpu for one in served),
    )


def reachable(url: str) -> bool:
    """Whether there is a Redis, and the package to speak to it."""
    try:
        limiter_for(url).push("reachable", 0)
    except StripeLimiterError:
        return False
    return True


def worst_window(stamps: list[float], period: float) -> int:
    """The most of the sorted ``stamps`` that lie in any half-open window of ``period``."""
    return max((bisect_left(stamps, stamp + period) - index for index, stamp in enumerate(stamps)), default=0)
