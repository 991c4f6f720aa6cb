"""Make the reference and the tables of docs from the code: ``python -m dev.reference``.

They come from signatures, docstrings, imports, ``RESOURCES`` and ``OPTIONS``, and stand between
marks such as ``<!-- table:feeds -->``. A test fails where a page is out of date.
"""

from __future__ import annotations

import inspect
import os
import re
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # Airflow makes its home when it is imported, and this command needs none that stays.
    _HOME = tempfile.TemporaryDirectory(prefix="airflow-reference-")
    os.environ["AIRFLOW_HOME"] = _HOME.name

from airflow_provider_stripe_lite import assets, errors, hooks, operators, sensors, transfers
from airflow_provider_stripe_lite._operator import StripeOperator
from airflow_provider_stripe_lite._options import OPTIONS, Option
from airflow_provider_stripe_lite.core.ratelimit import limiter_for
from airflow_provider_stripe_lite.core.resources import RESOURCES, Resource
from airflow_provider_stripe_lite.core.window import Window
from dev import module_graph
from dev.docstrings import defaults, described, entry, parameters, promise

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "airflow_provider_stripe_lite"
PAGES = sorted((ROOT / "docs").glob("*.md"))
REGION = re.compile(r"(<!-- table:([\w.]+) -->\n)(.*?)(<!-- /table -->)", re.DOTALL)

OPERATORS = (
    operators.StripeCreateProductOperator,
    operators.StripeUpdateProductOperator,
    operators.StripeGetCustomerOperator,
    operators.StripeCreateCustomerOperator,
    operators.StripeUpdateCustomerOperator,
    operators.StripeApiOperator,
)
SENSORS = (
    sensors.StripeNewCustomerSensor,
    sensors.StripeNewChargeSensor,
    sensors.StripeNewInvoiceItemSensor,
    sensors.StripeNewOrderSensor,
)
HOOK_METHODS = (
    "request",
    "create_product",
    "update_product",
    "get_customer",
    "create_customer",
    "update_customer",
    "list",
    "read",
    "get_conn",
    "test_connection",
)
# What Stripe says of a list, and no field of its record does.
NOTES = {
    "account": "Accounts connected to a platform's. One that Stripe sends without `created` is "
    "delivered in the order of the list, and the log names it.",
    "apps.install": "Which installs are listed depends on the key.",
    "customer": "Customers of test clocks are not in this list.",
    "event": "Stripe keeps events for 30 days, each in the API version of its own time.",
    "plan": "Stripe's older name of recurring prices.",
    "subscription": "Subscriptions of test clocks are not in this list.",
    "subscription_schedule": "Schedules of test clocks are not in this list.",
}


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Lay a Markdown table out; a bar inside a cell is escaped."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines
    )


def parameter_table(cls: type) -> str:
    """Return name, default and meaning, what is required first, and what Airflow renders."""
    templated = getattr(cls, "template_fields", ())
    rows = []
    for name, (default, meaning) in sorted(
        parameters(cls).items(), key=lambda item: item[1][0] != ""
    ):
        text = meaning.replace("(templated)", "").strip()
        rows.append([f"`{name}`", default or "required", text, "yes" if name in templated else ""])
    return table(["parameter", "default", "meaning", "templated"], rows)


def actions() -> str:
    """Return one line for each operator."""
    shared = {*parameters(StripeOperator), "idempotency_key"}
    rows = []
    for cls in OPERATORS:
        own = {name: had for name, (had, _) in parameters(cls).items() if name not in shared}
        names = ", ".join(name if default else f"**{name}**" for name, default in own.items())
        rows.append([f"`{cls.__name__}`", names])
    return table(["operator", "parameters (bold: required)"], rows)


def named_sensors() -> str:
    """Return one line for each sensor that has its feed filled in."""
    rows = [
        [f"`{cls.__name__}`", f'`"{cls.feed}"`', f"`{RESOURCES[cls.feed].path}`"] for cls in SENSORS
    ]
    return table(["sensor", "feed", "list at Stripe"], rows)


def feeds() -> str:
    """Return one line for each list that can be polled."""
    rows = [
        [f'`"{name}"`', f"`{feed.path}`", f"`{feed.time_field}`", _to_know(feed)]
        for name, feed in RESOURCES.items()
    ]
    return table(["feed", "list at Stripe", "time field", "what to know"], rows)


