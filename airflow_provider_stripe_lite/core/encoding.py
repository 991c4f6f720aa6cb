"""Write paths and parameters as they are sent, and refuse what cannot be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from math import isfinite
from numbers import Integral
from typing import Any
from urllib.parse import unquote, urlencode
from uuid import UUID

from airflow_provider_stripe_lite.core.scrub import show
from airflow_provider_stripe_lite.errors import StripeInputError

__all__ = ["checked_key", "checked_path", "encode", "no_time", "plain"]

_PATH = re.compile(r"/(?!/)[A-Za-z0-9._~!$&'()*+,;=:%/-]*")
# Stripe's own spelling of what is nested, such as created[gte], is a name, too.
_NAME = re.compile(r"[^\[\]]+(\[[^\[\]]*\])*")


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
        f"{show(path, 200)} is no path of Stripe's API: it must begin with one slash, as "
        "in /v1/customers, and hold no host, no query, no dots between slashes, and no space or "
        "letter that is not percent-encoded."
    )


def checked_key(idempotency_key: object) -> str | None:
    """Accept an idempotency key that fits into its header; None and an empty text are none.

    :raises StripeInputError: it does not fit.
    """
    if idempotency_key is None or idempotency_key == "":
        return None
    text = None if isinstance(idempotency_key, bool | float) else plain(idempotency_key)
    if text and re.fullmatch(r"[\x21-\x7e]{1,255}", text):
        return text
    raise StripeInputError(
        "idempotency_key must be text of 1 to 255 printable ASCII characters without spaces, got "
        f"{show(idempotency_key)}."
    )


def encode(parameters: Mapping[str, Any]) -> str:
    """Encode parameters as Stripe reads them.

    What is nested gets brackets, lists get indexes, None is left out, an empty list or mapping
    unsets.

    :param parameters: text, numbers, flags, times, and lists and mappings of these.
    :raises StripeInputError: a value or a key without such a form; the sentence says where.
    """
    pairs: list[tuple[str, str]] = []
    try:
        for name, value in _items("parameters", parameters, _NAME.fullmatch):
            pairs += _pairs(name, value)
    except RecursionError:
        raise StripeInputError(
            "parameters are nested too deep, or hold themselves: give what Stripe documents."
        ) from None
    try:
        return urlencode(pairs)
    except UnicodeEncodeError as exc:
        [name, *_] = [name for name, value in pairs if exc.object in (name, value)]
        raise StripeInputError(
            f"{name!a} holds half of a character (a lone surrogate), which cannot be sent: "
            "decode the text as UTF-8 where it comes from."
        ) from None


def plain(value: object) -> str | None:
    """Return a single value as the text that stands for it; None where there is no such text."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | UUID):
        return str(value)
    # A signaling NaN, and a number of over 4,300 digits, cannot be looked at.
    with suppress(ValueError):
        if isinstance(value, Integral):
            return str(int(value))
        if isinstance(value, float | Decimal) and isfinite(value):
            # All digits: no server has to know what 1e+16 is.
            return f"{Decimal(repr(float(value))) if isinstance(value, float) else value:f}"
    return None


def no_time(name: str) -> str:
    """Return the sentence that refuses what pandas has in place of a missing time."""
    return f"{name} is a time without a value (NaT): give one, or leave it out."


def _pairs(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, list | tuple | Mapping) and not value:
        # Without this pair what is empty would not be sent at all.
        yield name, ""
    elif isinstance(value, Mapping):
        for key, item in _items(name, value, lambda key: key and not re.search(r"[\[\]]", key)):
            yield from _pairs(f"{name}[{key}]", item)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            inner = list(_pairs(f"{name}[{index}]", item))
            if not inner or item in ([], (), {}):
                raise StripeInputError(
                    f"{name}[{index}] is empty, and a list has no holes in Stripe: take it out."
                )
            yield from inner
    elif value is not None:
        yield name, _scalar(name, value)


def _items(name: str, value: Mapping[Any, Any], good: Any) -> Iterator[tuple[str, Any]]:
    """Return the entries of a mapping, each with a key that is a name of Stripe's."""
    for key, item in value.items():
        text = key.value if isinstance(key, Enum) else key
        if not isinstance(text, str) or not good(text):
            raise StripeInputError(
                f"{name} holds the key {show(key)}: a key must be text without square "
                "brackets in it."
            )
        yield text, item


def _scalar(name: str, value: Any) -> str:
    if isinstance(value, date):
        at = value if isinstance(value, datetime) else datetime(*value.timetuple()[:3])  # noqa: DTZ001
        try:
            return str(int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()))
        except ValueError:
            raise StripeInputError(no_time(name)) from None
    text = plain(value)
    if text is None:
        raise StripeInputError(
            f"{name} cannot be sent: give text, a finite number, true or false, a date-time, a "
            "list or a mapping."
        )
    return text
