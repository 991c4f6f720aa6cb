"""A customer is created, read and updated; each task gets the row of the one before."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import dag

from airflow_provider_stripe_lite.operators import (
    StripeCreateCustomerOperator,
    StripeGetCustomerOperator,
    StripeUpdateCustomerOperator,
)


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),
    tags=["stripe", "operator"],
    params={"email": "jenny@example.com"},
)
def stripe_customer_actions():
    """However often a task is retried or cleared, a run makes one customer."""
    create = StripeCreateCustomerOperator(
        task_id="create",
        customer_email="{{ params.email }}",
        description="Made by Airflow",
        metadata={"dag_run": "{{ run_id }}"},
    )
    get = StripeGetCustomerOperator(task_id="get", customer_id=create.output["id"])
    StripeUpdateCustomerOperator(
        task_id="update",
        customer_id=get.output["id"],
        # An empty text unsets the description.
        description="",
        metadata={"checked": "{{ dag_run.run_after }}"},
        fields=["id", "email", "description", "metadata.checked"],
    )


stripe_customer_actions()
