"""The tables of README and docs/reference.md, made from signatures, docstrings and the catalogue.

`python -m tests.docs.reference` writes them between their marks; a test fails where they are out of date.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import tests.airflow.home  # noqa: F401  # isort: skip - before Airflow

from airflow_provider_stripe_lite import errors, hooks, operators, provider_info, ratelimit, sensors, triggers
from airflow_provider_stripe_lite.catalog import FEEDS, FIELDS

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "docs" / "reference.md")
REGION = re.compile(r"(<!-- table:([\w.]+) -->\n)(.*?)(<!-- /table -->)", re.DOTALL)

OPERATORS = (
    operators.StripeCreateProductOperator,
    operators.StripeUpdateProductOperator,
    operators.StripeGetCustomerOperator,
    operators.StripeCreateCustomerOperator,
    operators.StripeUpdateCustomerOperator,
)
SENSORS = {
    "customer": "StripeNewCustomerSensor",
    "order": "StripeNewOrderSensor",
    "charge": "StripeNewChargeSensor",
    "invoice_item": "StripeNewInvoiceItemSensor",
}
HOOK_METHODS = (
    "create_product", "update_product", "get_customer", "create_customer", "update_customer",
    "poll", "read_window", "test_connection",
)  # fmt: skip

# What Airflow's own docstring says at length.
SHORTER = {"mode": '`"poke"` holds a worker between two polls, `"reschedule"` gives it back; see [modes.md](modes.md).'}


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Lay a Markdown table out; a bar inside a cell is escaped."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def markdown(text: str) -> str:
    """Turn a docstring's marks into Markdown's."""
    text = re.sub(r":(?:class|meth|func|attr|mod):`[.~]?([\w.]+)`", r"`\1`", " ".join(text.split()))
    return text.replace("``", "`")


def promise(thing: Any) -> str:
    """The first sentence of a docstring, without the address of Stripe's own page."""
    first = (inspect.getdoc(thing) or "").split("\n\n")[0]
    return re.sub(r":? https://\S+$", ".", markdown(first))


def described(thing: Any) -> dict[str, str]:
    """What a docstring says of each parameter."""
    found = re.findall(r"^:param (\w+): (.*?)(?=^:|\n\n|\Z)", inspect.getdoc(thing) or "", re.MULTILINE | re.DOTALL)
    return {name: markdown(text) for name, text in found}


def defaults(call: Callable[..., Any]) -> dict[str, str]:
    """The default of each parameter, as one would write it; empty where it is required."""
    parameters = inspect.signature(call).parameters.values()
    named = (p for p in parameters if p.name != "self" and p.kind is not p.VAR_KEYWORD)
    return {p.name: "" if p.default is p.empty else _shown(p.name, p.default) for p in named}


def _shown(name: str, value: Any) -> str:
    if name == "deferrable":
        return "from `[operators] default_deferrable`"
    if name == "retry_policy":
        return "`StripeRetryPolicy()`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value!r}`"


def parameters(cls: type) -> dict[str, tuple[str, str]]:
    """Default and meaning of each of a class's parameters, its own before those that it inherits."""
    found: dict[str, tuple[str, str]] = {}
    for owner in cls.__mro__:
        if owner.__module__.startswith("airflow_provider_stripe_lite") and "__init__" in vars(owner):
            known = described(owner)
            for name, default in defaults(owner.__init__).items():
                meaning = described(cls).get(name) or known.get(name) or _inherited(cls, name)
                found.setdefault(name, (default, meaning))
    return found


def _inherited(cls: type, name: str) -> str:
    return next((text for owner in cls.__mro__ if (text := described(owner).get(name))), "")


