"""Airflow's inner names that this package uses: the one module that asks Airflow for them.

They are not part of Airflow's public interface (``airflow.sdk``), so an Airflow that moves them
needs a change here and nowhere else.
"""

from __future__ import annotations

from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
from airflow.sdk.execution_time.context import NEVER_EXPIRE
from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

__all__ = [
    "NEVER_EXPIRE",
    "AdvanceItem",
    "RetryDecision",
    "RetryPolicy",
    "SharedStreamProducer",
]
