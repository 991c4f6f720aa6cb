"""A DAG that is started by every batch of new customers."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from airflow.sdk import dag, get_current_context, task

from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.triggers import event_windows, stripe_asset

NEW = stripe_asset(
    "e2e_customers", feed="customer", stripe_conn_id="stripe_events", poll_interval=6, allow_fast_polling=True, settle=3
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
        ids = [row["id"] for window in windows for row in hook.read_window("customer", window)]
        ti = context["ti"]
        entry = {"dag": ti.dag_id, "run": ti.run_id, "windows": [window["id"] for window in windows], "ids": ids}
        requests.post(f"{os.environ['FAKE_STRIPE']}/_fake/ledger", json=entry, timeout=10).raise_for_status()
        return len(ids)

    load()


events()
