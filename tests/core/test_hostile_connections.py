"""Connections that drip, break off or lie: each ends in time, and in a sentence."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_stripe_lite.core import session
from airflow_provider_stripe_lite.errors import (
    RateLimitWait,
    StripeConnectionError,
    StripeServerError,
)
from tests.core.hostile import (
    Hostile,
    answer,
    dripping,
    in_turn,
    refusal,
    refusals,
    replies,
    request,
)
from tests.helpers import FakeLimiter, client_for

HEAD = b"HTTP/1.1 200 OK\r\n"
LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BROKEN = answer(b"{}", status=504)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return what lets seconds pass for deadlines, at once: a busy machine would lose others."""
    gone = [0.0]
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + sum(gone))
    monkeypatch.setattr(session, "time", clock)
    return gone.append


DRIPS = {
    "nothing": (b"", b""),
    "status line": (b"", b"H"),
    "one header": (HEAD, b"x"),
    "100s": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": (LONG, b" "),
    "chunks": (CHUNKED, b"1\r\n \r\n"),
    "chunk size": (CHUNKED, b"0"),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n", b"T: r\r\n"),
    "body without a length": (HEAD + b"\r\n", b" "),
}


def test_an_answer_that_drips_ends_with_its_deadline() -> None:
    """A byte now and then is no answer, wherever it falls; no other try has time left."""

    errors = refusals({name: dripping(*drips) for name, drips in DRIPS.items()})
    text = re.compile(
        "No answer from http://127.0.0.1:[0-9]+: its 1 s are over; check the network, or raise the "
        r"connection's timeout\."
    )
    assert {name for name, error in errors.items() if text.fullmatch(str(error))} == set(DRIPS)
    assert all(error.timed_out and error.retryable for error in errors.values())


def test_headers_without_end_are_an_error() -> None:
    """At full speed, they stop at a number and not at the deadline."""

    def script(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(HEAD)
        while True:
            connection.sendall(b"X-Header: of no use\r\n" * 500)

    with Hostile(script) as url:
        error = refusal(url, tries=1, timeout=5.0)
    assert isinstance(error, StripeConnectionError)
    assert not error.timed_out


def test_a_deadline_is_that_of_all_tries(passes: Callable[[float], None]) -> None:
    """The waits between them count, too: at the fourth try 36 of 30 s are over."""
    server = Hostile(replies(BROKEN))
    with server as url:
        error = refusal(url, timeout=30.0, sleep=lambda _: passes(12))
    assert (error.status, error.retryable) == (504, True)
    assert 3 <= server.connections <= 4


def test_a_wait_that_does_not_fit_is_not_begun(sleeps: list[float]) -> None:
    """The error comes at once, and says what wait the server asks for."""
    with Hostile(replies(answer(b"{}", "Retry-After: 2", status=503))) as url:
        error = refusal(url, sleep=sleeps.append)
    assert (error.retry_after, sleeps) == (2, [])


def test_a_try_without_time_does_not_hide_what_was_answered(
    passes: Callable[[float], None],
) -> None:
    """A gateway's 504 says that the page is too large; that the time is over says nothing."""
    with Hostile(in_turn(replies(BROKEN), dripping(HEAD, b"x"))) as url:
        error = refusal(url, timeout=30.0, sleep=lambda _: passes(29))
    assert type(error) is StripeServerError
    assert error.status == 504


def test_a_try_that_broke_off_between_does_not_hide_it_either(
    passes: Callable[[float], None],
) -> None:
    """Only an error with a status was an answer."""
    with Hostile(in_turn(replies(BROKEN), replies(b""), dripping(HEAD, b"x"))) as url:
        error = refusal(url, timeout=30.0, sleep=lambda _: passes(14.5))
    assert error.status == 504


def test_the_time_of_a_call_can_be_shorter_than_the_clients() -> None:
    """It cannot be longer."""
    with Hostile(dripping(HEAD, b"x")) as url:
        for seconds, most in ((0.5, 60.0), (60.0, 0.5)):
            with pytest.raises(StripeConnectionError, match=r"its 0\.5 s are over"):
                client_for(url, timeout=most).get("/v1/customers", timeout=seconds)


def test_a_call_can_have_fewer_tries_than_the_client() -> None:
    """It cannot have more."""
    server = Hostile(replies(BROKEN))
    with server as url:
        for most in (2, 9):
            with pytest.raises(StripeServerError):
                client_for(url, tries=3).get("/v1/customers", tries=most)
    assert server.connections == 2 + 3


def test_the_wait_for_the_call_limit_comes_before_the_deadline(
    passes: Callable[[float], None],
) -> None:
    """A call that waited for longer than it may take has all of its time."""

    class Slow(FakeLimiter):
        def acquire(self, key: str, timeout: float | None = None) -> float:
            passes(60)
            return super().acquire(key, timeout)

    limiter = Slow()
    with Hostile(replies(answer(b"{}"))) as url:
        assert client_for(url, timeout=30.0, limiter=limiter).get("/v1/customers").tries == 1


def test_a_later_try_waits_for_the_call_limit_within_the_deadline() -> None:
    """Where it has no slot by then, the error of the try before is what there is to say."""
    limiter, server = FakeLimiter(), Hostile(replies(BROKEN))
    limiter.open(free=1)
    with server as url:
        assert refusal(url, limiter=limiter).status == 504
        assert server.connections == 1
        limiter.open(free=1)
        # Who says how long to wait for the limit comes back for it.
        with pytest.raises(RateLimitWait):
            client_for(url, limiter=limiter).get("/v1/customers", max_wait=5)
    assert server.connections == 2


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        HEAD,
        LONG + b"{}",
        CHUNKED + b"2\r\n{}\r\n",
        CHUNKED + b"zz\r\n{}\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/3 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
    ],
    ids=[
        "nothing",
        "half a header",
        "a length that lies",
        "chunks that break off",
        "a chunk without a size",
        "no status",
        "no HTTP",
        "another HTTP",
        "two lengths",
        "a header too long",
    ],
)
def test_an_answer_that_breaks_off_or_is_none_is_tried_again(sent: bytes) -> None:
    """It may be whole the next time, and a POST carries its key."""
    server = Hostile(replies(sent))
    with server as url:
        error = refusal(url, lambda client: client.post("/v1/customers", {}), timeout=5.0)
    assert isinstance(error, StripeConnectionError)
    assert (error.retryable, error.timed_out, server.connections) == (True, False, 5)


