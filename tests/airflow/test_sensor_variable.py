"""The name of the Variable that holds a sensor's cursor, and what Airflow masks by its name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow._shared.secrets_masker import DEFAULT_SENSITIVE_FIELDS, should_hide_value_for_key
from airflow.sdk import DAG

from airflow_provider_stripe_lite._runs import Runs
from airflow_provider_stripe_lite.core.window import Window
from airflow_provider_stripe_lite.errors import StripeInputError
from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.airflow.streams import new_customers, remade, stream
from tests.conftest import SetConnection
from tests.harness import ONCE, Run, ids, variable
from tests.helpers import NOW, Clock

WORDS = sorted(DEFAULT_SENSITIVE_FIELDS)


def key(
    dag_id: str,
    *,
    task_id: str = "new",
    conn_id: str = "stripe_default",
    account: str | None = None,
    name: str | None = None,
    map_index: int = -1,
) -> str:
    """Return the Variable of a sensor of this DAG."""
    ti = SimpleNamespace(
        dag_id=dag_id, task_id=task_id, run_id="run", map_index=map_index, max_tries=0, try_number=1
    )
    run = SimpleNamespace(run_after=datetime.fromtimestamp(NOW, UTC))
    context: Any = {"ti": ti, "dag_run": run, "task": SimpleNamespace(retries=0)}
    return Runs(context, conn_id, account, name).key


def test_the_name_says_whose_it_is() -> None:
    """DAG and task; in a mapped one connection and account behind them, whatever its index."""
    assert key("charges") == "stripe_cursor.charges.new"
    assert key("charges", account="acct_1") == "stripe_cursor.charges.new"
    for index in (0, 7):
        assert key("charges", map_index=index) == "stripe_cursor.charges.new.stripe_default"
        with_account = key("charges", account="acct_1", map_index=index)
        assert with_account == "stripe_cursor.charges.new.stripe_default.acct_1"
    assert key("charges", name="kept") == "kept"
    assert key("charges", name="kept", account="acct_1", map_index=0) == (
        "kept.stripe_default.acct_1"
    )


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("change", [str, str.upper], ids=["lower case", "upper case"])
def test_no_name_is_one_that_airflow_masks(word: str, change: Any) -> None:
    """Where DAG, task, connection or account hold such a word, a hash of the name is used."""
    assert should_hide_value_for_key(f"stripe_cursor.my_{word}.new")
    made = {
        key(f"my_{change(word)}s"),
        key("charges", task_id=f"new_{change(word)}"),
        key("charges", conn_id=change(word), map_index=0),
        key("charges", name="kept", conn_id=change(word), map_index=0),
    }
    assert len(made) == 4
    for name in made:
        assert not should_hide_value_for_key(name)
        assert word not in name.lower()
        assert name.startswith(("stripe_cursor.", "kept."))
    # A name that holds none of them is readable.
    assert key("charges", conn_id=word) == "stripe_cursor.charges.new"


@pytest.mark.parametrize("long", [{"dag_id": "d" * 250}, {"dag_id": "d", "task_id": "t" * 250}])
def test_a_long_name_is_a_hash(long: dict[str, Any]) -> None:
    """Airflow keeps 250 characters: a longer one is a hash, another one for each stream."""
    made = [key(**long), *(key(**long, conn_id=name, map_index=0) for name in ("shop_a", "shop_b"))]
    made += [key("d", name="n" * 240, conn_id=name, map_index=0) for name in ("shop_a", "shop_b")]
    assert len(set(made)) == 5
    assert all(len(name) <= 250 for name in made)
    assert key("d" * 100) == f"stripe_cursor.{'d' * 100}.new"


def test_a_stream_whose_name_is_a_hash_works_as_others(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Nothing of it is masked, and the XCom says which Variable it is."""
    dag = DAG(f"{dag.dag_id}_refresh_tokens", schedule=None)
    new_customers(dag)
    for number in range(2):
        made = stripe.add_many("customer", 2, created=int(clock.now))
        clock.now += 100
        run = Run(dag, NOW + number).go()
        assert ids(run.xcom("new")) == made
    name = run.xcom("new", "cursor")["stream"]
    assert name.startswith("stripe_cursor.")
    assert "token" not in name
    assert variable(name)["position"]["after"] == made[-1]
    assert variable(stream(dag)) is None


