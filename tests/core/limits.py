"""What tests of the call limit share: processes that wait for it, and when calls came through."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from airflow_provider_stripe_lite.core.ratelimit import Limiter, limiter_for
from airflow_provider_stripe_lite.errors import RateLimitWait

CALLS, PERIOD = 3, 1.5
# Nobody waits longer than this.
MOST = 2 * PERIOD

PREAMBLE = f"""
import os, sys, time
from contextlib import suppress
from airflow_provider_stripe_lite.core.ratelimit import FIELDS, limiter_for
url = f"file://{{sys.argv[1]}}"
limiter = limiter_for(url, calls={CALLS}, period={PERIOD})
# Whole lines, whoever else writes.
def say(word): os.write(1, f"{{word}}\\n".encode())
"""


Start = Callable[[str], "subprocess.Popen[str]"]


@contextmanager
def starter(path: Path) -> Iterator[Start]:
    """Start scripts that share the limiter's directory, and kill what is left of them."""
    running: list[subprocess.Popen[str]] = []

    def start(script: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PREAMBLE + script, str(path)]
        running.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0)
        )
        return running[-1]

    yield start
    for process in running:
        # With its forks, which have its output open.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def limiter_in(path: Path, **options: Any) -> Limiter:
    """Return a limiter that keeps its files in a directory."""
    sleep = options.pop("sleep", time.sleep)
    limiter = limiter_for(f"file://{path}", **options)
    limiter._sleep = sleep
    return limiter


def taken(limiter: Limiter, times: int) -> list[float]:
    """Return when each of so many calls was let through."""
    stamps = []
    for _ in range(times):
        limiter.acquire("k")
        stamps.append(time.monotonic())
    return stamps


def seconds(limiter: Limiter, max_wait: float = 0, key: str = "k") -> float:
    """Return how long the caller is told to wait."""
    try:
        return limiter.acquire(key, max_wait)
    except RateLimitWait as exc:
        return exc.seconds
