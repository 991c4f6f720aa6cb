"""The sensors hand over every new object exactly once, whatever becomes of their runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count, repeat
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException

from airflow_provider_stripe_lite.errors import StripeInputError, StripeNotFoundError, StripeServerError
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.sensors import (
    StripeNewChargeSensor,
    StripeNewCustomerSensor,
    StripeNewInvoiceItemSensor,
    StripeNewObjectSensor,
    StripeNewOrderSensor,
)
from tests.airflow.conftest import KEY, NOW, Clock, Connect
from tests.airflow.harness import Run
from tests.fake_stripe import FakeStripe

# One poll: whoever finds nothing then has waited long enough.
ONCE: dict[str, Any] = {"timeout": 0, "poke_interval": 0, "allow_fast_polling": True}
SECOND_ACCOUNT = "sk_test_51ZzYyXxWwVvUu0123456789abcdef"


def ids(rows: Iterable[dict[str, Any]] | None) -> list[str]:
    """The ids of rows, in their order."""
    return [row["id"] for row in rows or ()]


def dies_once(tmp_path: Any) -> Callable[[Any, Any], None]:
    """A task whose process ends, the first time, when everything is done but before Airflow knows."""
    marker = tmp_path / "died"

    def post_execute(context: Any, result: Any = None) -> None:
        if not marker.exists():
            marker.touch()
            raise RuntimeError("killed")

    return post_execute


# --- Runs in a row


@pytest.mark.parametrize(("sensor", "kind"), [
    (StripeNewCustomerSensor, "customer"),
    (StripeNewChargeSensor, "charge"),
    (StripeNewInvoiceItemSensor, "invoice_item"),
])  # fmt: skip
def test_three_runs_in_a_row_hand_over_disjoint_sets_that_add_up(
    dag: DAG, stripe: FakeStripe, clock: Clock, sensor: type[StripeNewObjectSensor], kind: str
) -> None:
    """Every object that is created between three runs is in exactly one of them, oldest first."""
    with dag:
        sensor(task_id="new", **ONCE)
    made: list[str] = []
    handed: list[str] = []
    for number in range(3):
        made += stripe.create_many(kind, 120, created=int(clock.now), spread=90)
        clock.now += 200
        run = Run.whole(dag, NOW + number)
        assert run.state() == "success"
        handed += ids(run.xcom("new"))
        assert len(handed) == 120 * (number + 1)
    assert handed == made


def test_orders_of_an_old_account_are_handed_over(dag: DAG, fake: FakeStripe, connect: Connect, clock: Clock) -> None:
    """With API version 2020-08-27, which still has the Orders API, the order sensor works like the others."""
    connect(extra={"api_version": "2020-08-27"})
    with dag:
        StripeNewOrderSensor(task_id="new", **ONCE)
    made = fake.create_many("order", 3, created=NOW)
    clock.now += 100
    assert ids(Run.whole(dag, NOW).xcom("new")) == made


def test_the_order_sensor_says_that_stripe_has_removed_orders(dag: DAG, stripe: FakeStripe) -> None:
    """With a newer API version the error names the last version that had orders, and what to use; no retry helps."""
    with dag:
        StripeNewOrderSensor(task_id="new", retries=3, **ONCE)
    run = Run(dag, NOW).go()
    assert run.state("new") == "failed"
    (error,) = run.errors
    assert isinstance(error, StripeNotFoundError)
    assert "removed the Orders API" in str(error)
    assert "2020-08-27" in str(error)
    assert 'feed="checkout_session"' in str(error)


def test_what_stripe_has_today_instead_of_orders(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """Checkout sessions are a feed too."""
    with dag:
        StripeNewObjectSensor(task_id="new", feed="checkout_session", **ONCE)
    made = stripe.create_many("checkout_session", 2)
    clock.now += 100
    rows = Run(dag, NOW).go().xcom("new")
    assert ids(rows) == made
    assert set(rows[0]) == {"id", "amount", "created", "currency", "customer", "email", "payment_status", "status"}


def test_what_is_not_settled_is_left_for_the_next_run(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """An object younger than `settle` is not handed over yet, so that one that Stripe shows late is not missed."""
    with dag:
        StripeNewCustomerSensor(task_id="new", settle=60, **ONCE)
    first = stripe.create("customer", created=NOW)
    second = stripe.create("customer", created=NOW + 30)
    late = stripe.create_many("customer", 1, created=NOW + 30, visible_at=NOW + 85)
    clock.now = NOW + 80
    assert ids(Run(dag, NOW).go().xcom("new")) == [first]
    clock.now = NOW + 200
    assert sorted(ids(Run(dag, NOW + 1).go().xcom("new"))) == sorted([second, *late])


def test_a_deleted_anchor_loses_nothing(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """The cursor names the last customer handed over; when that is deleted, the next run still goes on behind it."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    stripe.create_many("customer", 3, created=NOW)
    clock.now += 100
    first = Run(dag, NOW).go()
    stripe.delete("customer", first.xcom("new", "cursor")["to"]["anchor"])
    made = stripe.create_many("customer", 3, created=NOW + 100)
    clock.now += 200
    assert ids(Run(dag, NOW + 1).go().xcom("new")) == made


