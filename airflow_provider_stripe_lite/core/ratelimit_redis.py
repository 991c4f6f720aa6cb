"""The call limit in Redis, over every process of every host that reaches the server."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

from airflow_provider_stripe_lite.errors import StripeInputError, StripeLimiterError

__all__ = ["RedisStore"]

# A record outlives most pauses between two runs: one that is gone is taken for lost.
_KEPT_SECONDS = 30 * 86_400
# The names of all records, so that one which the server evicts is missed.
_KNOWN, _SINCE = "airflow-stripe:known", "since"
_SERVER_SECONDS = 5.0

_T = TypeVar("_T")


class RedisStore:
    """Keep each record in one hash of a Redis server, whose clock counts.

    A change that meets another one is done again. That needs no scripts, which some servers forbid.

    :param url: ``redis://…`` or ``rediss://…``.
    :raises StripeInputError: the address cannot be read.
    :raises StripeLimiterError: the extra ``airflow-provider-stripe-lite[redis]`` is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            import redis
        except ImportError as exc:
            raise StripeLimiterError(
                "rate_limit_url names a Redis server, which needs: "
                "pip install 'airflow-provider-stripe-lite[redis]'"
            ) from exc
        self._redis, self._client = redis, cast("Any", None)
        # What the error says may hold a part of the password.
        with contextlib.suppress(LookupError, TypeError, ValueError):
            self._client = redis.Redis.from_url(url, socket_timeout=_SERVER_SECONDS)
        if self._client is None:
            raise StripeInputError(
                "rate_limit_url cannot be read: write redis://user:password@host:6379/0, with the "
                "signs of a password that are special in a URL as %xx."
            )

    def __str__(self) -> str:
        server = self._client.get_connection_kwargs()
        return f"Redis, {server.get('host')}:{server.get('port')}/{server.get('db') or 0}"

    def change(self, name: str, fields: tuple[str, ...], step: Callable[[Any], _T]) -> _T:
        """Change a record by one step, which may be done again, see :class:`~.FileStore`."""
        errors, deadline = self._redis.exceptions, time.monotonic() + _SERVER_SECONDS
        try:
            while True:
                try:
                    return self._changed(name, fields, step)
                except errors.WatchError as exc:
                    # The client says this, too, where the connection broke off meanwhile.
                    if time.monotonic() > deadline:
                        raise errors.TimeoutError from exc
                    time.sleep(random.uniform(0, 0.002))  # noqa: S311
        # A host's name that is none is no error of Redis.
        except (errors.RedisError, UnicodeError, LookupError) as exc:
            said = (
                f"The call limit cannot be kept in Redis ({type(exc).__name__}), so no call is made"
            )
            refused = isinstance(exc, errors.AuthenticationError | errors.AuthorizationError)
            away = (errors.ConnectionError, errors.TimeoutError, errors.ReadOnlyError)
            if isinstance(exc, away) and not refused:
                raise TimeoutError(
                    f"{said}: see whether the server runs that rate_limit_url names."
                ) from exc
            raise StripeLimiterError(
                f"{said}: check rate_limit_url in the connection's extra, and what its user may do "
                "on the server.",
                retryable=True,
            ) from exc

    def _changed(self, name: str, fields: tuple[str, ...], step: Callable[[Any], _T]) -> _T:
        key = f"airflow-stripe:{name}"
        with self._client.pipeline() as pipe:
            pipe.watch(key)
            record = _Record(pipe, key, fields)
            known = {name: 1.0} if record.is_there else self._missed(pipe, name, record)
            result = step(record)
            pipe.multi()
            pipe.hset(_KNOWN, mapping=known)
            pipe.hset(key, mapping=record.written)
            if gone := [name for name, value in record.written.items() if not value]:
                # A number that is not there is 0.
                pipe.hdel(key, *gone)
            pipe.expire(key, _KEPT_SECONDS)
            pipe.execute()
            return result

    def _missed(self, pipe: Any, name: str, record: _Record) -> dict[str, float]:
        """Say in a record without fields when it may have been lost, and return what is new."""
        since, seen = pipe.hmget(_KNOWN, _SINCE, name)
        if since is None:
            record.lost_at = self._emptied(pipe, record.now)
            return {_SINCE: record.lost_at, name: 1.0}
        record.lost_at = float(since) if seen is None else record.now
        return {name: 1.0}

    def _emptied(self, pipe: Any, now: float) -> float:
        """Return the latest time at which a server without any record may have lost some."""
        try:
            told = pipe.info("server") | pipe.info("stats") | pipe.info("commandstats")
        except self._redis.exceptions.ResponseError:
            # Its user may not ask, so nothing speaks against it.
            return now
        emptied = told.keys() & {"cmdstat_flushall", "cmdstat_flushdb"}
        emptied = emptied or told.get("evicted_keys", 1)
        return now if emptied else now - float(told.get("uptime_in_seconds", 0))


class _Record:
    """The numbers of a hash.

    :ivar is_there: whether the server has it.
    :ivar written: what has changed.
    """

    lost_at = 0.0

    def __init__(self, pipe: Any, key: str, fields: tuple[str, ...]) -> None:
        self._pipe, self._key = pipe, key
        seconds, microseconds = pipe.time()
        self.now = seconds + microseconds / 1e6
        read = pipe.hmget(key, fields)
        self._read = {name: float(value or 0.0) for name, value in zip(fields, read, strict=True)}
        self.is_there = any(value is not None for value in read)
        self.written = dict[str | int, float]()

    def __getitem__(self, name: str | int) -> float:
        if name in self.written:
            return self.written[name]
        if isinstance(name, str):
            return self._read[name]
        return float(self._pipe.hget(self._key, name) or 0.0)

    def __setitem__(self, name: str | int, value: float) -> None:
        self.written[name] = value
