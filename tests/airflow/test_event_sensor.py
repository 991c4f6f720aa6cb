"""StripeEventSensor: what has changed at Stripe, as events of some types."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite._compat import exceptions
from airflow_provider_stripe_lite.errors import StripeInputError
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.sensors import StripeEventSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from airflow_provider_stripe_lite.triggers import StripeSensorTrigger
from tests.airflow.streams import stream
from tests.harness import ONCE, Run, ids, set_variable
from tests.helpers import NOW, Clock, gets

FAILED = ["charge.failed", "invoice.payment_failed"]
DAY = 86_400


def test_rows_say_what_has_changed(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """The documented fields: the object's name instead of the object, and what was before."""
    with dag:
        StripeEventSensor(task_id="new", types=["customer.updated"], **ONCE)
    made = stripe.add(
        "event",
        created=NOW,
        type="customer.updated",
        api_version="2025-02-24.acacia",
        object={"id": "cus_1", "object": "customer", "email": "b@example.com"},
        previous_attributes={"email": "a@example.com"},
    )
    clock.now += 100
    assert Run(dag, NOW).go().xcom("new") == [
        {
            "id": made,
            "type": "customer.updated",
            "created": "2026-02-02T02:40:00+00:00",
            "account": None,
            "api_version": "2025-02-24.acacia",
            "object_type": "customer",
            "object_id": "cus_1",
            "previous_attributes": {"email": "a@example.com"},
        }
    ]


