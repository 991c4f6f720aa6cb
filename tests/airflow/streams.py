"""What tests of a cursor share: where it is kept, and how often Airflow is asked for it."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.execution_time.supervisor import InProcessSupervisorComms

from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor
from tests.harness import ONCE

__all__ = ["Asked", "new_customers", "remade", "stream"]


def stream(dag: DAG, *behind: str) -> str:
    """Return the Variable of the DAG's sensor."""
    return ".".join(("stripe_cursor", dag.dag_id, "new", *behind))


def new_customers(dag: DAG, **options: Any) -> DAG:
    """Give the DAG a sensor that looks once in each run, and return the DAG."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE | options)
    return dag


def remade(dag: DAG, **options: Any) -> DAG:
    """Return the DAG as a changed DAG file has it: with another sensor of the same name."""
    return new_customers(DAG(dag.dag_id, schedule=None, default_args=dag.default_args), **options)


class Asked:
    """What tasks ask their supervisor, by the names of Airflow's messages."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.messages: list[Any] = []
        send = InProcessSupervisorComms.send

        def note(comms: InProcessSupervisorComms, msg: Any) -> Any:
            self.messages.append(msg)
            return send(comms, msg)

        patch.setattr(InProcessSupervisorComms, "send", note)

    def count(self, name: str) -> int:
        """Return how often such a message was sent since the last `clear`."""
        return sum(type(message).__name__ == name for message in self.messages)

    def clear(self) -> None:
        """Count anew."""
        self.messages.clear()
