"""Where the first run of a sensor begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count, repeat
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.utils.types import DagRunType

from airflow_provider_stripe_lite._compat import exceptions
from airflow_provider_stripe_lite.assets import stripe_asset
from airflow_provider_stripe_lite.core.times import DAY, iso
from airflow_provider_stripe_lite.errors import StripeAuthenticationError
from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.airflow.streams import new_customers, stream
from tests.conftest import SetConnection
from tests.harness import ONCE, Run, ids, variable
from tests.helpers import NOW, Clock


@pytest.mark.parametrize(
    ("start_from", "expected"),
    [
        ("now", 2),
        ("beginning", 4),
        (datetime.fromtimestamp(NOW - 100, UTC), 3),
        (datetime.fromtimestamp(NOW - 100, UTC).isoformat(), 3),
        ("{{ (dag_run.run_after - macros.timedelta(seconds=100)).isoformat() }}", 3),
        (datetime.fromtimestamp(NOW - 100, UTC).replace(tzinfo=None), 3),
    ],
)
def test_start_from_says_where_the_first_run_begins(
    dag: DAG, stripe: FakeStripe, clock: Clock, start_from: Any, expected: int
) -> None:
    """The run's own time, the beginning of the account, or a date-time, which may be a template."""
    with dag:
        StripeNewCustomerSensor(task_id="new", start_from=start_from, **ONCE)
    made = [stripe.add("customer", created=NOW + age) for age in (-100_000, -50, 0, 10)]
    clock.now += 100
    assert ids(Run(dag, NOW).go().xcom("new")) == made[-expected:]


