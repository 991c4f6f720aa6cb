"""`FakeStripe`: what a test starts, and what it tells it, from the same process or over HTTP."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from email.utils import formatdate
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

from airflow_provider_stripe_lite.core import clock as host
from airflow_provider_stripe_lite.testing.api import Api
from airflow_provider_stripe_lite.testing.calls import Reply
from airflow_provider_stripe_lite.testing.data import is_number
from airflow_provider_stripe_lite.testing.faults import Fault
from airflow_provider_stripe_lite.testing.server import Server
from airflow_provider_stripe_lite.testing.shapes import Kind, shape_of

__all__ = ["KEY", "FakeStripe"]

# Made up: it has the shape of a test key, and opens nothing anywhere.
KEY = "sk_test_51AbCdEfGhIjKl0123456789abcdef"


class FakeStripe(Api):
    """A Stripe account in memory, with connected accounts beside it, that answers at ``url``.

    It is a context manager and answers until it is left. Every list of Stripe that the provider
    reads as a feed is there; customers and products can be written, and refunds made. It has a
    clock of its own, by which everything goes: the Date header, what is created now, what becomes
    visible late, how long an idempotency key lives; and, until it is left, what this process's
    provider takes for the time of its host: of several fakes at once, the latest.

    :param clock: returns the time, in seconds since 1970; `advance` comes on top of it.
    :param scrambled: objects of one second stand in an order of their own, which does not change
        but is not that of their creation.
    :param seed: of the ids; None makes others each time.
    :param host: where it listens.
    :param port: where it listens; 0 is a free one.
    :ivar calls: a `Request` for each request so far.
    :ivar faults: what was scripted with `fault`.
    :ivar ledger: whatever tests in other processes write down here.
    :ivar deleted_cursors: whether the id of a deleted object still works as a cursor.
    :ivar cursor_words: how a list answers to a cursor that does not work: "missing" (a 400 that
        names the parameter), "gone" (a 404) or "plain" (a 400), both with a message alone, or
        "empty" (a list without objects).
    :ivar accepted_keys: only these API keys are good; None: each that looks like one.
    :ivar missing_permissions: what a key may not do, as ``{"rk_test_1": ["rak_customer_read"]}``.
    :ivar default_version: the API version of a request that names none.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        scrambled: bool = False,
        seed: int | None = 0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(clock=clock, scrambled=scrambled, seed=seed)
        self.ledger: list[Any] = []
        self._address = (host, port)
        self._server: Server | None = None
        self._host_clock = lambda: self.now
        # Made by whoever keeps a call limit there.
        self._limits = Path(tempfile.gettempdir()) / f"fake-stripe-{uuid4().hex}"

    def __enter__(self) -> Self:
        self._stopping.clear()
        self._server = Server(self._address, self)
        self._address = (self._address[0], self._server.server_port)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        host.join(self._host_clock)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        if self._server:
            host.leave(self._host_clock)
            self._server.stop()
            shutil.rmtree(self._limits, ignore_errors=True)

    @property
    def url(self) -> str:
        """Return where it answers.

        :raises RuntimeError: its port is a free one, and it was not started yet.
        """
        host, port = self._address
        if not port:
            raise RuntimeError(
                "This FakeStripe has no address yet; use it as a context manager: "
                "with FakeStripe() as stripe: …"
            )
        # The provider speaks plain http to this machine only, and not to "every address".
        here = "127.0.0.1" if host in ("", "0.0.0.0") else host  # noqa: S104
        return f"http://{here}:{port}"

    @property
    def connection(self) -> str:
        """Return an Airflow connection to it, for the variable AIRFLOW_CONN_STRIPE_DEFAULT.

        Its call limit is so high that no test waits for it, and its own: where another fake had
        the same port, nobody waits for what that one asked for with a 429.
        """
        extra = {"rate_limit_calls": 100_000, "rate_limit_url": f"file://{self._limits}"}
        whole = {"conn_type": "stripe", "password": KEY, "host": self.url, "extra": extra}
        return json.dumps(whole)

    def fault(self, **script: Any) -> Fault:
        """Let something go wrong (see `Fault`): once, unless `times` or `every` is given."""
        if "times" not in script and "every" not in script:
            script["times"] = 1
        self.faults.append(fault := Fault(**script))
        return fault

    def options(self, **values: Any) -> None:
        """Set attributes by name, such as deleted_cursors or accepted_keys."""
        for name, value in values.items():
            if name.startswith("_") or name not in vars(self):
                raise AttributeError(f"FakeStripe has no option {name!r}.")
            setattr(self, name, value)

    def inflow(self, kind: Kind, per_second: float, lateness: float = 0) -> None:
        """Add objects steadily until the end, each visible up to ``lateness`` seconds late."""
        shape_of(kind)
        if not is_number(per_second) or per_second <= 0:
            raise ValueError(f"{per_second} objects per second is no inflow.")
        if not is_number(lateness) or lateness < 0:
            raise ValueError(f"lateness={lateness!r}: it takes seconds, a number >= 0.")

        def run() -> None:
            start, made = time.monotonic(), 0
            while not self._stopping.wait(min(1, max(0.05, 1 / per_second))):
                due = int((time.monotonic() - start) * per_second)
                for _ in range(due - made):
                    self.add(kind, visible_at=self.now + self._random.random() * lateness)
                made = due

        threading.Thread(target=run, daemon=True).start()

    def respond(
        self, method: str, target: str, headers: dict[str, str], body: bytes, peer: int
    ) -> Reply:
        """Answer one request: Stripe's API, or below /_fake/ the methods of this class."""
        if not target.startswith("/_fake/"):
            return super().respond(method, target, headers, body, peer)
        try:
            status, text = 200, json.dumps(self._control(method, target, body), default=_plain)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            status, text = 400, json.dumps(repr(error))
        head = {"Date": formatdate(self.now, usegmt=True), "Content-Type": "application/json"}
        return Reply(status, head, text.encode())

    def _control(self, method: str, target: str, body: bytes) -> Any:
        """Call the method, or read the list, that a request below /_fake/ names.

        POST takes the arguments as a JSON object, GET in the query. DELETE removes what has the
        values of its query, and without one everything.
        """
        url = urlsplit(target)
        name, query = url.path.removeprefix("/_fake/"), dict(parse_qsl(url.query))
        logs: dict[str, list[Any]] = {
            "calls": self.calls,
            "faults": self.faults,
            "ledger": self.ledger,
        }
        if method == "POST" and name == "ledger":
            return self.ledger.append(json.loads(body))
        if method == "POST":
            verbs = (
                self.add, self.add_many, self.add_list, self.delete, self.fault, self.options,
                self.inflow, self.advance,
            )  # fmt: skip
            named: dict[str, Callable[..., Any]] = {verb.__name__: verb for verb in verbs}
            return named[name](**json.loads(body))
        if method == "GET" and name in ("ids", "objects"):
            live = query.get("livemode", "").lower() in ("true", "1")
            read: Callable[..., Any] = self.ids if name == "ids" else self.objects
            return read(query["kind"], account=query.get("account", ""), livemode=live)
        if method == "DELETE":
            logs[name][:] = [
                each
                for each in logs[name]
                if any(str(getattr(each, key)) != value for key, value in query.items())
            ]
        return logs[name]


def _plain(thing: Any) -> Any:
    """Return what JSON can say of a record; of a hook only its name."""
    if is_dataclass(thing) and not isinstance(thing, type):
        return asdict(thing)
    return sorted(thing) if isinstance(thing, set) else repr(thing)
