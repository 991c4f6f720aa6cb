"""The example that an asset starts, from the ring of its bell on; what the others do, the demo
shows.
"""

from __future__ import annotations

import asyncio
from typing import Any

from airflow.dag_processing.dagbag import DagBag

from airflow_provider_stripe_lite.testing import FakeStripe
from airflow_provider_stripe_lite.triggers import StripeEventTrigger
from tests.docs.blocks import ROOT
from tests.harness import Run, arguments_of
from tests.helpers import NOW, Clock


async def first_ring(trigger: StripeEventTrigger) -> dict[str, Any]:
    """Return what a bell says when it starts."""
    rings = trigger.run()
    payload: dict[str, Any] = (await anext(rings)).payload
    await rings.aclose()  # type: ignore[attr-defined]
    return payload


def test_a_ring_starts_a_run_that_greets_everybody(
    stripe: FakeStripe, clock: Clock, database: None
) -> None:
    """The first run begins when its bell started to watch, and not when the run itself begins."""
    (dag,) = DagBag(ROOT / "example_dags" / "customer_events.py").dags.values()
    # Other tests run it under its own name, and this is a first run.
    dag.dag_id = "stripe_customer_events_rung"
    schedule: Any = dag.schedule
    (asset,) = schedule
    (watcher,) = asset.watchers
    stripe.add_many("customer", 2, created=NOW - 100)
    ring = asyncio.run(first_ring(StripeEventTrigger(**arguments_of(watcher))))
    made = stripe.add_many("customer", 3, created=NOW + 10)
    clock.now += 300
    run = Run(dag, NOW + 300, logical=False, events={asset.name: [ring]}).go()
    assert run.xcom("welcome") == made
