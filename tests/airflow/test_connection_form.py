"""The connection form and the parser of the extra judge alike."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from airflow_provider_stripe_lite._options import OPTIONS
from airflow_provider_stripe_lite.errors import StripeInputError
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.provider_info import get_provider_info
from tests.conftest import SetConnection

# An option of the extra, a value for it, and whether it is a good one.
JUDGED: list[tuple[str, Any, bool]] = [
    ("api_version", "2025-02-24.acacia", True),
    ("api_version", "2020-08-27", True),
    ("api_version", None, True),
    ("api_version", "", True),
    ("api_version", "latest", False),
    ("api_version", " 2025-02-24.acacia", False),
    ("api_version", "2025-02-24.acacia ", False),
    ("api_version", "\uff12020-08-27", False),
    ("api_version", 20200827, False),
    ("stripe_account", "acct_1", True),
    ("stripe_account", "1A2b", False),
    ("stripe_account", "acct_", False),
    ("stripe_account", "acct_é", False),
    ("stripe_account", ["acct_1"], False),
    ("stripe_context", "acct_1", True),
    ("stripe_context", "acct_1/acct_2", True),
    ("stripe_context", "acct_1/", False),
    ("stripe_context", "acct 1", False),
    ("livemode", "false", True),
    ("livemode", None, True),
    ("livemode", 1, False),
    ("livemode", "yes", False),
    ("timeout", 1, True),
    ("timeout", 60, True),
    ("timeout", 12.5, True),
    ("timeout", 600, True),
    ("timeout", None, True),
    ("timeout", 0.5, False),
    ("timeout", 601, False),
    ("timeout", -1, False),
    ("timeout", True, False),
    ("timeout", [5], False),
    ("rate_limit_calls", 1, True),
    ("rate_limit_calls", 5.0, True),
    ("rate_limit_calls", 100_000, True),
    ("rate_limit_calls", 0, False),
    ("rate_limit_calls", 1.5, False),
    ("rate_limit_calls", 200_000, False),
    ("rate_limit_calls", False, False),
    ("rate_limit_period", 1, True),
    ("rate_limit_period", 86_400, True),
    ("rate_limit_period", 0.1, False),
    ("rate_limit_period", 86_401, False),
    ("rate_limit_period", 100_000, False),
    ("rate_limit_url", "redis://h", True),
    ("rate_limit_url", "rediss://h", True),
    ("rate_limit_url", "file:///tmp/calls", True),
    ("rate_limit_url", "", True),
    ("rate_limit_url", "redis://", False),
    ("rate_limit_url", " redis://h", False),
    ("rate_limit_url", "ftp://x", False),
    ("rate_limit_url", "sqlite:///x", False),
    ("rate_limit_url", "file://x", False),
    ("rate_limit_url", 5, False),
]


def form_accepts(name: str, value: Any) -> bool:
    """Return whether the connection form would store the value."""
    (connection,) = get_provider_info()["connection-types"]
    # Airflow's form stores null for a field that was emptied.
    value = None if value == "" else value
    schema = connection["conn-fields"][name]["schema"]
    return bool(jsonschema.Draft7Validator(schema).is_valid(value))


def option_accepts(name: str, value: Any) -> bool:
    """Return whether the option can be read from the value."""
    try:
        OPTIONS[name].read(value)
    except StripeInputError:
        return False
    return True


def refusal() -> str:
    """Return why no client can be made of stripe_default, or nothing."""
    try:
        StripeHook().get_conn()
    except StripeInputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("name", "value", "good"), JUDGED)
def test_the_form_and_the_parser_judge_alike(
    name: str, value: Any, good: bool, set_connection: SetConnection
) -> None:
    """No value passes the form and then fails the task, or the other way round."""
    set_connection(extra={name: value})
    assert form_accepts(name, value) is good
    assert option_accepts(name, value) is good
    assert (refusal() == "") is good
    assert good or name in refusal()


def test_each_option_is_judged_both_ways() -> None:
    """The table has a good and a bad value of each field of the form."""
    (connection,) = get_provider_info()["connection-types"]
    judged = {(name, good) for name, _, good in JUDGED}
    assert judged == {(name, good) for name in connection["conn-fields"] for good in (True, False)}


@pytest.mark.parametrize(
    ("name", "value", "good"),
    [
        ("timeout", "60", True),
        ("timeout", "0.5", False),
        ("rate_limit_calls", "50", True),
        ("rate_limit_calls", "1.5", False),
        ("rate_limit_calls", "200000", False),
        ("rate_limit_period", "30.5", True),
        ("rate_limit_period", "86401", False),
    ],
)
def test_a_number_may_be_text_for_the_parser_alone(name: str, value: str, good: bool) -> None:
    """The URI form of a connection has only text; its numbers keep to the form's bounds."""
    assert not form_accepts(name, value)
    assert option_accepts(name, value) is good
    assert form_accepts(name, float(value)) is good
