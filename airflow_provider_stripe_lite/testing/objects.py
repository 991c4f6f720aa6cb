"""One object of the fake, and how each API version shows it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_stripe_lite.testing.shapes import FROM_ID, SERVED, SHAPES, is_alive, nulls

__all__ = ["Item", "render", "stored", "template"]


@dataclass(slots=True)
class Item:
    """One object: its place in the list, and the fields in which it differs from its shape.

    :param created: the second of its time field.
    :param tie: its place among the objects of the same second.
    :param visible_at: before this time it is neither listed nor found.
    :param fields: shared by objects that were added together, so replaced and never changed.
    :param listed_at: the second whose place in the list it has; None: that of its time field.
    :param undated: its time field is left out.
    """

    id: str
    created: int
    tie: int
    visible_at: float = 0
    fields: dict[str, Any] = field(default_factory=dict)
    deleted: bool = False
    listed_at: int | None = None
    undated: bool = False

    @property
    def place(self) -> tuple[float, int]:
        """Return what the list is sorted by."""
        return self.created if self.listed_at is None else self.listed_at, self.tie


def stored(kind: str, fields: dict[str, Any], account: str) -> dict[str, Any]:
    """Return the fields of an object as they are kept, from those that a test gives."""
    fields = deepcopy(fields)
    if "account_balance" in fields:
        fields["balance"] = fields.pop("account_balance")
    if kind == "event":
        data = {"object": fields.pop("object", {})}
        if "previous_attributes" in fields:
            data["previous_attributes"] = fields.pop("previous_attributes")
        fields = {"data": data} | ({"account": account} if account else {}) | fields
    return fields


def render(
    kind: str, item: Item, version: str, livemode: bool, expanded: Collection[str] = ()
) -> dict[str, Any]:
    """Return the object in full, as the API version shows it.

    :param expanded: names of inner lists that are shown, too, where the version hides them.
    """
    time_field, shape = SERVED[kind].time_field, SHAPES[kind]
    head = {"id": item.id, "object": kind, time_field: item.created, "livemode": livemode}
    if item.undated:
        del head[time_field]
    derived = {name: form.format(item.id) for name, form in FROM_ID.get(kind, {}).items()}
    times = {name: item.created + later for name, later in shape.times.items()}
    whole = head | dict(shape.fields) | derived | times | item.fields
    if kind == "customer":
        _shape_customer(whole, item, version)
    elif kind == "invoiceitem":
        _shape_invoice_item(whole, item)
    return {
        name: value
        for name, value in whole.items()
        if is_alive(kind, name, version) or (name in expanded and _is_list(value))
    }


def _is_list(value: Any) -> bool:
    """Return whether a value is a list of Stripe's, which holds objects."""
    return isinstance(value, dict) and value.get("object") == "list"


def _shape_customer(customer: dict[str, Any], item: Item, version: str) -> None:
    """Complete a discount, which a test gives as its coupon's id; where the id stands has moved."""
    customer["account_balance"] = customer["balance"]
    if not isinstance(coupon := customer["discount"], str):
        return
    whole = {"id": coupon, "object": "coupon", "duration": "forever", "percent_off": 25.5}
    source = {"source": {"type": "coupon", "coupon": coupon}}
    discount = {"id": "di_" + item.id[4:], "object": "discount", "customer": item.id}
    customer["discount"] = (
        discount
        | {"start": item.created}
        | nulls("checkout_session end invoice invoice_item promotion_code subscription")
        | (source if version >= "2025-09-30" else {"coupon": whole | {"valid": True}})
    )


def _shape_invoice_item(line: dict[str, Any], item: Item) -> None:
    """Complete a plan, which a test gives as its id.

    Up to acacia it is an object beside a price, from basil on an id.
    """
    line["period"] = {"start": item.created, "end": item.created}
    line["quantity_decimal"] = str(line["quantity"])
    if isinstance(plan := line["plan"], str):
        common = {"id": plan, "active": True, "created": item.created, "product": "prod_1"}
        common |= {"livemode": line["livemode"], "metadata": {}, "nickname": None}
        common |= {"currency": line["currency"], "billing_scheme": "per_unit"}
        recurring = {"interval": "month", "interval_count": 1, "usage_type": "licensed"}
        price = {"object": "price", "type": "recurring", "unit_amount": line["unit_amount"]}
        line["plan"] = common | recurring | {"object": "plan", "amount": line["unit_amount"]}
        line["price"] = common | price | {"recurring": recurring}
        details = {"price": plan, "product": "prod_1"}
        line["pricing"] = {"type": "price_details", "price_details": details}
    if line["subscription"]:
        details = {"subscription": line["subscription"]}
        line["parent"] = {"type": "subscription_details", "subscription_details": details}


# Stand-ins that are found again in a rendered object: the digits of an id, and its time.
_DIGITS, _TIME = "Z" * 24, -(10**15)


def template(kind: str, fields: dict[str, Any], version: str, livemode: bool) -> list[str | int]:
    """Return the JSON of all objects of a kind that have these fields, in pieces.

    Texts stand beside numbers, which mean: the object's time and so many seconds; -1 means the
    digits of its id. Indented, as Stripe's answers are.
    """
    model = Item(SHAPES[kind].prefix + _DIGITS, _TIME, 0, fields=fields)
    text = json.dumps(render(kind, model, version, livemode), indent=2)
    marks = {str(_TIME + later): later for later in (0, *SHAPES[kind].times.values())}
    marks[_DIGITS] = -1
    pieces = re.split(f"({'|'.join(marks)})", text)
    return [marks.get(piece, piece) for piece in pieces]
