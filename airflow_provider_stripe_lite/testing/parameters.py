"""Parameters of a request: decoded, converted, or refused."""

from __future__ import annotations

import re
from typing import Any

from airflow_provider_stripe_lite.testing.errors import ApiError, unexpandable, unknown
from airflow_provider_stripe_lite.testing.shapes import SHAPES, is_alive

__all__ = ["PAGE_LIMIT", "bounds", "changes", "expansions", "integer", "page_limit", "unflatten"]

# How many objects a page has unless its request says so.
PAGE_LIMIT = 10


def unflatten(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Return `a[b]=1`, `a[0]=1` and `a[]=1` as nested dicts.

    A list is a dict, too, until its parameter says that it is a list.
    """
    tree: dict[str, Any] = {}
    for name, value in pairs:
        head, *rest = name.replace("]", "").split("[")
        node, key = tree, head
        for part in rest:
            node = node.setdefault(key, {})
            if not isinstance(node, dict):
                raise ApiError(400, f"Invalid hash: {name}", None, head)
            key = part or str(len(node))
        node[key] = value
    return tree


def changes(
    kind: str, form: dict[str, Any], version: str, old: dict[str, Any] | None
) -> dict[str, Any]:
    """Return the fields that a form sets.

    :param old: the fields of the object that is updated; None for a new one.
    """
    asked: dict[str, Any] = {}
    for name, value in form.items():
        if name == "expand":
            continue
        rule = SHAPES[kind].params.get(name, "")
        elsewhere = "+" if old is not None else "-"
        if not rule or not is_alive(kind, name, version) or rule[-1] == elsewhere:
            raise unknown(name)
        if (type := rule.rstrip("?~+-")) == "any":
            continue
        if value != "":
            asked[name] = _convert(name, value, type)
        elif rule[-1] == "?" or (rule[-1] == "~" and old is not None):
            empty: dict[str, Any] = {"list": [], "hash": {} if name == "metadata" else None}
            asked[name] = empty.get(rule[:-1])
        else:
            raise _cannot_be_unset(name)
        if type == "merged":
            kept = (old or {}).get(name) or SHAPES[kind].fields[name]
            asked[name] = kept | asked[name]
    if asked.get("metadata"):
        merged = ((old or {}).get("metadata") or {}) | asked["metadata"]
        asked["metadata"] = {name: value for name, value in merged.items() if value != ""}
    return asked


def _cannot_be_unset(name: str) -> ApiError:
    unset = "We assume empty values are an attempt to unset a parameter; however"
    message = f"You passed an empty string for '{name}'. {unset} '{name}' cannot be unset."
    return ApiError(400, message, "parameter_invalid_empty", name)


def _convert(name: str, value: Any, type: str) -> Any:
    """Return one parameter as its type."""
    if isinstance(value, dict) and type in ("list", "hash"):
        return value if type == "hash" else list(value.values())
    if isinstance(value, dict) and type == "merged":
        return {part: _nested(inner) for part, inner in value.items()}
    if isinstance(value, dict) and type == "numbers":
        return {part: _number(f"{name}[{part}]", inner) for part, inner in value.items()}
    if isinstance(value, str) and type == "str":
        return value
    if type == "bool" and value in ("true", "false"):
        return value == "true"
    if type == "int":
        return integer(name, value)
    word = {"list": "array", "bool": "boolean", "str": "string"}.get(type, "hash")
    raise ApiError(400, f"Invalid {word}: {value}", None, name)


def _nested(value: Any) -> Any:
    """Return what stands in a hash: lists as lists, and nothing for an empty text."""
    if not isinstance(value, dict):
        return None if value == "" else value
    inner = {part: _nested(one) for part, one in value.items()}
    return list(inner.values()) if all(map(str.isdecimal, inner)) else inner


def _number(name: str, value: Any) -> float:
    if not isinstance(value, str) or not re.fullmatch(r"-?\d+(\.\d+)?", value):
        raise ApiError(400, f"Invalid decimal: {value}", "parameter_invalid_integer", name)
    return float(value)


def integer(name: str, value: Any) -> int:
    """Accept a whole number."""
    if not isinstance(value, str) or not re.fullmatch(r"-?\d+", value):
        raise ApiError(400, f"Invalid integer: {value}", "parameter_invalid_integer", name)
    return int(value)


def bounds(name: str, given: Any) -> list[tuple[str, int]]:
    """Return the bounds that a number or a hash sets, such as ``("gte", 1700000000)``."""
    if not isinstance(given, dict):
        number = integer(name, given)
        return [("gte", number), ("lte", number)]
    for bound in given:
        if bound not in ("gt", "gte", "lt", "lte"):
            raise unknown(f"{name}[{bound}]")
    return [(bound, integer(f"{name}[{bound}]", value)) for bound, value in given.items()]


def expansions(kind: str, given: Any, under: tuple[str, ...] = ()) -> list[list[str]]:
    """Return the paths to expand, each as its parts inside an object.

    :param under: the parts that lead to an object: ``("data",)`` in a list.
    :raises ApiError: there are none in events, a path is too deep, or it leads nowhere near one.
    """
    if given is not None and not isinstance(given, dict):
        raise ApiError(400, f"Invalid array: {given}", None, "expand")
    paths = [(path, str(path).split(".")) for path in (given or {}).values()]
    for path, parts in paths:
        if len(parts) > 4:
            message = f"You cannot expand more than 4 levels of a property ({path})."
            raise ApiError(400, message, None, "expand")
        if kind == "event" or tuple(parts[: len(under)]) != under or len(parts) == len(under):
            raise unexpandable(path)
    return [parts[len(under) :] for _, parts in paths]


def page_limit(given: Any) -> int:
    """Return how many objects a page is to have; None means the usual number."""
    limit = PAGE_LIMIT if given is None else integer("limit", given)
    if 1 <= limit <= 100:
        return limit
    side = "less than or equal to 100" if limit > 100 else "greater than or equal to 1"
    message = f"This value must be {side} (it currently is '{limit}')."
    raise ApiError(400, message, "parameter_invalid_integer", "limit")
