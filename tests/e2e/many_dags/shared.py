"""A hundred DAGs on one asset."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from airflow_provider_stripe_lite.assets import stripe_asset

SHARED = stripe_asset(
    "e2e_shared",
    feed="customer",
    stripe_conn_id="stripe_shared",
    poll_interval=4,
    allow_fast_polling=True,
    min_age=3,
)

for number in range(100):
    name, start = f"shared_{number:02}", datetime(2026, 1, 1)
    with DAG(name, schedule=[SHARED], start_date=start, catchup=False):
        pass
