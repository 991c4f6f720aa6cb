"""What tests of calls share."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG

from airflow_provider_stripe_lite.operators import StripeApiOperator

__all__ = ["made"]


def made(dag: DAG, **options: Any) -> DAG:
    """Give the DAG a call that makes a customer."""
    given = {"method": "POST", "path": "/v1/customers", "parameters": {"description": "Jenny"}}
    with dag:
        StripeApiOperator(**{"task_id": "act", **given, **options})
    return dag
