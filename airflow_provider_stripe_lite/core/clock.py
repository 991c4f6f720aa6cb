"""The clock of this host, in one place, so that a fake Stripe can put its own there."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Clock", "join", "leave", "now", "sleep", "use"]

Clock = Callable[[], float]

# Those in the place of this host's clock, if there are any.
_clocks: tuple[Clock, ...] = ()


def now() -> float:
    """Return the time of this host, in seconds since 1970: the latest, if several clocks tell it.

    The earlier ones may be those of fakes that are not moved, and the provider goes by Stripe's
    clock where that is behind the host's.
    """
    clocks = _clocks
    return max(read() for read in clocks) if clocks else time.time()


def sleep(seconds: float) -> None:
    """Wait; where a fake's clock is in use, time does not go by, and nobody waits for it."""
    if not _clocks:
        time.sleep(seconds)


def use(*clocks: Clock) -> tuple[Clock, ...]:
    """Read the time by these clocks alone from now on, and return those before."""
    global _clocks
    before, _clocks = _clocks, clocks
    return before


def join(clock: Clock) -> None:
    """Read the time by this clock, too."""
    use(*_clocks, clock)


def leave(clock: Clock) -> None:
    """Read the time by this clock no longer."""
    use(*(one for one in _clocks if one is not clock))
