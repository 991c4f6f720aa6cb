"""Streams of new customers; each DAG has a connection, and so a Stripe account, of its own."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import dag, task
from reporting import RETRIES, report_received, time_claims

from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor

WAIT = {"poke_interval": 2, "allow_fast_polling": True, "min_age": 1, "mode": "poke"}
# A run that a test starts waits no longer than this for something new.
BRIEFLY = {**WAIT, "timeout": 8}

time_claims()


class Shaky(StripeNewCustomerSensor):
    """Fails after its poll every tenth time: the window is claimed, and nothing was returned."""

    def execute(self, context: Any) -> Any:
        rows = super().execute(context)
        if random.random() < 0.1:
            raise RuntimeError("this task fails on purpose, after its poll")
        return rows


def stream(
    name: str,
    *,
    schedule: Any = None,
    sensor: type[StripeNewCustomerSensor] = StripeNewCustomerSensor,
    **arguments: Any,
) -> None:
    """Make a DAG: a sensor, and a task behind it that reports what it was given."""

    @task(**RETRIES)
    def load(given: Any) -> int:
        return report_received(given)

    start, most = datetime(2026, 1, 1), 1 if schedule == "@continuous" else 16

    @dag(dag_id=name, schedule=schedule, start_date=start, catchup=False, max_active_runs=most)
    def make() -> None:
        new = sensor(task_id="new", stripe_conn_id=f"stripe_{name}", **RETRIES, **arguments)
        load(new.output)

    make()


ALWAYS = {"schedule": "@continuous", **WAIT, "timeout": 30}
OVERLAPPING = {"max_active_tis_per_dag": 16, "soft_fail": True, "timeout": 20}
stream("shaky", schedule=timedelta(seconds=6), sensor=Shaky, **WAIT, **OVERLAPPING)
stream("backlog", start_from="beginning", returns="window", **ALWAYS)
stream("batches", start_from="beginning", fields=["id"], **ALWAYS)
stream("manual", **BRIEFLY)
stream("marked", **BRIEFLY)
stream("skips", soft_fail=True, **BRIEFLY)
stream("guarded", **BRIEFLY)
stream("forgets", **BRIEFLY)

# One scenario for each way to wait: nothing comes, nothing comes and that is fine, the key is
# wrong. A reschedule that is due sooner may meet the event of the process before it, which Airflow
# then takes for a failure.
WAYS = {
    "poke": BRIEFLY,
    "reschedule": {**BRIEFLY, "mode": "reschedule", "poke_interval": 15},
    "deferrable": {**BRIEFLY, "deferrable": True},
}
for way, waiting in WAYS.items():
    stream(f"late_{way}", **waiting)
    stream(f"skip_{way}", soft_fail=True, **waiting)
    stream(f"wrong_{way}", soft_fail=True, **waiting)
