"""A hundred DAGs on one asset."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from airflow_provider_stripe_lite.triggers import stripe_asset

SHARED = stripe_asset(
    "e2e_shared", feed="customer", stripe_conn_id="stripe_shared", poll_interval=4, allow_fast_polling=True, settle=3
)

for number in range(100):
    with DAG(f"shared_{number:02}", schedule=[SHARED], start_date=datetime(2026, 1, 1), catchup=False):
        pass
