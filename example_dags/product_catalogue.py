"""A catalogue of products with prices: what is new is created, what is there is updated."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import dag

from airflow_provider_stripe_lite.operators import StripeCreateProductOperator

# Amounts are in the smallest unit of the currency.
CATALOGUE = [
    ("t-shirt", "T-shirt", "Grey cotton", 1900),
    ("mug", "Mug", "Holds coffee", 900),
]


@dag(schedule=None, start_date=datetime(2026, 1, 1), tags=["stripe", "operator"])
def stripe_product_catalogue():
    """Create each product with its price, by an id of one's own; a second run makes no other."""
    products = [
        {
            "product_id": product_id,
            "name": name,
            "caption": caption,
            "parameters": {"default_price_data": {"currency": "eur", "unit_amount": amount}},
        }
        for product_id, name, caption, amount in CATALOGUE
    ]
    StripeCreateProductOperator.partial(task_id="product", if_exists="update").expand_kwargs(
        products
    )


stripe_product_catalogue()