@pytest.mark.parametrize("word", WORDS)
def test_a_name_of_the_author_s_that_airflow_masks_is_refused(word: str) -> None:
    """The sentence says why."""
    with pytest.raises(StripeInputError, match=r"^cursor_variable must not be .* Airflow masks"):
        key("charges", name=f"stripe_{word}_x")


def test_another_name_than_a_masked_one_helps(dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """The task is red at once, without a request; a name of another kind works."""
    made = stripe.add_many("customer", 2, created=NOW)
    clock.now += 100
    run = Run(new_customers(dag, cursor_variable="{{ dag.dag_id }}_secret", retries=2), NOW).go()
    (error,) = run.errors
    assert isinstance(error, StripeInputError)
    assert "_secret'" in str(error)
    assert stripe.calls == []
    name = f"{dag.dag_id}.kept"
    changed = remade(dag, cursor_variable=name, start_from="beginning")
    assert ids(Run(changed, NOW + 1).go().xcom("new")) == made
    assert variable(name)["v"] == 2


def test_no_key_inside_is_one_that_airflow_masks(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Neither of the document, nor of the XCom, nor of a window: what is saved is what is shown."""
    new_customers(dag)
    for number in range(2):
        stripe.add_many("customer", 2, created=int(clock.now))
        clock.now += 100
        run = Run(dag, NOW + number).go()
    held = [variable(stream(dag)), run.xcom("new", "cursor")]
    names = {*Window.__annotations__, *keys(held)}
    assert {"claims", "position", "nonce", "trimmed", "waited_seconds", "run_after"} <= names
    assert [name for name in names if should_hide_value_for_key(name)] == []


def keys(value: Any) -> Iterator[str]:
    """Return the keys of all mappings in a value."""
    inner: Any = value
    if isinstance(value, dict):
        yield from value
        inner = value.values()
    if isinstance(value, dict | list):
        for one in inner:
            yield from keys(one)


@pytest.mark.parametrize("conn_id", ["SHOP#1", "a/../b", "a//b", "a\\b", "shop:1", "shop!(1)"])
def test_two_connections_have_two_variables_as_airflow_finds_them(conn_id: str) -> None:
    """Airflow puts a name into a URL as it is: what stands behind a "#" would be cut off."""
    name = key("charges", conn_id=conn_id, map_index=0)
    assert re.fullmatch(r"stripe_cursor\.[\w.:-]+", name)
    assert name != key("charges", conn_id=f"{conn_id}1", map_index=0)


def test_a_connection_with_a_hash_in_its_name_is_a_stream(
    dag: DAG, stripe: FakeStripe, clock: Clock, set_connection: SetConnection
) -> None:
    """In a living Airflow each of the two has its own objects, run after run."""
    for name in "ab":
        set_connection(f"SHOP#{name}", extra={"stripe_account": f"acct_{name}"})
    with dag:
        StripeNewCustomerSensor.partial(task_id="new", soft_fail=True, **ONCE).expand(
            stripe_conn_id=["SHOP#a", "SHOP#b"]
        )
    for number in range(2):
        made = [stripe.add("customer", created=int(clock.now), account=f"acct_{n}") for n in "ab"]
        clock.now += 100
        run = Run(dag, NOW + number).go()
        assert [ids(run.xcom("new", map_index=index)) for index in (0, 1)] == [[n] for n in made]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "kept#a",
            "kept?b=1",
            "kept%23x",
            "kept/a/../b",
            "kept/",
            "/kept",
            "kept//x",
            "keys",
            "stripe_cursors",
        ),
        *("käpt", "kept\n", " kept", "kept ", ".", "../x", "kept\\x"),
    ],
)
def test_a_name_that_airflow_would_not_find_again_is_refused(name: str) -> None:
    """The sentence says which characters do."""
    with pytest.raises(StripeInputError, match=r"^cursor_variable must not be .* Use letters"):
        key("charges", name=name)


@pytest.mark.parametrize("name", ["kept", "a kept one", "team/kept", "kept.v2:x@y-z", "..kept"])
def test_other_names_are_the_author_s(name: str) -> None:
    """They stay as they are."""
    assert key("charges", name=name) == name
