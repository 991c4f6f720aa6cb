"""Turn the arguments of an action into the request that it makes.

Bad input is refused here, in one sentence that names the argument and the fix, before any request
goes out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from airflow_provider_stripe_lite.core.resources import RESOURCES
from airflow_provider_stripe_lite.errors import StripeInputError

__all__ = [
    "CREATE_CUSTOMER",
    "CREATE_PRODUCT",
    "GET_CUSTOMER",
    "UPDATE_CUSTOMER",
    "UPDATE_PRODUCT",
    "Action",
    "Param",
    "Request",
    "object_id",
]

# Tab and line ends are text, other control characters and lone surrogates are not.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_METADATA_KEY, _METADATA_VALUE = 40, 500
_LAST_NATIVE_CAPTION = "2020-08-27"
# The API versions in which a product cannot be made without a type.
_TYPE_REQUIRED = ("2018-02-05", "2019-10-17")


@dataclass(frozen=True, slots=True)
class Request:
    """One call of an action.

    :param method: ``GET`` or ``POST``.
    :param path: below the API's base URL.
    :param parameters: Stripe's own, nested.
    :param verb: what the action does: ``create``, ``update`` or ``get``.
    :param resource: Stripe's ``object`` value of what is answered.
    """

    method: Literal["GET", "POST"]
    path: str
    parameters: dict[str, Any]
    verb: Literal["create", "update", "get"]
    resource: str


@dataclass(frozen=True, slots=True)
class Param:
    """One argument of an action.

    :param name: of the argument.
    :param check: what the value must be.
    :param max_length: characters of a text, entries of a list or mapping.
    :param stripe_name: Stripe's name, where another one.
    :param clearable: whether an empty value unsets what an update finds.
    :param required: whether the action needs a value.
    """

    name: str
    check: Literal["id", "text", "flag", "urls", "metadata"]
    max_length: int = 255
    stripe_name: str = ""
    clearable: bool = False
    required: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """What an operator and a method of the hook do: one record for each.

    :param verb: ``create``, ``update`` or ``get``.
    :param resource: Stripe's ``object`` value.
    :param id_argument: the argument that holds the object's id; None for a create.
    :param params: all other arguments.
    """

    verb: Literal["create", "update", "get"]
    resource: str
    id_argument: str | None = None
    params: tuple[Param, ...] = ()

    @property
    def arguments(self) -> tuple[str, ...]:
        """Return the names of all arguments."""
        own = (self.id_argument,) if self.id_argument else ()
        return (*own, *(param.name for param in self.params))

    def request(self, given: Mapping[str, Any], api_version: str) -> Request:
        """Return the request for these arguments; an argument that is not given is not sent.

        ``None`` leaves a value alone. An empty text or list unsets the value on an update and is
        left out on a create.

        :param given: arguments by their names.
        :param api_version: decides how a product's caption travels.
        :raises StripeInputError: naming the argument and the fix.
        """
        for param in self.params:
            if param.required and given.get(param.name) in (None, ""):
                raise StripeInputError(
                    f"{param.name} is required: give the {self.resource}'s {param.name} as "
                    "non-empty text."
                )
        path = RESOURCES[self.resource].path
        if self.id_argument:
            path = self._path(object_id(self.id_argument, given.get(self.id_argument)))
        if self.verb == "get":
            return Request("GET", path, {}, self.verb, self.resource)
        sent = self._parameters(given, api_version)
        return Request("POST", path, sent, self.verb, self.resource)

    def read(self, made: str) -> Request:
        """Return the request that reads an object which the action has made."""
        return Request("GET", self._path(made), {}, "get", self.resource)

    def _path(self, of: str) -> str:
        return f"{RESOURCES[self.resource].path}/{quote(of, safe='')}"

    def _parameters(self, given: Mapping[str, Any], api_version: str) -> dict[str, Any]:
        create = self.verb == "create"
        sent: dict[str, Any] = {}
        for param in self.params:
            value, name = _split(param, given.get(param.name)), param.stripe_name or param.name
            if value is None or (value == {} and param.check == "metadata"):
                continue
            if param.clearable and (value in ([], ()) if param.check == "urls" else value == ""):
                if not create:
                    sent[name] = ""
                continue
            sent[name] = _CHECKS[param.check](param, value)
        if self.resource == "product":
            _place_caption(sent, api_version)
            if create and _TYPE_REQUIRED[0] <= api_version[:10] <= _TYPE_REQUIRED[1]:
                sent["type"] = "good"
        if not sent and not create:
            names = ", ".join(param.name for param in self.params)
            raise StripeInputError(
                f"The update would change nothing: give at least one of {names}."
            )
        return sent


_CUSTOMER = (
    Param("description", "text", 5000, clearable=True),
    Param("customer_email", "text", 512, stripe_name="email", clearable=True),
    Param("metadata", "metadata", 50, clearable=True),
)
_PRODUCT = (
    Param("name", "text", 5000, required=True),
    Param("active", "flag"),
    Param("caption", "text", 5000, clearable=True),
    Param("description", "text", 40000, clearable=True),
    Param("images", "urls", 8, clearable=True),
    Param("shippable", "flag"),
    Param("url", "text", 5000, clearable=True),
    Param("metadata", "metadata", 50, clearable=True),
)
CREATE_PRODUCT = Action(
    "create", "product", params=(Param("product_id", "id", stripe_name="id"), *_PRODUCT)
)
UPDATE_PRODUCT = Action("update", "product", "product_id", _PRODUCT)
GET_CUSTOMER = Action("get", "customer", "customer_id")
CREATE_CUSTOMER = Action("create", "customer", params=_CUSTOMER)
UPDATE_CUSTOMER = Action("update", "customer", "customer_id", _CUSTOMER)


def object_id(argument: str, value: object) -> str:
    """Accept an id that is safe as one segment of a path.

    :raises StripeInputError: not text, empty, over 255 characters, or able to change the path.
    """
    if not isinstance(value, str) or not value.strip():
        raise StripeInputError(f"{argument} must be the id of a Stripe object, got {_show(value)}.")
    odd = value != value.strip() or value in (".", "..") or re.search(r"[/\\]|[^\x20-\x7e]", value)
    if odd or len(value) > 255:
        raise StripeInputError(
            f"{argument} must be an id as Stripe gives it (at most 255 printable characters, no "
            f"slash, no space around it), got {_show(value)}."
        )
    return value


def _place_caption(sent: dict[str, Any], api_version: str) -> None:
    """Move a caption into ``metadata``: after 2020-08-27 Stripe refuses ``caption``."""
    if "caption" not in sent or api_version[:10] <= _LAST_NATIVE_CAPTION:
        return
    caption, metadata = sent.pop("caption"), sent.get("metadata", {})
    if metadata == "" or "caption" in metadata:
        raise StripeInputError(
            "caption is kept in metadata, so give it in caption or change metadata, not both."
        )
    if len(caption) > _METADATA_VALUE:
        raise StripeInputError(
            f"caption must have at most {_METADATA_VALUE} characters (it is kept in metadata), "
            f"got {len(caption)}."
        )
    sent["metadata"] = {**metadata, "caption": caption}


def _split(param: Param, value: Any) -> Any:
    """Split one text of several URLs into their list, which is empty where the text is blank."""
    if param.check != "urls" or not isinstance(value, str):
        return value
    return [part.strip() for part in re.split(r"[,\n]", value) if part.strip()]


def _text(param: Param, value: object) -> str:
    if not isinstance(value, str):
        raise StripeInputError(f"{param.name} must be text, got {_show(value)}.")
    if not value.strip():
        raise StripeInputError(f"{param.name} must not be empty.")
    if len(value) > param.max_length:
        raise StripeInputError(
            f"{param.name} must have at most {param.max_length} characters, got {len(value)}: "
            "shorten it."
        )
    if _CONTROL.search(value):
        raise StripeInputError(f"{param.name} holds a control character: remove it.")
    return value


def _flag(param: Param, value: object) -> bool:
    if isinstance(value, bool):
        return value
    # A rendered template is text.
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise StripeInputError(f"{param.name} must be true or false, got {_show(value)}.")


def _urls(param: Param, value: object) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(url, str) for url in value):
        raise StripeInputError(
            f"{param.name} must be a list of URLs or one text with commas or line ends between "
            f"them, got {_show(value)}."
        )
    if len(value) > param.max_length:
        raise StripeInputError(
            f"{param.name} takes at most {param.max_length} URLs, got {len(value)}: remove some."
        )
    return [
        _text(Param(f"{param.name}[{index}]", "text", 5000), url) for index, url in enumerate(value)
    ]


def _metadata(param: Param, value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise StripeInputError(
            f"{param.name} must be a mapping of text to text, got {_show(value)}."
        )
    if len(value) > param.max_length:
        raise StripeInputError(
            f"{param.name} takes at most {param.max_length} keys, got {len(value)}: remove some."
        )
    return {_key(param, key): _value(param, key, item) for key, item in value.items()}


def _key(param: Param, key: object) -> str:
    if not isinstance(key, str) or not key or len(key) > _METADATA_KEY or re.search(r"[\[\]]", key):
        raise StripeInputError(
            f"{param.name} keys must be text of 1 to {_METADATA_KEY} characters without square "
            f"brackets, got {_show(key)}."
        )
    return _text(Param(f"{param.name} key", "text", _METADATA_KEY), key)


def _value(param: Param, key: object, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    # Stripe unsets a key by an empty value, so an empty text is sent as it is.
    if value == "":
        return ""
    text = str(value) if isinstance(value, int | float) else value
    return _text(Param(f"{param.name}[{key}]", "text", _METADATA_VALUE), text)


_CHECKS: dict[str, Callable[[Param, Any], Any]] = {
    "id": lambda param, value: object_id(param.name, value),
    "text": _text,
    "flag": _flag,
    "urls": _urls,
    "metadata": _metadata,
}


def _show(value: object) -> str:
    """Name a bad value without repeating much of it: it may be long, or personal."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
