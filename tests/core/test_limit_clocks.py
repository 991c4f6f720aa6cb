"""The call limit holds whatever the clocks do."""

from __future__ import annotations

import time
from pathlib import Path
from uuid import uuid4

import pytest

from airflow_provider_stripe_lite.core.ratelimit import limiter_for
from airflow_provider_stripe_lite.errors import RateLimitWait
from dev.benchmarks import limiter
from tests.core.limits import CALLS, MOST, PERIOD, limiter_in, taken


@pytest.mark.parametrize("step", [-3600, 3600])
def test_a_clock_that_is_set_changes_no_wait(
    path: Path, step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    uptime = 90_000.0

    def sleep(seconds: float) -> None:
        nonlocal uptime
        uptime += seconds

    monkeypatch.setattr(time, "monotonic", lambda: uptime)
    patient = limiter_in(path, calls=CALLS, period=PERIOD, sleep=sleep)
    stamps = taken(patient, CALLS)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + step)
    stamps += taken(patient, CALLS)
    assert limiter.worst_window(stamps, PERIOD) <= CALLS
    assert stamps[-1] - stamps[0] <= MOST


def test_after_a_restart_of_the_host_the_limit_holds_and_a_wait_that_was_refused_passes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uptime = 90_000.0
    monkeypatch.setattr(time, "monotonic", lambda: uptime)
    impatient = limiter_in(path, calls=CALLS, period=60, sleep=lambda _: None)
    for _ in range(CALLS):
        impatient.acquire("k")
    uptime = 10.0
    with pytest.raises(RateLimitWait) as refused:
        impatient.acquire("k", 0)
    assert 60 <= refused.value.seconds <= 120
    uptime += 20
    with pytest.raises(RateLimitWait) as later:
        impatient.acquire("k", 0)
    assert later.value.seconds == pytest.approx(refused.value.seconds - 20)
    uptime += later.value.seconds + 0.001
    assert impatient.acquire("k", 0) == 0


def test_a_hold_survives_a_clock_that_starts_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the server has asked for is not forgotten, and not prolonged."""
    uptime = 1e6
    monkeypatch.setattr(time, "monotonic", lambda: uptime)
    limiter = limiter_in(tmp_path / "calls", sleep=lambda _: None)
    limiter.push("a", 30)
    uptime = 5.0
    assert limiter.acquire("a") == pytest.approx(30)


def test_after_the_clock_of_redis_was_set_back_the_limit_holds_and_a_refused_wait_passes(
    redis_url: str,
) -> None:
    redis = pytest.importorskip("redis")
    period = PERIOD / 2
    impatient = limiter_for(redis_url, calls=CALLS, period=period)
    begin, key = time.monotonic(), uuid4().hex
    for _ in range(CALLS):
        impatient.acquire(key)
    with redis.Redis.from_url(redis_url) as server:
        (name,) = server.scan_iter(f"*{key}*")
        # As if it had been an hour later when these calls were made.
        server.hincrbyfloat(name, "ahead", -3600)
    with pytest.raises(RateLimitWait) as refused:
        impatient.acquire(key, 0)
    assert refused.value.seconds <= 2 * period
    time.sleep(refused.value.seconds + 0.01)
    impatient.acquire(key, 0)
    assert time.monotonic() - begin >= period
