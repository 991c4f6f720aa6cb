"""Requests and answers held against Stripe's own OpenAPI documents, where those are at hand.

The documents are Stripe's and are not part of this repository; they are looked for in `../shared`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft4Validator
from jsonschema.exceptions import best_match

CONTRACT = Path(__file__).parents[3] / "shared" / "stripe" / "contract"
AT_HAND = CONTRACT.is_dir()
MISSING = f"the OpenAPI documents are not at hand: there is no {CONTRACT}"

Pairs = Iterable[tuple[str, str]]


@cache
def load(version_file: str) -> dict[str, Any]:
    """Return a document (`current.json`, …), its nullable fields as plain JSON Schema."""
    return dict(_plain(json.loads((CONTRACT / version_file).read_text())))


def _plain(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {name: _plain(value) for name, value in node.items()}
    return {"anyOf": [plain, {"type": "null"}]} if node.get("nullable") is True else plain


def check_request(
    spec: dict[str, Any], method: str, path: str, query_pairs: Pairs = (), form_pairs: Pairs = ()
) -> None:
    """Pass if the document knows the call and all its parameters; else say which it does not."""
    operation = _operation(spec, method, path)
    query = [one for one in operation.get("parameters", ()) if one["in"] == "query"]
    body = (
        operation.get("requestBody", {})
        .get("content", {})
        .get("application/x-www-form-urlencoded", {})
    )
    form = body.get("schema", {"type": "object"})
    wanted = {
        "properties": {one["name"]: one["schema"] for one in query},
        "additionalProperties": False,
    }
    wanted["required"] = [one["name"] for one in query if one.get("required")]
    where = f"{method} {path}: "
    for given, schema in (
        (query_pairs, wanted),
        (form_pairs, {"additionalProperties": False} | form),
    ):
        problem = next(_problems(spec, "", nested(given), schema), None)
        assert problem is None, where + str(problem)


def check_response(spec: dict[str, Any], method: str, path: str, status: int, body: Any) -> None:
    """Pass if the body is what the document promises for this call and status."""
    answers = _operation(spec, method, path)["responses"]
    schema = (answers.get(str(status)) or answers["default"])["content"]["application/json"][
        "schema"
    ]
    _validate(spec, schema, body, f"{method} {path} {status}")


def check_object(spec: dict[str, Any], body: dict[str, Any]) -> None:
    """Pass if an object is what its own `object` says, for calls that the document leaves out."""
    schema = {"$ref": f"#/components/schemas/{_schema_name(body)}"}
    _validate(spec, schema, body, body["object"])


def surplus(spec: dict[str, Any], body: dict[str, Any]) -> set[str]:
    """The fields of an object that the document does not name."""
    return set(body) - set(spec["components"]["schemas"][_schema_name(body)]["properties"])


def parameters(spec: dict[str, Any], method: str, path: str) -> set[str]:
    """The names of all parameters that a call takes, in its query or form."""
    operation = _operation(spec, method, path)
    body = (
        operation.get("requestBody", {})
        .get("content", {})
        .get("application/x-www-form-urlencoded", {})
    )
    query = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"}
    return query | set(body.get("schema", {}).get("properties", {}))


def nested(pairs: Pairs) -> dict[str, Any]:
    """Return `a[b]=1` as `{"a": {"b": "1"}}`; keys of arrays stay `0`, `1`, or empty."""
    tree: dict[str, Any] = {}
    for name, value in pairs:
        assert re.fullmatch(r"[^\[\]]+(\[[^\[\]]*\])*", name), f"{name}: brackets do not match"
        *parents, last = re.findall(r"[^\[\]]+|(?<=\[)(?=\])", name)
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
            assert isinstance(node, dict), f"{name}: both a value and a hash"
        assert last == "" or last not in node, f"{name}: given twice"
        node[last] = value
    return tree


def _operation(spec: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    for template, operations in spec["paths"].items():
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path):
            assert method.lower() in operations, (
                f"{method} {path}: the method is not in the document"
            )
            return dict(operations[method.lower()])
    raise AssertionError(f"{method} {path}: the path is not in the document")


def _schema_name(body: dict[str, Any]) -> str:
    return ("deleted_" if body.get("deleted") else "") + str(body["object"])


def _validate(spec: dict[str, Any], schema: dict[str, Any], body: Any, where: str) -> None:
    whole = {"allOf": [schema], "components": spec["components"]}
    error = best_match(Draft4Validator(whole).iter_errors(body))
    assert error is None, f"{where}: {error.json_path}: {error.message[:300]}"


def _problems(spec: dict[str, Any], name: str, value: Any, schema: dict[str, Any]) -> Iterator[str]:
    """What is wrong with one decoded parameter, in sentences that begin with its name."""
    if "$ref" in schema:
        schema = spec["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        tries = [list(_problems(spec, name, value, choice)) for choice in schema["anyOf"]]
        yield from [] if [] in tries else max(tries, key=_tells)
    elif schema.get("type") == "array":
        yield from _array_problems(spec, name, value, schema)
    elif schema.get("type", "object") == "object":
        yield from _object_problems(spec, name, value, schema)
    else:
        yield from _scalar_problems(name, value, schema)


def _tells(problems: list[str]) -> tuple[int, bool]:
    """Rank the problem of one choice: the one that came furthest, of the right kind, tells."""
    return problems[0].count("["), not problems[0].endswith(("not a hash", "not an array"))


def _array_problems(
    spec: dict[str, Any], name: str, value: Any, schema: dict[str, Any]
) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{name}: not an array"
    elif list(value) not in ([str(index) for index in range(len(value))], [""]):
        yield f"{name}: not the indexes 0, 1, 2, …: {list(value)}"
    else:
        for key, item in value.items():
            yield from _problems(spec, f"{name}[{key}]", item, schema["items"])


def _object_problems(
    spec: dict[str, Any], name: str, value: Any, schema: dict[str, Any]
) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{name}: not a hash"
        return
    known, other = (
        schema.get("properties", {}),
        schema.get("additionalProperties", "properties" not in schema),
    )
    for key, item in value.items():
        inner = f"{name}[{key}]" if name else key
        if key not in known and other is False:
            yield f"{inner}: unknown parameter"
        else:
            rule = known.get(key, other)
            yield from _problems(spec, inner, item, rule) if isinstance(rule, dict) else ()
    for key in schema.get("required", ()):
        if key not in value:
            yield f"{f'{name}[{key}]' if name else key}: required, but missing"


def _scalar_problems(name: str, value: Any, schema: dict[str, Any]) -> Iterator[str]:
    patterns = {"integer": r"-?\d+", "boolean": "true|false", "number": r"-?\d+(\.\d+)?"}
    if not isinstance(value, str):
        yield f"{name}: not a single {schema['type']}"
    elif not re.fullmatch(patterns.get(schema["type"], "(?s:.*)"), value):
        yield f"{name}: not a valid {schema['type']}: {value[:80]!r}"
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{name}: {value!r} is none of {schema['enum'][:10]}"
    elif len(value) > schema.get("maxLength", len(value)):
        yield f"{name}: longer than {schema['maxLength']} characters"
