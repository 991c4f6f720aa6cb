"""A fast list endpoint: charges of 3 kB, rendered from a cut-up template, so that the clients are what is measured.

Run as ``python server.py``; it prints its port. ``/control?count=N`` sets how many charges there are besides an
older first one, and answers with the calls and connections of clients so far.
"""

from __future__ import annotations

import asyncio
import json
import time
from email.utils import formatdate
from urllib.parse import parse_qsl

from airflow_provider_stripe_lite.catalog import DEFAULT_API_VERSION
from tests.fake_stripe import Item, render

PER_SECOND = 4  # charges
METADATA = {f"order_detail_{number}": f"value {number} of the shop" for number in range(32)}  # makes it 3 kB
CHARGE = render("charge", Item("ID", -1, 0, fields={"metadata": METADATA}), DEFAULT_API_VERSION, livemode=False)
HEAD, _, _REST = json.dumps(CHARGE, indent=2).partition('"ID"')  # indented, as Stripe's answers are
MIDDLE, _, TAIL = _REST.partition("-1")


class Shop:
    """The charges 0 (long there) to ``count``, oldest first, the newest of them some minutes old."""

    def __init__(self) -> None:
        self.count = self.calls = self.connections = 0
        self.newest = int(time.time()) - 600

    def created(self, index: int) -> int:
        return self.newest - (self.count - index) // PER_SECOND - (100 if index == 0 else 0)

    def answer(self, path: str, query: dict[str, str]) -> str:
        if path == "/control":
            self.count = int(query["count"])
            return json.dumps({"calls": self.calls, "connections": self.connections, "since": self.created(1)})
        self.calls += 1
        if path == "/v1/charges":
            return self.page(query)
        if path == "/v1/events":
            return json.dumps({"object": "list", "data": [], "has_more": False, "url": path})
        return json.dumps({"id": "acct_1", "object": "account", "settings": {"dashboard": {"display_name": "x"}}})

    def page(self, query: dict[str, str]) -> str:
        """A page of the list, newest first, as Stripe cuts it."""
        limit, low, high = int(query.get("limit", 10)), 0, self.count + 1
        if since := query.get("created[gte]"):
            low = max(1, self.count - (self.newest - int(since)) * PER_SECOND - PER_SECOND + 1)
        if before := query.get("created[lt]"):
            high = min(high, self.count - (self.newest - int(before) + 1) * PER_SECOND + 1)
        if after := query.get("starting_after"):
            high = int(after[3:])
        if newer := query.get("ending_before"):
            low = int(newer[3:]) + 1
            first, last, more = low, min(high, low + limit), low + limit < high
        else:
            first, last, more = max(low, high - limit), high, low < high - limit
        data = ",".join(
            f'{HEAD}"ch_{index:024}"{MIDDLE}{self.created(index)}{TAIL}' for index in range(last - 1, first - 1, -1)
        )
        more_word = "true" if more else "false"
        return f'{{"object": "list", "data": [{data}], "has_more": {more_word}, "url": "/v1/charges"}}'


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, for GET without a body."""

    def __init__(self, shop: Shop) -> None:
        self._shop, self._buffer, self._counted = shop, b"", False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            path, _, query = head.split(b" ", 2)[1].decode().partition("?")
            if path != "/control" and not self._counted:
                self._counted, self._shop.connections = True, self._shop.connections + 1
            body = self._shop.answer(path, dict(parse_qsl(query))).encode()
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nRequest-Id: req_1\r\n"
                b"Date: %b\r\nContent-Length: %d\r\n\r\n" % (formatdate(usegmt=True).encode(), len(body)) + body
            )


async def main() -> None:
    """Serve until killed."""
    shop = Shop()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(shop), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
