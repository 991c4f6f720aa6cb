"""A scheduled ETL: every charge, once, as a line of JSON in object storage."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from airflow.sdk import ObjectStoragePath, Variable, dag, task

from airflow_provider_stripe_lite.core.window import Window
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.sensors import StripeNewChargeSensor


@dag(schedule=timedelta(minutes=10), start_date=datetime(2026, 1, 1), catchup=False)
def stripe_charges_to_jsonl():
    """Write the charges of each window to a file of its own: a retry or a clear writes it again.

    The window travels by reference: no charge passes through XCom, and one page at a time is in
    memory. Where to write is the Variable ``stripe_charges_path`` (``s3://conn@bucket/charges``,
    ``file:///…``).
    """
    window = StripeNewChargeSensor(
        task_id="window", returns="window", timeout=0, soft_fail=True, retries=3
    )

    @task(retries=3)
    def load(window: Window) -> int:
        path = Variable.get("stripe_charges_path", default="file:///tmp/stripe_charges")
        folder = ObjectStoragePath(path)
        folder.mkdir(parents=True, exist_ok=True)
        lines = 0
        begins = window["created_gte"][:19].replace(":", "")
        name = f"{begins}-{window['last']}.jsonl"
        with (folder / name).open("w") as file:
            for charge in StripeHook().read(window):
                file.write(json.dumps(charge) + "\n")
                lines += 1
        return lines

    load(window.output)


stripe_charges_to_jsonl()
