"""Turn the arguments of an action into the call that it makes.

Bad input is refused here, in one sentence that names the argument and the fix, before any request
goes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_stripe_lite.core.calls import Call, call, checked_parameters, own_path
from airflow_provider_stripe_lite.core.encoding import encode
from airflow_provider_stripe_lite.core.resources import RESOURCES
from airflow_provider_stripe_lite.core.values import (
    CHECKS,
    METADATA_VALUE,
    collection,
    object_id,
)
from airflow_provider_stripe_lite.errors import StripeInputError

__all__ = [
    "CREATE_CUSTOMER",
    "CREATE_PRODUCT",
    "GET_CUSTOMER",
    "UPDATE_CUSTOMER",
    "UPDATE_PRODUCT",
    "Action",
    "Param",
    "update_of",
]

# https://docs.stripe.com/api/products/update has none of these.
_ONLY_AT_CREATION = ("default_price_data", "id", "type")
_LAST_NATIVE_CAPTION = "2020-08-27"
# The API versions in which a product cannot be made without a type.
_TYPE_REQUIRED = ("2018-02-05", "2019-10-17")


@dataclass(frozen=True, slots=True)
class Param:
    """One argument of an action.

    :param name: of the argument.
    :param check: what the value must be.
    :param most: characters of a text, entries of a list or mapping.
    :param stripe_name: Stripe's name, where another one.
    :param clearable: whether an empty value unsets what an update finds.
    :param required: whether the action needs a value.
    """

    name: str
    check: Literal["id", "text", "flag", "urls", "metadata"]
    most: int = 255
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

    def call(self, given: Mapping[str, Any], parameters: object, api_version: str) -> Call:
        """Return the call for these arguments; an argument that is not given is not sent.

        ``None`` leaves a value alone. What is empty unsets the value on an update where Stripe can
        do that, and is as if it were not given anywhere else.

        :param given: arguments by their names.
        :param parameters: more of Stripe's own.
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
            path = own_path(path, object_id(self.id_argument, given.get(self.id_argument)))
        more = checked_parameters(collection(parameters))
        if self.verb == "get":
            return call("GET", path, more)
        return call("POST", path, self._with(more, self._named(given, api_version), api_version))

    def _named(self, given: Mapping[str, Any], api_version: str) -> dict[str, Any]:
        """Return what the arguments say, in Stripe's words."""
        named: dict[str, Any] = {}
        for param in self.params:
            value, name = given.get(param.name), param.stripe_name or param.name
            if param.check in ("urls", "metadata"):
                value = collection(value)
            if value is None or (value == {} and param.check == "metadata"):
                continue
            if param.check == "urls" and value in ([], ()):
                value = ""
            if isinstance(value, str) and not value.strip(
                " ,\r\n" if param.check == "urls" else ""
            ):
                if param.clearable and self.verb == "update":
                    named[name] = ""
                continue
            named[name] = CHECKS[param.check](param.name, param.most, value)
        if self.resource == "product":
            _place_caption(named, api_version)
        return named

    def _changes(self, name: object, value: object) -> bool:
        """Tell whether this says anything of the object that is made or updated."""
        unset = self.verb == "create" and value in ("", {}, [], ())
        return not unset and str(name).partition("[")[0] != "expand"

    def _with(
        self, more: Mapping[str, Any], named: Mapping[str, Any], api_version: str
    ) -> dict[str, Any]:
        """Return what the arguments and `parameters` say together."""
        for name in more:
            if (head := str(name).partition("[")[0]) in named:
                ours = {param.stripe_name or param.name: param.name for param in self.params}
                if "caption" in ours:
                    ours["metadata"] = "metadata or caption"
                raise StripeInputError(
                    f"parameters holds {head!r}, which {ours.get(head, head)} has set: give it in "
                    "one of the two."
                )
        sent = {**named, **more}
        if not encode({name: held for name, held in sent.items() if self._changes(name, held)}):
            names = ", ".join(param.name for param in self.params)
            what = (
                f"The {self.resource} would be empty"
                if self.verb == "create"
                else "The update would change nothing"
            )
            raise StripeInputError(f"{what}: give at least one of {names}, parameters.")
        old = _TYPE_REQUIRED[0] <= api_version[:10] <= _TYPE_REQUIRED[1]
        if (self.verb, self.resource) == ("create", "product") and old:
            sent.setdefault("type", "good")
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


def update_of(
    given: Mapping[str, Any], parameters: object, api_version: str
) -> tuple[Call, list[str]]:
    """Return the update that gives a product the values of a create, and what it leaves out."""
    more = checked_parameters(collection(parameters))
    left_out = [name for name in more if str(name).partition("[")[0] in _ONLY_AT_CREATION]
    kept = {name: value for name, value in more.items() if name not in left_out}
    # What is empty is not given to a create, and would unset what an update finds.
    full = {name: value for name, value in given.items() if collection(value) not in ("", [], ())}
    return UPDATE_PRODUCT.call(full, kept, api_version), left_out


def _place_caption(sent: dict[str, Any], api_version: str) -> None:
    """Move a caption into ``metadata``: after 2020-08-27 Stripe refuses ``caption``."""
    if "caption" not in sent or api_version[:10] <= _LAST_NATIVE_CAPTION:
        return
    caption, metadata = sent.pop("caption"), sent.get("metadata", {})
    if metadata == "" or "caption" in metadata:
        raise StripeInputError(
            "caption is kept in metadata, so give it in caption or change metadata, not both."
        )
    if len(caption) > METADATA_VALUE:
        raise StripeInputError(
            f"caption must have at most {METADATA_VALUE} characters (it is kept in metadata), got "
            f"{len(caption)}."
        )
    sent["metadata"] = {**metadata, "caption": caption}
