"""When a customer is added: one mapped task for each new customer, every two minutes."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import dag, task

from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor


@dag(schedule=timedelta(minutes=2), start_date=datetime(2026, 1, 1), tags=["stripe", "sensor"])
def stripe_new_customers():
    """Welcome every new customer exactly once, also after a retry or a clear.

    Each run looks once, and is skipped where nobody is new; with a ``timeout`` it would wait for
    somebody, and give its worker slot back meanwhile.
    """
    new = StripeNewCustomerSensor(task_id="new", timeout=0, soft_fail=True, retries=3)

    @task(retries=3)
    def welcome(customer: dict) -> str:
        print(f"Welcome, {customer['id']}, customer since {customer['created']}")
        return customer["id"]

    welcome.expand(customer=new.output)


stripe_new_customers()
