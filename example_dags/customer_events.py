"""When a customer is added, without a schedule: every batch of new customers starts a run."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import dag, get_current_context, task

from airflow_provider_stripe_lite.assets import event_windows, stripe_asset
from airflow_provider_stripe_lite.hooks import StripeHook


@dag(
    schedule=[stripe_asset("stripe_customers", feed="customer")],
    start_date=datetime(2026, 1, 1),
    catchup=False,
)
def stripe_customer_events():
    """Look every two minutes in the triggerer: no worker waits, and nothing runs for nobody.

    The event holds a window and ids, no contents: the rows are read here. However many DAGs have
    the asset in their schedule, Stripe is asked once.
    """

    @task(retries=3)
    def welcome() -> list[str]:
        hook, greeted = StripeHook(), []
        for window in event_windows(get_current_context()):
            for customer in hook.read(window):
                print(f"Welcome, {customer['id']} (announced in {window['id']})")
                greeted.append(customer["id"])
        return greeted

    welcome()


stripe_customer_events()