def test_an_object_without_an_id_has_none_in_its_row(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """An upcoming invoice is not there yet, and what was made had no values before."""
    with dag:
        StripeEventSensor(task_id="new", types=["invoice.upcoming"], **ONCE)
    upcoming = {"object": "invoice", "amount_due": 1200}
    stripe.add("event", created=NOW, type="invoice.upcoming", object=upcoming)
    clock.now += 100
    (row,) = Run(dag, NOW).go().xcom("new")
    assert (row["object_type"], row["object_id"]) == ("invoice", None)
    assert row["previous_attributes"] is None


def test_all_fields_hold_the_object_without_its_secret(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """fields="*" is the event with its object, in the shape that it had then."""
    with dag:
        StripeEventSensor(task_id="new", types=["payment_intent.*"], fields="*", **ONCE)
    intent = {"id": "pi_1", "object": "payment_intent", "client_secret": "pi_1_secret_x"}
    stripe.add("event", created=NOW, type="payment_intent.created", object=intent)
    clock.now += 100
    (row,) = Run(dag, NOW).go().xcom("new")
    assert row["data"]["object"] == {"id": "pi_1", "object": "payment_intent"}


@pytest.mark.parametrize(
    ("types", "wanted", "asked"),
    [
        (["charge.failed"], (0,), {"types[0]": "charge.failed"}),
        (("charge.failed", "payout.paid"), (0, 2), {"types[1]": "payout.paid"}),
        (["charge.*"], (0, 1), {"type": "charge.*"}),
        (["*"], (0, 1, 2), {"type": "*"}),
    ],
    ids=str,
)
def test_events_of_the_types_are_delivered_and_no_others(
    dag: DAG, stripe: FakeStripe, clock: Clock, types: Any, wanted: Any, asked: dict[str, str]
) -> None:
    """Stripe filters, in every request; twice run, nothing comes twice."""
    with dag:
        StripeEventSensor(task_id="new", types=types, **ONCE)
    for number in range(2):
        made = [
            stripe.add("event", created=int(clock.now), type=name)
            for name in ("charge.failed", "charge.dispute.closed", "payout.paid")
        ]
        clock.now += 100
        rows = Run(dag, NOW + number).go().xcom("new")
        assert ids(rows) == [made[at] for at in wanted]
    assert all(asked.items() <= query.items() for query in gets(stripe))


def test_a_window_of_events_knows_its_types(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """Whoever reads it gets the events of those types alone, as rows or as Stripe sent them."""
    with dag:
        StripeEventSensor(task_id="new", types=FAILED, returns="window", **ONCE)
    made = [
        stripe.add("event", created=NOW + at, type=name, object={"id": f"x_{at}", "object": "x"})
        for at, name in enumerate(("charge.failed", "charge.succeeded", FAILED[1], FAILED[0]))
    ]
    clock.now += 100
    window = Run(dag, NOW).go().xcom("new")
    assert (window["feed"], window["types"], window["count"]) == ("event", FAILED, None)
    stripe.add("event", created=NOW + 50, type="charge.failed")
    wanted = [made[0], *made[2:]]
    assert ids(StripeHook().read(window)) == wanted
    rows = list(StripeHook().read(window, fields=None))
    assert [row["object_id"] for row in rows] == ["x_0", "x_2", "x_3"]
    assert ids(StripeHook().read(window, fields=["id"])) == wanted


# --- What is refused


@pytest.mark.parametrize(
    ("types", "words"),
    [
        ([f"charge.type_{at}" for at in range(21)], "^types must be a list of 1 to 20"),
        ([], "^types must be a list of 1 to 20"),
        ("charge.failed", "^types must be a list of 1 to 20"),
        (None, "^types must be a list"),
        ([None], "^types must be a list"),
        (["Charge Failed"], "^types must be a list"),
        (["charge.*", "payout.paid"], "^types with a wildcard must be the only one"),
    ],
)
def test_types_that_stripe_would_not_take_are_refused_in_the_dag_file(
    dag: DAG, types: Any, words: str
) -> None:
    """Where their author sees it; the sentence says what types are."""
    with dag, pytest.raises(StripeInputError, match=words):
        StripeEventSensor(task_id="new", types=types)


def test_types_are_no_default() -> None:
    """All events of an account would be more than anybody means."""
    with pytest.raises(TypeError, match="types"):
        StripeEventSensor(task_id="new")  # type: ignore[call-arg]


@pytest.mark.parametrize("returns", ["rows", "window"])
def test_a_start_before_stripe_s_memory_is_refused(
    dag: DAG, stripe: FakeStripe, clock: Clock, returns: Any
) -> None:
    """Of the days before the last 30, Stripe has dropped events: none is passed over in silence."""
    start = "{{ dag_run.run_after - macros.timedelta(days=31) }}"
    options: Any = {"task_id": "new", "types": FAILED, "returns": returns, "retries": 2, **ONCE}
    with dag:
        StripeEventSensor(start_from=start, **options)
    made = stripe.add("event", created=NOW - DAY, type="charge.failed")
    run = Run(dag, NOW).go()
    (error,) = run.errors
    assert isinstance(error, StripeInputError)
    assert str(error).startswith("start_from must not lie more than 30 days back")
    assert (run.state(), len(stripe.calls)) == ("failed", 0)
    with DAG(dag.dag_id, schedule=None) as mended:
        StripeEventSensor(start_from=NOW - 2 * DAY, **options)
    clock.now += 100
    found = Run(mended, NOW + 100).go().xcom("new")
    assert found["last"] == made if returns == "window" else ids(found) == [made]


def test_a_sensor_that_gets_more_types_goes_on(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """From where it was: what came before of the new type is not delivered."""
    with DAG(dag.dag_id, schedule=None, max_active_runs=1) as before:
        StripeEventSensor(task_id="new", types=FAILED[:1], **ONCE)
    for name in FAILED[::-1]:
        stripe.add("event", created=NOW, type=name)
    clock.now += 100
    assert len(Run(before, NOW).go().xcom("new")) == 1
    with dag:
        StripeEventSensor(task_id="new", types=FAILED, **ONCE)
    made = [stripe.add("event", created=int(clock.now), type=name) for name in FAILED]
    clock.now += 100
    assert ids(Run(dag, NOW + 1).go().xcom("new")) == made


# --- Stripe keeps events for 30 days


def events(dag: DAG, stripe: FakeStripe, since: int, count: int, every: int, **options: Any) -> Run:
    """Make events, and run a sensor that begins before them."""
    for number in range(count):
        stripe.add("event", created=since + 60 + number * every, type="charge.failed")
    with dag:
        StripeEventSensor(task_id="new", types=FAILED, start_from=since, **ONCE, **options)
    return Run(dag, NOW).go()


def test_a_backlog_that_waits_too_long_is_refused(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """What has left the list meanwhile is passed over by nobody, though the sensor has looked."""
    clock.now += 100
    run = events(dag, stripe, NOW - 29 * DAY, 12, DAY // 4, max_items=3)
    assert len(run.xcom("new")) == 3
    clock.now += 3 * DAY
    (error,) = Run(dag, NOW + 3 * DAY).go().errors
    assert "must not lie more than 30 days back" in str(error)
    assert f"the Variable {stream(dag)}" in str(error)


def test_a_window_that_stripe_has_dropped_in_part_is_said(
    dag: DAG,
    stripe: FakeStripe,
    clock: Clock,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The next run returns what is left of it, and the log how much it was."""
    clock.now += 100
    events(dag, stripe, NOW - 29 * DAY, 12, DAY // 4).mark("new", "failed")
    clock.now += 2 * DAY
    run = Run(dag, NOW + 2 * DAY).go()
    assert 0 < len(run.xcom("new")) < 12
    log = "".join(capfd.readouterr()) + caplog.text
    assert "is missing (the window held 12)" in log
    assert f"Returning {len(run.xcom('new'))} of event, " in log


def test_a_window_that_stripe_has_dropped_says_how_to_go_on(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Each run is red until a person has seen that it is lost, and has written where to begin."""
    clock.now += 100
    events(dag, stripe, NOW - DAY, 1, 1).mark("new", "failed")
    clock.now += 31 * DAY
    new = stripe.add("event", created=int(clock.now), type="charge.failed")
    clock.now += 200
    for number in range(2):
        (error,) = Run(dag, NOW + 31 * DAY + number).go().errors
        assert str(error).startswith("A window must not lie more than 30 days back")
        assert 'write {"start_from"' in str(error)
    set_variable(stream(dag), {"start_from": NOW + 30 * DAY})
    assert ids(Run(dag, NOW + 31 * DAY + 2).go().xcom("new")) == [new]


# --- In the triggerer


def test_a_deferred_sensor_waits_for_its_types(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """The trigger wakes for an event of the types, and for no other."""
    with dag:
        StripeEventSensor(
            task_id="new",
            types=FAILED,
            deferrable=True,
            poke_interval=0.01,
            allow_fast_polling=True,
            timeout=3600,
        )

    def other(_: Any) -> None:
        stripe.add("event", created=NOW + 10, type="charge.succeeded")
        clock.now += 200

    made: list[str] = []

    def wanted(_: Any) -> None:
        made.append(stripe.add("event", created=NOW + 150, type="charge.failed"))
        clock.now += 200

    stripe.fault(path="/v1/events", skip=2, hook=other)
    stripe.fault(path="/v1/events", skip=5, hook=wanted)
    assert ids(Run(dag, NOW).go().xcom("new")) == made
    looks = [query for query in gets(stripe) if query["limit"] == "1"]
    assert len(looks) > 3
    assert all(query["types[1]"] == FAILED[1] for query in gets(stripe))


def test_the_trigger_of_a_sensor_keeps_its_types(dag: DAG, stripe: FakeStripe) -> None:
    """They survive the metadata database, and sensors of other types share no look."""
    deferred: list[StripeSensorTrigger] = []

    class Noting(StripeEventSensor):
        def defer(self, *, trigger: Any, **_: Any) -> None:
            deferred.append(trigger)
            raise exceptions.AirflowSkipException

    with dag:
        Noting(task_id="new", types=("charge.failed",), deferrable=True)
    Run(dag, NOW).go()
    (trigger,) = deferred
    path, arguments = trigger.serialize()
    assert (arguments["feed"], arguments["types"]) == ("event", ["charge.failed"])
    again = StripeSensorTrigger(**json.loads(json.dumps(arguments)))
    assert again.serialize() == (path, arguments)
