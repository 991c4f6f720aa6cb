"""The changelog is that of the version at hand, and names what has come and gone since 0.1."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

from airflow_provider_stripe_lite import assets, operators, sensors, transfers
from airflow_provider_stripe_lite._options import OPTIONS
from dev import docstrings
from tests.docs.blocks import ROOT, VERSION

# What 0.1 had for users: names to import, arguments of operators, sensors and stripe_asset, and
# options of the connection. What was importable and in none of its pages is left out.
NAMES = """
    event_windows get_provider_info stripe_asset
    RateLimiter StripeAlarmTrigger StripeAuthenticationError StripeConnectionError
    StripeCreateCustomerOperator StripeCreateProductOperator StripeDashboardLink StripeError
    StripeGetCustomerOperator StripeHook StripeIdempotencyError StripeInputError
    StripeInvalidRequestError StripeLimiterError StripeNewChargeSensor StripeNewCustomerSensor
    StripeNewInvoiceItemSensor StripeNewObjectSensor StripeNewObjectTrigger StripeNewOrderSensor
    StripeNotFoundError StripePermissionError StripeRateLimitError StripeReplayedError
    StripeRequestLogLink StripeRetryPolicy StripeServerError StripeUpdateCustomerOperator
    StripeUpdateProductOperator WouldWait __version__
"""
PARAMETERS = """
    active advance_after allow_fast_polling caption cursor_variable customer_email customer_id
    deferrable description feed fields idempotency_key images max_items metadata mode name output
    poke_interval poll_interval product_id retry_policy settle shippable start_from stripe_conn_id
    url
"""
EXTRA = "api_version rate_limit_calls rate_limit_period rate_limit_url stripe_account timeout"

CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
PACKAGE = ROOT / "airflow_provider_stripe_lite"


def section(heading: str) -> str:
    """Return what stands below a heading, down to the next one of its rank."""
    rank = re.match("#+", heading)[0]  # type: ignore[index]
    _, _, behind = CHANGELOG.partition(f"\n{heading}")
    assert behind, f"no {heading}"
    return re.split(rf"\n#{{2,{len(rank)}}} ", behind)[0]


def words(text: str) -> set[str]:
    """Return the words of everything that is set as code."""
    return {word for code in re.findall(r"`([^`]+)`", text) for word in re.findall(r"\w+", code)}


def public_modules() -> Iterator[Any]:
    """Yield the modules that a user may import from, ``testing`` as one of them."""
    for path in [*PACKAGE.glob("*.py"), PACKAGE / "testing"]:
        if not re.match(r"_(?!_init__)", path.stem):
            yield importlib.import_module(f"{PACKAGE.name}.{path.stem}".removesuffix(".__init__"))


def public_names() -> set[str]:
    """Return every name that a public module offers."""
    return {name for module in public_modules() for name in module.__all__}


def parameters() -> set[str]:
    """Return every argument of an operator, a sensor, a transfer and the asset."""
    tasks = [
        getattr(module, name)
        for module in (operators, sensors, transfers)
        for name in module.__all__
    ]
    return {
        *(name for task in tasks for name in docstrings.parameters(task)),
        *inspect.signature(assets.stripe_asset).parameters,
    }


def test_the_newest_version_is_that_of_the_project() -> None:
    """A version that is raised here and forgotten there would be released without its changes."""
    newest, day = re.findall(r"^## \[(.*?)\](?: - (.*))?$", CHANGELOG, re.MULTILINE)[0]
    assert newest == VERSION
    assert date.fromisoformat(day).isoformat() == day


def test_what_is_new_since_0_1_is_named() -> None:
    """Each new name, argument and option stands in the section of 0.2.0, set as code."""
    new = public_names() - {*NAMES.split()}
    new |= parameters() - {*PARAMETERS.split()}
    new |= OPTIONS.keys() - {*EXTRA.split()}
    assert len(new) > 20
    assert new - words(section("## [0.2.0]")) == set()


def test_what_is_gone_since_0_1_is_named() -> None:
    """Who used it in 0.1 finds it under Changed or Removed."""
    gone = {*NAMES.split()} - public_names()
    gone |= {*PARAMETERS.split()} - parameters()
    gone |= {*EXTRA.split()} - OPTIONS.keys()
    assert len(gone) > 5
    text = section("## [0.2.0]")
    old = words(text.partition("\n### Changed")[2].partition("\n### Fixed")[0])
    assert gone - old == set()
