"""When a charge fails: a run for it, without a schedule."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import dag, task

from airflow_provider_stripe_lite.assets import stripe_asset
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.sensors import StripeEventSensor

TYPES = ["charge.failed"]
FAILED = stripe_asset("stripe_failed_charges", types=TYPES)


@dag(schedule=[FAILED], start_date=datetime(2026, 1, 1), tags=["stripe", "asset"])
def stripe_failed_payments():
    """Look each failed charge up, once, and say why it failed."""
    failed = StripeEventSensor(task_id="failed", types=TYPES, timeout=0, soft_fail=True, retries=3)

    @task(retries=3)
    def tell(event: dict) -> str:
        charge = StripeHook().request("GET", f"/v1/charges/{event['object_id']}")
        return f"{charge['id']}: {charge['failure_message']}"

    tell.expand(event=failed.output)


stripe_failed_payments()
