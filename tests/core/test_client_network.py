"""Servers that do not answer, or with something that is not Stripe's, and how JSON is read."""

from __future__ import annotations

import socket
import sys
import time
import types
from collections.abc import Iterator

import pytest

from airflow_provider_stripe_lite.core import transport
from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.errors import StripeConnectionError
from airflow_provider_stripe_lite.testing import FakeStripe, Request
from tests.helpers import NOW, Connect, client_for, raw_server

# --- Network


def test_a_server_that_is_not_there_is_an_error_that_may_pass(sleeps: list[float]) -> None:
    """It names the address and the kind of failure."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(
        StripeConnectionError, match=rf"^No answer from {url} \(ConnectionError\)"
    ) as caught:
        client_for(url, sleep=sleeps.append).get("/v1/customers")
    assert caught.value.retryable
    assert len(sleeps) == 4


def test_an_answer_that_takes_too_long_is_an_error_that_may_pass(
    fake: FakeStripe, connect: Connect
) -> None:
    """The timeout is kept, and the request tried again."""
    fake.fault(delay=5)
    started = time.monotonic()
    assert connect(timeout=0.2).get("/v1/customers").tries == 2
    assert time.monotonic() - started < 4


def test_a_tls_failure_is_not_tried_again(fake: FakeStripe, sleeps: list[float]) -> None:
    """A wrong certificate, or a server that speaks no TLS, stays that."""
    with pytest.raises(StripeConnectionError, match=r"\(SSLError\)") as caught:
        client_for(fake.url.replace("http:", "https:"), sleep=sleeps.append).get("/v1/customers")
    assert not caught.value.retryable
    assert sleeps == []


def test_an_answer_without_a_date_is_an_answer() -> None:
    """Only a poll needs Stripe's clock; a create that has been made is not refused for its lack."""
    answer = b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 14\r\n\r\n{"id":"cus_1"}'
    with raw_server(answer) as (url, heard):
        made = client_for(url).post("/v1/customers", {})
    assert (made.body, made.date, len(heard)) == ({"id": "cus_1"}, None, 1)


def test_an_answer_that_is_no_http_is_an_error() -> None:
    """Another service listens there."""
    with (
        raw_server(b"SSH-2.0-OpenSSH_9.6\r\n") as (url, heard),
        pytest.raises(StripeConnectionError),
    ):
        client_for(url, tries=2).get("/v1/customers")
    assert len(heard) == 2


@pytest.mark.parametrize("body", [b"[]", b"5", b"null", b'"text"', b"", b"\xff\xfe", b"<html>"])
def test_a_success_that_is_no_json_object_is_an_error(body: bytes) -> None:
    """Something answers in Stripe's place, and the sentence says so."""
    head = (
        b"HTTP/1.1 200 OK\r\nDate: Mon, 02 Feb 2026 02:40:00 GMT\r\nConnection: close\r\n"
        b"Content-Length: %d\r\n\r\n"
    )
    with (
        raw_server(head % len(body) + body) as (url, _),
        pytest.raises(StripeConnectionError, match="not a JSON object") as caught,
    ):
        client_for(url, tries=1).get("/v1/customers")
    assert caught.value.status == 200


def test_a_slow_answer_is_dated_before_it_looked_at_its_data(
    fake: FakeStripe, client: StripeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stripe dates an answer when it sends it: what appeared in between may be missing in it."""
    real, passed = time.monotonic, 0.0

    def take_time(_: Request) -> None:
        nonlocal passed
        passed = 1.2

    monkeypatch.setattr(time, "monotonic", lambda: real() + passed)
    fake.fault(hook=take_time)
    assert client.get("/v1/customers").date == NOW - 2


# --- JSON


@pytest.fixture
def _forget_json() -> Iterator[None]:
    transport._json_loads.cache_clear()
    yield
    transport._json_loads.cache_clear()


@pytest.mark.usefixtures("_forget_json")
@pytest.mark.parametrize("installed", [False, True])
def test_a_faster_json_library_is_used_where_there_is_one(
    client: StripeClient, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    """The extra `speed` is optional."""
    faster = types.ModuleType("orjson")
    faster.loads = lambda _: {"decoded": "faster"}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "orjson", faster if installed else None)
    assert ("decoded" in client.get("/v1/customers").body) is installed


@pytest.mark.usefixtures("_forget_json")
def test_brackets_without_end_are_not_json_either(
    fake: FakeStripe, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's own decoder gives up on them with another exception than on the rest."""
    monkeypatch.setitem(sys.modules, "orjson", None)
    fake.fault(status=200, body="[" * 100_000)
    with pytest.raises(StripeConnectionError, match="not a JSON object"):
        connect(tries=1).get("/v1/customers")
