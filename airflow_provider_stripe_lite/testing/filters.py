"""The filters of a list: which forms they have, and which objects they let through."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

from airflow_provider_stripe_lite.testing.errors import ApiError, unknown
from airflow_provider_stripe_lite.testing.objects import Item
from airflow_provider_stripe_lite.testing.parameters import bounds
from airflow_provider_stripe_lite.testing.shapes import SERVED, SHAPES, Shape

__all__ = ["BOOLEANS", "HASHES", "LISTS", "RANGES", "Matcher", "matcher", "within"]

# Whether a list shows an object; None: it shows all.
Matcher = Callable[[Item], bool] | None

# The forms of filters; a name means the same in every list that has it. All others are texts.
BOOLEANS = {
    "active", "approval_required", "attach_to_self", "automatic_tax[enabled]", "delivery_success",
    "expired", "inclusive", "pending", "scheduled", "shippable",
}  # fmt: skip
HASHES = {
    "automatic_tax": {"enabled"},
    "customer_details": {"email"},
    "payment": {"payment_intent", "payment_record", "type"},
    "recurring": {"interval", "meter", "usage_type"},
    "status_transitions": {"canceled", "fulfilled", "paid", "returned"},
}
LISTS = {"ids", "lookup_keys", "types", "upstream_ids"}
RANGES = {
    "amount", "arrival_date", "canceled_at", "completed_at", "current_period_end",
    "current_period_start", "due_date", "released_at",
    *(f"status_transitions[{status}]" for status in HASHES["status_transitions"]),
}  # fmt: skip

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def matcher(kind: str, wanted: dict[str, Any]) -> Matcher:
    """Return the test of an object for the filters besides ``created``.

    :param kind: or the path of a list of the test's own, which is filtered by any field.
    :raises ApiError: the list has no such filter, or it is given in a wrong form.
    """
    shape, always = SHAPES.get(kind, Shape("")), dict(SERVED[kind].always) if kind in SERVED else {}
    for name in wanted:
        if kind in SHAPES and name not in shape.filters:
            raise unknown(name)
    hidden = {name: value for name, value in shape.hides.items() if name not in wanted}
    _check_types(wanted)
    tests = {
        name: _test(name, value) for name, value in wanted.items() if always.get(name) != value
    }
    if not (tests or hidden):
        return None

    def matches(item: Item) -> bool:
        fields = {**shape.fields, **item.fields, "id": item.id}
        return not any(fields.get(name) == value for name, value in hidden.items()) and all(
            any(test(value) for value in _values(kind, fields, name))
            for name, test in tests.items()
        )

    return matches


def within(created: list[tuple[str, int]], matches: Matcher) -> Callable[[Item], bool]:
    """Return a test of an object and its time, for a list that is not in the order of times."""
    return lambda item: (
        all(_COMPARE[bound](item.created, second) for bound, second in created)
        and (matches is None or matches(item))
    )


def _check_types(wanted: dict[str, Any]) -> None:
    """Refuse what no list of types of events may be."""
    types = wanted.get("types")
    if not isinstance(types, dict):
        return
    wrong = {
        "You may pass up to 20 `types`.": len(types) > 20,
        "You may only pass one of `type` and `types`.": "type" in wanted,
        "`types` are whole names; a wildcard is for `type`.": any("*" in n for n in types.values()),
    }
    for message, is_so in wrong.items():
        if is_so:
            raise ApiError(400, message, None, "types")


def _test(name: str, wanted: Any) -> Callable[[Any], bool]:
    """Return the test of a value for what one filter asks for."""
    if name in RANGES:
        limits = bounds(name, wanted)
        return lambda value: (
            isinstance(value, int | float)
            and all(_COMPARE[bound](value, limit) for bound, limit in limits)
        )
    form = "hash" if name in HASHES else "array" if name in LISTS else "string"
    if isinstance(wanted, dict) is (form == "string"):
        raise ApiError(400, f"Invalid {form}: {wanted}", None, name)
    if form == "array":
        return lambda value: value in wanted.values()
    if form == "hash":
        for part in wanted:
            if part not in HASHES[name]:
                raise unknown(f"{name}[{part}]")
        tests = {part: _test(f"{name}[{part}]", value) for part, value in wanted.items()}
        return lambda value: (
            isinstance(value, dict) and all(test(value.get(part)) for part, test in tests.items())
        )
    if name in BOOLEANS:
        if wanted not in ("true", "false"):
            raise ApiError(400, f"Invalid boolean: {wanted}", None, name)
        return lambda value: value is (wanted == "true")
    # In an event's type, `*` stands for any letters.
    if name == "type" and "*" in wanted:
        return lambda value: fnmatchcase(str(value), wanted)
    return lambda value: value is not None and str(value) == wanted


def _values(kind: str, fields: dict[str, Any], name: str) -> list[Any]:
    """Return what a filter is held to: mostly the field of its name; one that fits is enough."""
    if (kind, name) in _DERIVED and (name not in fields or name in HASHES):
        return _DERIVED[kind, name](fields)
    return [fields.get(name)]


def _inner(name: str, field: str) -> Callable[[dict[str, Any]], list[Any]]:
    """Return what reads a field of all objects of an inner list."""

    def read(fields: dict[str, Any]) -> list[Any]:
        inner = fields.get(name)
        objects = inner.get("data", []) if isinstance(inner, dict) else []
        return [one.get(field) for one in objects]

    return read


def _transitions(fields: dict[str, Any]) -> list[Any]:
    """Return an order's times; Stripe spells one of them right in the filter only."""
    times = fields["status_transitions"] or {}
    return [{"fulfilled": times.get("fulfiled"), **times}]


# Filters that are named after no field, or that a field does not answer alone.
_DERIVED: dict[tuple[str, str], Callable[[dict[str, Any]], list[Any]]] = {
    ("event", "types"): lambda event: [event.get("type")],
    ("event", "delivery_success"): lambda event: [event.get("pending_webhooks") == 0],
    ("invoiceitem", "pending"): lambda line: [line.get("invoice") is None],
    ("order", "ids"): lambda order: [order["id"]],
    ("order", "status_transitions"): _transitions,
    ("order", "upstream_ids"): lambda order: [order.get("upstream_id")],
    ("price", "lookup_keys"): lambda price: [price.get("lookup_key")],
    ("product", "ids"): lambda product: [product["id"]],
    ("radar.value_list", "contains"): _inner("list_items", "value"),
    ("subscription", "current_period_end"): _inner("items", "current_period_end"),
    ("subscription", "current_period_start"): _inner("items", "current_period_start"),
    # What false asks for is not said; here it asks for nothing.
    ("subscription_schedule", "scheduled"): lambda plan: [
        False,
        plan.get("status") == "not_started",
    ],
}
