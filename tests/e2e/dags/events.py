"""A DAG that is started by every batch of new customers."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from airflow.sdk import dag, get_current_context, task

from airflow_provider_stripe_lite.assets import event_windows, stripe_asset
from airflow_provider_stripe_lite.hooks import StripeHook

NEW = stripe_asset(
    "e2e_customers",
    feed="customer",
    stripe_conn_id="stripe_events",
    poll_interval=6,
    allow_fast_polling=True,
    min_age=3,
)


@dag(dag_id="events", schedule=[NEW], start_date=datetime(2026, 1, 1), catchup=False)
def events() -> None:
    """Read each window that was announced."""

    @task(retries=50, retry_delay=timedelta(seconds=1))
    def load() -> int:
        import requests

        context = get_current_context()
        windows = event_windows(context)
        hook = StripeHook("stripe_events")
        ids = [row["id"] for window in windows for row in hook.read(window)]
        ti = context["ti"]
        names = [window["id"] for window in windows]
        entry = {"dag": ti.dag_id, "run": ti.run_id, "windows": names, "ids": ids}
        ledger = f"{os.environ['FAKE_STRIPE']}/_fake/ledger"
        requests.post(ledger, json=entry, timeout=10).raise_for_status()
        return len(ids)

    load()


events()
