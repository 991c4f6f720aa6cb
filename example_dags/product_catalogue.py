"""A product catalogue kept in step: what is new is created, what is there is updated."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import dag

from airflow_provider_stripe_lite.operators import (
    StripeCreateProductOperator,
    StripeUpdateProductOperator,
)

CATALOGUE = [
    {"name": "T-shirt", "caption": "Grey cotton", "images": ["https://example.com/t-shirt.png"]},
    {"name": "Mug", "caption": "Holds coffee", "images": "https://example.com/mug.png"},
]


@dag(schedule=None, start_date=datetime(2026, 1, 1))
def stripe_product_catalogue():
    """Create each product once for each run, then put it on sale: two mapped tasks."""
    create = StripeCreateProductOperator.partial(task_id="create", active=False).expand_kwargs(
        CATALOGUE
    )

    StripeUpdateProductOperator.partial(task_id="put_on_sale", active=True).expand_kwargs(
        create.output.map(lambda product: {"product_id": product["id"], "name": product["name"]})
    )


stripe_product_catalogue()
