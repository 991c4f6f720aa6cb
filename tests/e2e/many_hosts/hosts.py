"""Sensors of every mode, a bell and operators that use one call limit up, on several hosts."""

from __future__ import annotations

import os
import random
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import Asset, dag, task
from reporting import RETRIES, report, report_received

from airflow_provider_stripe_lite.assets import stripe_asset
from airflow_provider_stripe_lite.operators import StripeGetCustomerOperator
from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor

CONN_ID = "stripe_hosts"
MIN_AGE = 3
ALWAYS = {"start_date": datetime(2026, 1, 1), "catchup": False}
CUSTOMERS = os.environ["CUSTOMERS"].split(",")


def stream(name: str, schedule: Any = timedelta(seconds=20), **arguments: Any) -> None:
    """Make a DAG whose runs overlap: a sensor, and a task that reports what it was given."""

    @task(**RETRIES)
    def load(given: Any) -> int:
        return report_received(given, linger=1)

    @dag(dag_id=name, schedule=schedule, max_active_runs=4, **ALWAYS)
    def make() -> None:
        given = {"stripe_conn_id": CONN_ID, "min_age": MIN_AGE, "soft_fail": True, **RETRIES}
        load(StripeNewCustomerSensor(task_id="new", **given, **arguments).output)

    make()


BELL: Asset = stripe_asset(
    "e2e_hosts",
    feed="customer",
    stripe_conn_id=CONN_ID,
    poll_interval=5,
    min_age=MIN_AGE,
    allow_fast_polling=True,
)
QUICK = {"allow_fast_polling": True, "poke_interval": 5, "timeout": 60}
stream("hosts_poke", mode="poke", **QUICK)
stream("hosts_reschedule", **{**QUICK, "poke_interval": 15})
stream("hosts_deferrable", deferrable=True, max_active_tis_per_dag=4, **QUICK)
stream("hosts_bell", schedule=[BELL], timeout=0)


@dag(schedule="@continuous", max_active_runs=1, **ALWAYS)
def hosts_operators() -> None:
    """Get customers, more than the limit allows."""

    @task(**RETRIES)
    def chosen() -> list[str]:
        return random.choices(CUSTOMERS, k=12)

    @task(**RETRIES)
    def load(got: Any) -> None:
        report({"served": [customer["id"] for customer in got]})

    get = StripeGetCustomerOperator.partial(task_id="get", stripe_conn_id=CONN_ID, **RETRIES)
    load(get.expand(customer_id=chosen()).output)


hosts_operators()
