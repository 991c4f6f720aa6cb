"""HTTP/1.1 on a socket: what is needed here, quick enough for a benchmark."""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from socketserver import StreamRequestHandler, TCPServer, ThreadingMixIn
from typing import Any, Protocol

from airflow_provider_stripe_lite.testing.calls import Reply

__all__ = ["Server", "Service"]


class Service(Protocol):
    """What answers behind the server."""

    def respond(
        self, method: str, target: str, headers: dict[str, str], body: bytes, peer: int
    ) -> Reply:
        """Answer one request; header names are in lower case."""


class Server(ThreadingMixIn, TCPServer):
    """A thread for each connection.

    :ivar fake: what answers; another one may take its place while the server runs.
    """

    daemon_threads, block_on_close, request_queue_size = True, False, 128
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], fake: Service) -> None:
        self.fake, self.open = fake, set[socket.socket]()
        super().__init__(address, _Handler)

    @property
    def server_port(self) -> int:
        """Return the port, also where the system chose it."""
        return int(self.server_address[1])

    def stop(self) -> None:
        """Stop listening, and end the connections that clients keep alive."""
        self.shutdown()
        self.server_close()
        for connection in list(self.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report an error, unless it is a client that went away, which it may do at any time."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(StreamRequestHandler):
    disable_nagle_algorithm, wbufsize = True, -1
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.open.add(self.connection)

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        super().finish()

    def handle(self) -> None:
        """Answer one request after the other, until one of both ends the connection."""
        while line := self.rfile.readline(65537).strip():
            words = line.decode("latin-1").split()
            # The first bytes of a TLS handshake can look like three words, too.
            if len(words) != 3 or not words[2].startswith("HTTP/"):
                self._send(Reply(400, {}, b"This is no HTTP request."))
                return
            headers = dict(self._headers())
            if headers.get("expect", "").lower() == "100-continue":
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                self.wfile.flush()
            body = self.rfile.read(int(headers.get("content-length", 0)))
            peer = self.client_address[1]
            reply = self.server.fake.respond(words[0], words[1], headers, body, peer)
            if reply.reset:
                self._reset()
            if reply.reset or reply.drop:
                return
            self._send(reply)
            close = words[2] == "HTTP/1.0" or headers.get("connection", "").lower() == "close"
            if close or reply.truncate == "length":
                return

    def _headers(self) -> Iterator[tuple[str, str]]:
        while line := self.rfile.readline(65537).strip():
            name, _, value = line.decode("latin-1").partition(":")
            yield name.strip().lower(), value.strip()

    def _send(self, reply: Reply) -> None:
        body = reply.body if reply.truncate is None else reply.body[: len(reply.body) // 2]
        phrase = HTTPStatus(reply.status).phrase if reply.status in list(HTTPStatus) else ""
        length = len(reply.body if reply.truncate == "length" else body)
        headers = {"Server": "nginx"} | reply.headers | {"Content-Length": str(length)}
        lines = [f"HTTP/1.1 {reply.status} {phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        self.wfile.flush()

    def _reset(self) -> None:
        """Close with RST, not FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.server.open.discard(self.connection)
        os.close(self.connection.detach())
