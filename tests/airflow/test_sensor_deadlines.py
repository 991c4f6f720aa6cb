"""How long a look of a sensor may take: the first one all of the connection's timeout.

A later one has what is left of the sensor's own, and at least one second.
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from email.utils import formatdate
from typing import Any

import pytest
from airflow.models.taskreschedule import TaskReschedule
from airflow.sdk import DAG
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_provider_stripe_lite.core import reading
from airflow_provider_stripe_lite.core.batches import Batch
from airflow_provider_stripe_lite.errors import StripeConnectionError
from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.conftest import SetConnection
from tests.core.hostile import Hostile, answer, dripping, in_turn, replies
from tests.harness import ONCE, Run
from tests.helpers import NOW

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
DRIP = dripping(HEAD + b"Content-Length: 1000000\r\n\r\n", b" ")
NOTHING = json.dumps({"object": "list", "data": [], "has_more": False}).encode()
NOTHING_NEW = replies(answer(NOTHING, f"Date: {formatdate(NOW, usegmt=True)}"))


class Looks:
    """What the sensors' polls were given, in place of polling."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.most: int | None = None

    def __call__(self, client: Any, resource: Any, start: Any, **_: Any) -> Batch:
        """Find nothing, and remember for how long the client may look."""
        self.seconds.append(client.timeout)
        if len(self.seconds) == self.most:
            raise RuntimeError("so many looks are enough")
        return Batch([], start)


@pytest.fixture
def looks(
    fake: FakeStripe, set_connection: SetConnection, monkeypatch: pytest.MonkeyPatch
) -> Looks:
    """Return the looks of sensors whose connection has a timeout of 30 s.

    The triggerer sees an object each time, so that a deferred sensor comes back at once.
    """
    set_connection(extra={"timeout": 30})
    fake.add("customer", created=NOW - 1_000)
    looks = Looks()
    monkeypatch.setattr(reading, "poll", looks)
    monkeypatch.setattr(reading, "poll_window", looks)
    return looks


# --- The first look


@pytest.mark.parametrize("returns", ["rows", "window"])
@pytest.mark.parametrize("timeout", [0, 1])
@pytest.mark.parametrize("mode", ["poke", "reschedule", "deferrable"])
def test_the_first_look_has_all_of_the_connection_s_timeout(
    dag: DAG, looks: Looks, mode: str, timeout: int, returns: Any
) -> None:
    """However short the sensor's own is, in every mode."""

    class Once(StripeNewCustomerSensor):
        def execute_complete(self, context: Any, event: Any = None) -> Any:
            raise RuntimeError("one look is enough")

    options: dict[str, Any] = {"deferrable": True} if mode == "deferrable" else {"mode": mode}
    with dag:
        Once(
            task_id="new",
            timeout=timeout,
            poke_interval=0.3,
            allow_fast_polling=True,
            start_from="beginning",
            returns=returns,
            **options,
        )
    Run(dag, NOW).go()
    assert looks.seconds[0] == 30


def test_an_answer_that_drips_ends_the_first_look(dag: DAG, set_connection: SetConnection) -> None:
    """In the connection's time, not the sensor's, and with a sentence that names it."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    with Hostile(DRIP) as url:
        set_connection(host=url, extra={"timeout": 2})
        (error,) = Run(dag, NOW).go().errors
    assert isinstance(error, StripeConnectionError)
    assert error.timed_out
    # The last try, for a smaller page, may have had some microseconds less.
    assert re.search(r"its (2|1\.\d+) s are over", str(error))


# --- Later looks


class Slow(StripeNewCustomerSensor):
    """A sensor between whose looks so many seconds go by, on whatever machine."""

    pause: float

    def poke(self, context: Any) -> Any:
        """Look, but let the first look have been longer ago."""
        if self._began:
            self._began -= timedelta(seconds=self.pause)
        return super().poke(context)


def test_an_answer_that_drips_ends_a_later_look_with_the_sensor_s_time(
    dag: DAG, set_connection: SetConnection
) -> None:
    """Less than a second is left of it, so a call has one second, and not the connection's 20."""
    with dag:
        sensor = Slow(
            task_id="new", mode="poke", timeout=60, poke_interval=0.1, allow_fast_polling=True
        )
    sensor.pause = 59.5
    with Hostile(in_turn(NOTHING_NEW, *[DRIP] * 9)) as url:
        set_connection(host=url, extra={"timeout": 20})
        (error,) = Run(dag, NOW).go().errors
    assert isinstance(error, StripeConnectionError)
    assert error.timed_out
    assert re.search(r"its (1|0\.\d+) s are over", str(error))


def test_a_later_look_in_place_has_what_is_left(dag: DAG, looks: Looks) -> None:
    """In poke mode, one process looks again and again: all its looks share the sensor's time."""
    with dag:
        sensor = Slow(
            task_id="new", mode="poke", timeout=90, poke_interval=0.01, allow_fast_polling=True
        )
    sensor.pause = 40
    looks.most = 4
    Run(dag, NOW).go()
    first, second, third, fourth = looks.seconds
    assert (first, second, fourth) == (30, 30, 1)
    assert 1 <= third <= 10


@pytest.mark.parametrize(("ago", "least", "most"), [(0, 1, 30), (50, 1, 10), (70, 30, 30)])
def test_a_later_look_of_a_rescheduled_sensor_has_what_is_left(
    dag: DAG, looks: Looks, ago: float, least: float, most: float
) -> None:
    """Since the first process of the run, of which Airflow knows when it was.

    One that begins behind the sensor's time has all of the connection's: the call limit may have
    kept the ones before it from looking.
    """
    with dag:
        StripeNewCustomerSensor(task_id="new", mode="reschedule", timeout=60)
    run = Run(dag, NOW).go()
    assert run.state("new") == "up_for_reschedule"
    back(run, ago)
    run.again("new")
    assert looks.seconds[0] == 30
    assert least <= looks.seconds[1] <= most
    assert (looks.seconds[1] == 30) == (ago in (0, 70))
    assert run.state("new") == ("failed" if ago > 60 else "up_for_reschedule")


def back(run: Run, seconds: float) -> None:
    """Let the first look of the run have been so long ago."""
    with create_session() as session:
        mine = TaskReschedule.ti_id == run._ti("new", -1).id
        first = session.scalars(select(TaskReschedule).where(mine)).one()
        first.start_date -= timedelta(seconds=seconds)


@pytest.mark.parametrize(("ago", "most"), [(0, 30), (50, 10), (59.5, 1)])
def test_a_later_look_of_a_deferred_sensor_has_what_is_left(
    dag: DAG, looks: Looks, ago: float, most: float
) -> None:
    """Since its first look: the trigger keeps the deadline that it had then."""

    class Late(StripeNewCustomerSensor):
        def execute_complete(self, context: Any, event: Any = None) -> Any:
            if len(looks.seconds) == 2:
                raise RuntimeError("two looks are enough")
            deadline = event["deadline"] - ago
            return super().execute_complete(context, event | {"deadline": deadline})

    with dag:
        Late(
            task_id="new",
            deferrable=True,
            timeout=60,
            poke_interval=0.01,
            allow_fast_polling=True,
            start_from="beginning",
        )
    Run(dag, NOW).go()
    first, second = looks.seconds
    assert (first, second <= most, second >= 1) == (30, True, True)
    assert (second == 30) == (ago == 0)
