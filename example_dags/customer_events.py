"""When a customer is added, without a schedule: Stripe is watched, and a new one starts a run."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import dag, task

from airflow_provider_stripe_lite.assets import stripe_asset
from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor


@dag(
    schedule=[stripe_asset("stripe_customers", feed="customer")],
    start_date=datetime(2026, 1, 1),
    tags=["stripe", "asset"],
)
def stripe_customer_events():
    """Welcome every new customer exactly once; between two runs no worker waits.

    The triggerer looks every two minutes, once for all DAGs that have the asset in their schedule.
    A run in which nothing is new is skipped: there is one at the start, and one in each hour in
    which nothing comes.
    """
    new = StripeNewCustomerSensor(task_id="new", timeout=0, soft_fail=True, retries=3)

    @task(retries=3)
    def welcome(customers: list[dict]) -> list[str]:
        for customer in customers:
            print(f"Welcome, {customer['id']}, customer since {customer['created']}")
        return [customer["id"] for customer in customers]

    welcome(new.output)


stripe_customer_events()
