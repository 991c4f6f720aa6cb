"""A store that has forgotten calls is held for a period, and one that is away is waited for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_stripe_lite.core.ratelimit import Limiter, limiter_for
from airflow_provider_stripe_lite.errors import RateLimitWait, StripeLimiterError
from dev.redis_server import RedisServer
from tests.core.limits import limiter_in, seconds


def test_a_file_that_is_older_than_this_process_knows_is_held(path: Path) -> None:
    """A directory that somebody has put back, or emptied."""
    limiter = limiter_in(path, calls=2, sleep=lambda _: None)
    for _ in range(2):
        limiter.acquire("k")
    for file in path.iterdir():
        file.unlink()
    assert 60 < limiter.acquire("k") <= 61


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """Return a Redis of the test's own."""
    pytest.importorskip("redis")
    if not RedisServer.is_installed():
        pytest.skip("needs the program redis-server")
    with RedisServer(tmp_path) as server:
        yield server


def used_up(server: RedisServer) -> Limiter:
    """Return the limiter of a process that has used up the limit."""
    limiter = limiter_for(server.url, calls=2, period=30)
    limiter._sleep = lambda _: None
    for _ in range(2):
        limiter.acquire("k")
    return limiter


@pytest.mark.parametrize("process", ["the same", "another"])
@pytest.mark.parametrize("how", ["flushed", "restarted", "evicted", "expired"])
def test_a_record_that_redis_has_lost_is_held(server: RedisServer, process: str, how: str) -> None:
    """For one period: it may have stood for a whole period's calls."""
    first = used_up(server)
    if how == "flushed":
        server.client.flushall()
    elif how == "restarted":
        server.restart()
    elif how == "evicted":
        server.client.delete("airflow-stripe:k-2-30")
    else:
        server.client.pexpire("airflow-stripe:k-2-30", 0)
    another = limiter_for(server.url, calls=2, period=30)
    with pytest.raises(RateLimitWait) as caught:
        (first if process == "the same" else another).acquire("k", 0)
    assert 25 < caught.value.seconds <= 31.3
    # Whoever comes first says it to all.
    with pytest.raises(RateLimitWait):
        another.acquire("k", 0)


def test_a_redis_that_never_lost_anything_holds_nothing(server: RedisServer) -> None:
    """The first call of a connection is free where the server has run for a period."""

    def calls(*keys: str) -> list[bool]:
        limiter = limiter_for(server.url, calls=2, period=0.3)
        return [seconds(limiter, key=key) == 0 for key in keys]

    # A server says how old it is in whole seconds.
    time.sleep(1.5)
    assert calls("a", "b", "a", "a") == [True, True, True, False]
    time.sleep(0.4)
    server.client.delete("airflow-stripe:b-2-0.3")
    assert calls("a", "b", "c") == [True, False, True]
    server.client.flushall()
    assert calls("a", "d") == [False, False]
    # After this period, a new connection is free again.
    time.sleep(0.4)
    assert calls("e", "a") == [True, True]
    # What is over leaves nothing behind.
    assert all(map(float, server.client.hvals("airflow-stripe:a-2-0.3")))


def test_a_redis_that_refuses_the_password_is_not_waited_for(server: RedisServer) -> None:
    """Somebody has to mend that."""
    server.client.config_set("requirepass", "right")
    limiter, slept = limiter_for(server.url.replace("//", "//:wrong@")), list[float]()
    limiter._sleep = slept.append
    with pytest.raises(StripeLimiterError, match="what its user may do") as caught:
        limiter.acquire("k")
    assert caught.value.retryable
    assert slept == []


def test_a_store_that_is_away_names_no_password() -> None:
    """The place that a log names is host, port and database."""
    pytest.importorskip("redis", reason="The Redis client is not installed.")
    limiter = limiter_for("rediss://user:very-secret@redis.internal:6380/3")
    assert str(limiter) == "Redis, redis.internal:6380/3"
