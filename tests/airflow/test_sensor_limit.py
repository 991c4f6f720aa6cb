"""A sensor and a used-up call limit: it comes back, holds no worker, and looks once at least."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite import _sensor
from airflow_provider_stripe_lite.core import ratelimit
from airflow_provider_stripe_lite.errors import RateLimitWait
from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.airflow.streams import new_customers, stream
from tests.harness import ONCE, Run, ids, variable
from tests.helpers import NOW, Clock


class Limit:
    """A call limit that has no place for a while.

    :ivar busy: how often more it says so.
    :ivar seconds: how long it is until the next place.
    """

    busy, seconds = 0, 600.0

    def acquire(self, key: str, max_wait: float | None = None) -> float:
        """Let pass, or say how long it is."""
        if self.busy and max_wait is not None and max_wait < self.seconds:
            self.busy -= 1
            raise RateLimitWait(self.seconds)
        return 0.0

    def push(self, key: str, seconds: float) -> None:
        """Do nothing."""


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Limit:
    """Return the call limit of all connections."""
    limit = Limit()
    monkeypatch.setattr(ratelimit, "limiter_for", lambda *_, **__: limit)
    return limit


START = datetime(2026, 1, 1, tzinfo=UTC)
QUIET: list[dict[str, Any]] = [{}, {"soft_fail": True}, {"silent_fail": True}, {"never_fail": True}]


@pytest.mark.parametrize("options", QUIET, ids=str)
@pytest.mark.parametrize("returns", ["rows", "window"])
def test_a_rescheduled_sensor_comes_back_for_its_look(
    dag: DAG, stripe: FakeStripe, clock: Clock, limit: Limit, options: Any, returns: Any
) -> None:
    """Also with timeout=0, as often as it must: no worker waits, and having no place is no look."""
    new_customers(dag, returns=returns, **options)
    stripe.add_many("customer", 2, created=NOW)
    clock.now += 100
    # The client asks twice: without a wait, and with as long a one as the sensor allows.
    limit.busy = 2
    run = Run(dag, NOW).go()
    for _ in range(2):
        assert run.state("new") == "up_for_reschedule"
        assert 590 < run.waits("new") < 601
        assert (stripe.calls, variable(stream(dag))["claims"]) == ([], [])
        run.again("new")
    assert run.state("new") == "success"


@pytest.mark.parametrize("options", QUIET, ids=str)
def test_a_deferred_sensor_comes_back_for_its_look(
    dag: DAG,
    stripe: FakeStripe,
    clock: Clock,
    limit: Limit,
    options: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The trigger waits for the place without a look of its own, and no time is over until then."""
    monkeypatch.setattr(_sensor, "_SHORT_WAIT", 0.0)
    deferred: list[Any] = []

    class Noting(StripeNewCustomerSensor):
        def defer(self, *, trigger: Any, **options: Any) -> Any:
            deferred.append(trigger.serialize()[1] | options)
            super().defer(trigger=trigger, **options)

    with dag:
        Noting(task_id="new", deferrable=True, **ONCE | options)
    made = stripe.add_many("customer", 2, created=NOW)
    clock.now += 100
    limit.busy, limit.seconds = 3, 0.03
    run = Run(dag, NOW).go()
    assert ids(run.xcom("new")) == made
    assert len(deferred) == 3
    for one in deferred:
        assert (one["since"], one["deadline"], one["timeout"]) == (None, None, None)
        assert one["poll_interval"] == 0.03
    assert len(stripe.calls) == 1


def test_a_sensor_that_has_looked_keeps_its_time(
    dag: DAG, stripe: FakeStripe, clock: Clock, limit: Limit
) -> None:
    """A busy limit between two looks does not make it longer: the last look ends it."""
    new_customers(dag, timeout=3600, poke_interval=120)
    run = Run(dag, NOW).go()
    assert run.state("new") == "up_for_reschedule"
    limit.busy = 1
    assert run.again("new").state("new") == "up_for_reschedule"
    assert 590 < run.waits("new") < 601
    assert len(stripe.calls) == 1


def test_a_sensor_waits_for_a_place_that_is_near(
    dag: DAG, stripe: FakeStripe, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Starting a task again would cost more than five seconds of a worker."""
    waits: list[float | None] = []

    class Near(Limit):
        def acquire(self, key: str, max_wait: float | None = None) -> float:
            waits.append(max_wait)
            return 0.0

    monkeypatch.setattr(ratelimit, "limiter_for", lambda *_, **__: Near())
    new_customers(dag)
    Run(dag, NOW).go()
    assert waits
    assert all(wait is not None and wait <= 5 for wait in waits)


def test_poke_mode_waits_for_a_place_itself(
    dag: DAG, stripe: FakeStripe, clock: Clock, limit: Limit
) -> None:
    """It keeps the worker anyway, so it is not given back for the limit."""
    new_customers(dag, mode="poke")
    made = stripe.add_many("customer", 2, created=NOW)
    clock.now += 100
    limit.busy = 1
    run = Run(dag, NOW).go()
    assert ids(run.xcom("new")) == made


@pytest.mark.parametrize("allow_fast_polling", [False, True])
def test_a_schedule_that_is_quicker_than_a_poll_is_named(
    stripe: FakeStripe, capfd: pytest.CaptureFixture[str], allow_fast_polling: bool
) -> None:
    """Each of its runs looks at once."""
    name = f"quick_{allow_fast_polling}".lower()
    with DAG(name, schedule=timedelta(seconds=60), start_date=START) as dag:
        StripeNewCustomerSensor(
            task_id="new", start_from="beginning", allow_fast_polling=allow_fast_polling
        )
    stripe.add("customer", created=NOW - 100)
    Run(dag, NOW).go()
    words = "The time between two runs of the schedule is 60 s, less than 120"
    assert (words in capfd.readouterr().out) is not allow_fast_polling
