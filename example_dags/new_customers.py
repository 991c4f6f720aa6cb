"""When a customer is added: one mapped task for each new customer, every two minutes."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import dag, task

from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor


@dag(
    schedule=timedelta(minutes=2),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
)
def stripe_new_customers():
    """Welcome every new customer exactly once, also after a retry or a clear.

    A run without new customers waits (and gives its worker slot back) until there is one, or is
    skipped in the end.
    """
    new = StripeNewCustomerSensor(
        task_id="new", mode="reschedule", timeout=timedelta(hours=1), soft_fail=True, retries=3
    )

    @task(retries=3)
    def welcome(customer: dict) -> str:
        print(f"Welcome, {customer['id']}, customer since {customer['created']}")
        return customer["id"]

    welcome.expand(customer=new.output)


stripe_new_customers()
