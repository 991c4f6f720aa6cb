"""The call limit of one process: who waits how long, who is told so, and what is pushed."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_stripe_lite.core.ratelimit import CALLS, PERIOD, STEP_BACK, limiter_for
from airflow_provider_stripe_lite.errors import RateLimitWait
from tests.core.limits import limiter_in

REDIS = "redis://127.0.0.1:6379/0"
Make = Callable[..., Any]


def redis_answers() -> bool:
    try:
        import redis
    except ImportError:
        return False
    try:
        return bool(redis.Redis.from_url(REDIS, socket_timeout=1).ping())
    except redis.RedisError:
        return False


needs_redis = pytest.mark.skipif(
    not redis_answers(), reason="No Redis server, or no client for it, at 127.0.0.1:6379."
)
STORES = ["file", pytest.param("redis", marks=needs_redis)]


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the calls are counted."""
    return REDIS if request.param == "redis" else f"file://{tmp_path}/calls"


@pytest.fixture
def key() -> str:
    """A key that nobody has used."""
    return uuid.uuid4().hex


@pytest.fixture
def make(url: str) -> Make:
    """Makes limiters that share one store and do not really sleep; `slept` says how long they would
    have.
    """

    def limiter(**options: Any) -> Any:
        made = limiter_for(url, **{"calls": 3, "period": 100} | options)
        made.slept = []  # type: ignore[attr-defined]
        made._sleep = made.slept.append  # type: ignore[attr-defined]
        return made

    return limiter


def test_the_first_calls_are_free_and_the_others_wait_their_turn(make: Make, key: str) -> None:
    """Three calls in any 100 seconds: the fourth to sixth wait one period (and a margin), the next
    three two.
    """
    limiter = make()
    waits = [limiter.acquire(key) for _ in range(9)]
    assert waits[:3] == [0, 0, 0]
    assert all(100 < wait <= 101 for wait in waits[3:6])
    assert all(200 < wait <= 202 for wait in waits[6:])
    assert limiter.slept == waits[3:]


def test_a_caller_that_will_not_wait_gets_the_number(make: Make, key: str) -> None:
    """Who waits so long gets a slot then, and is told before."""
    limiter, told = make(), list[str]()
    limiter._notify = told.append
    for _ in range(3):
        limiter.acquire(key, max_wait=0)
    with pytest.raises(RateLimitWait) as caught:
        limiter.acquire(key, max_wait=50)
    assert 99 < caught.value.seconds <= 101
    assert limiter.slept == told == []
    assert limiter.acquire(key, max_wait=150) <= 101
    assert 99 < limiter.slept[0] <= 101
    assert told == [f"Waiting {limiter.slept[0]:.1f} s for the call limit"]


def test_each_key_has_a_limit_of_its_own(make: Make, key: str) -> None:
    """Two connections do not wait for each other."""
    limiter = make(calls=1)
    assert limiter.acquire(key) == 0
    assert limiter.acquire(f"{key}-other") == 0
    assert limiter.acquire(key) > 0


def test_limiters_of_one_store_count_together(make: Make, key: str) -> None:
    """It is the store that counts, not the object."""
    first, second = make(), make()
    assert [first.acquire(key), second.acquire(key), first.acquire(key)] == [0, 0, 0]
    with pytest.raises(RateLimitWait):
        second.acquire(key, max_wait=0)


def test_another_period_begins_anew(make: Make, key: str) -> None:
    """A day that was meant to be a minute is not waited for to its end."""
    longer, shorter = make(), make(period=50)
    assert [longer.acquire(key) > 0 for _ in range(4)] == [False, False, False, True]
    assert shorter.acquire(key) == 0


def test_a_push_makes_everybody_wait(make: Make, key: str) -> None:
    """The server has asked to slow down: no slot is free before that; a shorter push changes
    nothing.
    """
    limiter, other = make(), make()
    limiter.acquire(key)
    limiter.push(key, 30)
    limiter.push(key, 5)
    with pytest.raises(RateLimitWait) as caught:
        other.acquire(key, max_wait=0)
    assert 29 < caught.value.seconds <= 30
    assert 29 < other.acquire(key) <= 30 + STEP_BACK
    assert other.acquire(f"{key}-other") == 0


def test_a_push_before_the_first_call_counts(make: Make, key: str) -> None:
    """Nobody need have asked before."""
    limiter = make()
    limiter.push(key, 30)
    assert 29 < limiter.acquire(key) <= 30


def test_slots_become_free_again(make: Make, key: str) -> None:
    """After the period, really slept, the limit starts anew; hundreds of calls leave nothing behind
    that matters.
    """
    limiter = make(calls=60, period=0.1)
    limiter._sleep = time.sleep
    started = time.monotonic()
    for _ in range(250):
        limiter.acquire(key)
    assert 0.4 <= time.monotonic() - started < 5


def test_the_defaults_are_the_promise(tmp_path: Path) -> None:
    """100 calls in 60 seconds."""
    limiter = limiter_in(tmp_path / "calls", sleep=lambda _: None)
    assert (limiter.calls, limiter.period) == (CALLS, PERIOD) == (100, 60)
    assert [limiter.acquire("a") for _ in range(100)] == [0] * 100
    with pytest.raises(RateLimitWait) as caught:
        limiter.acquire("a", max_wait=0)
    assert 59 < caught.value.seconds <= 60.5


def test_threads_share_a_limiter(make: Make, key: str) -> None:
    """Eight at once take each slot once."""
    limiter, waits = make(calls=20), list[float]()
    threads = [
        threading.Thread(target=lambda: waits.extend(limiter.acquire(key) for _ in range(5)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(wait == 0 for wait in waits) == 20
    assert sum(99 < wait <= 101 for wait in waits) == 20


@needs_redis
def test_redis_forgets_a_connection_that_is_not_used(key: str) -> None:
    """Its record expires by itself, a month after the last call."""
    import redis

    limiter_for(REDIS, calls=2, period=10).acquire(key)
    with redis.Redis.from_url(REDIS) as server:
        (name,) = server.scan_iter(f"*{key}*")
        assert 29 * 86_400 < server.ttl(name) <= 30 * 86_400
