"""The sensors deliver every new object exactly once, whatever becomes of their runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count, repeat
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException

from airflow_provider_stripe_lite._sensor import StripeFeedSensor
from airflow_provider_stripe_lite.core.resources import RESOURCES
from airflow_provider_stripe_lite.core.window import Position, Window
from airflow_provider_stripe_lite.errors import (
    StripeInputError,
    StripeNotFoundError,
    StripeServerError,
)
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.sensors import (
    StripeNewChargeSensor,
    StripeNewCustomerSensor,
    StripeNewInvoiceItemSensor,
    StripeNewObjectSensor,
    StripeNewOrderSensor,
)
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.conftest import SetConnection
from tests.harness import Run
from tests.helpers import KEY, NOW, Clock, window

# One poll: whoever finds nothing then has waited long enough.
ONCE: dict[str, Any] = {"timeout": 0, "poke_interval": 0, "allow_fast_polling": True}
SECOND_ACCOUNT = "sk_test_51ZzYyXxWwVvUu0123456789abcdef"


def ids(rows: Iterable[dict[str, Any]] | None) -> list[str]:
    """Return the ids of rows, in their order."""
    return [row["id"] for row in rows or ()]


def dies_once(tmp_path: Any) -> Callable[[Any, Any], None]:
    """Return what ends a task's process once, when all is done but before Airflow knows."""
    marker = tmp_path / "died"

    def post_execute(context: Any, result: Any = None) -> None:
        if not marker.exists():
            marker.touch()
            raise RuntimeError("killed")

    return post_execute


# --- Runs in a row


@pytest.mark.parametrize(
    ("sensor", "kind"),
    [
        (StripeNewCustomerSensor, "customer"),
        (StripeNewChargeSensor, "charge"),
        (StripeNewInvoiceItemSensor, "invoiceitem"),
    ],
)
def test_three_runs_in_a_row_deliver_disjoint_sets_that_add_up(
    dag: DAG, stripe: FakeStripe, clock: Clock, sensor: type[StripeFeedSensor], kind: str
) -> None:
    """Every object that is created between three runs is in exactly one of them, oldest first."""
    with dag:
        sensor(task_id="new", **ONCE)
    made: list[str] = []
    delivered: list[str] = []
    for number in range(3):
        made += stripe.add_many(kind, 120, created=int(clock.now), spread=90)
        clock.now += 200
        run = Run.whole(dag, NOW + number)
        assert run.state() == "success"
        delivered += ids(run.xcom("new"))
        assert len(delivered) == 120 * (number + 1)
    assert delivered == made


def test_orders_of_an_old_account_are_delivered(
    dag: DAG, fake: FakeStripe, set_connection: SetConnection, clock: Clock
) -> None:
    """With API version 2020-08-27, which still has orders, the sensor works like the others."""
    set_connection(extra={"api_version": "2020-08-27"})
    with dag:
        StripeNewOrderSensor(task_id="new", **ONCE)
    made = fake.add_many("order", 3, created=NOW)
    clock.now += 100
    assert ids(Run.whole(dag, NOW).xcom("new")) == made


def test_the_order_sensor_says_that_stripe_has_removed_orders(dag: DAG, stripe: FakeStripe) -> None:
    """With a newer API version the error names the last one that had orders, and what to use."""
    with dag:
        StripeNewOrderSensor(task_id="new", retries=3, **ONCE)
    run = Run(dag, NOW).go()
    assert run.state("new") == "failed"
    (error,) = run.errors
    assert isinstance(error, StripeNotFoundError)
    assert "removed the Orders API" in str(error)
    assert "2020-08-27" in str(error)
    assert 'feed="checkout.session"' in str(error)


