"""Several of Stripe's lists to files, a day in each."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import dag

# From Airflow 3.2 on, airflow.sdk has it, too.
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_stripe_lite.core.resources import FeedName
from airflow_provider_stripe_lite.transfers import StripeToObjectStorageOperator

DAILY = CronDataIntervalTimetable("@daily", timezone="UTC")
LAKE = "{{ var.value.get('stripe_lake', 'file:///tmp/stripe') }}"
DAY = "{{ dag_run.data_interval_start | ds }}"
FEEDS: tuple[FeedName, ...] = ("invoice", "subscription", "refund", "payout", "balance_transaction")


@dag(schedule=DAILY, start_date=datetime(2024, 1, 1), catchup=False, tags=["stripe", "transfer"])
def stripe_lists_by_day():
    """Write what was created on the run's day, each list by a task of its own.

    All of these tasks share the call limit of the connection.
    """
    for feed in FEEDS:
        StripeToObjectStorageOperator(
            task_id=feed,
            feed=feed,
            path=f"{LAKE}/{feed}/{DAY}.jsonl.gz",
            retries=3,
        )


stripe_lists_by_day()
