"""What the value of an argument must be; what it is not is refused in one sentence."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date
from typing import Any

from airflow_provider_stripe_lite.core.encoding import no_time, plain
from airflow_provider_stripe_lite.core.scrub import show
from airflow_provider_stripe_lite.errors import StripeInputError

__all__ = [
    "CHECKS",
    "METADATA_VALUE",
    "collection",
    "object_id",
    "one_of",
    "refuse_missing",
    "whole_number",
]

# https://docs.stripe.com/api/metadata
_METADATA_KEY, METADATA_VALUE = 40, 500
# Tab and line ends are text, other control characters and lone surrogates are not.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_CONTROL_OR_LINE_END = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
# Other objects, calls or cursors would be meant.
_NAMING = ("path", "idempotency_key", "cursor_variable")
_NONE = re.compile(r"(?<![A-Za-z0-9])None(?![A-Za-z0-9])")
# A folder's name may have the text between underscores.
_NONE_IN_FILE = re.compile(rf"(?<!\w)None(?!\w)|{_NONE.pattern}[^/]*$")
_URL = re.compile(r"https?://\S+", re.IGNORECASE)


def object_id(name: str, value: object) -> str:
    """Accept an id that can be one segment of a path.

    :param name: of the argument.
    :raises StripeInputError: not text, empty, over 255 characters, or able to change the path.
    """
    text = None if isinstance(value, bool) else plain(value)
    if not text or not text.strip():
        raise StripeInputError(f"{name} must be the id of a Stripe object, got {show(value)}.")
    if (
        text != text.strip()
        or text in (".", "..")
        or _CONTROL_OR_LINE_END.search(text)
        or len(text) > 255
    ):
        raise StripeInputError(
            f"{name} must be an id as Stripe gives it (at most 255 characters, no dots alone, no "
            f"space or control character around or in it), got {show(value)}."
        )
    return text


def whole_number(name: str, value: Any, least: int) -> int:
    """Accept a whole number.

    :raises StripeInputError: the value is none, or smaller.
    """
    if type(value) is not int or value < least:
        raise StripeInputError(
            f"{name} must be a whole number of at least {least}, got {show(value)}."
        )
    return value


def one_of(name: str, value: Any, *choices: str) -> Any:
    """Accept one of some texts.

    :raises StripeInputError: the value is none of them.
    """
    if value not in choices:
        *others, last = (f'"{choice}"' for choice in choices)
        raise StripeInputError(f"{name} must be {', '.join(others)} or {last}, got {show(value)}.")
    return value


def collection(value: object) -> object:
    """Return the list or mapping that a text holds, as JSON or as Python writes it.

    A template renders to such a text where its value is a list or a mapping; every other value is
    returned as it is.
    """
    if isinstance(value, str) and value.strip()[:1] in ("[", "{"):
        for read in (json.loads, ast.literal_eval):
            with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
                return read(value.strip())
    return value


def refuse_missing(name: str, value: object, *, of_file: bool = False) -> None:
    """Refuse the text that a template makes of a value that is not there.

    :param name: of the argument.
    :param of_file: whether this is the path of a file.
    :raises StripeInputError: somewhere in the value stands the text "None".
    """
    part = _NONE_IN_FILE if of_file else _NONE
    if isinstance(value, Mapping):
        for key, held in value.items():
            refuse_missing(f"{name}[{key}]", held)
    elif isinstance(value, list | tuple):
        for index, held in enumerate(value):
            refuse_missing(f"{name}[{index}]", held)
    elif value == "None" or (name in _NAMING and isinstance(value, str) and part.search(value)):
        raise StripeInputError(
            f"{name} {'is' if value == 'None' else 'holds'} the text 'None', which a template "
            "makes of a missing value: give the value, or an empty text where it may be left out."
        )


def _text(name: str, most: int, value: object) -> str:
    text = None if isinstance(value, bool) else plain(value)
    if text is None:
        raise StripeInputError(f"{name} must be text, got {show(value)}.")
    if not text.strip():
        raise StripeInputError(f"{name} must not be empty.")
    if len(text) > most:
        raise StripeInputError(
            f"{name} must have at most {most} characters, got {len(text)}: shorten it."
        )
    if _CONTROL.search(text):
        raise StripeInputError(f"{name} holds a control character: remove it.")
    return text


def _flag(name: str, _: int, value: object) -> bool:
    if isinstance(value, bool):
        return value
    # A rendered template is text.
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise StripeInputError(f"{name} must be true or false, got {show(value)}.")


def _urls(name: str, most: int, urls: object) -> list[str]:
    value = urls
    if isinstance(urls, str):
        # A comma may stand in a URL: it parts two only where a new one begins.
        urls = re.split(r"[\s,]+(?=https?://)", urls.strip(" ,\n\r\t"), flags=re.IGNORECASE)
    if not isinstance(urls, list | tuple) or not all(isinstance(url, str) for url in urls):
        raise StripeInputError(
            f"{name} must be a list of URLs or one text with commas or line ends between them, "
            f"got {show(value)}."
        )
    if len(urls) > most:
        raise StripeInputError(f"{name} takes at most {most} URLs, got {len(urls)}: remove some.")
    checked = [_text(f"{name}[{index}]", 5000, url.strip()) for index, url in enumerate(urls)]
    for index, url in enumerate(checked):
        if not _URL.fullmatch(url):
            raise StripeInputError(
                f"{name}[{index}] must be a URL that begins with https:// or http:// and holds no "
                f"space, got {show(url)}."
            )
    return checked


def _metadata(name: str, most: int, held: object) -> dict[str, str]:
    if not isinstance(held, Mapping):
        raise StripeInputError(f"{name} must be a mapping of text to text, got {show(held)}.")
    if len(held) > most:
        raise StripeInputError(f"{name} takes at most {most} keys, got {len(held)}: remove some.")
    return {_key(name, key): _entry(name, key, item) for key, item in held.items()}


def _key(name: str, key: object) -> str:
    if not isinstance(key, str) or not key or len(key) > _METADATA_KEY or re.search(r"[\[\]]", key):
        raise StripeInputError(
            f"{name} keys must be text of 1 to {_METADATA_KEY} characters without square brackets, "
            f"got {show(key)}."
        )
    return _text(f"{name} key", _METADATA_KEY, key)


def _entry(name: str, key: object, value: object) -> str:
    # Stripe unsets a key by an empty value, so an empty text is sent as it is.
    if value == "":
        return ""
    text = value.isoformat() if isinstance(value, date) else plain(value)
    if text == "NaT" and isinstance(value, date):
        raise StripeInputError(no_time(f"{name}[{key}]"))
    return _text(f"{name}[{key}]", METADATA_VALUE, value if text is None else text)


# Each takes the name of the argument, how much it may be, and the value.
CHECKS: dict[str, Callable[[str, int, Any], Any]] = {
    "id": lambda name, _, value: object_id(name, value),
    "text": _text,
    "flag": _flag,
    "urls": _urls,
    "metadata": _metadata,
}