@pytest.mark.parametrize("soft_fail", [False, True])
def test_an_empty_first_run_loses_nothing(dag: DAG, stripe: FakeStripe, clock: Clock, soft_fail: bool) -> None:
    """Although the first run found nothing and failed (or was skipped), the second goes on from where it began."""
    with dag:
        StripeNewCustomerSensor(task_id="new", soft_fail=soft_fail, **ONCE)
    first = Run(dag, NOW).go()
    assert first.state("new") == ("skipped" if soft_fail else "failed")
    assert [type(error) for error in first.errors] in ([AirflowSensorTimeout], [])
    made = stripe.create_many("customer", 3, created=NOW + 5)
    clock.now += 500
    assert ids(Run(dag, NOW + 400).go().xcom("new")) == made


def test_a_first_run_that_could_not_begin_loses_nothing(
    dag: DAG, stripe: FakeStripe, clock: Clock, connect: Connect
) -> None:
    """A run that failed before it could leave a cursor counts as the first one all the same."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    connect(password="pk_test_0123456789")
    assert Run(dag, NOW).go().state("new") == "failed"
    connect()
    made = stripe.create_many("customer", 3, created=NOW + 5)
    clock.now += 500
    assert ids(Run(dag, NOW + 400).go().xcom("new")) == made


def test_a_first_run_that_is_tried_again_loses_nothing(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """Airflow deletes at a retry what the first try has told; without a date it is all that the next run can go by."""
    polls: Iterator[int] = count()

    class DiesFromItsSecondPollOn(StripeNewCustomerSensor):
        def poke(self, context: Any) -> Any:
            found = super().poke(context)
            if next(polls) >= 1:
                raise RuntimeError("killed")
            return found

    with dag:
        DiesFromItsSecondPollOn(
            task_id="new", poke_interval=0.01, timeout=10, allow_fast_polling=True, retries=1, retry_delay=timedelta()
        )
    first = Run(dag, NOW, logical=False).go()
    assert len(first.errors) == 2
    made = stripe.create_many("customer", 3, created=NOW + 5)
    clock.now += 500
    polls = repeat(0)
    assert ids(Run(dag, NOW + 400, logical=False).go().xcom("new")) == made


def test_a_quiet_run_costs_one_call(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """Nothing new is one request; 250 new ones are three."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    stripe.create_many("customer", 1, created=NOW)
    clock.now += 100
    Run(dag, NOW).go()
    stripe.requests.clear()
    Run(dag, NOW + 1).go()
    assert len(stripe.requests) == 1
    stripe.create_many("customer", 250, created=NOW + 100)
    clock.now += 200
    stripe.requests.clear()
    assert len(Run(dag, NOW + 2).go().xcom("new")) == 250
    assert len(stripe.requests) == 3


# --- The same run again


