"""Paths and parameters, encoded as Stripe reads them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_stripe_lite.core.calls import own_path
from airflow_provider_stripe_lite.core.client import StripeClient, encode
from airflow_provider_stripe_lite.errors import StripeInputError
from airflow_provider_stripe_lite.testing import FakeStripe
from airflow_provider_stripe_lite.testing.parameters import unflatten
from tests.helpers import NOW


def test_a_path_segment_cannot_change_the_path(fake: FakeStripe, client: StripeClient) -> None:
    """Whatever an id holds, it stays one segment."""
    fake.add("product", id="a b/c?d#e%2F..")
    body = client.get(own_path("/v1/products", "a b/c?d#e%2F..")).body
    assert body["id"] == "a b/c?d#e%2F.."
    assert own_path("/v1/customers", "../charges") == "/v1/customers/..%2Fcharges"


@pytest.mark.parametrize(
    ("params", "form"),
    [
        ({"a": None, "b": 1}, "b=1"),
        ({"a": ""}, "a="),
        ({"a": True, "b": False}, "a=true&b=false"),
        ({"a": [1, "x"]}, "a[0]=1&a[1]=x"),
        ({"a": []}, "a="),
        ({"a": {"b": {"c": 1}, "d": None}}, "a[b][c]=1"),
        ({"a": [{"b": 1}, {"b": 2}]}, "a[0][b]=1&a[1][b]=2"),
        ({"a": datetime(2026, 2, 2, 2, 40, 0)}, f"a={NOW}"),  # noqa: DTZ001
        ({"a": datetime(2026, 2, 2, 2, 40, 0, 999, UTC)}, f"a={NOW}"),
        ({"a": datetime(2026, 2, 2, 4, 40, 0, tzinfo=timezone(timedelta(hours=2)))}, f"a={NOW}"),
        ({"a": Decimal("1.50"), "b": 2.5}, "a=1.50&b=2.5"),
        ({"created[lt]": 5}, "created[lt]=5"),
    ],
)
def test_parameters_are_encoded_as_stripe_reads_them(params: dict[str, Any], form: str) -> None:
    """Nothing for None, brackets for what is nested, indexes for lists, epoch seconds for times."""
    assert encode(params).replace("%5B", "[").replace("%5D", "]") == form


def test_a_time_without_a_zone_is_utc_wherever_the_worker_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As Airflow means it, and not the machine's own time."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert encode({"a": datetime(2026, 2, 2, 2, 40, 0)}) == f"a={NOW}"  # noqa: DTZ001
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("value", [b"bytes", object(), {1, 2}, 1j])
def test_a_value_without_such_a_form_is_refused(
    fake: FakeStripe, client: StripeClient, value: Any
) -> None:
    """The sentence names the parameter, and nothing is sent."""
    with pytest.raises(StripeInputError, match=r"^metadata\[x\] cannot be sent"):
        client.post("/v1/customers", {"metadata": {"x": value}})
    assert fake.calls == []


NAMES = st.text("abcxyz_", min_size=1, max_size=5)
TREES = st.recursive(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(NAMES, inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)


@settings(
    deadline=None,
    database=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.dictionaries(NAMES, TREES, max_size=3))
def test_what_is_encoded_is_what_the_server_decodes(tree: dict[str, Any]) -> None:
    """Any nesting and any text comes back as it was."""

    # The server knows a list by its parameter only.
    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return {str(index): plain(item) for index, item in enumerate(value)}
        return (
            {name: plain(item) for name, item in value.items()}
            if isinstance(value, dict)
            else value
        )

    assert unflatten(parse_qsl(encode(tree), keep_blank_values=True)) == plain(tree)
