"""The example DAGs: parsed without a network or a connection, and run against the fake."""

from __future__ import annotations

import ast
import gzip
import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from airflow.sdk import DAG, BaseHook

from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.testing import FakeStripe
from dev import ui
from dev.airflow_home import POSTGRESQL
from tests.harness import Run, ids
from tests.helpers import NOW, Clock

FOLDER = Path(__file__).parents[2] / "example_dags"
FILES = sorted(path.name for path in FOLDER.glob("*.py"))

PARSE = """
import json, runpy, socket, sys
def refuse(*arguments, **options):
    raise AssertionError("a DAG file must not use the network")
import airflow.sdk
# The first asset lets Airflow load what other providers say of theirs.
airflow.sdk.Asset("any", uri="any://asset")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
before = set(sys.modules)
for path in sys.argv[1:]:
    runpy.run_path(path)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def example(name: str) -> DAG:
    """Return the DAG of an example file, parsed as Airflow parses it."""
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:
        # It stood elsewhere in Airflow 3.1.
        from airflow.models.dagbag import DagBag

    bag = DagBag(FOLDER / f"{name}.py")
    assert bag.import_errors == {}
    (dag,) = bag.dags.values()
    return dag


@pytest.mark.parametrize("name", FILES)
def test_an_example_is_one_dag_without_errors(name: str) -> None:
    """It imports, holds one DAG with a sentence about itself, and can be read in a minute."""
    dag = example(name.removesuffix(".py"))
    assert dag.dag_id.startswith("stripe_")
    assert dag.doc_md or dag.description
    assert "stripe" in dag.tags
    assert len(dag.tags) > 1
    assert len((FOLDER / name).read_text().splitlines()) <= 60


def test_the_ui_has_a_word_and_a_start_for_each() -> None:
    """What `make ui` says, and where its sensors begin, is of the DAGs that there are."""
    paths = [path for folder in ui.BUNDLES.values() for path in (ui.ROOT / folder).glob("*.py")]
    dags = [example(str(path.with_suffix(""))) for path in paths]
    assert {dag.dag_id for dag in dags} == {*ui.SHOWN, *ui.PAUSED}
    shown = {f"{dag.dag_id}.{task.task_id}" for dag in dags for task in dag.tasks}
    assert {*ui.CURSORS} <= shown


@pytest.mark.parametrize(
    "name",
    [
        "charges_by_day",
        "charges_to_database",
        "charges_to_jsonl",
        "failed_payments",
        "lists_by_day",
    ],
)
def test_a_day_s_work_is_fifteen_lines(name: str) -> None:
    """Without imports, docstrings and blank lines."""
    source = (FOLDER / f"{name}.py").read_text()
    left = dict(enumerate(source.splitlines(), 1))
    for node in ast.walk(ast.parse(source)):
        text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if text or isinstance(node, ast.Import | ast.ImportFrom):
            for line in range(node.lineno, (node.end_lineno or 0) + 1):
                left.pop(line)
    assert len([line for line in left.values() if line]) <= 15


def test_parsing_needs_neither_network_nor_connection(tmp_path: Path) -> None:
    """All examples import without a connection and sockets, and without loading requests."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW_CONN", "PYTHON"))
    }
    environment |= {"AIRFLOW_HOME": str(tmp_path)}
    command = [sys.executable, "-c", PARSE, *(str(FOLDER / name) for name in FILES)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert "airflow_provider_stripe_lite.hooks" in loaded
    assert {"requests", "urllib3", "orjson", "redis"}.isdisjoint(loaded)


def test_new_customers(database: None, stripe: FakeStripe, clock: Clock) -> None:
    """Each new customer is welcomed by a mapped task of its own, run after run."""
    dag = example("new_customers")
    for number in range(2):
        made = stripe.add_many("customer", 2 + number, created=int(clock.now) + 1)
        clock.now += 200
        run = Run.whole(dag, NOW + 200 * number)
        assert run.state() == "success"
        assert [run.xcom("welcome", map_index=index) for index in range(2 + number)] == made


def test_charges_to_jsonl(
    database: None, stripe: FakeStripe, clock: Clock, tmp_path: Path, monkeypatch: Any
) -> None:
    """Each charge is one line of one file; a cleared run writes the same file again."""
    monkeypatch.setenv("AIRFLOW_VAR_STRIPE_CHARGES_PATH", f"file://{tmp_path}/charges")
    dag = example("charges_to_jsonl")
    made: list[str] = []
    run = None
    for number in range(2):
        made += stripe.add_many("charge", 150, created=int(clock.now) + 1, spread=50)
        clock.now += 200
        run = Run.whole(dag, NOW + 200 * number)
        assert run.state() == "success"
        assert run.xcom("load")["count"] == 150
    assert run is not None
    assert run.clear("window", "load").go().state() == "success"
    files = sorted((tmp_path / "charges").iterdir())
    assert len(files) == 2
    lines = [json.loads(line)["id"] for file in files for line in file.read_text().splitlines()]
    assert lines == made


def test_customer_actions(database: None, stripe: FakeStripe) -> None:
    """A customer is created, read and updated, and a cleared run makes no second one."""
    run = Run.whole(example("customer_actions"), NOW)
    assert run.state() == "success"
    (made,) = stripe.ids("customer")
    assert run.xcom("create")["id"] == run.xcom("get")["id"] == made
    assert run.xcom("get")["description"] == "Made by Airflow"
    row = run.xcom("update")
    assert (row["id"], row["email"], row["description"]) == (made, "jenny@example.com", None)
    assert row["metadata"]["checked"]
    assert run.clear("create", "get", "update").go().state() == "success"
    assert stripe.ids("customer") == [made]


def test_product_catalogue(database: None, stripe: FakeStripe) -> None:
    """Two products are created with their prices; another run makes no other one."""
    before = None
    for number in range(2):
        run = Run.whole(example("product_catalogue"), NOW + number)
        assert run.state() == "success"
        rows = [run.xcom("product", map_index=index) for index in range(2)]
        assert [(row["name"], row["caption"]) for row in rows] == [
            ("T-shirt", "Grey cotton"),
            ("Mug", "Holds coffee"),
        ]
        assert sorted(stripe.ids("product")) == ["mug", "t-shirt"]
        held = [StripeHook().request("GET", f"/v1/prices/{name}") for name in stripe.ids("price")]
        prices = sorted((price["product"], price["unit_amount"], price["id"]) for price in held)
        assert [price[:2] for price in prices] == [("mug", 900), ("t-shirt", 1900)]
        assert before in (None, prices)
        before = prices


def test_customer_events(database: None, stripe: FakeStripe, clock: Clock) -> None:
    """A run in which nothing is new is skipped; the next one greets all who came, once."""
    dag = example("customer_events")
    run = Run.whole(dag, NOW)
    assert (run.state(), run.state("new"), run.state("welcome")) == ("success", *["skipped"] * 2)
    for number in range(1, 3):
        made = stripe.add_many("customer", 2, created=int(clock.now) + 1)
        clock.now += 200
        run = Run.whole(dag, NOW + 200 * number)
        assert (run.state(), run.xcom("welcome")) == ("success", made)


def test_charges_by_day(
    database: None, stripe: FakeStripe, clock: Clock, tmp_path: Path, monkeypatch: Any
) -> None:
    """The charges of a day are in the file of that day; a cleared run writes the same bytes."""
    monkeypatch.setenv("AIRFLOW_VAR_STRIPE_LAKE", f"file://{tmp_path}")
    day = NOW - NOW % 86_400
    made = [stripe.add("charge", created=day + at) for at in (0, 86_399)]
    stripe.add("charge", created=day + 86_400)
    clock.now = day + 90_000
    run = Run(example("charges_by_day"), day, interval=(day, day + 86_400)).go()
    path = Path(run.xcom("export")["path"].removeprefix("file://"))
    assert path == tmp_path / "charge" / f"{datetime.fromtimestamp(day, UTC):%F}.jsonl.gz"
    before = path.read_bytes()
    assert ids(map(json.loads, gzip.decompress(before).splitlines())) == made
    assert run.clear("export").go().state() == "success"
    assert path.read_bytes() == before


def test_lists_by_day(
    database: None, stripe: FakeStripe, clock: Clock, tmp_path: Path, monkeypatch: Any
) -> None:
    """Each list has a file of its own."""
    lake = tmp_path / "lake"
    monkeypatch.setenv("AIRFLOW_VAR_STRIPE_LAKE", f"file://{lake}")
    dag = example("lists_by_day")
    for feed in dag.task_dict:
        stripe.add(feed, created=NOW)
    clock.now += 200
    run = Run(dag, NOW, interval=(NOW - 10, NOW + 10)).go()
    assert run.state() == "success"
    assert [run.xcom(feed)["count"] for feed in dag.task_dict] == [1] * 5
    assert {path.name for path in lake.iterdir()} == {*dag.task_dict}


@pytest.fixture(params=["sqlite", "postgresql"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URI of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite://{quote(str(tmp_path / 'warehouse.sqlite'), safe='')}"
        return
    psycopg2 = pytest.importorskip("psycopg2")
    name = f"warehouse_{uuid.uuid4().hex}"
    try:
        server = psycopg2.connect(f"postgresql://{POSTGRESQL}/postgres")
    except psycopg2.OperationalError:
        pytest.skip("no PostgreSQL on 127.0.0.1:5432 (STACK_POSTGRESQL names another one)")
    with closing(server), server.cursor() as cursor:
        server.autocommit = True
        cursor.execute(f"CREATE DATABASE {name}")
        yield f"postgres://{POSTGRESQL}/{name}"
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_charges_to_database(
    database: None, stripe: FakeStripe, clock: Clock, warehouse: str, monkeypatch: Any
) -> None:
    """Each charge is one row of the table that the DAG describes, also when a run is cleared."""
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", warehouse)
    dag = example("charges_to_database")
    (create,) = re.findall("``(CREATE TABLE .*?)``", str(dag.doc_md), re.DOTALL)
    hook: Any = BaseHook.get_hook("warehouse")
    hook.run(create)
    made = stripe.add_many("charge", 3, created=NOW + 1)
    clock.now += 200
    run = Run.whole(dag, NOW)
    assert run.state() == "success"
    run.clear("new", "load").go()
    assert run.state() == "success"
    found = hook.get_records("SELECT id, amount FROM charges")
    assert sorted(tuple(row) for row in found) == sorted((name, 100) for name in made)


def test_failed_payments(database: None, stripe: FakeStripe, clock: Clock) -> None:
    """Each charge that failed is looked up once, and the task says why."""
    charge = stripe.add("charge", created=NOW, failure_message="Your card was declined.")
    stripe.add(
        "event",
        created=NOW + 1,
        type="charge.failed",
        data={"object": {"id": charge, "object": "charge"}},
    )
    clock.now += 200
    run = Run.whole(example("failed_payments"), NOW)
    assert run.state() == "success"
    assert run.xcom("tell", map_index=0) == f"{charge}: Your card was declined."