def test_now_is_the_run_s_time_and_not_the_poll_s(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """What was created between the run's time and its first poll, hours later, is delivered."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    made = stripe.add_many("customer", 2, created=NOW + 5)
    clock.now += 7200
    assert ids(Run(dag, NOW).go().xcom("new")) == made


@pytest.mark.parametrize("before", [500, 90_000])
def test_a_start_may_lie_behind_an_old_run(
    dag: DAG, stripe: FakeStripe, clock: Clock, before: int
) -> None:
    """It lies in the past, though not in that of a run whose date is long ago."""
    new_customers(dag, start_from=datetime.fromtimestamp(NOW - 400, UTC))
    stripe.add("customer", created=NOW - 450)
    made = stripe.add_many("customer", 2, created=NOW - 400)
    assert ids(Run(dag, NOW - before).go().xcom("new")) == made


def test_a_backfill_run_begins_when_it_runs(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """Its date is of long ago, and nobody asks for what was new then."""
    new_customers(dag)
    stripe.add_many("customer", 3, created=NOW - 5 * DAY, spread=DAY)
    first = Run(dag, NOW - 10 * DAY, kind=DagRunType.BACKFILL_JOB).go()
    assert (first.state("new"), first.xcom("new")) == ("failed", None)
    made = stripe.add_many("customer", 2, created=NOW + 10)
    clock.now += 100
    assert ids(Run(dag, NOW - 9 * DAY, kind=DagRunType.BACKFILL_JOB).go().xcom("new")) == made


# --- Behind a bell


def rung(dag: DAG, *since: int, **other: Any) -> dict[str, Sequence[Any]]:
    """Return the events of the DAG's bell."""
    said = {"feed": "customer", "types": None, "stripe_conn_id": "stripe_default"}
    said |= {"stripe_account": None, "newest": None} | other
    return {dag.dag_id: [said | {"since": iso(second)} for second in since]}


@pytest.fixture
def belled(dag: DAG) -> DAG:
    """Return a DAG that a bell starts, and whose sensor looks once."""
    with DAG(dag.dag_id, schedule=[stripe_asset(dag.dag_id, feed="customer")]) as made:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    return made


def test_a_first_run_behind_a_bell_begins_at_the_latest_ring(
    belled: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Where the bell had looked: what rang it is not missed, although it came before the run."""
    stripe.add("customer", created=NOW - 3000)
    made = stripe.add_many("customer", 2, created=NOW - 900)
    events = rung(belled, NOW - 5000, NOW - 1000, NOW - 4000)
    run = Run(belled, NOW, logical=False, events=events).go()
    assert ids(run.xcom("new")) == made
    # A cursor that is there always wins.
    more = stripe.add_many("customer", 2, created=NOW)
    clock.now += 100
    run = Run(belled, NOW + 1, logical=False, events=rung(belled, NOW - 9000)).go()
    assert ids(run.xcom("new")) == more


@pytest.mark.parametrize(
    "other",
    [{"feed": "charge"}, {"stripe_conn_id": "shop"}, {"stripe_account": "acct_1"}],
    ids=str,
)
def test_a_bell_of_another_stream_does_not_count(
    belled: DAG, stripe: FakeStripe, clock: Clock, other: dict[str, Any]
) -> None:
    """The run begins at its own time then."""
    stripe.add("customer", created=NOW - 900)
    made = stripe.add("customer", created=NOW)
    clock.now += 100
    run = Run(belled, NOW, logical=False, events=rung(belled, NOW - 1000, **other)).go()
    assert ids(run.xcom("new")) == [made]


def test_a_start_of_the_author_s_wins_over_the_bell(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Whoever says where to begin means it."""
    with DAG(dag.dag_id, schedule=[stripe_asset(dag.dag_id, feed="customer")]) as dag:
        StripeNewCustomerSensor(task_id="new", start_from="beginning", **ONCE)
    made = [stripe.add("customer", created=NOW - age) for age in (90_000, 900)]
    run = Run(dag, NOW, logical=False, events=rung(dag, NOW - 1000)).go()
    assert ids(run.xcom("new")) == made


# --- First runs that were none


@pytest.mark.parametrize("soft_fail", [False, True])
def test_an_empty_first_run_loses_nothing(
    dag: DAG, stripe: FakeStripe, clock: Clock, soft_fail: bool
) -> None:
    """The first run found nothing and failed or was skipped: the second begins where it began."""
    with dag:
        StripeNewCustomerSensor(task_id="new", soft_fail=soft_fail, **ONCE)
    first = Run(dag, NOW).go()
    assert first.state("new") == ("skipped" if soft_fail else "failed")
    assert [type(error) for error in first.errors] in ([exceptions.AirflowSensorTimeout], [])
    made = stripe.add_many("customer", 3, created=NOW + 5)
    clock.now += 500
    assert ids(Run(dag, NOW + 400).go().xcom("new")) == made


def test_a_first_run_that_stripe_refused_loses_nothing(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """It has noted where it begins before it asked, so it counts as the first one all the same."""
    new_customers(dag)
    stripe.accepted_keys = set()
    (error,) = Run(dag, NOW).go().errors
    assert isinstance(error, StripeAuthenticationError)
    stripe.accepted_keys = None
    made = stripe.add_many("customer", 3, created=NOW + 5)
    clock.now += 500
    assert ids(Run(dag, NOW + 400).go().xcom("new")) == made


def test_a_run_without_a_usable_connection_is_no_first_run(
    dag: DAG, stripe: FakeStripe, clock: Clock, set_connection: SetConnection
) -> None:
    """It does not know what it would read: "now" is the time of the first run that does."""
    new_customers(dag)
    set_connection(password="pk_test_0123456789")
    assert Run(dag, NOW).go().state("new") == "failed"
    assert variable(stream(dag)) is None
    set_connection()
    stripe.add("customer", created=NOW + 5)
    made = stripe.add_many("customer", 3, created=NOW + 405)
    clock.now += 500
    assert ids(Run(dag, NOW + 400).go().xcom("new")) == made


def test_a_first_run_that_is_tried_again_loses_nothing(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """A retry deletes the first try's XComs, which are all that a run without a date has."""
    polls: Iterator[int] = count()

    class DiesFromItsSecondPollOn(StripeNewCustomerSensor):
        def poke(self, context: Any) -> Any:
            found = super().poke(context)
            if next(polls) >= 1:
                raise RuntimeError("killed")
            return found

    with dag:
        DiesFromItsSecondPollOn(
            task_id="new",
            poke_interval=0.01,
            timeout=10,
            allow_fast_polling=True,
            retries=1,
            retry_delay=timedelta(),
        )
    first = Run(dag, NOW, logical=False).go()
    assert len(first.errors) == 2
    made = stripe.add_many("customer", 3, created=NOW + 5)
    clock.now += 500
    polls = repeat(0)
    assert ids(Run(dag, NOW + 400, logical=False).go().xcom("new")) == made
