"""Calls that make something; each DAG has a connection, and so a Stripe account, of its own."""

from __future__ import annotations

import random
import time
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider_stripe_lite.operators import StripeApiOperator


def linger(context: Any, result: Any = None) -> None:
    """Leave time to die between Stripe's answer and the end of the task."""
    time.sleep(random.uniform(1, 5))


def writing(name: str, kind: str, retries: int, **options: Any) -> None:
    """Make a DAG of one POST that makes an object of a kind."""
    with DAG(name, schedule=None, start_date=datetime(2026, 1, 1), max_active_runs=16):
        StripeApiOperator(
            task_id="new",
            method="POST",
            path=f"/v1/{kind}s",
            stripe_conn_id=f"stripe_{name}",
            retries=retries,
            retry_delay=timedelta(seconds=1),
            **options,
        )


writing("writes", "customer", 30, parameters={"description": "{{ run_id }}"}, post_execute=linger)
writing("products", "product", 0, parameters={"name": "{{ run_id }}"})
writing("hasty", "product", 2, parameters={"name": "{{ macros.datetime.now() }}"})
