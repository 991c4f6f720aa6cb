"""Cases that the example DAGs do not show.

Live mode, a connected account, a missing permission, retries, a full call limit.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag

from airflow_provider_stripe_lite.operators import (
    StripeCreateCustomerOperator,
    StripeGetCustomerOperator,
)

RETRIES = {"retries": 3, "retry_delay": timedelta(seconds=1)}


@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), default_args=RETRIES)
def pages():
    """Make one task for each case."""
    for name in ("live", "connected", "busy"):
        StripeGetCustomerOperator(
            task_id=name, stripe_conn_id=f"stripe_{name}", customer_id=f"cus_{name}"
        )
    StripeCreateCustomerOperator(
        task_id="forbidden", stripe_conn_id="stripe_restricted", customer_email="jenny@example.com"
    )


pages()
