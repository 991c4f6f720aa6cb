"""Airflow's inner names that this package uses: the one module that asks Airflow for them.

They are not part of Airflow's public interface (``airflow.sdk``), so an Airflow that moves them
needs a change here and nowhere else.
"""

from __future__ import annotations

from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import ErrorResponse, GetVariable, PutVariable
from airflow.sdk.execution_time.context import NEVER_EXPIRE

__all__ = [
    "NEVER_EXPIRE",
    "ErrorResponse",
    "GetVariable",
    "PutVariable",
    "RetryDecision",
    "RetryPolicy",
    "task_runner",
]
