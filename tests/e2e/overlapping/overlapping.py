"""Streams whose runs overlap: many are due at once, and runs of every kind start beside them.

The test that copies this file into a folder of DAGs writes there when the first run is due
(``began.txt``), and which accounts the mapped sensor has, in which order (``accounts.json``).
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, dag, task
from airflow.timetables.assets import AssetOrTimeSchedule
from airflow.timetables.trigger import DeltaTriggerTimetable
from reporting import RETRIES, report_received, time_claims

from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor

HERE = Path(__file__).parent
BEGAN = datetime.fromisoformat((HERE / "began.txt").read_text())
ACCOUNTS = json.loads((HERE / "accounts.json").read_text())
GO = Asset("e2e_go")
NO_RETRIES = {"retries": 0}
FAST = {"allow_fast_polling": True, "min_age": 3, "soft_fail": True}
POKE = {**FAST, "mode": "poke", "poke_interval": 4, "timeout": 30}

time_claims()


def overlapping(
    name: str,
    *,
    due: int,
    every: int,
    tries: dict[str, Any] = RETRIES,
    linger: float = 0,
    mapped: list[str] | None = None,
    **arguments: Any,
) -> None:
    """Make a DAG with up to 16 runs at once.

    :param due: how many runs are due when the DAG is unpaused; in two minutes no more become due.
    :param every: seconds between two of them.
    :param linger: seconds that the task behind the sensor takes.
    :param mapped: accounts over which the sensor is mapped.
    """

    # Airflow runs the sensors of all runs that are due before it, unless it weighs more.
    @task(trigger_rule="none_failed_min_one_success", priority_weight=10, **tries)
    def load(given: Any) -> int:
        return report_received(given, linger)

    @dag(
        dag_id=name,
        schedule=AssetOrTimeSchedule(
            timetable=DeltaTriggerTimetable(timedelta(seconds=every)), assets=[GO]
        ),
        start_date=BEGAN - timedelta(seconds=due * every),
        end_date=BEGAN + timedelta(minutes=2),
        catchup=True,
        max_active_runs=16,
        max_active_tasks=64,
    )
    def make() -> None:
        given = {"task_id": "new", "stripe_conn_id": f"stripe_{name}", **tries, **arguments}
        if mapped is None:
            new = StripeNewCustomerSensor(**given)
        else:
            new = StripeNewCustomerSensor.partial(**given).expand(stripe_account=mapped)
        load(new.output)

    make()


overlapping("limited", due=4, every=40, **{**FAST, "poke_interval": 15, "timeout": 60})
overlapping("free", due=12, every=15, max_active_tis_per_dag=16, **POKE)
overlapping(
    "deferred",
    due=4,
    every=40,
    max_active_tis_per_dag=16,
    deferrable=True,
    **{**FAST, "poke_interval": 4, "timeout": 30},
)
overlapping("mapped", due=4, every=40, mapped=ACCOUNTS, **{**POKE, "timeout": 20})
# A load that lingers is one that can be killed.
overlapping(
    "untried", due=5, every=30, tries=NO_RETRIES, linger=2, max_active_tis_per_dag=16, **POKE
)
