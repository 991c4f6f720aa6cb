"""Random lives of a DAG, in this process.

Its tries die anywhere, runs are cleared, objects are deleted, runs have a date or none.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite._cursor import CursorChain
from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.harness import Run
from tests.helpers import Clock

HISTORIES = int(os.environ.get("RUN_HISTORIES", "3"))
RUNS = 8
DEATHS = ("before the poll", "before the publishing", "after it", None, None, None)


class Fragile(StripeNewCustomerSensor):
    """A sensor that dies in its next polls as it is told."""

    deaths: ClassVar[list[str | None]] = []

    def poke(self, context: Any) -> Any:
        death = self.deaths.pop(0) if self.deaths else None
        if death == "before the poll":
            raise RuntimeError(death)
        with pytest.MonkeyPatch.context() as patch:
            if death == "before the publishing":
                # The window is claimed, or the first run has begun, and no later run knows it.
                patch.setattr(CursorChain, "publish", _dies)
            found = super().poke(context)
        if death == "after it":
            raise RuntimeError(death)
        return found


def _dies(*_: Any) -> None:
    raise RuntimeError("before the publishing")


def ids(run: Run) -> list[str]:
    """Return the ids that the run has delivered."""
    return [row["id"] for row in run.xcom("new") or ()] if run.state("new") == "success" else []


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_every_object_is_in_one_run(dag: DAG, stripe: FakeStripe, clock: Clock, seed: int) -> None:
    """Successful runs hold every object once, and a cleared run its own, whatever happens."""
    chance = random.Random(seed)
    logical = seed % 2 == 0
    with dag:
        Fragile(
            task_id="new",
            poke_interval=0.001,
            timeout=chance.choice((0, 0.3, 0.3)),
            allow_fast_polling=True,
            max_items=chance.choice((4, 1000)),
            retries=chance.choice((0, 1, 3, 3)),
            retry_delay=timedelta(),
            cursor_variable=chance.choice((None, f"{dag.dag_id}.position")),
        )
    runs: list[Run] = []
    gone: set[str] = set()

    def one_more_run() -> None:
        runs.append(Run(dag, clock.now, logical=logical).go())

    for _ in range(RUNS):
        # The first run is where everything begins.
        if runs:
            stripe.add_many("customer", chance.choice((0, 0, 1, 4)), created=int(clock.now))
        clock.now += chance.choice((30, 100, 300))
        # The very first poll is granted: before it, nothing says where a run without a date would
        # have begun.
        first = [] if runs else [None, chance.choice(DEATHS)]
        Fragile.deaths[:] = first + [chance.choice(DEATHS) for _ in range(chance.choice((0, 2, 6)))]
        one_more_run()
        Fragile.deaths.clear()
        good = [run for run in runs if ids(run)]
        if good and chance.random() < 0.4:
            cleared = chance.choice(good)
            before = ids(cleared)
            assert ids(cleared.clear("new").go()) == [name for name in before if name not in gone]
        held = stripe.ids("customer")
        if held and chance.random() < 0.3:
            gone.add(name := chance.choice(held))
            stripe.delete(name)
    while missing := set(stripe.ids("customer")).difference(*map(ids, runs)):
        assert len(runs) < RUNS + 12, f"{len(missing)} are in no run"
        clock.now += 300
        one_more_run()
    delivered = Counter(name for run in runs for name in ids(run))
    assert [name for name, times in delivered.items() if times > 1] == []
