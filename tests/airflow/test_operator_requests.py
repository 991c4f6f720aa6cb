"""What operators send to Stripe, and the rows that they return."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite.core.resources import RESOURCES
from airflow_provider_stripe_lite.operators import (
    StripeCreateCustomerOperator,
    StripeCreateProductOperator,
    StripeGetCustomerOperator,
    StripeUpdateCustomerOperator,
    StripeUpdateProductOperator,
)
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.conftest import SetConnection
from tests.harness import Run
from tests.helpers import NOW, posts

CUSTOMER = {
    "id",
    "account_balance",
    "created",
    "currency",
    "delinquent",
    "description",
    "discount",
    "email",
}
PRODUCT = {
    "id",
    "active",
    "caption",
    "created",
    "description",
    "images",
    "name",
    "shippable",
    "updated",
    "url",
}


def test_create_product_sends_every_parameter(dag: DAG, stripe: FakeStripe) -> None:
    """All parameters reach Stripe under its names; the row has exactly the documented fields."""
    images = [f"https://example.com/{number}.png" for number in range(8)]
    with dag:
        StripeCreateProductOperator(
            task_id="act",
            name="T-shirt",
            product_id="shirt-1",
            active=False,
            caption="Grey",
            description="Cotton",
            images=images,
            shippable=True,
            url="https://example.com/shirt",
            metadata={"sku": "A-1", "n": 3, "new": True},
        )
    row = Run.whole(dag, NOW).xcom("act")
    assert dict(posts(stripe)[0].form) == {
        "id": "shirt-1",
        "name": "T-shirt",
        "active": "false",
        "description": "Cotton",
        "shippable": "true",
        "url": "https://example.com/shirt",
        "metadata[sku]": "A-1",
        "metadata[n]": "3",
        "metadata[new]": "true",
        "metadata[caption]": "Grey",
        **{f"images[{index}]": url for index, url in enumerate(images)},
    }
    assert row.pop("created") == row.pop("updated") == "2026-02-02T02:40:00+00:00"
    assert row == {
        "id": "shirt-1",
        "active": False,
        "caption": "Grey",
        "description": "Cotton",
        "images": images,
        "name": "T-shirt",
        "shippable": True,
        "url": "https://example.com/shirt",
    }


def test_nothing_is_sent_for_what_was_not_given(dag: DAG, stripe: FakeStripe) -> None:
    """Of a product only the name, of a customer one value; and every row has all its fields."""
    with dag:
        StripeCreateProductOperator(task_id="product", name="Mug")
        StripeCreateCustomerOperator(task_id="customer", description="Jenny")
    run = Run(dag, NOW).go()
    assert {request.path: request.form for request in posts(stripe)} == {
        "/v1/products": [("name", "Mug")],
        "/v1/customers": [("description", "Jenny")],
    }
    assert (
        set(run.xcom("product")) == PRODUCT == {field.name for field in RESOURCES["product"].fields}
    )
    assert (
        set(run.xcom("customer"))
        == CUSTOMER
        == {field.name for field in RESOURCES["customer"].fields}
    )


def test_an_update_unsets_by_an_empty_text(dag: DAG, stripe: FakeStripe) -> None:
    """An empty text (or list of images) unsets on an update; what is not given stays."""
    customer = stripe.add(
        "customer", description="Old", email="old@example.com", metadata={"a": "1", "b": "2"}
    )
    product = stripe.add(
        "product",
        description="Old",
        images=["https://example.com/1.png"],
        metadata={"caption": "Old"},
    )
    with dag:
        StripeUpdateCustomerOperator(
            task_id="customer", customer_id=customer, description="", metadata={"a": ""}, fields="*"
        )
        StripeUpdateProductOperator(
            task_id="product", product_id=product, name="New", description="", images=[], caption=""
        )
    run = Run(dag, NOW).go()
    row = run.xcom("customer")
    assert (row["description"], row["email"], row["metadata"]) == (
        None,
        "old@example.com",
        {"b": "2"},
    )
    row = run.xcom("product")
    assert (row["name"], row["description"], row["images"], row["caption"]) == (
        "New",
        None,
        [],
        None,
    )


def test_a_create_leaves_empty_texts_out(dag: DAG, stripe: FakeStripe) -> None:
    """A create has nothing to unset: an empty description or e-mail is as good as none."""
    with dag:
        StripeCreateCustomerOperator(
            task_id="act", description="", customer_email="", metadata={"a": "b"}
        )
    assert Run(dag, NOW).go().state() == "success"
    assert posts(stripe)[0].form == [("metadata[a]", "b")]


@pytest.mark.parametrize(
    "images",
    [
        ["https://a.example/1.png", "https://a.example/2.png"],
        "https://a.example/1.png,https://a.example/2.png",
        "https://a.example/1.png\nhttps://a.example/2.png\n",
    ],
)
def test_images_are_a_list_or_a_text(dag: DAG, stripe: FakeStripe, images: Any) -> None:
    """Commas or line ends may stand between the URLs of a text."""
    with dag:
        StripeCreateProductOperator(task_id="act", name="Mug", images=images)
    assert Run(dag, NOW).go().xcom("act")["images"] == [
        "https://a.example/1.png",
        "https://a.example/2.png",
    ]


@pytest.mark.parametrize(
    ("version", "sent"),
    [
        ("2019-10-08", {"caption": "Grey", "type": "good"}),
        ("2020-08-27", {"caption": "Grey"}),
        ("2022-08-01", {"metadata[caption]": "Grey"}),
        ("2026-05-27.dahlia", {"metadata[caption]": "Grey"}),
    ],
)
def test_the_caption_travels_as_the_api_version_allows(
    dag: DAG, fake: FakeStripe, set_connection: SetConnection, version: str, sent: dict[str, str]
) -> None:
    """Natively up to 2020-08-27, in the metadata after it; rows and updates have it in any case."""
    set_connection(extra={"api_version": version})
    with dag:
        create = StripeCreateProductOperator(task_id="create", name="Shirt", caption="Grey")
        StripeUpdateProductOperator(
            task_id="update", product_id=create.output["id"], name="Shirt", caption="Blue"
        )
    run = Run(dag, NOW).go()
    assert dict(posts(fake)[0].form) == {"name": "Shirt"} | sent
    assert run.xcom("create")["caption"] == "Grey"
    assert run.xcom("update")["caption"] == "Blue"
    assert posts(fake)[0].headers["stripe-version"] == version


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        (None, CUSTOMER),
        (["id", "metadata.order_ref"], {"id", "metadata"}),
        (("email",), {"email"}),
    ],
)
def test_fields_choose_what_the_row_has(
    dag: DAG, stripe: FakeStripe, fields: Any, keys: set[str]
) -> None:
    """The documented fields, or those that are named."""
    made = stripe.add("customer", metadata={"order_ref": "A-1"})
    with dag:
        StripeGetCustomerOperator(task_id="act", customer_id=made, fields=fields)
    row = Run(dag, NOW).go().xcom("act")
    assert set(row) == keys
    assert row.get("metadata", {"order_ref": "A-1"}) == {"order_ref": "A-1"}
