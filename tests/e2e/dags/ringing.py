"""How the DAG files of this folder make a bell, and a DAG that begins when it rings."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import dag, task
from reporting import RETRIES, report_received, time_claims

from airflow_provider_stripe_lite.assets import stripe_asset
from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor

if TYPE_CHECKING:
    from airflow.sdk import Asset

MIN_AGE = 3

time_claims()


def bell(name: str, **arguments: Any) -> Asset:
    """Make a bell that looks often."""
    given = {"feed": "customer", "poll_interval": 5, "min_age": MIN_AGE, **arguments}
    given |= {"stripe_conn_id": f"stripe_{name}", "allow_fast_polling": True}
    return stripe_asset(f"e2e_{name}", **given)


def behind(asset: Asset, name: str, **arguments: Any) -> None:
    """Make a DAG that the asset starts: a sensor, and a task that reports what it was given."""

    @task(**RETRIES)
    def load(given: Any) -> int:
        return report_received(given)

    start = datetime(2026, 1, 1)

    @dag(dag_id=name, schedule=[asset], start_date=start, catchup=False, max_active_runs=1)
    def make() -> None:
        given = {"stripe_conn_id": asset.extra["stripe_conn_id"], "min_age": MIN_AGE}
        given |= {**RETRIES, **arguments}
        new = StripeNewCustomerSensor(task_id="new", timeout=0, soft_fail=True, **given)
        load(new.output)

    make()
