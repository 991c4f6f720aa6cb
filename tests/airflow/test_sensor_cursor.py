"""A sensor's cursor: what it holds, where it is kept, and when it is refused."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, task

from airflow_provider_stripe_lite.core.window import Position
from airflow_provider_stripe_lite.errors import StripeInputError
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.sensors import StripeNewChargeSensor, StripeNewCustomerSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.conftest import SetConnection
from tests.harness import ONCE, Run, ids
from tests.helpers import KEY, NOW, Clock, window

SECOND_ACCOUNT = "sk_test_51ZzYyXxWwVvUu0123456789abcdef"


# --- What it holds


def test_the_cursor_says_what_it_is(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """The XCom `cursor` holds version, window and what it belongs to, and nothing of the key."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    made = stripe.add_many("customer", 2, created=NOW)
    clock.now += 100
    run = Run(dag, NOW).go()
    cursor = run.xcom("new", "cursor")
    assert len(cursor["window"].pop("stripe_account")) == 12
    assert cursor == {
        "v": 1,
        "run_id": run.run_id,
        "map_index": -1,
        "looked": NOW + 100,
        "window": {
            "feed": "customer",
            "types": None,
            "created_gte": "2026-02-02T02:40:00+00:00",
            "created_lt": "2026-02-02T02:40:01+00:00",
            "after": None,
            "last": made[-1],
            "stripe_conn_id": "stripe_default",
            "livemode": False,
            "count": 2,
        },
    }


# --- A cursor, or a window, of something else


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"password": KEY.replace("_test_", "_live_")}, ("livemode False", "livemode True")),
        ({"password": SECOND_ACCOUNT}, ("account '",)),
        ({"extra": {"stripe_account": "acct_1A2b3C4d"}}, ("account '", "'acct_1A2b3C4d'")),
    ],
)
def test_a_cursor_of_another_mode_or_account_is_refused(
    dag: DAG,
    stripe: FakeStripe,
    clock: Clock,
    set_connection: SetConnection,
    change: dict[str, Any],
    words: tuple[str, ...],
) -> None:
    """The task fails at once, names both values and how to start afresh; nothing is sent."""
    with dag:
        StripeNewCustomerSensor(task_id="new", retries=2, **ONCE)
    stripe.add_many("customer", 2, created=NOW)
    clock.now += 100
    Run(dag, NOW).go()
    stripe.calls.clear()
    set_connection(**change)
    run = Run(dag, NOW + 1).go()
    assert run.state("new") == "failed"
    (error,) = run.errors
    assert isinstance(error, StripeInputError)
    assert all(word in str(error) for word in (*words, "stripe_default", "start afresh"))
    assert KEY[12:] not in str(error)
    assert stripe.calls == []
    # With the old connection again, nothing was lost meanwhile.
    set_connection()
    made = stripe.add_many("customer", 2, created=NOW + 100)
    clock.now += 200
    assert ids(run.clear("new").go().xcom("new")) == made


