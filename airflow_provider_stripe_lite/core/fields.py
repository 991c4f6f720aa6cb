"""Rows: the documented fields of an object, the same from every API version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from airflow_provider_stripe_lite.core.resources import RESOURCES, Field
from airflow_provider_stripe_lite.errors import StripeInputError

__all__ = ["Row", "projection"]

Row = dict[str, Any]


def projection(kind: str, fields: str | Sequence[str] | None) -> Callable[[Row], Row]:
    """Return the function that turns an object into a row.

    :param kind: Stripe's ``object`` value, such as ``customer``.
    :param fields: None for exactly the documented fields (for a kind without any, the object as
        Stripe sent it), ``"*"`` for the object as Stripe sent it, or a list of dotted paths. A
        documented name gives the documented value, any other path what the object holds there.
    :raises StripeInputError: ``fields`` is neither of these, or two paths overlap.
    """
    resource = RESOURCES.get(kind)
    documented = {field.name: field for field in resource.fields} if resource else {}
    if fields == "*" or (fields is None and not documented):
        return lambda raw: raw
    if fields is None:
        chosen = list(documented.values())
    else:
        chosen = [documented.get(name) or Field(name, (name,)) for name in _names(fields)]
    return lambda raw: _row(raw, chosen)


def _names(fields: str | Sequence[str]) -> list[str]:
    if isinstance(fields, str) or not isinstance(fields, Sequence):
        raise StripeInputError(
            f'fields must be None, "*" or a list of dotted paths, got {fields!r:.60}.'
        )
    if not fields:
        raise StripeInputError(
            'fields is an empty list: name at least one field, or give None or "*".'
        )
    for name in fields:
        if not isinstance(name, str) or not all(name.split(".")):
            raise StripeInputError(
                f'fields holds {name!r:.60}, which is no dotted path such as "metadata.order_ref".'
            )
        if any(isinstance(other, str) and other.startswith(f"{name}.") for other in fields):
            raise StripeInputError(f"fields holds {name!r} and a path below it: keep one of them.")
    return list(fields)


def _row(raw: Row, fields: Sequence[Field]) -> Row:
    row: Row = {}
    for field in fields:
        *parents, leaf = field.name.split(".")
        place = row
        for parent in parents:
            place = place.setdefault(parent, {})
        place[leaf] = _value(raw, field)
    return row


def _value(raw: Row, field: Field) -> Any:
    convert = _CONVERT.get(field.kind)
    for path in field.paths:
        value = _dig(raw, path)
        if value is not None and convert is not None:
            value = convert(value)
        if value is not None:
            return value
    return None


def _dig(place: Any, path: str) -> Any:
    """Follow a dotted path; a key that itself holds dots (metadata may) is found too."""
    while isinstance(place, dict):
        if path in place:
            return place[path]
        head, _, path = path.partition(".")
        place = place.get(head) if path else None
    return None


def _id(value: Any) -> str | None:
    value = value.get("id") if isinstance(value, dict) else value
    return value if isinstance(value, str) else None


def _time(value: Any) -> str | None:
    return datetime.fromtimestamp(value, UTC).isoformat() if isinstance(value, int) else None


_CONVERT: dict[str, Callable[[Any], Any]] = {"id": _id, "time": _time, "text": str}
