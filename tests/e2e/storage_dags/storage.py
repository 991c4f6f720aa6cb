"""The charges of each day become a file in a bucket, until LAST_DAY."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import dag
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_stripe_lite.transfers import StripeToObjectStorageOperator


@dag(
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    # A test that runs at midnight would else find a file more than it has charges for.
    end_date=datetime.fromisoformat(os.environ["LAST_DAY"]).replace(tzinfo=UTC),
    catchup=False,
    max_active_runs=16,
)
def storage() -> None:
    StripeToObjectStorageOperator(
        task_id="export",
        feed="charge",
        path="s3://lake/charges/{{ dag_run.data_interval_start | ds }}.jsonl.gz",
        dest_conn_id="aws",
        deferrable=False,
        # For kills, and for a Stripe that answers every second request only.
        retries=50,
        retry_delay=timedelta(seconds=1),
    )


storage()