def test_a_cursor_of_another_feed_is_refused(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """A task that now stands for another feed does not go on from the old one's position."""
    with DAG(dag.dag_id, schedule=None, max_active_runs=1) as before:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    stripe.add_many("customer", 2, created=NOW)
    clock.now += 100
    Run(before, NOW).go()
    with dag:
        StripeNewChargeSensor(task_id="new", **ONCE)
    (error,) = Run(dag, NOW + 1).go().errors
    assert "made for feed 'customer'" in str(error)
    assert "stand for feed 'charge'" in str(error)


def test_a_rotated_key_of_the_same_account_goes_on(
    dag: DAG, stripe: FakeStripe, clock: Clock, set_connection: SetConnection
) -> None:
    """Another key of the account, also one whose account cannot be seen, is no other account."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    delivered, made = [], []
    keys = [KEY, KEY.replace("cdef", "0000"), KEY.replace("sk_", "rk_"), "sk_test_oldkey0123456789"]
    for number, key in enumerate(keys):
        set_connection(password=key)
        made += stripe.add_many("customer", 2, created=int(clock.now))
        clock.now += 100
        delivered += ids(Run(dag, NOW + number).go().xcom("new"))
    assert delivered == made


@pytest.mark.parametrize(
    "nonsense",
    [
        "text",
        7,
        {"v": 2},
        {"v": 1, "run_id": "x"},
        {"v": 1, "run_id": "x", "window": {"created_lt": "x"}},
        {"v": 2, "run_id": "x", "map_index": -1, "window": window("customer", Position(0), NOW)},
        {"v": 1, "map_index": -1, "window": window("customer", Position(0), NOW)},
    ],
)
def test_an_xcom_that_is_no_cursor_is_refused(dag: DAG, stripe: FakeStripe, nonsense: Any) -> None:
    """What somebody else has pushed under the key `cursor` is named, not stumbled over."""

    def push(context: Any, result: Any = None) -> None:
        context["ti"].xcom_push("cursor", nonsense)

    with DAG(dag.dag_id, schedule=None, max_active_runs=1) as before:

        @task(task_id="new", post_execute=push)
        def other() -> None:
            """Not a sensor."""

        other()
    Run(before, NOW).go()
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    (error,) = Run(dag, NOW + 1).go().errors
    assert isinstance(error, StripeInputError)
    assert stripe.calls == []


def test_a_window_of_another_account_is_refused(
    dag: DAG, stripe: FakeStripe, clock: Clock, set_connection: SetConnection
) -> None:
    """A window cannot be read with a key of another account; both values are named."""
    with dag:
        StripeNewChargeSensor(task_id="new", returns="window", **ONCE)
    stripe.add_many("charge", 3, created=NOW)
    clock.now += 100
    window = Run(dag, NOW).go().xcom("new")
    set_connection("other", password=SECOND_ACCOUNT)
    stripe.calls.clear()
    words = r"window was made for stripe_account '\w+'.* stripe_account '\w+'"
    with pytest.raises(StripeInputError, match=words):
        StripeHook("other").read(window)
    assert stripe.calls == []


# --- Runs of several kinds


def test_the_sensor_warns_of_runs_that_may_overlap(
    dag: DAG, stripe: FakeStripe, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without max_active_runs=1 two runs may read the same cursor: the log says what to do."""
    warning = "set max_active_runs=1 on the DAG"
    stripe.add("customer", created=NOW)
    clock.now += 100
    for runs in (1, 2):
        dag.max_active_runs = runs
        if runs == 1:
            with dag:
                StripeNewCustomerSensor(task_id="new", **ONCE)
        Run(dag, NOW + runs).go()
        assert (warning in capfd.readouterr().out) == (runs == 2)


@pytest.mark.parametrize("cursor_variable", [None, "position"])
def test_dated_and_undated_runs_can_be_mixed(
    dag: DAG, stripe: FakeStripe, clock: Clock, cursor_variable: str | None
) -> None:
    """With cursor_variable, runs with a logical date and runs without share one position."""
    with dag:
        StripeNewCustomerSensor(
            task_id="new", cursor_variable=cursor_variable and f"{dag.dag_id}.position", **ONCE
        )
    made: list[str] = []
    delivered: list[str] = []
    for number, logical in enumerate([True, False, False, True, False, True]):
        made += stripe.add_many("customer", 2, created=int(clock.now))
        clock.now += 100
        delivered += ids(Run(dag, NOW + number, logical=logical).go().xcom("new"))
    if cursor_variable:
        assert delivered == made
    # Without it, too, nothing is lost.
    assert set(delivered) == set(made)


def test_the_variable_keeps_the_cursor(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """A DAG whose runs were all deleted goes on from the Variable, and nothing is missed.

    The last window comes again: Airflow no longer knows that it was delivered.
    """
    with dag:
        StripeNewCustomerSensor(task_id="new", cursor_variable="{{ dag.dag_id }}.kept", **ONCE)
    made: list[str] = []
    runs = []
    for number in range(2):
        made += stripe.add_many("customer", 2, created=int(clock.now))
        clock.now += 100
        runs.append(Run(dag, NOW + number).go())
    for run in runs:
        run.delete()
    made += stripe.add_many("customer", 2, created=NOW + 200)
    clock.now += 1000
    assert ids(Run(dag, NOW + 1000).go().xcom("new")) == made[2:]


def test_a_variable_of_another_sensor_is_refused(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Two sensors with one cursor_variable would lose objects: the second one is refused."""
    with dag:
        first = StripeNewCustomerSensor(
            task_id="first", cursor_variable=f"{dag.dag_id}.both", **ONCE
        )
        first >> StripeNewCustomerSensor(
            task_id="second", cursor_variable=f"{dag.dag_id}.both", **ONCE
        )
    stripe.add_many("customer", 2, created=NOW)
    clock.now += 100
    run = Run(dag, NOW).go()
    assert (run.state("first"), run.state("second")) == ("success", "failed")
    assert "a cursor_variable of its own" in str(run.errors[0])
