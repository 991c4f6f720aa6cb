"""The ground the core's tests stand on: a clock, one server for many worlds, a client that does not really sleep."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from airflow_provider_stripe_lite.client import StripeClient
from airflow_provider_stripe_lite.errors import WouldWait
from tests.fake_stripe import FakeStripe

KEY = "sk_test_51NotARealAccountXyZ0123456789abcdefSecret"
NOW = 1_750_000_000


class Clock:
    """A clock that a test sets; the fake dates everything by it."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Stage:
    """One server, started once; every test or history puts a world of its own behind it."""

    def __init__(self) -> None:
        self._host = FakeStripe()

    def __enter__(self) -> Stage:
        self._host.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._host.__exit__(None, None, None)

    @property
    def url(self) -> str:
        return self._host.url

    def world(self, clock: Clock, **options: Any) -> FakeStripe:
        """A new, empty account, put on the stage."""
        world = FakeStripe(clock=clock, **options)
        self.show(world)
        return world

    def show(self, world: FakeStripe) -> str:
        """Let the server answer for this world from now on; its address."""
        world._address = self._host._address
        self._host._server.fake = world  # type: ignore[union-attr]
        return world.url


class Turnstile:
    """A limiter that lets `free` calls pass and then would wait; it also stops a reader that never ends."""

    def __init__(self) -> None:
        self.open()

    def open(self, free: int | None = None, most: int = 2_000) -> None:
        """Let `free` calls pass (None: all), but never more than `most`."""
        self.free, self.most, self.calls, self.pushed = free, most, 0, list[float]()

    def acquire(self, key: str, timeout: float | None = None) -> float:
        if self.free is not None and self.calls >= self.free and timeout is not None:
            raise WouldWait(7.0)
        self.calls += 1
        assert self.calls <= self.most, "it would read for ever"
        return 0.0

    def push(self, key: str, seconds: float) -> None:
        self.pushed.append(seconds)


def client_for(url: str, **options: Any) -> StripeClient:
    """A client whose waits between tries take no time."""
    usual: dict[str, Any] = {"api_key": KEY, "base_url": url, "sleep": lambda _: None}
    return StripeClient(**usual | options)


@contextmanager
def raw_server(answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers every request with these bytes, lawful HTTP or not; its address, and what it was sent."""
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


def gets(world: FakeStripe) -> list[dict[str, str]]:
    """The queries of all requests so far."""
    return [dict(request.query) for request in world.requests]
