"""What the fake takes when customers, products and refunds are made, and what they then show."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import stripe as stripe_python
from stripe import RequestOptions, params

from airflow_provider_stripe_lite.testing import FakeStripe
from airflow_provider_stripe_lite.testing.shapes import SHAPES, is_alive
from tests.contract.calls import call

NEW = "2026-05-27.dahlia"


def write(fake: FakeStripe, path: str, version: str = NEW, **form: Any) -> dict[str, Any]:
    """Return the object that a POST makes or changes."""
    answer = call(fake, "POST", path, form=form, Stripe_Version=version)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("kind", ["customer", "product", "refund"])
@pytest.mark.parametrize(("call_name", "elsewhere"), [("Create", "-"), ("Modify", "+")])
def test_all_that_stripe_python_sends_is_taken(kind: str, call_name: str, elsewhere: str) -> None:
    """In its own API version; a product's `type` is one that it still has for old ones."""
    named = getattr(params, f"{kind.capitalize()}{call_name}Params")
    known = set(inspect.get_annotations(named)) - set(inspect.get_annotations(RequestOptions))
    version = stripe_python.api_version
    taken = {
        name
        for name, rule in SHAPES[kind].params.items()
        if rule[-1] != elsewhere and is_alive(kind, name, version)
    }
    assert known - {"expand", "type"} <= taken


def test_a_customer_shows_what_it_is_made_with(fake: FakeStripe) -> None:
    """What Stripe does not show in a customer is taken, and forgotten."""
    made = write(
        fake,
        "/v1/customers",
        **{
            "payment_method": "pm_1",
            "source": "tok_visa",
            "tax[ip_address]": "127.0.0.1",
            "test_clock": "clock_1",
            "invoice_settings[default_payment_method]": "pm_1",
            "invoice_settings[custom_fields][0][name]": "PO",
            "invoice_settings[custom_fields][0][value]": "7",
        },
    )
    assert not {"payment_method", "source", "tax"} & set(made)
    assert made["test_clock"] == "clock_1"
    settings = {
        "custom_fields": [{"name": "PO", "value": "7"}],
        "default_payment_method": "pm_1",
        "footer": None,
        "rendering_options": None,
    }
    assert made["invoice_settings"] == settings
    one = f"/v1/customers/{made['id']}"
    changed = write(fake, one, **{"invoice_settings[footer]": "Bye", "default_source": "card_1"})
    assert changed["invoice_settings"] == settings | {"footer": "Bye"}
    assert changed["default_source"] == "card_1"
    unset = write(fake, one, **{"invoice_settings[custom_fields]": ""})
    assert unset["invoice_settings"] == settings | {"footer": "Bye", "custom_fields": None}


def test_a_product_shows_what_it_is_made_with(fake: FakeStripe) -> None:
    """Its dimensions are numbers, and its default price is named once there is one."""
    made = write(
        fake,
        "/v1/products",
        **{
            "name": "Shirt",
            "tax_code": "txcd_1",
            "marketing_features[0][name]": "Soft",
            "package_dimensions[height]": "1.5",
            "package_dimensions[width]": "2",
        },
    )
    assert made["tax_code"] == "txcd_1"
    assert made["marketing_features"] == [{"name": "Soft"}]
    assert made["package_dimensions"] == {"height": 1.5, "width": 2.0}
    changed = write(
        fake, f"/v1/products/{made['id']}", default_price="price_1", package_dimensions=""
    )
    assert (changed["default_price"], changed["package_dimensions"]) == ("price_1", None)
    wrong = {"name": "x", "package_dimensions[height]": "tall"}
    refused = call(fake, "POST", "/v1/products", form=wrong, Stripe_Version=NEW)
    assert refused.json()["error"]["param"] == "package_dimensions[height]"


def test_a_refund_takes_what_it_does_not_show(fake: FakeStripe) -> None:
    """As for platforms, whose fee and transfer are given back with it."""
    charge = fake.add("charge")
    fee = {"refund_application_fee": "true", "reverse_transfer": "true"}
    made = write(fake, "/v1/refunds", charge=charge, instructions_email="a@example.com", **fee)
    assert made["instructions_email"] == "a@example.com"
    assert not set(fee) & set(made)


@pytest.mark.parametrize(
    ("path", "name"),
    [("customers", "default_source"), ("customers", "card"), ("products", "default_price")],
)
def test_what_only_an_update_has_is_refused_of_a_new_object(
    fake: FakeStripe, path: str, name: str
) -> None:
    form = {"name": "x", name: "y"}
    refused = call(fake, "POST", f"/v1/{path}", form=form, Stripe_Version=NEW)
    assert refused.json()["error"]["message"] == f"Received unknown parameter: {name}"
