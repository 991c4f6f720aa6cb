"""The filters of the fake's lists: all that Stripe has, and what they do."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_stripe_lite.core.resources import RESOURCES, FeedName
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.contract.calls import call, listed

pytestmark = pytest.mark.contract

# A list, the fields of an object in it, filters that find the object, and some that do not.
Case = tuple[FeedName, dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]


def items(**fields: Any) -> dict[str, Any]:
    """Return an inner list with one object."""
    return {"object": "list", "data": [fields]}


CASES: list[Case] = [
    (
        "checkout.session",
        {"customer_account": "acct_1", "customer_details": {"email": "a@b.example", "phone": None}},
        [{"customer_account": "acct_1"}, {"customer_details[email]": "a@b.example"}],
        [{"customer_account": "acct_2"}, {"customer_details[email]": "c@d.example"}],
    ),
    (
        "customer",
        {"test_clock": "clock_1"},
        [{"test_clock": "clock_1"}],
        [{"test_clock": "clock_2"}],
    ),
    (
        "identity.verification_session",
        {"related_customer_account": "acct_1"},
        [{"related_customer_account": "acct_1"}],
        [{"related_customer_account": "acct_2"}],
    ),
    (
        "invoiceitem",
        {"customer_account": "acct_1"},
        [{"customer_account": "acct_1"}, {"pending": "true"}],
        [{"customer_account": "acct_2"}, {"pending": "false"}],
    ),
    ("invoiceitem", {"invoice": "in_1"}, [{"pending": "false"}], [{"pending": "true"}]),
    (
        "issuing.card",
        {"personalization_design": "ics_1"},
        [{"personalization_design": "ics_1"}],
        [{"personalization_design": "ics_2"}],
    ),
    ("product", {"type": "good"}, [{"type": "good"}], [{"type": "service"}]),
    (
        "radar.value_list",
        {"list_items": items(value="203.0.113.7")},
        [{"contains": "203.0.113.7"}],
        [{"contains": "203.0.113.8"}],
    ),
    (
        "subscription_schedule",
        {"canceled_at": 1000, "status": "not_started"},
        [
            {"canceled_at": 1000},
            {"canceled_at[gte]": 1000, "canceled_at[lt]": 1001},
            {"canceled_at[gt]": 999, "canceled_at[lte]": 1000},
            {"scheduled": "true"},
            {"scheduled": "false"},
        ],
        [{"canceled_at": 999}, {"canceled_at[gt]": 1000}, {"completed_at[gte]": 0}],
    ),
    (
        "subscription_schedule",
        {"completed_at": 5, "released_at": 6, "status": "active"},
        [{"completed_at": 5, "released_at": 6}, {"released_at[lte]": 6}, {"scheduled": "false"}],
        [{"completed_at[lt]": 5}, {"released_at[gt]": 6}, {"scheduled": "true"}],
    ),
    (
        "subscription",
        {"automatic_tax": {"enabled": True}, "current_period_start": 10, "current_period_end": 20},
        [
            {"automatic_tax[enabled]": "true"},
            {"current_period_start[gte]": 10, "current_period_end": 20},
        ],
        [{"automatic_tax[enabled]": "false"}, {"current_period_end[lt]": 20}],
    ),
    (
        "subscription",
        {"items": items(current_period_start=10, current_period_end=20)},
        [{"current_period_end[gt]": 19}],
        [{"current_period_start[gt]": 10}, {"automatic_tax[enabled]": "true"}],
    ),
    (
        "invoice_payment",
        {"payment": {"type": "payment_intent", "payment_intent": "pi_1"}},
        [{"payment[type]": "payment_intent", "payment[payment_intent]": "pi_1"}],
        [{"payment[type]": "payment_record"}, {"payment[payment_record]": "pr_1"}],
    ),
    ("invoice", {"due_date": 7}, [{"due_date[lt]": 8}, {"due_date": 7}], [{"due_date[lt]": 7}]),
    ("payout", {"arrival_date": 7}, [{"arrival_date[gte]": 7}], [{"arrival_date[gt]": 7}]),
    ("topup", {"amount": 700}, [{"amount[gte]": 700}, {"amount": 700}], [{"amount[lt]": 700}]),
    (
        "event",
        {"pending_webhooks": 1},
        [{"delivery_success": "false"}],
        [{"delivery_success": "true"}],
    ),
    (
        "order",
        {"upstream_id": "up_1", "status_transitions": {"paid": 7, "fulfiled": 9}},
        [
            {"upstream_ids[0]": "up_1"},
            {"status_transitions[paid][gte]": 7},
            {"status_transitions[fulfilled]": 9},
        ],
        [{"upstream_ids[0]": "up_2"}, {"status_transitions[paid]": 8}],
    ),
]
VERSIONS = {"order": "2020-08-27"}


@pytest.mark.parametrize(("kind", "fields", "found", "others"), CASES)
def test_a_filter_finds_what_its_field_says(
    fake: FakeStripe,
    kind: FeedName,
    fields: dict[str, Any],
    found: list[dict[str, Any]],
    others: list[dict[str, Any]],
) -> None:
    """An object is listed by the filters that fit it, and by no other."""
    fake.default_version = VERSIONS.get(kind, fake.default_version)
    one = fake.add(kind, **fields)
    for params in found:
        assert listed(fake, RESOURCES[kind].path, **params) == ([one], False), params
    for params in others:
        assert listed(fake, RESOURCES[kind].path, **params) == ([], False), params


@pytest.mark.parametrize(
    ("path", "param", "value", "words"),
    [
        ("subscriptions", "automatic_tax[color]", "red", "unknown parameter: automatic_tax[color]"),
        ("subscriptions", "automatic_tax", "true", "Invalid hash: true"),
        ("subscriptions", "current_period_end[foo]", 1, "parameter: current_period_end[foo]"),
        ("subscriptions", "current_period_end[gt]", "x", "Invalid integer: x"),
        ("subscriptions", "customer[gte]", 5, "Invalid string: "),
        ("payouts", "arrival_date", "x", "Invalid integer: x"),
        ("products", "ids", "prod_1", "Invalid array: prod_1"),
        ("invoiceitems", "pending", "maybe", "Invalid boolean: maybe"),
    ],
)
def test_a_filter_in_a_wrong_form_is_refused(
    fake: FakeStripe, path: str, param: str, value: Any, words: str
) -> None:
    """Nothing is guessed."""
    refused = call(fake, "GET", f"/v1/{path}", {param: value})
    assert (refused.status_code, words in refused.json()["error"]["message"]) == (400, True)
