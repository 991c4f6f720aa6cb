"""The call limit in Redis, over every process of every host that reaches the server."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from airflow_provider_stripe_lite.core.ratelimit_sqlite import (
    CALLS,
    PERIOD,
    STEP_BACK,
    Reservations,
)
from airflow_provider_stripe_lite.errors import RateLimitWait, StripeLimiterError

__all__ = ["RedisRateLimiter"]

_SCRIPT = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local calls, spacing = tonumber(ARGV[1]), tonumber(ARGV[2])
local timeout, push = tonumber(ARGV[3]), tonumber(ARGV[4])
local hold = tonumber(redis.call('HGET', KEYS[2], 'hold') or now)
local seen = tonumber(redis.call('HGET', KEYS[2], 'seen') or now)
local back = math.max(0, seen - now)
hold = hold - back
if push >= 0 then
  hold = math.max(hold, now + push)
end
if back > 0 then
  local slots = redis.call('LRANGE', KEYS[1], 0, -1)
  redis.call('DEL', KEYS[1])
  for _, at in ipairs(slots) do
    redis.call('RPUSH', KEYS[1], string.format('%.6f', tonumber(at) - back))
  end
end
local last = tonumber(redis.call('LINDEX', KEYS[1], 0) or now)
local slot = math.max(now, hold, last)
local full = redis.call('LINDEX', KEYS[1], calls - 1)
if full then
  slot = math.max(slot, tonumber(full) + spacing)
end
local verdict = (push < 0 and timeout >= 0 and slot - now > timeout) and 'wait' or 'slot'
if push < 0 and verdict == 'slot' then
  local caller, step_back = ARGV[5], tonumber(ARGV[6])
  local before = redis.call('HMGET', KEYS[2], 'caller', 'changed')
  local changed = tonumber(before[2] or 0)
  if before[1] ~= caller then
    changed = before[1] and now or 0
  elseif now - changed < 2 * spacing then
    -- This caller was served last, and others ask, too.
    slot = math.max(slot, last + step_back)
  end
  redis.call('HSET', KEYS[2], 'caller', caller, 'changed', string.format('%.6f', changed))
  redis.call('LPUSH', KEYS[1], string.format('%.6f', slot))
  redis.call('LTRIM', KEYS[1], 0, calls - 1)
end
redis.call('HSET', KEYS[2], 'seen', string.format('%.6f', now), 'hold', string.format('%.6f', hold))
local life = math.ceil(math.max(slot, hold) - now + 2 * spacing)
redis.call('EXPIRE', KEYS[1], life)
redis.call('EXPIRE', KEYS[2], life)
return {verdict, tostring(slot - now)}
"""


class RedisRateLimiter(Reservations):
    """Keep the limit over every process of every host that reaches one Redis server.

    The server's clock counts.

    :param url: ``redis://…`` or ``rediss://…``.
    :param calls: how many calls fit into any ``period``.
    :param period: seconds.
    :param sleep: how to wait for a slot.
    :raises StripeLimiterError: the extra ``airflow-provider-stripe-lite[redis]`` is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        calls: int = CALLS,
        period: float = PERIOD,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(calls, period, sleep)
        try:
            import redis
        except ImportError as exc:
            raise StripeLimiterError(
                "rate_limit_url names a Redis server, which needs: "
                "pip install 'airflow-provider-stripe-lite[redis]'"
            ) from exc
        self._error, self._caller = redis.RedisError, os.urandom(8).hex()
        self._script: Any = redis.Redis.from_url(url, socket_timeout=10).register_script(_SCRIPT)

    def push(self, key: str, seconds: float) -> None:
        """Let no slot be free for the next ``seconds``: the server asks everybody to slow down."""
        self._run(key, -1.0, seconds)

    def _reserve(self, key: str, timeout: float | None) -> float:
        verdict, seconds = self._run(key, -1.0 if timeout is None else timeout, -1.0)
        if verdict == b"wait":
            raise RateLimitWait(float(seconds))
        return float(seconds)

    def _run(self, key: str, timeout: float, push: float) -> Any:
        names = [f"airflow-stripe:{{{key}}}:slots", f"airflow-stripe:{{{key}}}:clock"]
        try:
            caller = f"{self._caller}-{os.getpid()}"
            return self._script(
                keys=names, args=[self.calls, self.spacing, timeout, push, caller, STEP_BACK]
            )
        except self._error as exc:
            raise StripeLimiterError(
                f"The call limit cannot be kept in Redis ({type(exc).__name__}), so no call is "
                "made: check rate_limit_url in the connection's extra and the server that it "
                "names.",
                retryable=True,
            ) from exc
