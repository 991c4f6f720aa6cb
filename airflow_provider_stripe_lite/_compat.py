"""Airflow's inner names that this package uses: the one module that asks Airflow for them.

They are not part of Airflow's public interface (``airflow.sdk``), so an Airflow that moves them
needs a change here and nowhere else.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import ErrorResponse, GetVariable, PutVariable
from airflow.sdk.execution_time.context import NEVER_EXPIRE

__all__ = ["NEVER_EXPIRE", "RetryDecision", "RetryPolicy", "get_variable", "set_variable"]


def get_variable(key: str) -> str | None:
    """Return the text of a Variable, or None where Airflow says that there is none.

    ``Variable.get`` asks the worker's secrets backends first, and answers with its default for
    every error. This asks the API server, and raises.
    """
    reply: Any = task_runner.SUPERVISOR_COMMS.send(GetVariable(key=key))
    if isinstance(reply, ErrorResponse):
        if reply.error == ErrorType.VARIABLE_NOT_FOUND:
            return None
        raise AirflowRuntimeError(reply)
    return str(reply.value)


def set_variable(key: str, text: str, description: str) -> None:
    """Write a Variable, or raise; ``Variable.set`` below Airflow 3.3 only logs what went wrong."""
    task_runner.SUPERVISOR_COMMS.send(PutVariable(key=key, value=text, description=description))
