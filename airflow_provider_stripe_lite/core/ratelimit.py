"""The call limit: at most ``calls`` in any ``period``, over every process that shares the store.

One short transaction reserves the next free slot, so a caller knows its wait before the wait
begins, nobody polls, and callers are served in the order in which they asked. A caller that dies
wastes its slot, which is the safe side.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Protocol

from airflow_provider_stripe_lite.core.ratelimit_redis import RedisRateLimiter
from airflow_provider_stripe_lite.core.ratelimit_sqlite import CALLS, PERIOD, RateLimiter
from airflow_provider_stripe_lite.errors import StripeInputError, StripeLimiterError

__all__ = ["CALLS", "PERIOD", "Limiter", "RateLimiter", "RedisRateLimiter", "limiter_for"]


class Limiter(Protocol):
    """The part of a limiter that the client uses."""

    def acquire(self, key: str, timeout: float | None = None) -> float:
        """Wait for the next free slot and return the seconds waited."""
        ...

    def push(self, key: str, seconds: float) -> None:
        """Let no slot be free for the next ``seconds``."""
        ...


def limiter_for(url: str | None, *, calls: int = CALLS, period: float = PERIOD) -> Limiter:
    """Return the limiter that ``url`` names.

    :param url: empty for one file per host and user, ``sqlite:///path`` for another file on a local
        disk, ``redis://…`` or ``rediss://…`` for several hosts.
    :param calls: how many calls fit into any ``period``.
    :param period: seconds.
    :raises StripeInputError: the URL is of another kind.
    :raises StripeLimiterError: the store cannot be used.
    """
    if not url:
        return RateLimiter(_own_directory() / "calls.sqlite", calls=calls, period=period)
    if url.startswith("sqlite:///"):
        return RateLimiter(url.removeprefix("sqlite://"), calls=calls, period=period)
    if url.startswith(("redis://", "rediss://")):
        return RedisRateLimiter(url, calls=calls, period=period)
    raise StripeInputError(
        "rate_limit_url must begin with redis://, rediss:// or sqlite:///, or be empty."
    )


def _own_directory() -> Path:
    """Return ``<tmp>/airflow-provider-stripe-lite-<uid>``, made if it is missing.

    :raises StripeLimiterError: another user owns the directory or can write to it.
    """
    path = Path(tempfile.gettempdir()) / f"airflow-provider-stripe-lite-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise StripeLimiterError(
            f"The call limit is not kept in {path}, which somebody else owns or can write: remove "
            "it, or set rate_limit_url in the connection's extra."
        )
    return path
