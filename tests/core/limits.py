"""What tests of the call limit share: processes that wait for it, and when calls came through."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_stripe_lite.core.ratelimit import RateLimiter

CALLS, PERIOD = 3, 1.5
# Nobody waits longer than this.
MOST = 2 * PERIOD

PREAMBLE = f"""
import os, sys, time
from contextlib import suppress
from airflow_provider_stripe_lite.core.ratelimit import RateLimiter
limiter = RateLimiter(sys.argv[1], calls={CALLS}, period={PERIOD})
# Whole lines, whoever else writes.
def say(word): os.write(1, f"{{word}}\\n".encode())
"""


Start = Callable[[str], "subprocess.Popen[str]"]


@contextmanager
def starter(path: Path) -> Iterator[Start]:
    """Start scripts that share the limiter's file, and kill what is left of them."""
    running: list[subprocess.Popen[str]] = []

    def start(script: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PREAMBLE + script, str(path)]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def taken(limiter: RateLimiter, times: int) -> list[float]:
    """Return when each of so many calls was let through."""
    stamps = []
    for _ in range(times):
        limiter.acquire("k")
        stamps.append(time.monotonic())
    return stamps
