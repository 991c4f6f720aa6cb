"""The clock of this host, in one place, so that a fake Stripe can put its own there."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["now", "sleep", "use"]

_read: Callable[[], float] = time.time


def now() -> float:
    """Return the time of this host, in seconds since 1970."""
    return _read()


def sleep(seconds: float) -> None:
    """Wait; where a fake's clock is in use, time does not go by, and nobody waits for it."""
    if _read is time.time:
        time.sleep(seconds)


def use(read: Callable[[], float]) -> Callable[[], float]:
    """Read the time by another function from now on, and return the one before."""
    global _read
    before, _read = _read, read
    return before
