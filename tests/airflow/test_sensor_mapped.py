"""Mapped sensors: a stream for each connection and account, wherever it stands in the list."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from airflow.sdk import DAG, task, task_group

from airflow_provider_stripe_lite.errors import StripeInputError
from airflow_provider_stripe_lite.sensors import (
    StripeEventSensor,
    StripeNewCustomerSensor,
    StripeNewObjectSensor,
)
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.airflow.older import AIRFLOW
from tests.airflow.streams import Asked, stream
from tests.conftest import SetConnection
from tests.harness import ONCE, Run, delete_variable, ids, register, set_variable, variable
from tests.helpers import NOW, Clock

# What is new is waited for by the next run, so that no run of these is red.
SOFT: dict[str, Any] = {"task_id": "new", "soft_fail": True, **ONCE}


def mapped(dag: DAG, options: list[dict[str, Any]], **partial: Any) -> DAG:
    """Return the DAG as a file has it whose sensor is mapped over these options."""
    with DAG(dag.dag_id, schedule=None) as changed:
        StripeNewCustomerSensor.partial(**SOFT | partial).expand_kwargs(options)
    return changed


def accounts(*names: str) -> list[dict[str, Any]]:
    """Return a sensor's options for each of these connected accounts."""
    return [{"stripe_account": f"acct_{name}"} for name in names]


def rows(run: Run, indexes: int) -> list[list[str]]:
    """Return the ids of each index of a run."""
    return [ids(run.xcom("new", map_index=index)) for index in range(indexes)]


def test_each_connection_is_a_stream(
    dag: DAG, stripe: FakeStripe, clock: Clock, set_connection: SetConnection
) -> None:
    """One sensor over two connections delivers each account's objects once, run after run."""
    set_connection("shop_a", extra={"stripe_account": "acct_a"})
    set_connection("shop_b", extra={"stripe_account": "acct_b"})
    with dag:
        StripeNewCustomerSensor.partial(**SOFT).expand(stripe_conn_id=["shop_a", "shop_b"])
    for number in range(2):
        made = [
            stripe.add_many("customer", 2 + number, created=int(clock.now), account=account)
            for account in ("acct_a", "acct_b")
        ]
        clock.now += 100
        assert rows(Run(dag, NOW + number).go(), 2) == made
    for name in ("shop_a", "shop_b"):
        assert variable(stream(dag, name))["account"] == f"acct_{name[-1]}"


