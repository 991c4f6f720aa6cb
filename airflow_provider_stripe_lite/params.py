"""Bad input is refused here, in one sentence that names the argument and the fix, before any request goes out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_stripe_lite.catalog import LAST_NATIVE_CAPTION, PARAMS, Param
from airflow_provider_stripe_lite.errors import StripeInputError

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")  # tab and line ends are text
_METADATA_KEY, _METADATA_VALUE = 40, 500
_TYPE_REQUIRED = ("2018-02-05", "2019-10-17")  # the versions in which a product cannot be made without a type


def object_id(argument: str, value: object) -> str:
    """Accept an id that is safe as one segment of a path.

    :raises StripeInputError: not text, empty, longer than 255 characters, or able to change the path.
    """
    if not isinstance(value, str) or not value.strip():
        raise StripeInputError(f"{argument} must be the id of a Stripe object, got {_show(value)}.")
    if value != value.strip() or len(value) > 255 or value in (".", "..") or re.search(r"[/\\]|[^\x20-\x7e]", value):
        raise StripeInputError(
            f"{argument} must be an id as Stripe gives it (at most 255 printable characters, no slash, no space "
            f"around it), got {_show(value)}."
        )
    return value


def idempotency_key(value: object) -> str:
    """Accept 1 to 255 printable ASCII characters, which is what fits into the header."""
    if not isinstance(value, str) or not re.fullmatch(r"[\x21-\x7e]{1,255}", value):
        raise StripeInputError("idempotency_key must be 1 to 255 printable ASCII characters without spaces.")
    return value


def build(kind: str, given: Mapping[str, Any], *, create: bool, api_version: str) -> dict[str, Any]:
    """Turn the arguments of an action into Stripe's parameters; what was not given is not there.

    ``None`` leaves a value alone. An empty string (or list) unsets it on an update and is left out on a create.

    :param kind: ``customer`` or ``product``.
    :param given: arguments by their names in the operator.
    :param create: create, or update.
    :param api_version: decides how a product's caption travels.
    :raises StripeInputError: naming the argument and the fix.
    """
    sent: dict[str, Any] = {}
    for param in PARAMS[kind]:
        value, wire = _split(param, given.get(param.name)), param.wire or param.name
        if value is None or (value == {} and param.kind == "metadata"):
            continue
        if param.unsets and (value in ([], ()) if param.kind == "urls" else value == ""):
            if not create:
                sent[wire] = ""
            continue
        sent[wire] = _CHECKS[param.kind](param, value)
    if kind == "product":
        _caption(sent, api_version)
        if create and _TYPE_REQUIRED[0] <= api_version[:10] <= _TYPE_REQUIRED[1]:
            sent["type"] = "good"
    if not sent and not create:
        names = ", ".join(param.name for param in PARAMS[kind])
        raise StripeInputError(f"The update would change nothing: give at least one of {names}.")
    return sent


def require_name(value: object) -> None:
    """Refuse a product without a name: both product actions need it."""
    if value is None or value == "":
        raise StripeInputError("name is required: give the product's name as non-empty text.")


def _caption(sent: dict[str, Any], api_version: str) -> None:
    """After 2020-08-27 Stripe refuses ``caption``, so it travels as ``metadata[caption]``."""
    if "caption" not in sent or api_version[:10] <= LAST_NATIVE_CAPTION:
        return
    caption, metadata = sent.pop("caption"), sent.get("metadata", {})
    if metadata == "" or "caption" in metadata:
        raise StripeInputError("caption is kept in metadata, so give it in caption or change metadata, not both.")
    if len(caption) > _METADATA_VALUE:
        raise StripeInputError(
            f"caption must have at most {_METADATA_VALUE} characters (it is kept in metadata), got {len(caption)}."
        )
    sent["metadata"] = {**metadata, "caption": caption}


def _split(param: Param, value: Any) -> Any:
    """One text of several URLs as their list, which is empty where the text is blank."""
    if param.kind != "urls" or not isinstance(value, str):
        return value
    return [part.strip() for part in re.split(r"[,\n]", value) if part.strip()]


def _text(param: Param, value: object) -> str:
    if not isinstance(value, str):
        raise StripeInputError(f"{param.name} must be text, got {_show(value)}.")
    if not value.strip():
        raise StripeInputError(f"{param.name} must not be empty.")
    if len(value) > param.limit:
        raise StripeInputError(
            f"{param.name} must have at most {param.limit} characters, got {len(value)}: shorten it."
        )
    if _CONTROL.search(value):
        raise StripeInputError(f"{param.name} holds a control character: remove it.")
    return value


def _flag(param: Param, value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):  # a rendered template is text
        return value.strip().lower() == "true"
    raise StripeInputError(f"{param.name} must be true or false, got {_show(value)}.")


def _urls(param: Param, value: object) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(url, str) for url in value):
        raise StripeInputError(
            f"{param.name} must be a list of URLs or one text with commas or line ends between them, "
            f"got {_show(value)}."
        )
    if len(value) > param.limit:
        raise StripeInputError(f"{param.name} takes at most {param.limit} URLs, got {len(value)}: remove some.")
    return [_text(Param(f"{param.name}[{index}]", "text", 5000), url) for index, url in enumerate(value)]


def _metadata(param: Param, value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise StripeInputError(f"{param.name} must be a mapping of text to text, got {_show(value)}.")
    if len(value) > param.limit:
        raise StripeInputError(f"{param.name} takes at most {param.limit} keys, got {len(value)}: remove some.")
    return {_metadata_key(param, key): _metadata_value(param, key, item) for key, item in value.items()}


def _metadata_key(param: Param, key: object) -> str:
    if not isinstance(key, str) or not key or len(key) > _METADATA_KEY or re.search(r"[\[\]]", key):
        raise StripeInputError(
            f"{param.name} keys must be text of 1 to {_METADATA_KEY} characters without square brackets, "
            f"got {_show(key)}."
        )
    return _text(Param(f"{param.name} key", "text", _METADATA_KEY), key)


def _metadata_value(param: Param, key: object, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value) if isinstance(value, int | float) else value
    # An empty value unsets the key.
    return text if text == "" else _text(Param(f"{param.name}[{key}]", "text", _METADATA_VALUE), text)


_CHECKS: dict[str, Callable[[Param, Any], Any]] = {
    "text": _text,
    "flag": _flag,
    "urls": _urls,
    "metadata": _metadata,
}


def _show(value: object) -> str:
    """Name a bad value without repeating much of it: it may be long, or personal."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
