"""The example DAGs: parsed without a network or a connection, and run against the fake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite.testing import FakeStripe
from tests.harness import Run
from tests.helpers import NOW, Clock

FOLDER = Path(__file__).parents[2] / "example_dags"
FILES = sorted(path.name for path in FOLDER.glob("*.py"))

PARSE = """
import json, runpy, socket, sys
def refuse(*arguments, **options):
    raise AssertionError("a DAG file must not use the network")
import airflow.sdk
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
before = set(sys.modules)
for path in sys.argv[1:]:
    runpy.run_path(path)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def example(name: str) -> DAG:
    """Return the DAG of an example file, parsed as Airflow parses it."""
    from airflow.dag_processing.dagbag import DagBag

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
    assert len((FOLDER / name).read_text().splitlines()) <= 60


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
        assert run.xcom("load") == 150
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
    """Two products are created, with caption and images, and put on sale."""
    run = Run.whole(example("product_catalogue"), NOW)
    assert run.state() == "success"
    rows = [run.xcom("put_on_sale", map_index=index) for index in range(2)]
    assert [(row["name"], row["caption"], row["active"]) for row in rows] == [
        ("T-shirt", "Grey cotton", True),
        ("Mug", "Holds coffee", True),
    ]
    assert [row["images"] for row in rows] == [
        ["https://example.com/t-shirt.png"],
        ["https://example.com/mug.png"],
    ]
    assert len(stripe.ids("product")) == 2


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