def test_each_connected_account_is_a_stream(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """stripe_account can be expanded: the account stands behind the connection in the name."""
    with dag:
        StripeNewCustomerSensor.partial(**SOFT).expand(stripe_account=["acct_a", "acct_b"])
    for number in range(2):
        made = [
            stripe.add_many("customer", 2, created=int(clock.now), account=account)
            for account in ("acct_a", "acct_b")
        ]
        clock.now += 100
        run = Run(dag, NOW + number).go()
        assert rows(run, 2) == made
    names = [run.xcom("new", "cursor", index)["stream"] for index in (0, 1)]
    assert names == [stream(dag, "stripe_default", name) for name in ("acct_a", "acct_b")]


def test_a_list_may_grow_shrink_and_change_its_order(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Each object comes once, to the index of its account; who was left out for a while goes on."""
    lists = ("ab", "ba", "cab", "bc", "c", "acb")
    waiting: dict[str, list[str]] = {name: [] for name in "abc"}
    begun: set[str] = set()
    for order in lists:
        begun |= set(order)
        for name in sorted(begun):
            account, created = f"acct_{name}", int(clock.now)
            waiting[name] += stripe.add_many("customer", 2, created=created, account=account)
        clock.now += 100
        run = Run(mapped(dag, accounts(*order)), clock.now - 100).go()
        assert rows(run, len(order)) == [waiting.pop(name) for name in order]
        waiting |= {name: [] for name in order}


def test_a_list_that_changes_delivers_a_failed_window_to_its_own_account(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """A window whose task failed is taken by the index that has its account now."""
    made = {
        name: stripe.add_many("customer", 2, created=NOW, account=f"acct_{name}") for name in "ab"
    }
    clock.now += 100
    first = Run(mapped(dag, accounts("a", "b")), NOW).go()
    first.mark("new", "failed", 1)
    second = Run(mapped(dag, accounts("b", "a")), NOW + 1).go()
    assert rows(second, 2) == [made["b"], []]
    assert rows(first, 2)[0] == made["a"]


def test_a_cleared_index_gets_its_rows_again(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """As long as the list is the same, all indexes get what they had."""
    changed = mapped(dag, accounts("a", "b"))
    runs = []
    for number in range(2):
        for name in ("acct_a", "acct_b"):
            stripe.add_many("customer", 2, created=int(clock.now), account=name)
        clock.now += 100
        runs.append(Run(changed, NOW + number).go())
    before = [rows(run, 2) for run in runs]
    assert [rows(run.clear("new").go(), 2) for run in runs] == before


def test_an_account_twice_in_one_list_gives_each_object_once(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Both are of one stream: the first one gets what is new, the second one what is left."""
    changed = mapped(dag, accounts("a", "a"), max_items=3)
    made, delivered = [], Counter[str]()
    for number in range(3):
        made += [
            stripe.add("customer", created=int(clock.now) + at, account="acct_a") for at in range(4)
        ]
        clock.now += 100
        first, second = rows(Run(changed, NOW + number).go(), 2)
        assert (len(first), len(second)) == (3, 1)
        delivered.update(first + second)
    assert delivered == Counter(made)


@pytest.mark.parametrize("variable_of", [None, "kept"])
def test_a_mapped_sensor_goes_on_from_its_xcoms(
    dag: DAG, stripe: FakeStripe, clock: Clock, variable_of: str | None
) -> None:
    """Where the Variables are gone, each stream finds its own XCom, under whatever index it is."""
    name = variable_of and f"{dag.dag_id}.{variable_of}"
    made: list[list[str]] = []
    for number, order in enumerate(("ab", "ab", "abc", "bca", "a")):
        made = [
            stripe.add_many("customer", 2, created=int(clock.now), account=f"acct_{account}")
            for account in order
        ]
        clock.now += 100
        options = {"cursor_variable": name, "start_from": "beginning"}
        run = Run(mapped(dag, accounts(*order), **options), NOW + number).go()
        assert rows(run, len(order)) == made
        for account in order:
            behind = ("stripe_default", f"acct_{account}")
            kept = ".".join((name, *behind)) if name else stream(dag, *behind)
            assert variable(kept)["v"] == 2
            delete_variable(kept)


@pytest.mark.parametrize("nonsense", ["text", 7, {"v": 1, "run_id": "x"}], ids=str)
def test_a_mapped_xcom_that_is_no_cursor_is_refused(
    dag: DAG, stripe: FakeStripe, clock: Clock, nonsense: Any
) -> None:
    """With the sentence that says how to go on, and doing that helps."""

    def push(context: Any, result: Any = None) -> None:
        context["ti"].xcom_push("cursor", nonsense)

    with DAG(dag.dag_id, schedule=None) as before:

        @task(task_id="new", post_execute=push)
        def other(shop: str) -> None:
            """Not a sensor."""

        other.expand(shop=["a"])
    Run(before, NOW).go()
    made = stripe.add_many("customer", 2, created=NOW, account="acct_a")
    clock.now += 100
    changed = mapped(dag, accounts("a"))
    red = Run(changed, NOW + 1).go()
    (error,) = red.errors
    assert isinstance(error, StripeInputError)
    kept = stream(dag, "stripe_default", "acct_a")
    assert f"the Variable {kept}" in str(error)
    set_variable(kept, {"start_from": NOW})
    assert rows(Run(changed, NOW + 2).go(), 1) == [made]


def test_a_sensor_in_a_mapped_group_is_mapped(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """Its streams are named by connection and account, too, although it says no `expand`."""
    with dag:

        @task_group
        def shop(account: Any) -> None:
            StripeNewCustomerSensor(stripe_account=account, **SOFT)

        shop.expand(account=["acct_a", "acct_b"])
    for number in range(2):
        made = [
            stripe.add_many("customer", 2, created=int(clock.now), account=account)
            for account in ("acct_a", "acct_b")
        ]
        clock.now += 100
        run = Run(dag, NOW + number).go()
        found = [ids(run.xcom("shop.new", map_index=index)) for index in (0, 1)]
        assert found == made


@pytest.mark.parametrize(
    ("sensor", "name", "values"),
    [
        (StripeEventSensor, "types", [["charge.failed"], ["payout.paid"]]),
        (StripeNewObjectSensor, "feed", ["customer", "charge"]),
    ],
)
def test_each_feed_and_each_list_of_types_needs_a_name_of_its_own(
    dag: DAG, stripe: FakeStripe, clock: Clock, sensor: Any, name: str, values: list[Any]
) -> None:
    """One document would go past what only the other one reads: that is refused, and mended."""
    with dag:
        sensor.partial(**SOFT).expand(**{name: values})
    red = Run(dag, NOW).go()
    (error,) = red.errors
    assert isinstance(error, StripeInputError)
    assert "give each feed and each list of types a cursor_variable of its own" in str(error)
    kept = [{name: value, "cursor_variable": f"{dag.dag_id}.{n}"} for n, value in enumerate(values)]
    with DAG(dag.dag_id, schedule=None) as changed:
        sensor.partial(**SOFT).expand_kwargs(kept)
    assert not Run(changed, NOW + 1).go().errors
    made = []
    clock.now += 100
    for value in values:
        kind = "event" if name == "types" else value
        more = {"type": value[0]} if name == "types" else {}
        made.append([stripe.add(kind, created=int(clock.now), **more)])
    clock.now += 100
    assert rows(Run(changed, NOW + 2).go(), 2) == made


def test_the_first_run_of_many_accounts_asks_little(
    dag: DAG, stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No index asks for each other index's XComs where there is no earlier run."""
    asked = Asked(monkeypatch)
    Run(mapped(dag, accounts(*map(str, range(8)))), NOW).go()
    # Below Airflow 3.3 there is another Variable to ask for.
    assert len(asked.messages) < 8 * (27 if AIRFLOW >= (3, 3) else 30)


def test_an_account_of_a_mapped_group_keeps_no_other_one_out(database: None) -> None:
    """Airflow counts all indexes of the task, also those that are deferred."""
    with DAG("groups", schedule=None) as dag:

        @task_group
        def shop(account: Any) -> None:
            StripeNewCustomerSensor(task_id="usual", stripe_account=account)
            StripeNewCustomerSensor(
                task_id="three", stripe_account=account, max_active_tis_per_dag=3
            )

        shop.expand(account=["acct_a", "acct_b"])
    limits = {name: task.max_active_tis_per_dag for name, task in register(dag).task_dict.items()}
    assert limits == {"shop.usual": None, "shop.three": 3}