def parameter_table(cls: type) -> str:
    """Name, default, meaning; templated ones are marked as the class's template_fields have them."""
    templated = getattr(cls, "template_fields", ())
    order = sorted(parameters(cls).items(), key=lambda item: item[1][0] != "")  # what is required comes first
    rows = []
    for name, (default, meaning) in order:
        if not meaning and cls in OPERATORS:
            continue  # of a sibling: not a parameter of this action
        text = SHORTER.get(name) or meaning.replace("(templated)", "").strip()
        rows.append([f"`{name}`", default or "required", text, "yes" if name in templated else ""])
    return table(["parameter", "default", "meaning", "templated"], rows)


def actions() -> str:
    """One line for each operator."""
    shared = set(parameters(operators.StripeOperator)) | {"idempotency_key"}
    rows = []
    for cls in OPERATORS:
        own = {name: default for name, (default, _) in parameters(cls).items() if name not in shared}
        names = ", ".join(f"**{name}**" if not default else name for name, default in own.items())
        rows.append([f"`{cls.__name__}`", names])
    return table(["operator", "parameters (bold: required)"], rows)


def feeds() -> str:
    """One line for each feed."""
    rows = [
        [f"`{SENSORS[name]}`" if name in SENSORS else "`StripeNewObjectSensor`", f'`"{name}"`', f"`{feed.path}`"]
        for name, feed in FEEDS.items()
    ]
    return table(["sensor", "feed", "list at Stripe"], rows)


def outputs() -> str:
    """The documented fields of each kind of object."""
    return table(
        ["object", "fields"], [[f"`{kind}`", ", ".join(field.name for field in has)] for kind, has in FIELDS.items()]
    )


def connection() -> str:
    """The fields of the connection form."""
    (form,) = provider_info.get_provider_info()["connection-types"]
    label = form["ui-field-behaviour"]["relabeling"]
    rows = [
        [label["password"], "password", "The secret or restricted key."],
        [label["host"], "host", "For a proxy or a test double. Empty: https://api.stripe.com"],
    ]
    rows += [[field["label"], f"extra: `{name}`", field["description"]] for name, field in form["conn-fields"].items()]
    return table(["field", "where it is stored", "meaning"], rows)


def error_tree() -> str:
    """The tree of errors, as the module has it."""
    tree = (inspect.getdoc(errors) or "").split("\n\n", 1)[1]
    return f"```text\n{tree}\n```\n"


def functions() -> str:
    """The hook's methods, each with its arguments and promise."""
    rows = []
    for name in HOOK_METHODS:
        method = getattr(hooks.StripeHook, name)
        text = ", ".join(f"{p}={d.strip('`')}" if d else p for p, d in defaults(method).items())
        rows.append([f"`{name}({text})`", promise(method)])
    return table(["method", "what it does"], rows)


def asset() -> str:
    """The parameters of stripe_asset."""
    known = described(triggers.stripe_asset)
    rows = [
        [f"`{name}`", default or "required", known.get(name, "id of the connection.")]
        for name, default in defaults(triggers.stripe_asset).items()
    ]
    return table(["parameter", "default", "meaning"], rows)


def limiter() -> str:
    """The parameters of RateLimiter."""
    known = described(ratelimit.RateLimiter)
    rows = [
        [f"`{name}`", default or "required", known[name]]
        for name, default in defaults(ratelimit.RateLimiter).items()
        if name in known
    ]
    return table(["parameter", "default", "meaning"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "actions": actions,
    "feeds": feeds,
    "outputs": outputs,
    "connection": connection,
    "errors": error_tree,
    "hook": functions,
    "asset": asset,
    "limiter": limiter,
    "StripeNewObjectSensor": lambda: parameter_table(sensors.StripeNewObjectSensor),
    **{cls.__name__: (lambda cls=cls: parameter_table(cls)) for cls in OPERATORS},  # type: ignore[misc]
}


def filled(text: str) -> str:
    """A page with every table as the code has it now."""
    return REGION.sub(lambda match: f"{match[1]}{TABLES[match[2]]()}{match[4]}", text)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(filled(page.read_text()))
