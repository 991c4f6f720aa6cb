"""Five hundred sensors that wait in the triggerer for the same feed of the same connection.

They begin in the triggerer, so that no worker has to start for each of them; the trigger is the
sensors' own.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.sdk import DAG
from airflow.triggers.base import StartTriggerArgs

from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor

WAIT = {
    "feed": "customer",
    "stripe_conn_id": "stripe_waiting",
    "since": 4_000_000_000,
    "min_age": 3,
    "poll_interval": 10,
}


class Waiting(StripeNewCustomerSensor):
    """Is deferred without having polled."""

    start_from_trigger = True
    start_trigger_args = StartTriggerArgs(
        trigger_cls="airflow_provider_stripe_lite.triggers.StripeSensorTrigger",
        trigger_kwargs=WAIT,
        next_method="execute_complete",
        next_kwargs=None,
        timeout=None,
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(stripe_conn_id="stripe_waiting", deferrable=True, **kwargs)


# The triggerer loads the whole DAG for each sensor that begins there, so a DAG has only 20 of them.
for number in range(25):
    name, start = f"waiting_{number:02}", datetime(2026, 1, 1)
    with DAG(name, schedule=None, start_date=start, max_active_tasks=100):
        for task in range(20):
            Waiting(task_id=f"wait_{task:02}")
