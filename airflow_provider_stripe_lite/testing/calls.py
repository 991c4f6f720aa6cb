"""A request as the fake keeps it, who made it, and the reply to it."""

from __future__ import annotations

import base64
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Caller", "Reply", "Request", "mask", "secret"]


@dataclass(slots=True)
class Request:
    """One request; of its key only a marker is kept.

    :param headers: their names are in lower case.
    :param peer: the client's port: requests with the same one came over the same connection.
    :param status: of the answer; 0 means that none was sent.
    """

    time: float
    method: str
    path: str
    query: list[tuple[str, str]]
    form: list[tuple[str, str]]
    headers: dict[str, str]
    key: str
    peer: int
    request_id: str
    status: int = 0

    @property
    def params(self) -> list[tuple[str, str]]:
        """Return all parameters, wherever they stood."""
        return self.query + self.form


class Reply(NamedTuple):
    """What is sent, and how that goes wrong.

    :param reset: nothing is sent, the connection is reset.
    :param drop: nothing is sent, the connection is closed.
    :param truncate: see `Fault`.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    reset: bool = False
    drop: bool = False
    truncate: str | None = None


class Caller(NamedTuple):
    """Who asks: the key, its mode, the account that it acts for and the API version."""

    key: str
    livemode: bool
    account: str
    version: str


def secret(headers: dict[str, str]) -> str:
    """Return the API key, from Bearer or Basic."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return value.strip()
    with suppress(ValueError):
        return base64.b64decode(value).decode().split(":")[0]
    return ""


def mask(key: str) -> str:
    """Return a key as Stripe shows it: its mode and its last four characters."""
    head = re.match(r"(?:[a-z]+_)?(?:(?:test|live)_)?", key)
    return f"{head.group() if head else ''}****{key[-4:]}" if key else ""
