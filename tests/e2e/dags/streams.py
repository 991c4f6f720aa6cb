"""Streams of new customers; each DAG has a connection, and so a Stripe account, of its own."""

from __future__ import annotations

import os
import random
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import (
    Asset,
    AssetOrTimeSchedule,
    DeltaTriggerTimetable,
    dag,
    get_current_context,
    task,
)

from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor

# For kills, and for a loaded Airflow that fails a task by mistake; a time-out and a refusal end a
# sensor all the same.
RETRIES = {"retries": 50, "retry_delay": timedelta(seconds=1)}
NO_RETRIES = {"retries": 0}
FAST = {"poke_interval": 1, "allow_fast_polling": True, "min_age": 3, "timeout": 3600}
GO = Asset("e2e_go")


class Shaky(StripeNewCustomerSensor):
    """Fails after its poll every tenth time: the window is claimed, and nothing was returned."""

    def execute(self, context: Any) -> Any:
        rows = super().execute(context)
        if random.random() < 0.1:
            raise RuntimeError("this task fails on purpose, after its poll")
        return rows


def report(ids: list[str]) -> None:
    """Tell the ledger what this run's task has received."""
    import requests

    ti = get_current_context()["ti"]
    instance = {"dag": ti.dag_id, "run": ti.run_id, "map_index": ti.map_index, "try": ti.try_number}
    ledger = f"{os.environ['FAKE_STRIPE']}/_fake/ledger"
    requests.post(ledger, json={**instance, "ids": ids}, timeout=10).raise_for_status()


def stream(
    name: str,
    *,
    schedule: Any = "@continuous",
    sensor: type[StripeNewCustomerSensor] = StripeNewCustomerSensor,
    tries: dict[str, Any] = RETRIES,
    linger: float = 0,
    **arguments: Any,
) -> None:
    """Make a DAG whose runs follow each other: a sensor, then a load of ``linger`` seconds."""

    @task(**tries)
    def load(rows: list[dict[str, Any]] | dict[str, Any] | None) -> int:
        import time

        time.sleep(linger)
        if isinstance(rows, dict):
            rows = list(StripeHook(f"stripe_{name}").read(rows))
        # None comes from a sensor that was marked success by hand.
        ids = [row["id"] for row in rows or ()]
        report(ids)
        return len(ids)

    start = datetime(2026, 1, 1)

    @dag(dag_id=name, schedule=schedule, start_date=start, catchup=False, max_active_runs=1)
    def make() -> None:
        given = {**FAST, **tries, **arguments}
        new = sensor(task_id="new", stripe_conn_id=f"stripe_{name}", **given)
        load(new.output)

    make()


stream("poke")
stream("reschedule", mode="reschedule")
stream("deferrable", deferrable=True)
stream("shaky", mode="reschedule", sensor=Shaky)
# A load that lingers is one that can be killed.
stream("strict", tries=NO_RETRIES, linger=4, advance_after="dag_run")
stream("backlog", start_from="beginning", returns="window")
stream("batches", start_from="beginning", fields=["id"])
stream("manual", schedule=None, timeout=8, min_age=1)
stream("marked", schedule=None, timeout=8, min_age=1)
stream("skips", schedule=None, timeout=8, min_age=1, soft_fail=True)
stream("guarded", schedule=None, timeout=8, min_age=1)

OFTEN = AssetOrTimeSchedule(timetable=DeltaTriggerTimetable(timedelta(seconds=20)), assets=[GO])
stream("mixed", schedule=OFTEN, timeout=3, soft_fail=True)
stream("mixed_variable", schedule=OFTEN, timeout=3, soft_fail=True, cursor_variable="e2e_mixed")

stream("forgets", schedule=None, timeout=8, min_age=1)
stream("remembers", schedule=None, timeout=8, min_age=1, cursor_variable="e2e_remembers")

# One scenario for each way to wait: nothing comes, nothing comes and that is fine, the key is
# wrong.
for way, waiting in {
    "poke": {"mode": "poke"},
    "reschedule": {"mode": "reschedule", "poke_interval": 5},
    "deferrable": {"deferrable": True},
}.items():
    stream(f"late_{way}", schedule=None, **{**waiting, "timeout": 8})
    stream(f"skip_{way}", schedule=None, soft_fail=True, **{**waiting, "timeout": 8})
    stream(f"wrong_{way}", schedule=None, soft_fail=True, **waiting)