@pytest.mark.parametrize("early", [b"103 Early Hints", b"101 Switching Protocols"])
def test_what_is_not_the_answer_is_not_taken_for_one(early: bytes) -> None:
    """Nor is the true one, which comes later, taken for that to another request."""

    def script(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(b"HTTP/1.1 " + early + b"\r\n\r\n")
        request(connection)
        connection.sendall(answer(b'{"id": "late"}'))

    server = Hostile(script)
    with server as url:
        error = refusal(url, tries=2)
    assert (error.status, error.retryable, server.connections) == (int(early[:3]), True, 2)


def test_a_server_that_refuses_connections_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    error = refusal(url)
    assert str(error).startswith(f"No answer from {url}: it refuses the connection")
    assert error.retryable


def test_a_name_that_cannot_be_resolved_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    error = refusal("http://stripe.invalid")
    assert "its name cannot be resolved" in str(error)
    assert error.retryable


def test_addresses_that_do_not_answer_share_the_time_to_connect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else each would take all of it; and one that answers is reached behind one that does not."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        # Connections that nobody accepts fill the queue; more of them hang.
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(address)
        with Hostile(replies(answer(b'{"id": 1}'))) as url:
            good = ("127.0.0.1", int(url.rpartition(":")[2]))
            found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", to) for to in (address, good)]
            real: Callable[..., Any] = socket.getaddrinfo

            def resolve(host: str, *args: Any, **kwargs: Any) -> Any:
                return found if host == "stripe.invalid" else real(host, *args, **kwargs)

            monkeypatch.setattr(socket, "getaddrinfo", resolve)
            client = client_for("http://stripe.invalid", timeout=1.0)
            assert client.get("/v1/customers").body == {"id": 1}
            found[:] = found[:1] * 5
            error = refusal("http://stripe.invalid")
        for sock in waiting:
            sock.close()
    assert isinstance(error, StripeConnectionError)
    assert error.timed_out


def test_a_deadline_that_has_passed_lets_nothing_wait() -> None:
    deadline = session.Deadline(0)
    assert deadline.left() <= 0
    with socket.socket() as sock, pytest.raises(TimeoutError):
        deadline.bound(sock)