@pytest.mark.parametrize("output", ["rows", "window"])
def test_a_retry_hands_over_the_same(dag: DAG, stripe: FakeStripe, clock: Clock, tmp_path: Any, output: Any) -> None:
    """A task that dies after it has claimed its window gets the same objects again, although new ones have come."""
    with dag:
        StripeNewCustomerSensor(task_id="new", retries=1, post_execute=dies_once(tmp_path), output=output, **ONCE)
    made = stripe.create_many("customer", 5, created=NOW)
    clock.now += 100
    run = Run(dag, NOW)
    stripe.fault(path="/v1/customers", hook=lambda _: stripe.create("customer"), skip=1)
    clock.now += 1
    run.go()
    assert run.state("new") == "success"
    assert len(run.errors) == 1
    result = run.xcom("new")
    assert result["count"] == 5 if output == "window" else ids(result) == made


def test_a_clear_hands_over_the_same(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """A cleared task gets the same rows; the runs after it are not disturbed, neither before nor after."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    made, runs = [], []
    for number in range(2):
        made.append(stripe.create_many("customer", 4, created=int(clock.now)))
        clock.now += 200
        runs.append(Run(dag, NOW + number).go())
    for number in (0, 1):
        before = runs[number].xcom("new")
        assert ids(before) == made[number]
        assert runs[number].clear("new").go().xcom("new") == before
    made.append(stripe.create_many("customer", 4, created=int(clock.now)))
    clock.now += 200
    assert ids(Run(dag, NOW + 2).go().xcom("new")) == made[2]


def test_the_rows_of_a_failed_run_come_again(dag: DAG, stripe: FakeStripe, clock: Clock, tmp_path: Any) -> None:
    """A sensor that fails for good after its poll has handed over nothing: the next run gets its rows and the newer."""
    with dag:
        StripeNewCustomerSensor(task_id="new", post_execute=dies_once(tmp_path), **ONCE)
    made = stripe.create_many("customer", 3, created=NOW)
    clock.now += 100
    assert Run(dag, NOW).go().state("new") == "failed"
    made += stripe.create_many("customer", 3, created=NOW + 100)
    clock.now += 200
    assert ids(Run(dag, NOW + 1).go().xcom("new")) == made


def test_a_failed_page_loses_nothing(dag: DAG, stripe: FakeStripe, clock: Clock, connect: Connect) -> None:
    """A server error in the middle of a drain fails the try with its type; the next try starts the drain anew."""
    with dag:
        StripeNewCustomerSensor(task_id="new", retries=1, **ONCE)
    made = stripe.create_many("customer", 250, created=NOW)
    clock.now += 100
    headers = {"Stripe-Should-Retry": "false"}
    stripe.fault(path="/v1/customers", status=503, headers=headers, skip=1)
    failed = Run(dag, NOW).go()
    assert failed.state("new") == "failed"  # Stripe has said that a retry is of no use
    assert isinstance(failed.errors[0], StripeServerError)
    assert ids(Run(dag, NOW + 1).go().xcom("new")) == made


@pytest.mark.parametrize(("advance_after", "again"), [("sensor", False), ("dag_run", True)])
def test_what_must_have_succeeded_for_a_window_to_count(
    dag: DAG, stripe: FakeStripe, clock: Clock, advance_after: Any, again: bool
) -> None:
    """When the processing of rows fails, the next run gets them again only with advance_after="dag_run"."""
    with dag:
        new = StripeNewCustomerSensor(task_id="new", advance_after=advance_after, **ONCE)

        @task
        def process(rows: list[Any]) -> None:
            if len(rows) == 2:
                raise RuntimeError("cannot process these")

        process(new.output)
    first = stripe.create_many("customer", 2, created=NOW)
    clock.now += 100
    assert Run(dag, NOW).go().state() == "failed"
    second = stripe.create_many("customer", 1, created=NOW + 100)
    clock.now += 200
    run = Run(dag, NOW + 1).go()
    assert ids(run.xcom("new")) == (first + second if again else second)
    assert run.state() == "success"


# --- Where reading begins, how much comes, in which form


@pytest.mark.parametrize(("start_from", "expected"), [
    ("now", 2),
    ("beginning", 4),
    (datetime.fromtimestamp(NOW - 100, UTC), 3),
    (datetime.fromtimestamp(NOW - 100, UTC).isoformat(), 3),
    ("{{ (dag_run.run_after - macros.timedelta(seconds=100)).isoformat() }}", 3),
    (datetime.fromtimestamp(NOW - 100, UTC).replace(tzinfo=None), 3),
])  # fmt: skip
def test_start_from_says_where_the_first_run_begins(
    dag: DAG, stripe: FakeStripe, clock: Clock, start_from: Any, expected: int
) -> None:
    """The run's own time, the beginning of the account, or a date-time, which may be a template."""
    with dag:
        StripeNewCustomerSensor(task_id="new", start_from=start_from, **ONCE)
    made = [stripe.create("customer", created=NOW + age) for age in (-100_000, -50, 0, 10)]
    clock.now += 100
    assert ids(Run(dag, NOW).go().xcom("new")) == made[-expected:]


def test_now_is_the_run_s_time_and_not_the_poll_s(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """What was created after the run was due and before its first poll is handed over, also if that was hours late."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    made = stripe.create_many("customer", 2, created=NOW + 5)
    clock.now += 7200
    assert ids(Run(dag, NOW).go().xcom("new")) == made


def test_max_items_leaves_the_rest_for_the_next_run(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """Batches are cut only between two seconds, and nothing is lost between them."""
    with dag:
        StripeNewCustomerSensor(task_id="new", max_items=5, **ONCE)
    made = [id for second in range(4) for id in stripe.create_many("customer", 3, created=NOW + second)]
    clock.now += 100
    batches = [ids(Run(dag, NOW + number).go().xcom("new")) for number in range(4)]
    assert batches == [made[0:3], made[3:6], made[6:9], made[9:12]]


def test_one_second_s_objects_stay_together(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """A second with more objects than max_items is one batch."""
    with dag:
        StripeNewCustomerSensor(task_id="new", max_items=10, **ONCE)
    made = stripe.create_many("customer", 130, created=NOW)
    clock.now += 100
    assert ids(Run(dag, NOW).go().xcom("new")) == made


@pytest.mark.parametrize(("fields", "row"), [
    (["id", "metadata.order_ref"], {"metadata": {"order_ref": "A-1"}}),
    ("{{ ['id', 'email'] }}", {"email": "jenny@example.com"}),
])  # fmt: skip
def test_fields_choose_what_a_row_has(
    dag: DAG, stripe: FakeStripe, clock: Clock, fields: Any, row: dict[str, Any]
) -> None:
    """A list of dotted paths gives those, nested as they are at Stripe; with native rendering it may be a template."""
    dag.render_template_as_native_obj = True
    with dag:
        StripeNewCustomerSensor(task_id="new", fields=fields, **ONCE)
    made = stripe.create("customer", email="jenny@example.com", metadata={"order_ref": "A-1"})
    clock.now += 100
    assert Run(dag, NOW).go().xcom("new") == [{"id": made} | row]


def test_all_fields_are_the_object_as_stripe_sent_it(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """fields="*" changes nothing."""
    with dag:
        StripeNewCustomerSensor(task_id="new", fields="*", **ONCE)
    made = stripe.create("customer", email="jenny@example.com")
    clock.now += 100
    (row,) = Run(dag, NOW).go().xcom("new")
    assert row == StripeHook().get_customer(made)


def test_a_window_travels_by_reference(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """output="window" pushes no object; read_window gives the same objects at any later time."""
    with dag:
        StripeNewChargeSensor(task_id="new", output="window", **ONCE)
    made = stripe.create_many("charge", 150, created=NOW, spread=9)
    clock.now += 100
    window = Run(dag, NOW).go().xcom("new")
    assert set(window) == {"feed", "account", "mode", "from", "until", "count"}
    assert window["count"] == 150
    stripe.create_many("charge", 20, created=int(clock.now))
    clock.now += 100
    for _ in range(2):
        assert ids(StripeHook().read_window("charge", window)) == made


def test_a_window_of_another_account_is_refused(dag: DAG, stripe: FakeStripe, clock: Clock, connect: Connect) -> None:
    """A window cannot be read with a key of another account, nor as another feed; both values are named."""
    with dag:
        StripeNewChargeSensor(task_id="new", output="window", **ONCE)
    stripe.create_many("charge", 3, created=NOW)
    clock.now += 100
    window = Run(dag, NOW).go().xcom("new")
    with pytest.raises(StripeInputError, match=r"window was made for feed 'charge'.*'customer'"):
        StripeHook().read_window("customer", window)
    connect("other", password=SECOND_ACCOUNT)
    stripe.requests.clear()
    with pytest.raises(StripeInputError, match=r"window was made for account '\w+'.* account '\w+'"):
        StripeHook("other").read_window("charge", window)
    assert stripe.requests == []


# --- A cursor of something else


@pytest.mark.parametrize(("change", "words"), [
    ({"password": KEY.replace("_test_", "_live_")}, ("mode 'test'", "mode 'live'")),
    ({"password": SECOND_ACCOUNT}, ("account '",)),
    ({"extra": {"stripe_account": "acct_1A2b3C4d"}}, ("account '", "'acct_1A2b3C4d'")),
])  # fmt: skip
def test_a_cursor_of_another_mode_or_account_is_refused(
    dag: DAG, stripe: FakeStripe, clock: Clock, connect: Connect, change: dict[str, Any], words: tuple[str, ...]
) -> None:
    """The task fails at once, names both values and says how to start afresh; no request goes out."""
    with dag:
        StripeNewCustomerSensor(task_id="new", retries=2, **ONCE)
    stripe.create_many("customer", 2, created=NOW)
    clock.now += 100
    Run(dag, NOW).go()
    stripe.requests.clear()
    connect(**change)
    run = Run(dag, NOW + 1).go()
    assert run.state("new") == "failed"
    (error,) = run.errors
    assert isinstance(error, StripeInputError)
    assert all(word in str(error) for word in (*words, "stripe_default", "start afresh"))
    assert KEY[12:] not in str(error)
    assert stripe.requests == []
    connect()  # mended: nothing was lost meanwhile
    made = stripe.create_many("customer", 2, created=NOW + 100)
    clock.now += 200
    assert ids(run.clear("new").go().xcom("new")) == made


def test_a_cursor_of_another_feed_is_refused(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """A task that now stands for another feed does not go on from the old one's position."""
    with DAG(dag.dag_id, schedule=None, max_active_runs=1) as before:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    stripe.create_many("customer", 2, created=NOW)
    clock.now += 100
    Run(before, NOW).go()
    with dag:
        StripeNewChargeSensor(task_id="new", **ONCE)
    (error,) = Run(dag, NOW + 1).go().errors
    assert "made for feed 'customer'" in str(error)
    assert "stand for feed 'charge'" in str(error)


def test_a_rotated_key_of_the_same_account_goes_on(
    dag: DAG, stripe: FakeStripe, clock: Clock, connect: Connect
) -> None:
    """Another key of the account, also one whose account cannot be seen, is no other account."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    handed, made = [], []
    keys = [KEY, KEY.replace("cdef", "0000"), KEY.replace("sk_", "rk_"), "sk_test_oldkey0123456789"]
    for number, key in enumerate(keys):
        connect(password=key)
        made += stripe.create_many("customer", 2, created=int(clock.now))
        clock.now += 100
        handed += ids(Run(dag, NOW + number).go().xcom("new"))
    assert handed == made


@pytest.mark.parametrize("nonsense", ["text", 7, {"v": 2}, {"v": 1, "run_id": "x"}, {"v": 1, "to": {"until": "x"}}])
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
    assert stripe.requests == []


# --- Runs of several kinds


def test_the_sensor_warns_of_runs_that_may_overlap(
    dag: DAG, stripe: FakeStripe, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without max_active_runs=1 two runs may read the same cursor: the log says so, and how to mend it."""
    warning = "set max_active_runs=1 on the DAG"
    stripe.create("customer", created=NOW)
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
    """Scheduled runs (with a logical date) and triggered ones (without) share one position with cursor_variable."""
    with dag:
        StripeNewCustomerSensor(task_id="new", cursor_variable=cursor_variable and f"{dag.dag_id}.position", **ONCE)
    made: list[str] = []
    handed: list[str] = []
    for number, logical in enumerate([True, False, False, True, False, True]):
        made += stripe.create_many("customer", 2, created=int(clock.now))
        clock.now += 100
        handed += ids(Run(dag, NOW + number, logical=logical).go().xcom("new"))
    if cursor_variable:
        assert handed == made
    assert set(handed) == set(made)  # without it, too, nothing is lost


def test_the_variable_keeps_the_cursor(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """A DAG whose runs were all deleted goes on from the Variable: the last window, of which Airflow no longer knows
    that it was handed over, comes again, and nothing is missed."""
    with dag:
        StripeNewCustomerSensor(task_id="new", cursor_variable="{{ dag.dag_id }}.kept", **ONCE)
    made: list[str] = []
    runs = []
    for number in range(2):
        made += stripe.create_many("customer", 2, created=int(clock.now))
        clock.now += 100
        runs.append(Run(dag, NOW + number).go())
    for run in runs:
        run.delete()
    made += stripe.create_many("customer", 2, created=NOW + 200)
    clock.now += 1000
    assert ids(Run(dag, NOW + 1000).go().xcom("new")) == made[2:]


def test_a_variable_of_another_sensor_is_refused(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """Two sensors with one cursor_variable would lose objects: the second is told to take another one."""
    with dag:
        first = StripeNewCustomerSensor(task_id="first", cursor_variable=f"{dag.dag_id}.both", **ONCE)
        first >> StripeNewCustomerSensor(task_id="second", cursor_variable=f"{dag.dag_id}.both", **ONCE)
    stripe.create_many("customer", 2, created=NOW)
    clock.now += 100
    run = Run(dag, NOW).go()
    assert (run.state("first"), run.state("second")) == ("success", "failed")
    assert "a cursor_variable of its own" in str(run.errors[0])


# --- Mapped


def test_each_index_of_a_mapped_sensor_has_its_own_stream(
    dag: DAG, stripe: FakeStripe, clock: Clock, connect: Connect
) -> None:
    """One sensor over two connections hands over each account's objects once, run after run."""
    connect("shop_a", extra={"stripe_account": "acct_a"})
    connect("shop_b", extra={"stripe_account": "acct_b"})
    with dag:
        StripeNewCustomerSensor.partial(task_id="new", **ONCE).expand(stripe_conn_id=["shop_a", "shop_b"])
    for number in range(2):
        made = [
            stripe.create_many("customer", 2 + number, created=int(clock.now), account=account)
            for account in ("acct_a", "acct_b")
        ]
        clock.now += 100
        run = Run(dag, NOW + number).go()
        assert [ids(run.xcom("new", map_index=index)) for index in (0, 1)] == made


def test_another_order_of_what_is_expanded_is_refused(
    dag: DAG, stripe: FakeStripe, clock: Clock, connect: Connect
) -> None:
    """Cursors belong to map indexes; when the list changes its order, no index goes on from another one's cursor."""
    connect("shop_a")
    connect("shop_b")
    stripe.create_many("customer", 2, created=NOW)
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
    assert StripeNewCustomerSensor(task_id="new", poke_interval=timedelta(minutes=5)).poke_interval == 300
    with pytest.raises(StripeInputError, match="allow_fast_polling=True"):
        StripeNewCustomerSensor(task_id="new", poke_interval=119)
    with pytest.raises(StripeInputError, match="poke_interval is 60 s, less than 120"):
        StripeNewCustomerSensor(task_id="new", poke_interval=timedelta(minutes=1))
    assert StripeNewCustomerSensor(task_id="new", poke_interval=1, allow_fast_polling=True).poke_interval == 1


def test_reschedule_mode_gives_the_slot_back_and_finds_the_same(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """Between two polls no worker is held; each begins where the first did, and gives what poke mode would."""
    with dag:
        StripeNewCustomerSensor(task_id="new", mode="reschedule", poke_interval=120)
    run = Run(dag, NOW).go()
    assert run.state("new") == "up_for_reschedule"
    made = stripe.create_many("customer", 3, created=NOW + 10)
    clock.now += 40
    assert run.again("new").state("new") == "up_for_reschedule"  # there, but not settled
    clock.now += 60
    assert run.again("new").state("new") == "success"
    assert ids(run.xcom("new")) == made
    assert len(stripe.requests) == 3


def test_poke_mode_waits_in_place(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """The same in one process: nothing, nothing, then what is new."""
    with dag:
        StripeNewCustomerSensor(task_id="new", mode="poke", poke_interval=0.01, allow_fast_polling=True, timeout=20)
    made: list[str] = []

    def later(request: Any) -> None:
        made.extend(stripe.create_many("customer", 3, created=NOW + 10))
        clock.now += 100

    stripe.fault(path="/v1/customers", skip=2, hook=later)
    run = Run(dag, NOW).go()
    assert run.state("new") == "success"
    assert ids(run.xcom("new")) == made
    assert len(stripe.requests) == 3


def test_deferrable_mode_waits_in_the_triggerer(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """The trigger looks, the worker polls again: the same rows as in the other modes."""
    with dag:
        StripeNewCustomerSensor(task_id="new", deferrable=True, poke_interval=0.01, allow_fast_polling=True, timeout=20)
    made: list[str] = []

    def later(request: Any) -> None:
        made.extend(stripe.create_many("customer", 3, created=NOW + 10))
        clock.now += 100

    stripe.fault(path="/v1/customers", skip=3, hook=later)
    run = Run(dag, NOW).go()
    assert run.state("new") == "success"
    assert ids(run.xcom("new")) == made


def test_sensors_that_wait_alike_can_share_a_look(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """Two deferred sensors ask for the very same interval, whatever the milliseconds since they polled."""
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


def test_a_used_up_call_limit_gives_the_slot_back(dag: DAG, stripe: FakeStripe, clock: Clock, connect: Connect) -> None:
    """In reschedule mode a sensor does not sleep on the call limit: it comes back when there is a slot, and polls."""
    connect(extra={"rate_limit_calls": 1, "rate_limit_period": 600})
    StripeHook().client.get("/v1/balance")
    with dag:
        StripeNewCustomerSensor(task_id="new", mode="reschedule", poke_interval=120)
    run = Run(dag, NOW).go()
    assert run.state("new") == "up_for_reschedule"
    assert [request.path for request in stripe.requests] == ["/v1/balance"]
    assert 590 < run.waits("new") < 601
    made = stripe.create_many("customer", 1, created=NOW)
    clock.now += 100
    connect(extra={"rate_limit_calls": 100, "rate_limit_period": 600})
    assert ids(run.again("new").xcom("new")) == made


def test_the_link_opens_the_window_in_the_dashboard(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """ "Open in Stripe" of a sensor is the list of what was created in its window, in the key's mode."""
    with dag:
        StripeNewChargeSensor(task_id="new", **ONCE)
    stripe.create("charge", created=NOW)
    clock.now += 100
    run = Run(dag, NOW).go()
    query = f"created%5Bgte%5D={NOW}&created%5Blt%5D={NOW + 40}"
    assert run.link("new", "Open in Stripe") == f"https://dashboard.stripe.com/test/payments?{query}"


def test_the_cursor_says_what_it_is(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """The XCom `cursor` holds the version, what it belongs to and the window, and nothing of the key."""
    with dag:
        StripeNewCustomerSensor(task_id="new", **ONCE)
    made = stripe.create_many("customer", 2, created=NOW)
    clock.now += 100
    run = Run(dag, NOW).go()
    cursor = run.xcom("new", "cursor")
    assert len(cursor.pop("account")) == 12
    assert cursor == {
        "v": 1,
        "feed": "customer",
        "mode": "test",
        "conn_id": "stripe_default",
        "map_index": -1,
        "from": {"until": NOW, "anchor": None},
        "to": {"until": NOW + 40, "anchor": made[-1]},
        "run_id": run.run_id,
        "count": 2,
    }


@pytest.mark.parametrize(
    ("soft_fail", "end"), [(False, AirflowSensorTimeout), (True, AirflowSkipException)], ids=["fails", "is skipped"]
)
def test_a_sensor_whose_time_is_up_does_not_defer(soft_fail: bool, end: type[Exception]) -> None:
    """It ends as in the other modes: a trigger over at once would race with the end of the worker's process."""
    sensor = StripeNewCustomerSensor(task_id="new", deferrable=True, soft_fail=soft_fail, timeout=60)
    sensor._limit_wait = sensor._since = None
    late = datetime.now(UTC) - timedelta(seconds=61)
    with pytest.raises(end, match=r"Nothing new in feed customer within the timeout of 60 s\."):
        sensor._defer({"ti": SimpleNamespace(start_date=late)}, 1)  # type: ignore[arg-type, typeddict-item]
