"""Stripe's own Python library and this client put the same parameters on the wire."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_stripe_lite.testing import FakeStripe
from tests.helpers import client_for

stripe = pytest.importorskip("stripe", reason="The official library is not installed.")

pytestmark = pytest.mark.contract

ADDRESS = {"line1": "Gasse 1", "city": "Zürich", "postal_code": "8001", "country": "CH"}
BODIES: list[tuple[str, dict[str, Any]]] = [
    ("/v1/customers", {"email": "a+b@example.com", "name": "Jenny Rosen & Co."}),
    ("/v1/customers", {"address": ADDRESS, "shipping": {"name": "J", "address": ADDRESS}}),
    ("/v1/customers", {"metadata": {"order ref": "7/3", "ß": "ü", "dots.in.it": "1.10"}}),
    ("/v1/customers", {"preferred_locales": ["de", "fr-CH"], "tax": {"ip_address": "::1"}}),
    ("/v1/customers", {"description": None, "balance": -1900, "validate": True}),
    ("/v1/customers/cus_1", {"description": "", "metadata": {"gone": ""}}),
    (
        "/v1/products",
        {"name": "Mug 🎩", "active": False, "images": ["https://example.com/?a=1&b=2"]},
    ),
    ("/v1/products", {"name": "T", "marketing_features": [{"name": "Soft"}, {"name": "Grey"}]}),
    ("/v1/products", {"name": "P", "default_price_data": {"currency": "eur", "unit_amount": 900}}),
    ("/v1/prices", {"product": "mug", "currency": "eur", "unit_amount_decimal": "0.5"}),
    (
        "/v1/prices",
        {"tiers": [{"up_to": 10, "unit_amount": 5}, {"up_to": "inf", "flat_amount": 9}]},
    ),
    ("/v1/prices", {"recurring": {"interval": "month", "interval_count": 3}, "currency": "usd"}),
    ("/v1/refunds", {"charge": "ch_1", "amount": 900, "reason": "requested_by_customer"}),
    ("/v1/charges/ch_1/capture", {"amount": 900, "expand": ["customer", "balance_transaction"]}),
    ("/v1/transfers/tr_1/reversals", {"amount": 900, "refund_application_fee": True}),
    ("/v1/webhook_endpoints", {"url": "https://example.com/hook", "enabled_events": ["*"]}),
    ("/v1/subscriptions", {"customer": "cus_1", "items": [{"price": "p_1", "quantity": 2}]}),
    ("/v1/subscriptions", {"items": [{"price_data": {"recurring": {"interval": "day"}}}]}),
    (
        "/v1/subscriptions",
        {"trial_end": datetime(2026, 2, 1, tzinfo=UTC), "proration_behavior": "none"},
    ),
    ("/v1/invoices", {"payment_settings": {"payment_method_options": {"card": {"x": [1, 2]}}}}),
    ("/v1/checkout/sessions", {"line_items": [{"price": "p", "quantity": 1}], "mode": "payment"}),
    ("/v1/payment_intents", {"amount": 10**9, "payment_method_types": ["card", "link"]}),
]


def test_there_are_twenty() -> None:
    """At least, and none twice."""
    assert len({repr(body) for body in BODIES}) == len(BODIES) >= 20


@pytest.mark.parametrize(("path", "body"), BODIES, ids=range(len(BODIES)))
def test_a_body_goes_out_as_the_library_sends_it(
    fake: FakeStripe, path: str, body: dict[str, Any]
) -> None:
    """Name for name and value for value."""
    fake.fault(method="POST", status=200, body={"id": "x_1", "object": "x"}, every=1)
    theirs = stripe.StripeClient("sk_test_123456789", base_addresses={"api": fake.url})
    theirs.raw_request("post", path, **body)
    client_for(fake.url).post(path, body)
    sent, ours = fake.calls
    assert (ours.path, sorted(ours.form)) == (sent.path, sorted(sent.form))
