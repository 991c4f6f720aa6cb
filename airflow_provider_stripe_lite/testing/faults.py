"""What a test lets go wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_stripe_lite.testing.calls import Reply, Request
from airflow_provider_stripe_lite.testing.errors import usual
from airflow_provider_stripe_lite.testing.parameters import PAGE_LIMIT

__all__ = ["Fault"]


@dataclass
class Fault:
    """What goes wrong with requests that match: after `skip` of them, every `every`-th.

    :param method: only requests of this method.
    :param path: only requests whose path begins so.
    :param limit_over: only lists that are asked for with a `limit` over this number.
    :param times: how often it strikes in all; None: always.
    :param status: with `body`, is sent instead of Stripe's answer. 402, 409, 429, 500 and 503 know
        their own body.
    :param headers: stand in the answer beside its own headers, or in their place.
    :param clock: by so many seconds the answer's Date is ahead (or, below 0, behind).
    :param saved: whether an idempotency key keeps that answer; None: as Stripe does, where a 500 or
        402 was executed and the others were not.
    :param delay: seconds before the request is executed.
    :param reset: the connection dies before the request is executed.
    :param drop: the connection dies after the request was executed.
    :param truncate: "length" (the body ends too early) or "json" (half a document, well framed).
    :param redirect: a 302 to this URL.
    :param hook: is called with the Request before it is executed; not over HTTP.
    :ivar seen: how many requests matched so far.
    :ivar hits: how many of them it struck.
    """

    method: str | None = None
    path: str = "/v1/"
    limit_over: int | None = None
    times: int | None = None
    every: int = 1
    skip: int = 0
    status: int | None = None
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    clock: float = 0
    saved: bool | None = None
    delay: float = 0
    reset: bool = False
    drop: bool = False
    truncate: str | None = None
    redirect: str | None = None
    hook: Callable[[Request], Any] | None = None
    seen: int = 0
    hits: int = 0

    def strikes(self, request: Request) -> bool:
        """Count the request, and return whether this fault strikes it."""
        if self.method not in (None, request.method) or not request.path.startswith(self.path):
            return False
        if self.limit_over is not None and _limit(request) <= self.limit_over:
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        self.seen += 1
        strike = self.seen > self.skip and (self.seen - self.skip) % self.every == 0
        self.hits += strike
        return strike

    @property
    def executed(self) -> bool:
        """Return whether Stripe had begun to execute what it answers so."""
        return self.status in (402, 500) if self.saved is None else self.saved

    @property
    def refuses(self) -> bool:
        """Return whether the request is answered so before anything is looked at."""
        return self.status is not None and not self.executed

    def reply(self) -> Reply:
        """Return the scripted answer: the test's own body, or the usual one of its status.

        :raises ApiError: the usual one is an error of Stripe's.
        """
        status = self.status or 500
        if self.body is not None:
            text = self.body if isinstance(self.body, str) else json.dumps(self.body)
            return Reply(status, {}, text.encode())
        if status > 500:
            page = f"<html>{status} service unavailable</html>".encode()
            return Reply(status, {"Content-Type": "text/html"}, page)
        raise usual(status, self.executed)


def _limit(request: Request) -> int:
    """Return how many objects a list is asked for."""
    limit = dict(request.query).get("limit", "")
    return int(limit) if limit.isdecimal() else PAGE_LIMIT
