"""A scheduled ETL: every charge, once, as a line of JSON in object storage."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import dag

from airflow_provider_stripe_lite.sensors import StripeNewChargeSensor
from airflow_provider_stripe_lite.transfers import StripeToObjectStorageOperator


@dag(
    schedule=timedelta(minutes=10),
    start_date=datetime(2026, 1, 1),
    tags=["stripe", "sensor", "transfer"],
)
def stripe_charges_to_jsonl():
    """Write what is new in each run to a file of its own: a retry or a clear writes it again.

    The window travels by reference: no charge passes through XCom, and one page at a time is in
    memory. Where to write is the Variable ``stripe_charges_path`` (``s3://conn@bucket/charges``,
    ``file:///…``).
    """
    window = StripeNewChargeSensor(
        task_id="window", returns="window", timeout=0, soft_fail=True, retries=3
    )
    folder = "{{ var.value.get('stripe_charges_path', 'file:///tmp/stripe_charges') }}"
    StripeToObjectStorageOperator(
        task_id="load", window=window.output, path=f"{folder}/{{{{ run_id }}}}.jsonl", retries=3
    )


stripe_charges_to_jsonl()
