"""Who will not wait for the call limit gets a slot in its turn, whoever dies meanwhile."""

from __future__ import annotations

import os
import random
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_stripe_lite.core.ratelimit import Limiter
from airflow_provider_stripe_lite.errors import RateLimitWait, StripeLimiterError
from dev.benchmarks.limiter import worst_window
from dev.limit_simulation import Case, Memory
from dev.limit_simulation import waits as simulated
from tests.core.limits import limiter_in, seconds

CALLS, PERIOD = 4, 10.0


@pytest.fixture
def memory() -> Memory:
    """Return a store whose time the test moves."""
    return Memory()


def asking(memory: Memory, asker: str | None = None) -> Limiter:
    """Return a limiter of a process of its own, that does not really wait."""
    limiter = Limiter(memory, calls=CALLS, period=PERIOD, sleep=lambda _: None)
    limiter.asker = asker
    return limiter


def granted(limiter: Limiter, memory: Memory, max_wait: float | None) -> float:
    """Return when a caller has its slot; time goes by only for who waits a few seconds."""
    if max_wait is not None:
        limiter._sleep = lambda seconds: setattr(memory, "now", memory.now + seconds)
    waited = limiter.acquire("k", max_wait)
    return memory.now + (waited if max_wait is None else 0)


def test_who_comes_back_in_time_has_the_slot(memory: Memory) -> None:
    """Whoever else has asked meanwhile, in a process of its own, and however often it asks."""
    busy = asking(memory)
    for _ in range(2 * CALLS):
        busy.acquire("k")
    told = [seconds(asking(memory, "a")) for _ in range(3)]
    assert told == [told[0]] * 3
    for _ in range(10 * CALLS):
        busy.acquire("k")
    memory.now += told[0]
    assert asking(memory, "a").acquire("k", 0) == 0
    # It had one slot.
    assert seconds(asking(memory, "a")) > 10 * PERIOD


def test_a_promise_lapses(memory: Memory) -> None:
    """Twenty seconds later, or a period, and then others have the slot."""
    for _ in range(CALLS):
        asking(memory).acquire("k")
    told = seconds(asking(memory, "late"))
    memory.now += told + 2.2 * PERIOD
    assert [asking(memory).acquire("k") for _ in range(CALLS)] == pytest.approx(
        [0.0] * CALLS, abs=0.1
    )
    assert seconds(asking(memory, "late")) > PERIOD / 2


def test_a_promise_that_the_server_s_pause_makes_late_is_given_anew(memory: Memory) -> None:
    """Those who wait have the slot by then."""
    for _ in range(CALLS):
        asking(memory).acquire("k")
    memory.now += seconds(asking(memory, "a"))
    for _ in range(10 * CALLS):
        asking(memory).acquire("k")
    asking(memory).push("k", 3 * PERIOD)
    assert seconds(asking(memory, "a")) > 9 * PERIOD


def test_where_no_promise_has_room_the_number_is_told(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many sensors wait for nobody's turn."""
    monkeypatch.setattr("airflow_provider_stripe_lite.core.ratelimit._MOST_PROMISES", 1)
    for _ in range(CALLS):
        asking(memory).acquire("k")
    first, second = seconds(asking(memory, "a")), seconds(asking(memory, "b"))
    assert first == pytest.approx(second)
    # Nor is anything else written in its place.
    assert max(asking(memory).acquire("k") for _ in range(CALLS)) < 6 * PERIOD
    memory.now += first
    assert seconds(asking(memory, "a")) == 0


def test_a_slot_that_is_free_is_not_refused_for_others_sake(memory: Memory) -> None:
    """Who asked last steps back, but not where it will not wait."""
    first, second = asking(memory), asking(memory)
    assert [one.acquire("k", 0) for one in (first, second, second, first)] == [0] * CALLS


@pytest.mark.parametrize("seed", range(40))
def test_callers_of_every_kind_never_exceed_the_limit_and_each_is_served(seed: int) -> None:
    """Some wait, some come back, at once or late or never; the server asks for pauses."""
    chance, memory = random.Random(seed), Memory()
    waiting, stamps, served = dict[str, float](), list[float](), dict[str, float]()
    for number in range(400):
        memory.now += chance.expovariate(1) * chance.choice((0.1, 1, 4))
        due = [asker for asker, at in waiting.items() if at <= memory.now]
        asker = chance.choice(due) if due and chance.random() < 0.7 else f"asker {number}"
        limiter, max_wait = asking(memory, asker), chance.choice((None, 0, 0, 3))
        if chance.random() < 0.02:
            limiter.push("k", chance.uniform(0, 2 * PERIOD))
        try:
            stamps.append(granted(limiter, memory, max_wait))
            waiting.pop(asker, None)
        except RateLimitWait as exc:
            waiting[asker] = memory.now + exc.seconds + chance.choice((0, 0, 0.1, 2, PERIOD))
            served.setdefault(asker, memory.now)
    assert worst_window(sorted(stamps), PERIOD) <= CALLS
    # Who comes back as told does so a few times at most.
    for asker, at in sorted(waiting.items(), key=lambda one: one[1]):
        memory.now = max(memory.now, at)
        told = list[float]()
        while (again := seconds(asking(memory, asker))) > 0:
            told.append(again)
            memory.now += again
        assert len(told) <= 2


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("seed", range(40))
def test_a_kill_between_any_two_numbers_breaks_nothing(
    path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit holds, the file is whole, and everybody is served."""
    chance, clock, write, stamps = random.Random(seed), Memory(), os.pwrite, list[float]()

    def pwrite(*args: Any) -> int:
        if chance.random() < 0.1:
            raise Killed
        return write(*args)

    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    for number in range(300):
        clock.now += chance.expovariate(1) * chance.choice((0.1, 1, 4))
        limiter = limiter_in(path, calls=CALLS, period=PERIOD, sleep=lambda _: None)
        limiter.asker, max_wait = f"asker {number % 7}", chance.choice((None, 0, 0, 3))
        monkeypatch.setattr(os, "pwrite", pwrite)
        with suppress(Killed, RateLimitWait):
            stamps.append(granted(limiter, clock, max_wait))
        monkeypatch.setattr(os, "pwrite", write)
    assert worst_window(sorted(stamps), PERIOD) <= CALLS
    assert len(stamps) > 50


def test_busy_callers_starve_nobody_who_does_not_wait() -> None:
    """A thousand streams on a limit that they use up ten times: each has its turn, in turn."""
    found = simulated(Case(calls=100, period=60.0, streams=1_000, pods=50), 3_600)
    assert max(found) < 1.1 * 1_000 / 100 * 60


def test_tries_that_take_long_are_fewer(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute is a minute, also where the network swallows each try."""
    tries = list[float]()

    def change(*_: object) -> None:
        memory.now += 20
        tries.append(memory.now)
        raise TimeoutError("swallowed")

    monkeypatch.setattr(memory, "change", change)
    monkeypatch.setattr(time, "monotonic", lambda: memory.now)
    with pytest.raises(StripeLimiterError, match="swallowed"):
        asking(memory).acquire("k")
    assert len(tries) == 3
