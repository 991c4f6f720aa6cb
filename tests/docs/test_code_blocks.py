"""Every code block of README, CONTRIBUTING and docs does what it says."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import warnings
from importlib.metadata import metadata, version
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG

from airflow_provider_stripe_lite.core.times import iso
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.conftest import SetConnection
from tests.docs.blocks import ROOT, Block, blocks, commands, is_dag
from tests.harness import Run, ids, register
from tests.helpers import NOW, Clock

BLOCKS = blocks()
# Those of the README run in a living Airflow: tests/e2e/test_readme.py.
DAGS = [block for block in BLOCKS if is_dag(block) and block.page != "README.md"]
README_DAGS = [block for block in BLOCKS if is_dag(block) and block.page == "README.md"]
PYTHON = [
    block
    for block in BLOCKS
    if block.language == "python" and not is_dag(block) and not block.place
]
# What these say is tried with a DAG that has run.
BY_HAND = [block for block in BLOCKS if "airflow variables" in block.text]
BACKFILLS = [block for block in BLOCKS if block.text.startswith("airflow backfill")]
SHELL = [
    block for block in BLOCKS if block.language == "bash" and block not in (*BY_HAND, *BACKFILLS)
]
DISTRIBUTION = "airflow-provider-stripe-lite"


def parsed(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[DAG]:
    """Parse a DAG file as the DAG processor does, without a network and without a connection."""
    (folder / "example.py").write_text(text)

    def offline(*_: Any) -> None:
        raise AssertionError("parsing a DAG file has opened a connection")

    with monkeypatch.context() as patch, warnings.catch_warnings():
        for name in [name for name in os.environ if name.startswith("AIRFLOW_CONN_")]:
            patch.delenv(name)
        patch.setattr(socket.socket, "connect", offline)
        warnings.simplefilter("ignore")
        bag = DagBag(str(folder), safe_mode=False)
    assert not bag.import_errors
    return list(bag.dags.values())


def test_every_language_is_known() -> None:
    """A block that no test here runs would rot."""
    assert {block.language for block in BLOCKS} <= {"python", "bash", "json", "text"}
    assert DAGS and PYTHON and SHELL  # noqa: PT018 - one promise: they are found at all


@pytest.mark.parametrize("block", DAGS, ids=str)
def test_dag_files_run(
    block: Block,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    database: None,
    stripe: FakeStripe,
    clock: Clock,
) -> None:
    """A whole DAG file parses offline, and receives what is new; who starts it does not matter."""
    text = block.text.replace("file:///tmp/", f"file://{tmp_path}/")
    (dag,) = parsed(text, tmp_path, monkeypatch)
    # Pages may use a name twice.
    dag.dag_id = f"{dag.dag_id}_{block.line}"
    made = {kind: stripe.add_many(kind, 3, created=NOW) for kind in ("customer", "charge")}
    clock.now += 100
    run = Run(dag, NOW, interval=(NOW - 60, NOW + 30)).go()
    assert run.state() == "success", run.errors
    first, *others = dag.topological_sort()
    got = run.xcom(first.task_id)
    if not others:
        with gzip.open(got["path"].removeprefix("file://")) as file:
            assert ids(map(json.loads, file)) == made["charge"]
    elif isinstance(got, dict):
        assert got["count"] is None
        assert run.xcom(others[-1].task_id) == 300
    else:
        sensor: Any = dag.task_dict[first.task_id]
        assert ids(got) == made[sensor.feed]


def test_the_five_dags_of_the_readme_parse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network and without a connection."""
    dags = [dag for block in README_DAGS for dag in parsed(block.text, tmp_path, monkeypatch)]
    assert len(dags) == 5
    assert all(dag.tasks for dag in dags)


def test_a_backfill_of_two_years(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: None
) -> None:
    """The command makes a run for each day of the DAG that stands above it."""
    (block,) = BACKFILLS
    dag = next(one for one in reversed(DAGS) if one.page == block.page and one.line < block.line)
    (parsed_dag,) = parsed(dag.text, tmp_path, monkeypatch)
    register(parsed_dag)
    (command,) = commands(block)
    days = airflow(f"{command} --dry-run").split("\n")
    found = {day for line in days for day in re.findall(r"\b202\d-\d\d-\d\d\b", line)}
    assert len(found) == 366 + 365


