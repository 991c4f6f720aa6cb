"""What a module is for is in its `__all__`: nothing more, nothing less, in order."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import airflow_provider_stripe_lite

PACKAGE = "airflow_provider_stripe_lite"
ROOT = Path(airflow_provider_stripe_lite.__file__).parent

# What a user's code may import.
EXPECTED = {
    "assets": {"stripe_asset"},
    "errors": {
        "RateLimitWait",
        "StripeAuthenticationError",
        "StripeCardError",
        "StripeConnectionError",
        "StripeCursorError",
        "StripeError",
        "StripeIdempotencyError",
        "StripeInputError",
        "StripeInvalidRequestError",
        "StripeLimiterError",
        "StripeNotFoundError",
        "StripePermissionError",
        "StripeRateLimitError",
        "StripeReplayedError",
        "StripeServerError",
    },
    "hooks": {"StripeHook"},
    "links": {"StripeDashboardLink", "StripeRequestLogLink"},
    "operators": {
        "StripeApiOperator",
        "StripeCreateCustomerOperator",
        "StripeCreateProductOperator",
        "StripeGetCustomerOperator",
        "StripeUpdateCustomerOperator",
        "StripeUpdateProductOperator",
    },
    "provider_info": {"get_provider_info"},
    "retry_policy": {"StripeRetryPolicy"},
    "sensors": {
        "StripeEventSensor",
        "StripeNewChargeSensor",
        "StripeNewCustomerSensor",
        "StripeNewInvoiceItemSensor",
        "StripeNewObjectSensor",
        "StripeNewOrderSensor",
    },
    "transfers": {"StripeToObjectStorageOperator"},
    "triggers": {"StripeEventTrigger", "StripeSensorTrigger"},
}


def public_modules() -> list[str]:
    """Return the names of all modules of the package, below it, without those that are private."""
    paths = [path.relative_to(ROOT).with_suffix("") for path in ROOT.rglob("*.py")]
    parts = [path.parts[:-1] if path.name == "__init__" else path.parts for path in paths]
    return sorted(".".join(part) for part in parts if not any(n.startswith("_") for n in part))


def defined(name: str) -> set[str]:
    """Return the public names that a module itself defines at its top level."""
    folder = ROOT.joinpath(*name.split(".")) if name else ROOT
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {leaf.id for at in targets for leaf in ast.walk(at) if _is_new(leaf)}
    return {name for name in found if not name.startswith("_")}


def _is_new(leaf: ast.AST) -> bool:
    return isinstance(leaf, ast.Name) and isinstance(leaf.ctx, ast.Store)


def _order(name: str) -> tuple[bool, bool, str]:
    """Return what RUF022 sorts by: constants, then classes, then the rest."""
    return not name.isupper(), not name[:1].isupper(), name


@pytest.mark.parametrize("name", public_modules())
def test_a_module_exports_what_it_defines(name: str) -> None:
    """Every name of `__all__` is there, each once and in order, and no public name is left out."""
    module = importlib.import_module(f"{PACKAGE}.{name}" if name else PACKAGE)
    exported = getattr(module, "__all__", None)
    if exported is None:
        # A package that only holds its modules.
        assert module.__file__ == str(ROOT / name / "__init__.py")
        assert defined(name) == set()
        return
    assert list(exported) == sorted(set(exported), key=_order)
    assert [each for each in exported if not hasattr(module, each)] == []
    assert defined(name) - set(exported) == set()


def test_the_public_modules_are_these() -> None:
    """A module that is new, or gone, is a decision."""
    top = {name for name in public_modules() if name and "." not in name}
    assert top == {*EXPECTED, "core", "testing"}


@pytest.mark.parametrize("name", EXPECTED)
def test_what_users_import_is_there(name: str) -> None:
    """No name of a public module comes or goes unnoticed."""
    module = importlib.import_module(f"{PACKAGE}.{name}")
    assert set(module.__all__) == EXPECTED[name]
