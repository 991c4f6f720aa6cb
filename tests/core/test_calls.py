"""A call of Stripe's API: which one is an update, and where what it made is read."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_stripe_lite.core.calls import call
from airflow_provider_stripe_lite.core.values import refuse_missing
from airflow_provider_stripe_lite.errors import StripeInputError

UPDATES = [
    *("/v1/customers/cus_1", "/v1/products/SKU%2F2024", "/v1/coupons/SUMMER", "/v1/plans/gold"),
    *("/v1/checkout/sessions/cs_1", "/v1/issuing/cards/ic_1", "/v1/customers/cus_1/sources/card_1"),
    *("/v1/accounts/acct_1/persons/person_1", "/v1/products/create_gift"),
    *("/v1/billing/meters/mtr_1", "/v1/subscription_items/si_1", "/v1/accounts/acct_1"),
    *("/v1/radar/value_lists/rsl_1", "/v1/prices/price_1", "/v1/webhook_endpoints/we_1"),
    *("/v1/transfers/tr_1/reversals/trr_1", "/v1/invoices/in_1/lines/il_1"),
    *("/v1/customers/cus_1/balance_transactions/cbtxn_1", "/v1/sources/src_1"),
    *("/v1/application_fees/fee_1/refunds/fr_1", "/v1/billing/feedback_options/fo_1"),
    "/v1/test_helpers/treasury/outbound_transfers/obt_1",
]
ONCE = [
    *("/v1/payment_records/report_payment", "/v1/three_d_secure/authentications"),
    *("/v1/apps/secrets/delete", "/v1/test_helpers/issuing/cards/ic_1/shipping/ship"),
    *("/v1/gift_cards/cards", "/v1/new_things/thing_1", "/v1/invoices/create_preview"),
    *("/v1/customers", "/v1/refunds", "/v1/checkout/sessions", "/v1/customers/cus_1/sources"),
    *("/v1/charges/ch_1/capture", "/v1/payment_intents/pi_1/confirm", "/v1/invoices/in_1/finalize"),
    *("/v1/transfers/tr_1/reversals", "/v1/subscription_schedules/sub_sched_1/release"),
    *("/v1/billing/meter_events", "/v1/billing/meters/mtr_1/deactivate", "/v1/tax/calculations"),
    *("/v1/tax/transactions/create_reversal", "/v1/tax/transactions/create_from_calculation"),
    *("/v1/test_helpers/test_clocks/clock_1/advance", "/v1/topups/tu_1/cancel"),
    *("/v1/terminal/readers/tmr_1/process_payment_intent", "/v1/tax/settings"),
    *("/v1/test_helpers/issuing/authorizations/iauth_1/capture", "/v1/quotes/qt_1/accept"),
]


@pytest.mark.parametrize("path", UPDATES)
def test_a_post_to_an_object_s_own_path_is_an_update(path: str) -> None:
    """It sets values, and may be done again at any time; no other method is one."""
    assert call("POST", path).is_update
    assert not call("GET", path).is_update
    assert not call("DELETE", path).is_update


@pytest.mark.parametrize("path", ONCE)
def test_a_post_to_a_list_or_a_verb_is_made_once(path: str) -> None:
    """It makes something, or moves money."""
    assert not call("POST", path).is_update


@pytest.mark.parametrize(
    ("path", "made", "read"),
    [
        ("/v1/refunds", "re_1", "/v1/refunds/re_1"),
        ("/v1/products", "SKU/1", "/v1/products/SKU%2F1"),
        ("/v1/charges/ch_1/capture", "ch_1", "/v1/charges/ch_1"),
        ("/v1/products/SKU%2F1/verb", "SKU/1", "/v1/products/SKU%2F1"),
        ("/v1/transfers/tr_1/reversals", "trr_1", "/v1/transfers/tr_1/reversals/trr_1"),
        ("/v1/checkout/sessions", "cs_1", "/v1/checkout/sessions/cs_1"),
        ("/v1/tax/transactions/create_reversal", "tax_1", "/v1/tax/transactions/tax_1"),
        (
            "/v1/test_helpers/test_clocks/clock_1/advance",
            "clock_1",
            "/v1/test_helpers/test_clocks/clock_1",
        ),
        ("/v1/test_helpers/refunds/re_1/expire", "re_1", "/v1/refunds/re_1"),
        ("/v1/test_helpers/confirmation_tokens", "ctoken_1", "/v1/confirmation_tokens/ctoken_1"),
        ("/v1/products", "v1", "/v1/products/v1"),
        ("/v1/products", "products", "/v1/products/products"),
        ("/v1/new_things/thing_1", "thing_1", "/v1/new_things/thing_1"),
        ("/v1/billing_portal/sessions", "bps_1", None),
        ("/v1/apps/secrets", "appsecret_1", None),
        ("/v1/invoices/create_preview", "upcoming_in_1", None),
    ],
)
def test_what_was_made_can_be_read(path: str, made: str, read: str | None) -> None:
    """Below the list, or where the object stands in the path of a verb, if Stripe reads it."""
    assert call("POST", path).path_of(made) == read


BAD: list[tuple[tuple[Any, ...], str]] = [
    (("PUT", "/v1/customers"), "method must be"),
    (("post", "/v1/customers"), "method must be"),
    ((None, "/v1/customers"), "method must be"),
    (("GET", "customers"), "is no path of Stripe's API"),
    (("GET", "/customers"), "path must begin with /v1/"),
    (("GET", "/v1/customers/"), "path must begin with /v1/ and have a name"),
    (("GET", "/v1/"), "path must begin with /v1/"),
    (("POST", "/v1/charges//capture"), "have a name between slashes"),
    (("GET", "//evil.example/v1/customers"), "is no path of Stripe's API"),
    (("GET", "@evil.example:8080/v1"), "is no path of Stripe's API"),
    (("GET", "https://evil.example/v1/customers"), "is no path of Stripe's API"),
    (("GET", "/v1/customers?limit=3"), "is no path of Stripe's API"),
    (("GET", "/v1/customers/../charges"), "is no path of Stripe's API"),
    (("GET", "/v1/customers/%2e%2e/charges"), "is no path of Stripe's API"),
    (("GET", "/v1/customers/cus_1\n"), "is no path of Stripe's API"),
    (("GET", None), "is no path of Stripe's API"),
    (("GET", 5), "is no path of Stripe's API"),
    (("GET", ""), "is no path of Stripe's API"),
    (("POST", "/v2/core/accounts"), "A POST to /v2 is JSON"),
    (("POST", "/v1/refunds", "charge=ch_1"), "parameters must be a mapping"),
    (("POST", "/v1/refunds", [("charge", "ch_1")]), "parameters must be a mapping"),
    (("POST", "/v1/refunds", {"a": {1}}), "a cannot be sent"),
    (("POST", "/v1/ü"), "letter that is not percent-encoded"),
    (("jenny@example.com", "/v1/refunds"), "got '<e-mail>'"),
    (("POST", "/sk_live_abcdefgh12345"), "got '/sk_live_***'"),
]


@pytest.mark.parametrize(("asked", "words"), BAD, ids=range(len(BAD)))
def test_what_is_no_call_is_refused(asked: tuple[Any, ...], words: str) -> None:
    """In one sentence that names what it is."""
    with pytest.raises(StripeInputError) as caught:
        call(*asked)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "place"),
    [
        ("customer_email", "None", "customer_email"),
        ("metadata", {"a": "b", "order": "None"}, "metadata[order]"),
        (
            "parameters",
            {"items": [{"price": "p"}, {"price": "None"}]},
            "parameters[items][1][price]",
        ),
        ("path", "/v1/customers/None", "path"),
        ("path", "None", "path"),
        ("idempotency_key", "order-None", "idempotency_key"),
        ("idempotency_key", "None_1", "idempotency_key"),
    ],
)
def test_what_a_template_makes_of_a_missing_value_is_refused(
    name: str, value: Any, place: str
) -> None:
    """The sentence says where it stands."""
    with pytest.raises(StripeInputError) as caught:
        refuse_missing(name, value)
    holds = "is" if place not in ("path", "idempotency_key") or value == "None" else "holds"
    assert str(caught.value).startswith(f"{place} {holds} the text 'None'")


@pytest.mark.parametrize("value", [None, "", "none", "Nonesuch", {"a": None}, ["x"], 5])
def test_other_values_are_no_missing_ones(value: Any) -> None:
    """None itself is not given."""
    refuse_missing("description", value)
