"""The three ways in which a sensor waits, side by side; the examples wait in none of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import dag

from airflow_provider_stripe_lite.sensors import StripeNewObjectSensor

# The fake Stripe may be asked often, and whoever watches should not wait for two minutes.
OFTEN: dict[str, Any] = {"feed": "dispute", "poke_interval": 15, "allow_fast_polling": True}


@dag(
    schedule="@continuous",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    tags=["stripe", "sensor", "reschedule", "poke", "deferrable"],
)
def stripe_three_waits() -> None:
    """Wait for the next dispute in each mode; every task has a cursor of its own.

    While nothing is new, ``reschedule`` is *up for reschedule* and ``deferrable`` is *deferred*:
    neither keeps a worker. ``poke`` keeps one, and is *running*. Each dispute is returned by all
    three of them, a minute after it was created, and then the next run waits.
    """
    StripeNewObjectSensor(task_id="reschedule", start_from="beginning", **OFTEN)
    StripeNewObjectSensor(task_id="poke", start_from="beginning", mode="poke", **OFTEN)
    StripeNewObjectSensor(task_id="deferrable", start_from="beginning", deferrable=True, **OFTEN)


stripe_three_waits()