def test_a_person_sets_the_cursor(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    database: None,
    stripe: FakeStripe,
    clock: Clock,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Two commands: one shows where README's first DAG stands, one lets it begin elsewhere.

    Nothing that a newcomer does until then looks like an error.
    """
    (block,) = BY_HAND
    shows, sets = commands(block)
    assert f"`{sets}`" in (ROOT / "README.md").read_text()
    (dag,) = parsed(README_DAGS[0].text, tmp_path, monkeypatch)
    old = stripe.add_many("customer", 2, created=NOW - 86_400)
    assert Run(dag, NOW).go().state("new") == "skipped"
    assert json.loads(airflow(shows).splitlines()[-1])["position"]["created_gte"] == iso(NOW)
    airflow(sets)
    assert ids(Run(dag, NOW + 300).go().xcom("new")) == old
    assert "[error" not in capfd.readouterr().out


@pytest.mark.parametrize("page", sorted({block.page for block in PYTHON}))
def test_python_blocks_run(page: str, dag: DAG, stripe: FakeStripe, clock: Clock) -> None:
    """The blocks of a page run one after the other, inside a DAG and against the fake."""
    clock.now = time.time()
    stripe.add_many("charge", 120, created=int(clock.now) - 600)
    namespace: dict[str, Any] = {"__name__": "page"}
    for block in PYTHON:
        if block.page == page:
            code = compile("\n" * block.line + block.text, ROOT / page, "exec")
            with dag:
                exec(code, namespace)


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "json"], ids=str)
def test_json_blocks_are_extras_of_a_connection(
    block: Block, stripe: FakeStripe, set_connection: SetConnection
) -> None:
    """What is shown as the connection's extra is taken by the hook."""
    set_connection(extra=block.text)
    assert StripeHook().get_conn()


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_shell_blocks_work(
    block: Block, database: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each command is tried, or what it names is there."""
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_0123456789")
    for command in commands(block):
        words = [word for word in shlex.split(command) if not re.match(r"[A-Z_]+=", word)]
        {
            "make": check_make,
            "pip": check_pip,
            "python": check_python,
            "airflow": run_airflow,
            "export": check_export,
            "read": check_read,
        }[words[0]](command, words, monkeypatch)


def check_make(_: str, words: list[str], __: Any) -> None:
    """Find the target in the Makefile."""
    targets = re.findall(r"^([a-z0-9]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert words[1] in targets


def check_pip(_: str, words: list[str], __: Any) -> None:
    """Find that this checkout or distribution is installed, with known extras, and no Airflow."""
    assert words[1:3] == ["install", "apache-airflow==$(airflow version)"]
    assert airflow("airflow version") == version("apache-airflow")
    name, extras = re.fullmatch(r"([\w.-]+)(?:\[([\w,]+)\])?", words[3]).groups()  # type: ignore[union-attr]
    known = metadata(DISTRIBUTION)
    assert name in (".", known["Name"])
    assert {*(extras or "").split(",")} <= {"", *known.get_all("Provides-Extra", [])}


def check_python(_: str, words: list[str], __: Any) -> None:
    """Find the module."""
    assert words[1] == "-m"
    assert importlib.util.find_spec(words[2])


def run_airflow(command: str, words: list[str], monkeypatch: Any) -> None:
    """Run the command, and use the connection that it made; what tests one gets that of a fake."""
    if words[1:3] == ["connections", "test"]:
        with FakeStripe() as fake:
            monkeypatch.setenv(f"AIRFLOW_CONN_{words[3].upper()}", fake.connection)
            assert "Connection success!" in airflow(command)
        return
    airflow(command)
    got = airflow("airflow connections get stripe_default --output json")
    (connection,) = json.loads(got[got.index("[") :])
    assert connection["conn_type"] == "stripe"
    airflow("airflow connections delete stripe_default")


def airflow(command: str) -> str:
    """Run a command of Airflow's in a shell, and return what it prints."""
    command = command.replace("airflow", f"{shlex.quote(sys.executable)} -m airflow", 1)
    return subprocess.run(
        command, shell=True, check=True, timeout=120, capture_output=True, text=True
    ).stdout.strip()


def check_read(_: str, words: list[str], __: Any) -> None:
    """Find that the key is neither shown nor kept in the shell's history, where one pastes it."""
    assert words == ["read", "-rs", "STRIPE_API_KEY"]


def check_export(command: str, _: list[str], monkeypatch: Any) -> None:
    """Give the variable to the hook; an ellipsis stands for the rest of a key."""
    assignment = command.partition(" ")[2]
    name, value = shlex.split(assignment)[0].split("=", 1)
    monkeypatch.setenv(name, value.replace("…", "0123456789"))
    assert StripeHook().get_conn().livemode is False
