"""TLS that breaks off is tried again; a certificate that does not verify is not."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from pathlib import Path

import pytest

from airflow_provider_stripe_lite.errors import StripeConnectionError
from tests.core.hostile import (
    Hostile,
    Script,
    answer,
    certificate,
    drip,
    dripping,
    in_turn,
    refusal,
    refusals,
    replies,
    request,
)
from tests.helpers import client_for


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Return a server's side of TLS whose certificate the client trusts."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    return certificate(tmp_path)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def hang_up(connection: socket.socket) -> None:
    """Close after the ClientHello."""
    connection.recv(65_536)


def alert(connection: socket.socket) -> None:
    """Refuse the handshake."""
    connection.recv(65_536)
    connection.sendall(b"\x15\x03\x03\x00\x02\x02\x28")


def half_a_hello(connection: socket.socket) -> None:
    """Close in the middle of the ServerHello."""
    connection.recv(65_536)
    connection.sendall(b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03")


def plain_http(connection: socket.socket) -> None:
    """Speak no TLS at all."""
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("script", [hang_up, alert, half_a_hello, plain_http])
def test_a_handshake_that_breaks_off_is_tried_again(script: Script) -> None:
    """A load balancer that restarts does that; only a certificate stays what it is."""
    server = Hostile(script)
    with server as url:
        error = refusal(url.replace("http:", "https:"), tries=2)
    assert isinstance(error, StripeConnectionError)
    assert (error.retryable, error.timed_out, server.connections) == (True, False, 2)


def test_a_record_that_is_not_what_was_sent_is_tried_again(tls: ssl.SSLContext) -> None:
    """OpenSSL says "bad record MAC"; the next connection is a good one."""

    def bad_record(connection: socket.socket) -> None:
        request(connection)
        with socket.socket(fileno=os.dup(connection.fileno())) as raw:
            raw.sendall(b"\x17\x03\x03\x00\x40" + bytes(64))

    good = replies(answer(b'{"id": 1}'))
    with Hostile(in_turn(bad_record, bad_record, bad_record, good), tls) as url:
        error = refusal(url, tries=2)
        assert client_for(url).get("/v1/customers").tries == 2
    assert "TLS broke off (" in str(error)
    assert error.retryable


def test_a_connection_that_ends_without_a_goodbye_is_tried_again(tls: ssl.SSLContext) -> None:
    """OpenSSL says that the end was not expected."""

    def cut(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        connection.detach()

    server = Hostile(cut, tls)
    with server as url:
        error = refusal(url, tries=2, timeout=1.0)
    assert error.retryable


def test_a_certificate_that_nobody_vouches_for_is_final(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence says what does not verify, and which variable names a CA of one's own."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    server = Hostile(replies(answer(b"{}")), tls)
    with server as url:
        error = refusal(url)
    assert "certificate does not verify (self-signed certificate)" in str(error)
    assert "REQUESTS_CA_BUNDLE" in str(error)
    assert (error.retryable, server.connections) == (False, 1)


def test_a_certificate_of_another_host_is_final(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else answers there."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    server = Hostile(replies(answer(b"{}")), certificate(tmp_path, "127.9.9.9"))
    with server as url:
        error = refusal(url)
    assert "is not valid for '127.0.0.1'" in str(error)
    assert (error.retryable, server.connections) == (False, 1)


def test_a_missing_file_of_certificates_is_an_error_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`requests` raises a bare OSError there."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    assert "missing.pem; check REQUESTS_CA_BUNDLE" in str(refusal("https://127.0.0.1:9", tries=1))


def test_an_answer_in_tls_that_drips_ends_with_its_deadline(tls: ssl.SSLContext) -> None:
    """In the header and in the body."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    errors = refusals({"header": dripping(b"", b"H"), "body": dripping(head, b" ")}, tls)
    assert [error.timed_out for error in errors.values()] == [True, True]


def test_a_handshake_that_drips_ends_with_its_deadline() -> None:
    """Each byte is part of a record that never ends."""

    def script(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"\x16\x03\x03\x3f\xff\x02")
        drip(connection, b"\x00")

    with Hostile(script) as url:
        error = refusal(url.replace("http:", "https:"))
    assert isinstance(error, StripeConnectionError)
    assert error.timed_out


def test_a_handshake_has_all_the_time_to_connect(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the share of the one address out of many that has answered."""

    def script(connection: socket.socket) -> None:
        threading.Event().wait(0.8)
        with tls.wrap_socket(connection, server_side=True) as secure:
            request(secure)
            secure.sendall(answer(b'{"id": 1}'))

    with Hostile(script) as url:
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address)] * 5
        real = socket.getaddrinfo
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda host, port, *args, **kwargs: (
                found if kwargs else real(host, port, *args, **kwargs)
            ),
        )
        client = client_for(url.replace("http:", "https:"), timeout=2.5, tries=1)
        assert client.get("/v1/customers").body == {"id": 1}


# --- Proxies


def test_a_proxy_that_drips_ends_with_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer to CONNECT counts like any other."""

    with Hostile(dripping(b"HTTP/1.1 200 OK\r\nX: ", b"y")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        error = refusal("https://stripe.invalid")
    assert isinstance(error, StripeConnectionError)
    assert error.timed_out


def test_a_proxy_that_refuses_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the words that it gives, and the variable that names it."""
    server = Hostile(replies(answer(b"", status=407)))
    with server as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        error = refusal("https://stripe.invalid", tries=2)
    assert "the proxy does not connect (" in str(error)
    assert "HTTPS_PROXY" in str(error)
    assert (error.retryable, server.connections) == (True, 2)


def test_an_answer_through_a_proxy_that_drips_ends_with_its_deadline(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a good one comes through it."""

    def script(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with tls.wrap_socket(connection, server_side=True) as secure:
            if b"good" in request(secure):
                secure.sendall(answer(b'{"id": 1}'))
            drip(secure, b"H")

    with Hostile(script) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        url = "https://127.0.0.1:9"
        assert client_for(url).get("/v1/good").body == {"id": 1}
        error = refusal(url)
    assert isinstance(error, StripeConnectionError)
    assert error.timed_out
