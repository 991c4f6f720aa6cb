"""New charges into a table of a database, such as PostgreSQL."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import BaseHook, dag, task

from airflow_provider_stripe_lite.sensors import StripeNewChargeSensor

COLUMNS = ["id", "amount", "currency", "created", "status"]


@dag(schedule=timedelta(minutes=10), start_date=datetime(2026, 1, 1), tags=["stripe", "sensor"])
def stripe_charges_to_database():
    """Insert each new charge; a retry or a cleared run replaces what it inserted before.

    The connection ``warehouse`` names the database, which has
    ``CREATE TABLE charges (id text PRIMARY KEY, amount bigint, currency text, created timestamptz,
    status text)``.
    """
    new = StripeNewChargeSensor(task_id="new", fields=COLUMNS, timeout=0, soft_fail=True, retries=3)

    @task(retries=3)
    def load(charges: list[dict]) -> None:
        rows = [[charge[column] for column in COLUMNS] for charge in charges]
        BaseHook.get_hook("warehouse").insert_rows(
            "charges", rows, target_fields=COLUMNS, replace=True, replace_index="id"
        )

    load(new.output)


stripe_charges_to_database()
