"""A server that does to a client whatever a script says, and what a client must make of it."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.errors import StripeError
from tests.helpers import KEY, client_for

__all__ = [
    "Hostile",
    "Script",
    "answer",
    "certificate",
    "drip",
    "dripping",
    "in_turn",
    "refusal",
    "refusals",
    "replies",
    "request",
]

Script = Callable[[socket.socket], Any]


class Hostile:
    """Call a script with each connection, in a thread of its own, and close it behind.

    :param script: reads and writes as it likes; what it raises is the end of the connection.
    :param tls: with which it speaks TLS; None: it speaks none.
    :ivar connections: how many there were so far.
    """

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self._script, self._tls, self.connections = script, tls, 0

    def __enter__(self) -> str:
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    def __exit__(self, *exc: Any) -> None:
        for sock in (self._listener, *self._open):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.settimeout(10)
            if self._tls is None:
                self._script(connection)
                return
            with self._tls.wrap_socket(connection, server_side=True) as secure:
                self._open.append(secure)
                self._script(secure)


def request(connection: socket.socket) -> bytes:
    """Read one request, head and body, and return it.

    :raises ConnectionError: there is none.
    """
    heard = b""
    while b"\r\n\r\n" not in heard:
        heard += _some(connection)
    head, _, body = heard.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            while len(body) < int(line.partition(b":")[2]):
                body += _some(connection)
    return head + b"\r\n\r\n" + body


def answer(body: bytes, *headers: str, status: int = 200) -> bytes:
    """Return an answer with its true length, unless the headers say one."""
    length = [] if any("ength" in line or "hunked" in line for line in headers) else [len(body)]
    lines = [
        f"HTTP/1.1 {status} Status",
        "Connection: close",
        *headers,
        *(f"Content-Length: {size}" for size in length),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def replies(*answers: bytes) -> Script:
    """Return a script that gives each request the next answer, and the last one ever after.

    It closes the connection behind each.
    """
    left = list(answers)

    def script(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(left.pop(0) if len(left) > 1 else left[0])

    return script


def in_turn(*scripts: Script) -> Script:
    """Return a script that gives each connection to the next of these."""
    left = iter(scripts)

    def script(connection: socket.socket) -> None:
        next(left)(connection)

    return script


def drip(connection: socket.socket, piece: bytes) -> None:
    """Send these bytes again and again, a little at a time, for as long as somebody listens."""
    pause = threading.Event()
    while not pause.wait(0.02):
        connection.sendall(piece)


def dripping(first: bytes, piece: bytes) -> Script:
    """Return a script that answers with this, and then with more of it than anybody waits for."""

    def script(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(first)
        drip(connection, piece)

    return script


def refusal(
    url: str, call: Callable[[StripeClient], Any] | None = None, **options: Any
) -> StripeError:
    """Return the error of a call, after a look at what is true of every one.

    It came within twice the call's deadline, is one line of a sentence or two, and nothing in it
    or behind it holds the key.

    :param call: None: a read of the customers.
    :param options: of the client; its deadline is one second unless they say another.
    """
    client = client_for(url, **{"timeout": 1.0} | options)
    started = time.monotonic()
    with pytest.raises(StripeError) as caught:
        (call or (lambda client: client.get("/v1/customers")))(client)
    assert time.monotonic() - started < 2 * client.timeout
    error = caught.value
    assert re.fullmatch(r".{10,2200}(\.|\)| …)", str(error))
    behind = (error.__cause__, error.__context__)
    assert not any(hasattr(other, "request") for other in behind)
    assert KEY not in f"{error} {vars(error)} {behind}"
    return error


def refusals(scripts: Mapping[str, Script], tls: ssl.SSLContext | None = None) -> dict[str, Any]:
    """Return the errors of calls to servers with these scripts, all made at the same time.

    :return: name of the script to the error; a call that made more than one connection fails.
    """

    def call(script: Script) -> StripeError:
        server = Hostile(script, tls)
        with server as url:
            error = refusal(url)
        assert server.connections == 1
        return error

    with ThreadPoolExecutor(len(scripts)) as pool:
        return dict(zip(scripts, pool.map(call, scripts.values()), strict=True))


def certificate(folder: Path, name: str = "127.0.0.1") -> ssl.SSLContext:
    """Make a certificate that signs itself, as ``folder/ca.pem``, and return it for a server."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hostile")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address(name))
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return context


def _some(connection: socket.socket) -> bytes:
    if not (heard := connection.recv(65_536)):
        raise ConnectionError
    return heard
