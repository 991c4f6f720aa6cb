"""What tests of every folder use: a clock, a server that many fake accounts share, a client."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from airflow_provider_stripe_lite.core import clock
from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.window import Position, Source, Window, stretch
from airflow_provider_stripe_lite.errors import RateLimitWait
from airflow_provider_stripe_lite.testing import KEY, FakeStripe, Request

__all__ = [
    "KEY",
    "NOW",
    "Clock",
    "Connect",
    "FakeLimiter",
    "SharedServer",
    "client_for",
    "gets",
    "idempotency_keys",
    "posts",
    "raw_server",
    "window",
]

# 2026-02-02T02:40:00Z: after the start_date of the example DAGs, and not in Airflow's future.
NOW = 1_770_000_000
# The core's fixture `connect` is one: it makes clients of the test's account.
Connect = Callable[..., StripeClient]


class Clock:
    """A clock that a test sets; the fake dates everything by it."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class SharedServer:
    """One HTTP server, started once, which answers for one fake account after the other."""

    def __init__(self) -> None:
        self._host = FakeStripe()

    def __enter__(self) -> SharedServer:
        self._host.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._host.__exit__(None, None, None)

    @property
    def url(self) -> str:
        return self._host.url

    def account(self, clock: Clock, **options: Any) -> FakeStripe:
        """Return a new, empty account, for which the server answers from now on."""
        account = FakeStripe(clock=clock, **options)
        self.use(account)
        return account

    def use(self, account: FakeStripe) -> str:
        """Answer for this account from now on, and return its address."""
        # The account's clock stands for both: the provider goes by the earlier one of two.
        clock.use(lambda: account.now)
        account._address = self._host._address
        self._host._server.fake = account  # type: ignore[union-attr]
        return account.url


class FakeLimiter:
    """A call limiter that lets ``free`` calls pass and then would wait.

    It also stops a reader that never ends.
    """

    def __init__(self) -> None:
        self.open()

    def open(self, free: int | None = None, most: int = 2_000) -> None:
        """Let ``free`` calls pass (None: all of them), but never more than ``most``."""
        self.free, self.most, self.calls, self.pushed = free, most, 0, list[float]()

    def acquire(self, key: str, max_wait: float | None = None) -> float:
        if self.free is not None and self.calls >= self.free and max_wait is not None:
            raise RateLimitWait(7.0)
        self.calls += 1
        assert self.calls <= self.most, "the reader would read for ever"
        return 0.0

    def push(self, key: str, seconds: float) -> None:
        self.pushed.append(seconds)


def client_for(url: str, **options: Any) -> StripeClient:
    """Return a client whose waits between tries take no time."""
    usual: dict[str, Any] = {"api_key": KEY, "base_url": url, "sleep": lambda _: None}
    return StripeClient(**usual | options)


@contextmanager
def raw_server(answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Answer every request with these bytes, lawful HTTP or not.

    :return: the server's address, and the list of what it is sent.
    """
    heard: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                with listener.accept()[0] as connection, suppress(OSError):
                    connection.settimeout(5)
                    heard.append(connection.recv(65536))
                    connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", heard
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def gets(account: FakeStripe) -> list[dict[str, str]]:
    """Return the queries of all requests so far."""
    return [dict(call.query) for call in account.calls]


def posts(account: FakeStripe) -> list[Request]:
    """Return the writes so far."""
    return [call for call in account.calls if call.method == "POST"]


def idempotency_keys(account: FakeStripe) -> list[str]:
    """Return the idempotency keys of all writes so far."""
    return [call.headers["idempotency-key"] for call in posts(account)]


def window(feed: str, start: Position, end: Position | int) -> Window:
    """Return the window of a feed between two positions, as JSON brings it back.

    :param end: or the second before which it ends.
    """
    end = end if isinstance(end, Position) else Position(end)
    made = stretch(Source(feed, "stripe_default", None, None), start, end, None)
    read_back: Window = json.loads(json.dumps(made))
    return read_back
