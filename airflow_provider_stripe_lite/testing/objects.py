"""One object of the fake, and how each API version shows it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_stripe_lite.core.resources import RESOURCES
from airflow_provider_stripe_lite.testing.shapes import SHAPES, is_alive, nulls

__all__ = ["Item", "render", "template"]


@dataclass(slots=True)
class Item:
    """One object: its place in the list, and the fields in which it differs from its shape.

    :param created: the second of its time field.
    :param tie: its place among the objects of the same second.
    :param visible_at: before this time it is neither listed nor found.
    :param fields: shared by objects that were added together, so replaced and never changed.
    """

    id: str
    created: int
    tie: int
    visible_at: float = 0
    fields: dict[str, Any] = field(default_factory=dict)
    deleted: bool = False

    @property
    def place(self) -> tuple[int, int]:
        """Return what the list is sorted by."""
        return self.created, self.tie


def render(kind: str, item: Item, version: str, livemode: bool) -> dict[str, Any]:
    """Return the object in full, as the API version shows it."""
    resource, shape = RESOURCES[kind], SHAPES[kind]
    head = {"id": item.id, "object": kind, resource.time_field: item.created, "livemode": livemode}
    times = {name: item.created + later for name, later in shape.times.items()}
    whole = head | dict(shape.fields) | times | item.fields
    if kind == "customer":
        _shape_customer(whole, item, version)
    elif kind == "invoiceitem":
        _shape_invoice_item(whole, item)
    return {name: value for name, value in whole.items() if is_alive(kind, name, version)}


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
