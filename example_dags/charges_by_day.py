"""A day of charges to a file, each night; and the two years before, by a backfill."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import dag

# From Airflow 3.2 on, airflow.sdk has it, too.
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_stripe_lite.transfers import StripeToObjectStorageOperator

LAKE = "{{ var.value.get('stripe_lake', 'file:///tmp/stripe') }}"
# The ds of a run that a person starts is the day of its logical date, and not of its interval.
DAY = "{{ dag_run.data_interval_start | ds }}"
DAILY = CronDataIntervalTimetable("@daily", timezone="UTC")


@dag(schedule=DAILY, start_date=datetime(2024, 1, 1), catchup=False, tags=["stripe", "transfer"])
def stripe_charges_by_day():
    """Write the charges of the run's day, with all their fields.

    The years before: ``airflow backfill create --dag-id stripe_charges_by_day --from-date
    2024-01-01 --to-date 2025-12-31 --max-active-runs 16``.
    """
    StripeToObjectStorageOperator(
        task_id="export",
        feed="charge",
        path=f"{LAKE}/charge/{DAY}.jsonl.gz",
        retries=3,
    )


stripe_charges_by_day()
