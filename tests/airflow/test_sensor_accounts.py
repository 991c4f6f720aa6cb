"""Sensors and accounts: a sensor reads its own, and goes on from no cursor of another one."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite.errors import StripeAuthenticationError, StripeInputError
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.sensors import StripeNewChargeSensor, StripeNewCustomerSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.airflow.streams import new_customers, stream
from tests.conftest import SetConnection
from tests.harness import ONCE, Run, ids, set_variable, variable
from tests.helpers import KEY, NOW, Clock

SECOND_ACCOUNT = "sk_test_51ZzYyXxWwVvUu0123456789abcdef"


@pytest.mark.parametrize("deferrable", [False, True], ids=["reschedule", "deferrable"])
def test_a_sensor_reads_a_connected_account(
    dag: DAG, fake: FakeStripe, set_connection: SetConnection, clock: Clock, deferrable: bool
) -> None:
    """stripe_account, which may be a template, goes with each poll, also with the trigger's."""
    set_connection(extra={"stripe_account": "acct_1"})
    new_customers(
        dag,
        stripe_account="{{ dag_run.conf.account }}",
        poke_interval=0.01,
        timeout=2000,
        deferrable=deferrable,
    )
    made: list[str] = []

    def later(request: Any) -> None:
        fake.add("customer", created=NOW + 10, account="acct_1")
        made.extend(fake.add_many("customer", 2, created=NOW + 10, account="acct_2"))
        clock.now += 100

    fake.fault(path="/v1/customers", skip=3, hook=later)
    run = Run(dag, NOW, conf={"account": "acct_2"}).go()
    assert run.state("new") == "success"
    assert ids(run.xcom("new")) == made
    assert run.rendered("new")["stripe_account"] == "acct_2"
    assert {call.headers.get("stripe-account") for call in fake.calls} == {"acct_2"}
    # The trigger's polls ask for one object.
    assert ("1" in {dict(call.query)["limit"] for call in fake.calls}) is deferrable
    assert run.xcom("new", "cursor")["account"] == "acct_2"


# --- Another account, another mode


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"password": KEY.replace("_test_", "_live_")}, ("livemode False", "livemode True")),
        ({"password": SECOND_ACCOUNT}, ("stripe_account '",)),
        ({"extra": {"stripe_account": "acct_1A2b3C4d"}}, ("account '", "'acct_1A2b3C4d'")),
    ],
    ids=["mode", "account", "connected account"],
)
def test_a_cursor_of_another_mode_or_account_is_refused(
    dag: DAG,
    stripe: FakeStripe,
    clock: Clock,
    set_connection: SetConnection,
    change: dict[str, Any],
    words: tuple[str, ...],
) -> None:
    """The task fails at once and names both; the old connection goes on, a new start begins.

    Nothing is sent with the key of the other account, and no cursor is overwritten.
    """
    new_customers(dag, retries=2)
    stripe.add_many("customer", 2, created=NOW)
    clock.now += 100
    Run(dag, NOW).go()
    held = variable(stream(dag))
    stripe.calls.clear()
    set_connection(**change)
    run = Run(dag, NOW + 1).go()
    assert run.state("new") == "failed"
    (error,) = run.errors
    assert isinstance(error, StripeInputError)
    assert all(word in str(error) for word in (*words, "stripe_default", stream(dag)))
    assert KEY[12:] not in str(error)
    assert (stripe.calls, variable(stream(dag))) == ([], held)
    set_connection()
    made = stripe.add_many("customer", 2, created=NOW + 100)
    clock.now += 200
    assert ids(run.clear("new").go().xcom("new")) == made
    # What the sentence says helps as well.
    set_connection(**change)
    set_variable(stream(dag), {"start_from": "2026-01-31T00:00:00Z"})
    theirs = {"created": NOW + 200, "account": change.get("extra", {}).get("stripe_account", "")}
    live = "_live_" in change.get("password", "")
    there = [stripe.add("customer", livemode=live, **theirs)]
    clock.now += 200
    assert ids(Run(dag, NOW + 2).go().xcom("new"))[-1:] == there


def test_a_cursor_of_another_feed_is_refused(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """A task that now stands for another feed does not go on from the old one's position."""
    with DAG(dag.dag_id, schedule=None) as before:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    stripe.add_many("customer", 2, created=NOW)
    clock.now += 100
    Run(before, NOW).go()
    with dag:
        StripeNewChargeSensor(task_id="new", **ONCE)
    (error,) = Run(dag, NOW + 1).go().errors
    assert "made for feed 'customer'" in str(error)
    assert "stand for feed 'charge'" in str(error)


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


# --- The same account


def test_a_rotated_key_of_the_same_account_goes_on(
    dag: DAG, stripe: FakeStripe, clock: Clock, set_connection: SetConnection
) -> None:
    """Another key of the account, also one whose account cannot be seen, is no other account."""
    new_customers(dag)
    delivered, made = [], []
    keys = [KEY, KEY.replace("cdef", "0000"), KEY.replace("sk_", "rk_"), "sk_test_oldkey0123456789"]
    for number, key in enumerate(keys):
        set_connection(password=key)
        made += stripe.add_many("customer", 2, created=int(clock.now))
        clock.now += 100
        delivered += ids(Run(dag, NOW + number).go().xcom("new"))
    assert delivered == made


def test_a_key_that_stripe_never_accepted_binds_nothing(
    dag: DAG, stripe: FakeStripe, clock: Clock, set_connection: SetConnection
) -> None:
    """A key mistyped in its account part fails the first run; the right one begins there."""
    new_customers(dag)
    stripe.accepted_keys = {KEY}
    set_connection(password=SECOND_ACCOUNT)
    made = stripe.add_many("customer", 2, created=NOW)
    clock.now += 100
    (error,) = Run(dag, NOW).go().errors
    assert isinstance(error, StripeAuthenticationError)
    cursor = variable(stream(dag))
    assert (cursor["account"], cursor["livemode"], cursor["claims"]) == (None, None, [])
    set_connection()
    assert ids(Run(dag, NOW + 50).go().xcom("new")) == made
    assert len(variable(stream(dag))["account"]) == 12
