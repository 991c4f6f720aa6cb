"""How long StripeToObjectStorageOperator waits in the triggerer, which may start again."""

from __future__ import annotations

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite._compat import exceptions
from tests.airflow.exporting import export
from tests.airflow.triggering import fire, run
from tests.helpers import Clock


@pytest.mark.usefixtures("stripe")
@pytest.mark.parametrize("later", [39.9, 1000])
def test_a_triggerer_that_starts_again_does_not_wait_anew(
    dag: DAG, clock: Clock, later: float
) -> None:
    """The wait of 40 s ends when it would have, or at once where that time is over."""
    task = export(dag, "/tmp/x.jsonl", deferrable=True).get_task("export")
    with pytest.raises(exceptions.TaskDeferred) as deferred:
        task._wait(40)
    _, kept = deferred.value.trigger.serialize()
    clock.now += later
    run(fire(**kept), seconds=5)