def test_what_stripe_has_today_instead_of_orders(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Checkout sessions are a feed too."""
    with dag:
        StripeNewObjectSensor(task_id="new", feed="checkout.session", **ONCE)
    made = stripe.add_many("checkout.session", 2)
    clock.now += 100
    rows = Run(dag, NOW).go().xcom("new")
    assert ids(rows) == made
    assert set(rows[0]) == {
        "id",
        "amount",
        "created",
        "currency",
        "customer",
        "email",
        "payment_status",
        "status",
    }


def test_what_is_too_young_is_left_for_the_next_run(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """An object younger than `min_age` waits, so that one that Stripe shows late is not missed."""
    with dag:
        StripeNewCustomerSensor(task_id="new", min_age=60, **ONCE)
    first = stripe.add("customer", created=NOW)
    second = stripe.add("customer", created=NOW + 30)
    late = stripe.add_many("customer", 1, created=NOW + 30, visible_at=NOW + 85)
    clock.now = NOW + 80
    assert ids(Run(dag, NOW).go().xcom("new")) == [first]
    clock.now = NOW + 200
    assert sorted(ids(Run(dag, NOW + 1).go().xcom("new"))) == sorted([second, *late])


def test_a_deleted_last_object_loses_nothing(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """When the last customer that was delivered is deleted, the next run goes on behind it."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    stripe.add_many("customer", 3, created=NOW)
    clock.now += 100
    first = Run(dag, NOW).go()
    stripe.delete(first.xcom("new", "cursor")["window"]["last"])
    made = stripe.add_many("customer", 3, created=NOW + 100)
    clock.now += 200
    assert ids(Run(dag, NOW + 1).go().xcom("new")) == made


@pytest.mark.parametrize("soft_fail", [False, True])
def test_an_empty_first_run_loses_nothing(
    dag: DAG, stripe: FakeStripe, clock: Clock, soft_fail: bool
) -> None:
    """The first run found nothing and failed or was skipped: the second begins where it began."""
    with dag:
        StripeNewCustomerSensor(task_id="new", soft_fail=soft_fail, **ONCE)
    first = Run(dag, NOW).go()
    assert first.state("new") == ("skipped" if soft_fail else "failed")
    assert [type(error) for error in first.errors] in ([AirflowSensorTimeout], [])
    made = stripe.add_many("customer", 3, created=NOW + 5)
    clock.now += 500
    assert ids(Run(dag, NOW + 400).go().xcom("new")) == made


def test_a_first_run_that_could_not_begin_loses_nothing(
    dag: DAG, stripe: FakeStripe, clock: Clock, set_connection: SetConnection
) -> None:
    """A run that failed before it could leave a cursor counts as the first one all the same."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    set_connection(password="pk_test_0123456789")
    assert Run(dag, NOW).go().state("new") == "failed"
    set_connection()
    made = stripe.add_many("customer", 3, created=NOW + 5)
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


def test_a_quiet_run_costs_one_call(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """Nothing new is one request; 250 new ones are three."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    stripe.add_many("customer", 1, created=NOW)
    clock.now += 100
    Run(dag, NOW).go()
    stripe.calls.clear()
    Run(dag, NOW + 1).go()
    assert len(stripe.calls) == 1
    stripe.add_many("customer", 250, created=NOW + 100)
    clock.now += 200
    stripe.calls.clear()
    assert len(Run(dag, NOW + 2).go().xcom("new")) == 250
    assert len(stripe.calls) == 3


# --- The same run again


@pytest.mark.parametrize("returns", ["rows", "window"])
def test_a_retry_delivers_the_same(
    dag: DAG, stripe: FakeStripe, clock: Clock, tmp_path: Any, returns: Any
) -> None:
    """A task that dies with its window claimed gets the same again, although more has come."""
    with dag:
        StripeNewCustomerSensor(
            task_id="new", retries=1, post_execute=dies_once(tmp_path), returns=returns, **ONCE
        )
    made = stripe.add_many("customer", 5, created=NOW)
    clock.now += 100
    run = Run(dag, NOW)
    stripe.fault(path="/v1/customers", hook=lambda _: stripe.add("customer"), skip=1)
    clock.now += 1
    run.go()
    assert run.state("new") == "success"
    assert len(run.errors) == 1
    result = run.xcom("new")
    assert result["count"] == 5 if returns == "window" else ids(result) == made


def test_a_clear_delivers_the_same(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """A cleared task gets the same rows; the runs around it are not disturbed."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    made, runs = [], []
    for number in range(2):
        made.append(stripe.add_many("customer", 4, created=int(clock.now)))
        clock.now += 200
        runs.append(Run(dag, NOW + number).go())
    for number in (0, 1):
        before = runs[number].xcom("new")
        assert ids(before) == made[number]
        assert runs[number].clear("new").go().xcom("new") == before
    made.append(stripe.add_many("customer", 4, created=int(clock.now)))
    clock.now += 200
    assert ids(Run(dag, NOW + 2).go().xcom("new")) == made[2]


def test_the_rows_of_a_failed_run_come_again(
    dag: DAG, stripe: FakeStripe, clock: Clock, tmp_path: Any
) -> None:
    """A sensor that fails for good has delivered nothing: the next run gets its rows and more."""
    with dag:
        StripeNewCustomerSensor(task_id="new", post_execute=dies_once(tmp_path), **ONCE)
    made = stripe.add_many("customer", 3, created=NOW)
    clock.now += 100
    assert Run(dag, NOW).go().state("new") == "failed"
    made += stripe.add_many("customer", 3, created=NOW + 100)
    clock.now += 200
    assert ids(Run(dag, NOW + 1).go().xcom("new")) == made


def test_a_failed_page_loses_nothing(
    dag: DAG, stripe: FakeStripe, clock: Clock, set_connection: SetConnection
) -> None:
    """A server error between two pages fails the task with its type; the next run gets it all."""
    with dag:
        StripeNewCustomerSensor(task_id="new", retries=1, **ONCE)
    made = stripe.add_many("customer", 250, created=NOW)
    clock.now += 100
    headers = {"Stripe-Should-Retry": "false"}
    stripe.fault(path="/v1/customers", status=503, headers=headers, skip=1)
    failed = Run(dag, NOW).go()
    # Stripe has said that a retry is of no use.
    assert failed.state("new") == "failed"
    assert isinstance(failed.errors[0], StripeServerError)
    assert ids(Run(dag, NOW + 1).go().xcom("new")) == made


@pytest.mark.parametrize(("advance_after", "again"), [("sensor", False), ("dag_run", True)])
def test_what_must_have_succeeded_for_a_window_to_count(
    dag: DAG, stripe: FakeStripe, clock: Clock, advance_after: Any, again: bool
) -> None:
    """When processing fails, the next run gets the rows again only with "dag_run"."""
    with dag:
        new = StripeNewCustomerSensor(task_id="new", advance_after=advance_after, **ONCE)

        @task
        def process(rows: list[Any]) -> None:
            if len(rows) == 2:
                raise RuntimeError("cannot process these")

        process(new.output)
    first = stripe.add_many("customer", 2, created=NOW)
    clock.now += 100
    assert Run(dag, NOW).go().state() == "failed"
    second = stripe.add_many("customer", 1, created=NOW + 100)
    clock.now += 200
    run = Run(dag, NOW + 1).go()
    assert ids(run.xcom("new")) == (first + second if again else second)
    assert run.state() == "success"


# --- Where reading begins, how much comes, in which form


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


def test_max_items_leaves_the_rest_for_the_next_run(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Batches are cut only between two seconds, and nothing is lost between them."""
    with dag:
        StripeNewCustomerSensor(task_id="new", max_items=5, **ONCE)
    made = [
        id for second in range(4) for id in stripe.add_many("customer", 3, created=NOW + second)
    ]
    clock.now += 100
    batches = [ids(Run(dag, NOW + number).go().xcom("new")) for number in range(4)]
    assert batches == [made[0:3], made[3:6], made[6:9], made[9:12]]


def test_one_second_s_objects_stay_together(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """A second with more objects than max_items is one batch."""
    with dag:
        StripeNewCustomerSensor(task_id="new", max_items=10, **ONCE)
    made = stripe.add_many("customer", 130, created=NOW)
    clock.now += 100
    assert ids(Run(dag, NOW).go().xcom("new")) == made


@pytest.mark.parametrize(
    ("fields", "row"),
    [
        (["id", "metadata.order_ref"], {"metadata": {"order_ref": "A-1"}}),
        ("{{ ['id', 'email'] }}", {"email": "jenny@example.com"}),
    ],
)
def test_fields_choose_what_a_row_has(
    dag: DAG, stripe: FakeStripe, clock: Clock, fields: Any, row: dict[str, Any]
) -> None:
    """A list of dotted paths gives those, nested as at Stripe; it may be a native template."""
    dag.render_template_as_native_obj = True
    with dag:
        StripeNewCustomerSensor(task_id="new", fields=fields, **ONCE)
    made = stripe.add("customer", email="jenny@example.com", metadata={"order_ref": "A-1"})
    clock.now += 100
    assert Run(dag, NOW).go().xcom("new") == [{"id": made} | row]


def test_all_fields_are_the_object_as_stripe_sent_it(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """fields="*" changes nothing."""
    with dag:
        StripeNewCustomerSensor(task_id="new", fields="*", **ONCE)
    made = stripe.add("customer", email="jenny@example.com")
    clock.now += 100
    (row,) = Run(dag, NOW).go().xcom("new")
    assert row == StripeHook().get_customer(made)


def test_a_feed_without_documented_fields_gives_what_stripe_sent(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """A row of such a feed is the object, with all that it has."""
    assert RESOURCES["payout"].fields == ()
    with dag:
        StripeNewObjectSensor(task_id="new", feed="payout", **ONCE)
    made = stripe.add_many("payout", 2, created=NOW, amount=1200, currency="usd")
    clock.now += 100
    rows = Run(dag, NOW).go().xcom("new")
    assert ids(rows) == made
    assert rows == stripe.objects("payout")
    assert (rows[0]["object"], rows[0]["created"], rows[0]["amount"]) == ("payout", NOW, 1200)


def test_subscriptions_come_with_those_that_were_canceled(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Without status=all, Stripe would leave canceled ones out, and a run would miss them."""
    with dag:
        StripeNewObjectSensor(task_id="new", feed="subscription", **ONCE)
    made = [
        stripe.add("subscription", created=NOW + second, status=status)
        for second, status in enumerate(("active", "canceled", "trialing", "canceled"))
    ]
    clock.now += 100
    rows = Run(dag, NOW).go().xcom("new")
    assert ids(rows) == made
    assert [row["status"] for row in rows] == ["active", "canceled", "trialing", "canceled"]
    assert {dict(call.query)["status"] for call in stripe.calls} == {"all"}


@pytest.mark.parametrize(
    "sensor",
    [
        StripeNewCustomerSensor,
        StripeNewOrderSensor,
        StripeNewChargeSensor,
        StripeNewInvoiceItemSensor,
    ],
)
def test_a_named_sensor_takes_no_feed(dag: DAG, sensor: type[StripeFeedSensor]) -> None:
    """Its name says the feed: another one is an error of the DAG file, in Airflow's own words."""
    with dag, pytest.raises(TypeError, match=rf"(?s){sensor.__name__}.*feed"):
        sensor(task_id="new", feed="payout")
    with dag, pytest.raises(TypeError, match="feed"):
        sensor.partial(task_id="new", feed="payout")


@pytest.mark.parametrize("feed", ["customers", "invoice_item", "price", "", None, 5, ["charge"]])
def test_an_unknown_feed_is_refused_in_the_dag_file(dag: DAG, feed: Any) -> None:
    """The sentence says what a feed is, and names those that are meant most likely."""
    with dag, pytest.raises(StripeInputError, match=r"^feed must be one of the \d+ names") as no:
        StripeNewObjectSensor(task_id="new", feed=feed)
    named = set(re.findall(r"[\w.]+", str(no.value).split("such as ")[1].split(", got")[0]))
    assert named
    assert named <= set(RESOURCES)
    assert repr(feed) in str(no.value)


@pytest.mark.parametrize(
    ("feed", "meant"),
    [("customers", "customer"), ("invoice_item", "invoiceitem"), ("payouts", "payout")],
)
def test_a_feed_that_is_nearly_one_is_named(feed: Any, meant: str) -> None:
    """Whoever writes a feed as 0.1 did, or as a plural, reads the right name."""
    with pytest.raises(StripeInputError, match=rf"such as [\w., ]*\b{meant}\b"):
        StripeNewObjectSensor(task_id="new", feed=feed)


def test_a_window_travels_by_reference(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """returns="window" pushes no object; the hook reads the same objects at any later time."""
    with dag:
        StripeNewChargeSensor(task_id="new", returns="window", **ONCE)
    made = stripe.add_many("charge", 150, created=NOW, spread=9)
    clock.now += 100
    window = Run(dag, NOW).go().xcom("new")
    assert set(window) == set(Window.__annotations__)
    assert (window["feed"], window["count"], window["last"]) == ("charge", 150, made[-1])
    stripe.add_many("charge", 20, created=int(clock.now))
    clock.now += 100
    for _ in range(2):
        assert ids(StripeHook().read(window)) == made


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


# --- A cursor of something else


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


# --- Connected accounts


@pytest.mark.parametrize("deferrable", [False, True], ids=["poke", "deferrable"])
def test_a_sensor_reads_a_connected_account(
    dag: DAG, fake: FakeStripe, set_connection: SetConnection, clock: Clock, deferrable: bool
) -> None:
    """stripe_account, which may be a template, goes with each poll, also with the trigger's."""
    set_connection(extra={"stripe_account": "acct_1"})
    with dag:
        StripeNewCustomerSensor(
            task_id="new",
            stripe_account="{{ dag_run.conf.account }}",
            poke_interval=0.01,
            allow_fast_polling=True,
            timeout=20,
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
    assert run.xcom("new", "cursor")["window"]["stripe_account"] == "acct_2"


# --- Mapped


def test_each_index_of_a_mapped_sensor_has_its_own_stream(
    dag: DAG, stripe: FakeStripe, clock: Clock, set_connection: SetConnection
) -> None:
    """One sensor over two connections delivers each account's objects once, run after run."""
    set_connection("shop_a", extra={"stripe_account": "acct_a"})
    set_connection("shop_b", extra={"stripe_account": "acct_b"})
    with dag:
        StripeNewCustomerSensor.partial(task_id="new", **ONCE).expand(
            stripe_conn_id=["shop_a", "shop_b"]
        )
    for number in range(2):
        made = [
            stripe.add_many("customer", 2 + number, created=int(clock.now), account=account)
            for account in ("acct_a", "acct_b")
        ]
        clock.now += 100
        run = Run(dag, NOW + number).go()
        assert [ids(run.xcom("new", map_index=index)) for index in (0, 1)] == made


def test_another_order_of_what_is_expanded_is_refused(
    dag: DAG, stripe: FakeStripe, clock: Clock, set_connection: SetConnection
) -> None:
    """Cursors belong to map indexes: in another order, none goes on from another one's cursor."""
    set_connection("shop_a")
    set_connection("shop_b")
    stripe.add_many("customer", 2, created=NOW)
    clock.now += 100
    errors = []
    for number, order in enumerate((["shop_a", "shop_b"], ["shop_b", "shop_a"])):
        with DAG(dag.dag_id, schedule=None, max_active_runs=1) as changed:
            StripeNewCustomerSensor.partial(task_id="new", **ONCE).expand(stripe_conn_id=order)
        errors = Run(changed, NOW + number).go().errors
    assert ["keep the order" in str(error) for error in errors] == [True, True]


# --- Waiting


def test_polls_are_two_minutes_apart_unless_told_otherwise() -> None:
    """120 s is the default and the least, as every poll is one of the reads that Stripe allots."""
    assert StripeNewCustomerSensor(task_id="new").poke_interval == 120
    assert (
        StripeNewCustomerSensor(task_id="new", poke_interval=timedelta(minutes=5)).poke_interval
        == 300
    )
    with pytest.raises(StripeInputError, match="allow_fast_polling=True"):
        StripeNewCustomerSensor(task_id="new", poke_interval=119)
    with pytest.raises(StripeInputError, match="poke_interval is 60 s, less than 120"):
        StripeNewCustomerSensor(task_id="new", poke_interval=timedelta(minutes=1))
    fast = StripeNewCustomerSensor(task_id="new", poke_interval=1, allow_fast_polling=True)
    assert fast.poke_interval == 1


def test_reschedule_mode_gives_the_slot_back_and_finds_the_same(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Between two polls no worker is held; what comes in the end is what poke mode would give."""
    with dag:
        StripeNewCustomerSensor(task_id="new", mode="reschedule", poke_interval=120)
    run = Run(dag, NOW).go()
    assert run.state("new") == "up_for_reschedule"
    made = stripe.add_many("customer", 3, created=NOW + 10)
    clock.now += 40
    # They are there, but too young.
    assert run.again("new").state("new") == "up_for_reschedule"
    clock.now += 60
    assert run.again("new").state("new") == "success"
    assert ids(run.xcom("new")) == made
    assert len(stripe.calls) == 3


def test_poke_mode_waits_in_place(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """The same in one process: nothing, nothing, then what is new."""
    with dag:
        StripeNewCustomerSensor(
            task_id="new", mode="poke", poke_interval=0.01, allow_fast_polling=True, timeout=20
        )
    made: list[str] = []

    def later(request: Any) -> None:
        made.extend(stripe.add_many("customer", 3, created=NOW + 10))
        clock.now += 100

    stripe.fault(path="/v1/customers", skip=2, hook=later)
    run = Run(dag, NOW).go()
    assert run.state("new") == "success"
    assert ids(run.xcom("new")) == made
    assert len(stripe.calls) == 3


def test_deferrable_mode_waits_in_the_triggerer(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """The trigger looks, the worker polls again: the same rows as in the other modes."""
    with dag:
        StripeNewCustomerSensor(
            task_id="new", deferrable=True, poke_interval=0.01, allow_fast_polling=True, timeout=20
        )
    made: list[str] = []

    def later(request: Any) -> None:
        made.extend(stripe.add_many("customer", 3, created=NOW + 10))
        clock.now += 100

    stripe.fault(path="/v1/customers", skip=3, hook=later)
    run = Run(dag, NOW).go()
    assert run.state("new") == "success"
    assert ids(run.xcom("new")) == made


def test_sensors_that_wait_alike_can_share_a_look(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Two deferred sensors ask for the very same interval, although they polled at two times."""
    deferred: list[Any] = []

    class Noting(StripeNewCustomerSensor):
        def defer(self, *, trigger: Any, **kwargs: Any) -> None:
            deferred.append(trigger.serialize())
            raise AirflowSkipException

    with dag:
        Noting(task_id="one", deferrable=True)
        Noting(task_id="two", deferrable=True)
    Run(dag, NOW).go()
    assert deferred[0] == deferred[1]
    assert deferred[0][1]["poll_interval"] == 120


def test_a_used_up_call_limit_gives_the_slot_back(
    dag: DAG, stripe: FakeStripe, clock: Clock, set_connection: SetConnection
) -> None:
    """In reschedule mode a sensor does not sleep on the call limit: it comes back for a slot."""
    set_connection(extra={"rate_limit_calls": 1, "rate_limit_period": 600})
    StripeHook().get_conn().get("/v1/balance")
    with dag:
        StripeNewCustomerSensor(task_id="new", mode="reschedule", poke_interval=120)
    run = Run(dag, NOW).go()
    assert run.state("new") == "up_for_reschedule"
    assert [request.path for request in stripe.calls] == ["/v1/balance"]
    assert 590 < run.waits("new") < 601
    made = stripe.add_many("customer", 1, created=NOW)
    clock.now += 100
    set_connection(extra={"rate_limit_calls": 100, "rate_limit_period": 600})
    assert ids(run.again("new").xcom("new")) == made


def test_the_link_opens_the_window_in_the_dashboard(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """The sensor's "Open in Stripe" is the list of what its window has, in the key's mode."""
    with dag:
        StripeNewChargeSensor(task_id="new", **ONCE)
    stripe.add("charge", created=NOW)
    clock.now += 100
    run = Run(dag, NOW).go()
    query = f"created%5Bgte%5D={NOW}&created%5Blt%5D={NOW + 40}"
    assert (
        run.link("new", "Open in Stripe") == f"https://dashboard.stripe.com/test/payments?{query}"
    )


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
        "window": {
            "feed": "customer",
            "types": None,
            "created_gte": "2026-02-02T02:40:00+00:00",
            "created_lt": "2026-02-02T02:40:40+00:00",
            "after": None,
            "last": made[-1],
            "stripe_conn_id": "stripe_default",
            "livemode": False,
            "count": 2,
        },
    }


@pytest.mark.parametrize(
    ("soft_fail", "end"),
    [(False, AirflowSensorTimeout), (True, AirflowSkipException)],
    ids=["fails", "is skipped"],
)
def test_a_sensor_whose_time_is_up_does_not_defer(soft_fail: bool, end: type[Exception]) -> None:
    """It ends as in the other modes: a trigger over at once would race with the worker's end."""
    sensor = StripeNewCustomerSensor(
        task_id="new", deferrable=True, soft_fail=soft_fail, timeout=60
    )
    sensor._limit_wait = sensor._since = None
    late = datetime.now(UTC) - timedelta(seconds=61)
    context: Any = {"ti": SimpleNamespace(start_date=late)}
    with pytest.raises(end, match=r"Nothing new in feed customer within the timeout of 60 s\."):
        sensor._defer(context, 1)
