"""Write paths and parameters as they are sent, and refuse what cannot be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import unquote, urlencode

from airflow_provider_stripe_lite.core.scrub import scrub
from airflow_provider_stripe_lite.errors import StripeInputError

__all__ = ["checked_path", "encode"]

_PATH = re.compile(r"/(?!/)[A-Za-z0-9._~!$&'()*+,;=:%/-]*")


def checked_path(path: object) -> str:
    """Accept a path that stays on its host, and names what it seems to.

    :raises StripeInputError: it is none.
    """
    if (
        isinstance(path, str)
        and _PATH.fullmatch(path)
        and not {".", ".."} & {unquote(segment) for segment in path.split("/")}
    ):
        return path
    raise StripeInputError(
        f"{scrub(ascii(path)[:200])} is no path of Stripe's API: it must begin with one slash, as "
        "in /v1/customers, and hold no host, no query and no dots between slashes."
    )


def encode(parameters: Mapping[str, Any]) -> str:
    """Encode parameters as Stripe reads them.

    What is nested gets brackets, lists get indexes, None is left out.

    :raises StripeInputError: a value of a type that has no such form, or half of a character.
    """
    pairs = [pair for name, value in parameters.items() for pair in _pairs(name, value)]
    try:
        return urlencode(pairs)
    except UnicodeEncodeError as exc:
        [name, *_] = [name for name, value in pairs if exc.object in (name, value)]
        raise StripeInputError(
            f"{name!a} holds half of a character (a lone surrogate), which cannot be sent: "
            "decode the text as UTF-8 where it comes from."
        ) from None


def _pairs(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _pairs(f"{name}[{key}]", item)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _pairs(f"{name}[{index}]", item)
        if not value:
            # Without this pair an empty list would not be sent at all.
            yield name, ""
    elif value is not None:
        yield name, _scalar(name, value)


def _scalar(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return str(int((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()))
    if isinstance(value, str | int | float | Decimal):
        return str(value)
    raise StripeInputError(
        f"{name} cannot be sent: give text, a number, a date-time, a list or a mapping."
    )