def _to_know(feed: Resource) -> str:
    """Return what is particular about a list."""
    parts = ["Rows have [documented fields](#output)."] if feed.fields else []
    if feed.always:
        always = ", ".join(f"`{name}={value}`" for name, value in feed.always)
        parts.append(f"Always read with {always}.")
    parts += [text for text in (NOTES.get(feed.object), feed.absent_hint) if text]
    return " ".join(parts)


def outputs() -> str:
    """Return the documented fields of each kind of object that has any."""
    rows = [
        [f"`{kind}`", ", ".join(field.name for field in resource.fields)]
        for kind, resource in RESOURCES.items()
        if resource.fields
    ]
    return table(["object", "fields"], rows)


def window() -> str:
    """Return the keys of a window."""
    rows = [[f"`{name}`", text] for name, text in described(Window, "ivar").items()]
    return table(["key", "what it holds"], rows)


def connection() -> str:
    """Return the fields of the connection form."""
    rows = [
        ["API key", "password", "`sk_…`, `rk_…`", "The secret or restricted key."],
        ["API base URL", "host", "a URL", "For a proxy or a fake. Empty: https://api.stripe.com"],
    ]
    for name, option in OPTIONS.items():
        rows.append([option.label, f"extra: `{name}`", _takes(option), option.field["description"]])
    return table(["field", "where it is stored", "takes", "meaning"], rows)


def _takes(option: Option) -> str:
    """Return what an option may be."""
    if option.type == "string":
        texts = {"api_version": "a version", "rate_limit_url": "a URL"}
        return texts.get(option.name, "`acct_…`")
    if option.type == "boolean":
        return "true or false"
    least, most = option.bounds
    return f"{'a whole number, ' if option.type == 'integer' else ''}{least} to {most:,}"


def error_tree() -> str:
    """Return the tree of errors, as the module has it."""
    tree = (inspect.getdoc(errors) or "").split("\n\n", 1)[1]
    return f"```text\n{tree}\n```\n"


def functions() -> str:
    """Return the hook's methods, each with its arguments and promise."""
    rows = []
    for name in HOOK_METHODS:
        method = getattr(hooks.StripeHook, name)
        given = defaults(method).items()
        text = ", ".join(f"{p}={d.strip('`')}" if d else p for p, d in given)
        rows.append([f"`{name}({text})`", promise(method)])
    return table(["method", "what it does"], rows)


def call_table(call: Callable[..., Any], documented: Any) -> str:
    """Return name, default and meaning of each documented parameter of a function."""
    known = described(documented)
    rows = [
        [f"`{name}`", default or "required", known[name]]
        for name, default in defaults(call).items()
        if name in known
    ]
    return table(["parameter", "default", "meaning"], rows)


def modules() -> str:
    """Return which module knows which, and which ones know Airflow; the fake is left out."""
    rows = [
        [f"`{file}`", ", ".join(f"`{name}`" for name in known), "yes" if airflow else ""]
        for file, known, airflow in module_graph.knowledge(PACKAGE)
    ]
    return table(["module", "knows", "imports Airflow"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "actions": actions,
    "sensors": named_sensors,
    "feeds": feeds,
    "outputs": outputs,
    "window": window,
    "connection": connection,
    "errors": error_tree,
    "hook": functions,
    "hook.init": lambda: call_table(hooks.StripeHook.__init__, hooks.StripeHook),
    "asset": lambda: entry(
        assets.stripe_asset, call_table(assets.stripe_asset, assets.stripe_asset)
    ),
    "modules": modules,
    "limiter": lambda: call_table(limiter_for, limiter_for),
    "StripeEventSensor": lambda: entry(
        sensors.StripeEventSensor,
        call_table(sensors.StripeEventSensor.__init__, sensors.StripeEventSensor),
    ),
    **{
        cls.__name__: (lambda cls=cls: entry(cls, parameter_table(cls)))  # type: ignore[misc]
        for cls in (
            *OPERATORS,
            sensors.StripeNewObjectSensor,
            transfers.StripeToObjectStorageOperator,
        )
    },
}


def filled(text: str) -> str:
    """Return a page with every table as the code has it now."""
    return REGION.sub(lambda match: f"{match[1]}{TABLES[match[2]]()}{match[4]}", text)


def main() -> None:
    """Write the tables into the pages."""
    for page in PAGES:
        page.write_text(filled(page.read_text()))


if __name__ == "__main__":
    main()
