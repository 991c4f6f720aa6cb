"""Random lives of a DAG whose runs overlap, in real Airflow code.

Tries stop anywhere, calls of Airflow fail before or after they take effect, processes die, runs are
cleared and deleted, objects are deleted, runs have a date or none or are a backfill's, and what a
mapped sensor expands over changes its order and its length.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from airflow.models.variable import Variable
from airflow.sdk import DAG
from airflow.utils.session import create_session
from airflow.utils.types import DagRunType
from sqlalchemy import select

from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.airflow.overlapping import Overlap
from tests.harness import Run, ids
from tests.helpers import Clock

LIVES = int(os.environ.get("RUN_LIVES", "12"))
STEPS = 80
ACCOUNTS = ("acct_a", "acct_b")
WEIGHTS = {
    "go": 40,
    "start": 14,
    "objects": 14,
    "tick": 12,
    "fault": 5,
    "kill": 5,
    "clear": 8,
    "delete": 2,
    "gone": 2,
    "change": 4,
}


class Life:
    """One life of a DAG with one sensor, which is mapped over two accounts or is not."""

    def __init__(self, dag_id: str, stripe: FakeStripe, clock: Clock, seed: int) -> None:
        self.chance = chance = random.Random(seed)
        self.stripe, self.clock, self.dag_id = stripe, clock, dag_id
        self.story: list[str] = []
        # What runs had delivered for good before they were cleared.
        self.before: dict[str, set[str]] = {}
        self.accounts = list(ACCOUNTS) if seed % 3 == 2 else []
        self.dates = chance.random() < 0.6
        self.arguments: dict[str, Any] = {
            "start_from": chance.choice(("now", "beginning")),
            "mode": chance.choice(("poke", "reschedule")),
            "poke_interval": 0.001,
            "timeout": chance.choice((0, 0, 0.05)),
            "allow_fast_polling": True,
            "max_items": chance.choice((3, 1000)),
            "retries": chance.choice((0, 1, 3)),
            "retry_delay": timedelta(),
        }
        self.overlap = Overlap(self.dag())

    def dag(self) -> DAG:
        """Return the DAG as its file says it now."""
        dag = DAG(self.dag_id, schedule=None)
        with dag:
            if self.accounts:
                partial = StripeNewCustomerSensor.partial(task_id="new", **self.arguments)
                partial.expand(stripe_account=list(self.accounts))
            else:
                StripeNewCustomerSensor(task_id="new", stripe_account="acct_a", **self.arguments)
        return dag

    def live(self) -> None:
        """Do things at random, then let everything come to its end."""
        with self.overlap.patched():
            self.start()
            self.overlap.drain()
            for name in self.chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=STEPS):
                getattr(self, name)()
            self.overlap.drain()
            self.accounts = list(ACCOUNTS) if self.accounts else []
            self.overlap.change(self.dag())
            for _ in range(12):
                if not self.held() - set(self.delivered()):
                    break
                self.clock.now += 300
                self.start()
                self.overlap.drain()

    def held(self) -> set[str]:
        """Return the customers that Stripe has."""
        found = [self.stripe.ids("customer", account=account) for account in ACCOUNTS]
        return {name for names in found for name in names}

    def delivered(self) -> Counter[str]:
        """Return in how many runs each object is, or was, of a task that has succeeded."""
        return Counter(name for run in self.overlap.runs for name in self._of(run))

    def start(self) -> None:
        """Make a run, most of them with a date."""
        self.clock.now += 1
        logical = self.dates and self.chance.random() < 0.7
        kind = self.chance.choice((DagRunType.MANUAL, DagRunType.SCHEDULED))
        run = self.overlap.start(self.clock.now, logical=logical, kind=kind)
        self.story.append(f"{run.run_id}, {'dated' if logical else 'undated'}")

    def go(self) -> None:
        """Let one try go on by some calls."""
        self.overlap.begin()
        if self.overlap.tries:
            one = self.chance.choice(self.overlap.tries)
            for _ in range(self.chance.randint(1, 6)):
                if not self.overlap.step(one):
                    break

    def objects(self) -> None:
        """Add some customers."""
        account = self.chance.choice(ACCOUNTS if self.accounts else ACCOUNTS[:1])
        many, created = self.chance.randint(1, 4), int(self.clock.now)
        self.stripe.add_many("customer", many, created=created, account=account)

    def tick(self) -> None:
        """Let time go by."""
        self.clock.now += self.chance.choice((5, 61, 200))

    def fault(self) -> None:
        """Let the next call of Airflow fail, before it takes effect or behind that."""
        self.overlap.fault = self.chance.choice(("before", "after"))

    def kill(self) -> None:
        """Kill a try."""
        if self.overlap.tries:
            one = self.chance.choice(self.overlap.tries)
            self.story.append(f"{one.dag_run.run_id} is killed")
            self.overlap.kill(one, final=self.chance.random() < 0.3)

    def clear(self) -> None:
        """Clear a run: a success only where a later poll has seen it."""
        if run := self._lawful():
            self.story.append(f"{run.run_id} is cleared")
            self.before[run.run_id] = self._of(run)
            run.clear("new")

    def delete(self) -> None:
        """Delete a run, and what it has delivered, which nobody misses then."""
        if run := self._lawful():
            self.story.append(f"{run.run_id} is deleted")
            self._forget(self._of(run))
            self.overlap.runs.remove(run)
            run.delete()

    def gone(self) -> None:
        """Delete a customer."""
        if held := sorted(self.held()):
            self._forget({self.chance.choice(held)})

    def change(self) -> None:
        """Change the order and the length of what a mapped sensor expands over."""
        if self.accounts:
            self.accounts = self.chance.sample(ACCOUNTS, self.chance.choice((1, 2, 2)))
            self.story.append(f"the list is {self.accounts}")
            self.overlap.change(self.dag())

    def _seen(self) -> set[tuple[str, int]]:
        """Return the tasks of which a poll has seen that they have succeeded."""
        with create_session() as session:
            mine = Variable.key.startswith(f"stripe_cursor.{self.dag_id}.", autoescape=True)
            found = [row.val or "" for row in session.scalars(select(Variable).where(mine))]
        claims = [claim for text in found for claim in json.loads(text)["claims"]]
        return {(claim["run_id"], claim["map_index"]) for claim in claims if claim["done"]}

    def _of(self, run: Run) -> set[str]:
        """Return what a run has delivered; a poll has seen it before a success was cleared.

        Airflow removes a mapped task, also one that has succeeded, where the list has got shorter.
        """
        seen = self._seen()
        good = [
            index
            for index, state in run.states("new").items()
            if state == "success" or (state == "removed" and (run.run_id, index) in seen)
        ]
        rows = [name for index in good for name in ids(run.xcom("new", map_index=index))]
        assert len(rows) == len({*rows}), rows
        return self.before.get(run.run_id, set()) | {*rows}

    def _forget(self, names: set[str]) -> None:
        for account in ACCOUNTS:
            for name in names & {*self.stripe.ids("customer", account=account)}:
                self.stripe.delete(name, account=account)

    def _lawful(self) -> Run | None:
        """Return a run that may be cleared or deleted: see docs/guarantees.md."""
        alive, seen = {one.dag_run.run_id for one in self.overlap.tries}, self._seen()
        fit = [
            run
            for run in self.overlap.runs
            if run.run_id not in alive
            and all(
                state != "success" or (run.run_id, index) in seen
                for index, state in run.states("new").items()
            )
        ]
        return self.chance.choice(fit) if fit else None


@pytest.mark.parametrize("seed", range(LIVES))
def test_every_object_is_in_one_run(
    database: None, stripe: FakeStripe, clock: Clock, seed: int
) -> None:
    """Whatever runs overlap and whatever happens to them, each object is in one of them."""
    life = Life(f"life_{seed}", stripe, clock, seed)
    life.live()
    delivered = life.delivered()
    lost = len(life.held() - set(delivered))
    twice = sum(times > 1 for times in delivered.values())
    assert (lost, twice) == (0, 0), "\n".join(life.story)
