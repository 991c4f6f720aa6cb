"""Rows hold the documented fields, wherever the API version keeps them, by whatever name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.fields import projection
from airflow_provider_stripe_lite.core.resources import RESOURCES, FeedName
from airflow_provider_stripe_lite.errors import StripeInputError
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.helpers import NOW

VERSIONS = [
    "2019-10-08",
    "2020-08-27",
    "2025-02-24.acacia",
    "2026-05-27.dahlia",
    "2026-10-28.endive",
]
DOCUMENTED = {
    "customer": "id account_balance created currency delinquent description discount email",
    "order": "id amount amount_returned charge created currency customer email"
    " selected_shipping_method status updated",
    "charge": "id amount amount_refunded captured created currency customer description"
    " failure_code failure_message invoice order outcome.network_status outcome.reason"
    " outcome.risk_level outcome.seller_message outcome.type paid receipt_email receipt_number"
    " refunded statement_descriptor status",
    "invoiceitem": "id amount currency customer date description discountable invoice plan"
    " proration quantity subscription",
    "product": "id active caption created description images name shippable updated url",
}
GIVEN: dict[str, dict[str, Any]] = {
    "customer": {
        "balance": -500,
        "currency": "eur",
        "discount": "coupon_1",
        "email": "a@example.com",
    },
    "charge": {"invoice": "in_1", "customer": "cus_1", "order": "or_1"},
    "invoiceitem": {"plan": "plan_1", "subscription": "sub_1", "quantity": 3},
    "product": {"name": "Cup", "description": "Blue"},
    "order": {"charge": "ch_1", "customer": "cus_1", "amount_returned": 5},
}
SEEN: dict[str, dict[str, Any]] = {
    "customer": {
        "account_balance": -500,
        "currency": "eur",
        "discount": "coupon_1",
        "email": "a@example.com",
    },
    "charge": {"customer": "cus_1", "outcome.type": "authorized"},
    "invoiceitem": {"plan": "plan_1", "subscription": "sub_1", "quantity": "3"},
    "product": {"name": "Cup", "description": "Blue", "images": []},
    "order": {"charge": "ch_1", "customer": "cus_1", "amount_returned": 5},
}
WHEN = "2026-02-02T02:40:00+00:00"
DOCUMENTED_KINDS = [kind for kind, resource in RESOURCES.items() if resource.fields]


def leaves(row: dict[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in row.items():
        found |= (
            leaves(value, f"{above}{name}.") if isinstance(value, dict) else {above + name: value}
        )
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", DOCUMENTED)
def test_rows_are_the_same_from_every_api_version(
    fake: FakeStripe, connect: Callable[..., StripeClient], kind: FeedName, version: str
) -> None:
    """Exactly the documented fields, in their order, all JSON, with the values that were given."""
    if kind == "order" and version > "2020-08-27":
        pytest.skip("This API version has no orders.")
    fake.add(kind, created=NOW, **GIVEN[kind])
    [raw] = connect(api_version=version).get(RESOURCES[kind].path).body["data"]
    row = leaves(projection(kind, None)(raw))
    assert list(row) == DOCUMENTED[kind].split()
    assert row.items() >= SEEN[kind].items()
    assert row["date" if kind == "invoiceitem" else "created"] == WHEN
    if kind == "charge":
        # What newer versions no longer tell is null.
        assert row["invoice"] == ("in_1" if version < "2025-03-31" else None)
        assert row["order"] == ("or_1" if version <= "2020-08-27" else None)
    assert json.loads(json.dumps(row)) == row


def test_the_catalogue_has_the_documented_fields() -> None:
    """No more and no fewer."""
    assert {kind: [field.name for field in RESOURCES[kind].fields] for kind in DOCUMENTED} == {
        kind: names.split() for kind, names in DOCUMENTED.items()
    }


@pytest.mark.parametrize("kind", DOCUMENTED_KINDS)
@pytest.mark.parametrize(
    "raw", [{}, dict.fromkeys(["id", "outcome", "discount", "pricing", "parent", "metadata"])]
)
def test_what_is_missing_is_null(kind: str, raw: dict[str, Any]) -> None:
    """Also where the object that would hold it is missing or null: the row keeps its shape."""
    row = projection(kind, None)(raw)
    assert set(leaves(row).values()) == {None}
    assert len(leaves(row)) == len(RESOURCES[kind].fields)


@pytest.mark.parametrize(
    ("kind", "raw", "name", "value"),
    [
        ("charge", {"customer": {"id": "cus_1", "object": "customer"}}, "customer", "cus_1"),
        ("charge", {"customer": {"object": "customer"}}, "customer", None),
        ("charge", {"customer": 5}, "customer", None),
        ("customer", {"account_balance": 0, "balance": 7}, "account_balance", 0),
        ("customer", {"account_balance": None, "balance": 7}, "account_balance", 7),
        ("customer", {"created": 0}, "created", "1970-01-01T00:00:00+00:00"),
        ("customer", {"created": "yesterday"}, "created", None),
        ("customer", {"discount": {"source": {"coupon": {"id": "c"}}}}, "discount", "c"),
        ("customer", {"discount": {"coupon": {"id": "c"}}}, "discount", "c"),
        ("invoiceitem", {"quantity": 0}, "quantity", "0"),
        ("invoiceitem", {"plan": None, "price": {"id": "price_1"}}, "plan", "price_1"),
        (
            "invoiceitem",
            {"pricing": {"price_details": {"price": {"id": "price_1"}}}},
            "plan",
            "price_1",
        ),
        ("product", {"caption": None, "metadata": {"caption": "Nice"}}, "caption", "Nice"),
        ("product", {"active": False}, "active", False),
        (
            "checkout.session",
            {"customer_details": None, "customer_email": "a@example.com"},
            "email",
            "a@example.com",
        ),
    ],
)
def test_a_value_is_found_wherever_it_is(
    kind: str, raw: dict[str, Any], name: str, value: Any
) -> None:
    """Expanded or not, old place or new; a zero and a false are values."""
    assert projection(kind, None)(raw)[name] == value


def test_the_raw_object_can_be_had() -> None:
    """Untouched, whatever is in it but a secret."""
    raw = {"id": "re_1", "object": "refund", "anything": {"new": [1]}}
    assert projection("refund", "*")(raw) == raw


def test_fields_can_be_chosen() -> None:
    """A documented name gives the documented value, any other path what is there, in the order
    asked for.
    """
    raw = {
        "created": 0,
        "id": "cus_1",
        "metadata": {"order_ref": "A1", "a.b": "dotted"},
        "address": {"city": "Bern"},
    }
    asked = [
        "metadata.order_ref",
        "created",
        "address.city",
        "metadata.a.b",
        "address.street.number",
        "id",
    ]
    row = projection("customer", asked)(raw)
    assert row == {
        "metadata": {"order_ref": "A1", "a": {"b": "dotted"}},
        "created": "1970-01-01T00:00:00+00:00",
        "address": {"city": "Bern", "street": {"number": None}},
        "id": "cus_1",
    }
    assert list(row) == ["metadata", "created", "address", "id"]


def test_a_chosen_field_may_be_a_whole_object() -> None:
    """A path need not end at a plain value."""
    raw = {"id": "ch_1", "outcome": {"type": "authorized"}}
    assert projection("charge", ("outcome",))(raw) == {"outcome": {"type": "authorized"}}


@pytest.mark.parametrize("kind", ["refund", "payment_intent", "/v1/prices", "no_such_kind"])
def test_a_kind_without_documented_fields_is_given_as_it_is(kind: str) -> None:
    """An empty row would say nothing."""
    raw = {"id": "x_1", "anything": {"new": [1]}}
    assert projection(kind, None)(raw) == raw
    assert projection(kind, ["anything.new"])(raw) == {"anything": {"new": [1]}}


# --- Paths into lists


LISTED = {
    "id": "ch_1",
    "refunds": {"data": [{"id": "re_0"}, {"id": "re_1"}], "has_more": False},
    "tags": ["a", None],
    "steps": [[1, 2], [3]],
    "codes": {"0": "zero"},
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("refunds.data.0.id", "re_0"),
        ("refunds.data.1", {"id": "re_1"}),
        ("refunds.data.2.id", None),
        ("refunds.data.-1.id", None),
        ("refunds.data.id", None),
        ("refunds.data.1x.id", None),
        ("refunds.data", [{"id": "re_0"}, {"id": "re_1"}]),
        ("tags.0", "a"),
        ("tags.1", None),
        ("tags.0.x", None),
        ("steps.0.1", 2),
        ("codes.0", "zero"),
        ("id.0", None),
    ],
)
def test_a_number_in_a_path_counts_in_a_list(path: str, value: Any) -> None:
    """From 0; where the list is shorter, or there is none, the row has null in its place."""
    row = projection("charge", [path])(LISTED)
    for name in path.split("."):
        row = row[name]
    assert row == value


# --- What is said


def test_a_misspelt_name_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """By the first object that has it not; what is there, and a documented name, is not."""
    make = projection("customer", ["id", "emial", "metadata.a", "nmae.first", "account_balance"])
    for at in range(3):
        row = make({"id": f"cus_{at}", "metadata": {}})
        assert row["emial"] is None
        assert row["nmae"] == {"first": None}
    assert sorted(caplog.messages) == [
        "fields holds 'emial', which cus_0 has not: it is null.",
        "fields holds 'nmae', which cus_0 has not: it is null.",
    ]


def test_nothing_is_said_of_documented_names(caplog: pytest.LogCaptureFixture) -> None:
    """They are null where an API version has them not."""
    for kind in DOCUMENTED_KINDS:
        projection(kind, None)({"id": "x_1"})
        projection(kind, [field.name for field in RESOURCES[kind].fields])({"id": "x_1"})
    assert caplog.messages == []


@pytest.mark.parametrize("time", [10**9 * 31_556_952, 1_770_000_000_000_000, -(10**15), 10**40])
def test_a_time_that_no_calendar_has_is_null_and_said(
    caplog: pytest.LogCaptureFixture, time: int
) -> None:
    """One wrong date does not make the other rows undeliverable."""
    row = projection("customer", ["id", "created"])({"id": "cus_1", "created": time})
    assert row == {"id": "cus_1", "created": None}
    [line] = caplog.messages
    assert str(time) in line
    assert "no calendar" in line


# --- What cannot be chosen


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ([], "^fields is an empty list"),
        ("id", r'^fields must be None, "\*" or a list of dotted paths'),
        (5, r'^fields must be None, "\*" or a list'),
        ({"id"}, r'^fields must be None, "\*" or a list'),
        (["*"], r"^fields holds '\*', which is no dotted path.*for everything give fields=\"\*\""),
        (["metadata.*"], r"^fields holds 'metadata\.\*'"),
        (["id", 5], "^fields holds 5, which is no dotted path"),
        ([""], "^fields holds '', which is no dotted path"),
        (["a..b"], "^fields holds 'a..b'"),
        ([".a"], "^fields holds '.a'"),
        (["a."], "^fields holds 'a.'"),
        (["outcome", "outcome.type"], "^fields holds 'outcome' and a path below it"),
        (["a.b.c", "a.b"], "^fields holds 'a.b' and a path below it: keep one of them"),
    ],
)
def test_what_is_no_list_of_paths_is_refused(fields: Any, words: str) -> None:
    """Before any object is read."""
    with pytest.raises(StripeInputError, match=words) as caught:
        projection("charge", fields)
    assert len(str(caught.value)) < 200
