"""An older Airflow becomes the newest one between two runs, as `make matrix` shows."""

from __future__ import annotations

import base64
import secrets
import shutil
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from dev.fake_process import FakeStripeProcess
from dev.stack import AirflowStack
from tests.e2e.conftest import DAGS, KEY
from tests.e2e.scenarios import Stream

pytestmark = pytest.mark.matrix
OLD = Path(__file__).parents[2] / ".matrix" / "airflow-3.1.8" / "bin" / "python"
NAME = "manual"


@pytest.mark.skipif(not OLD.exists(), reason="make matrix makes the older Airflow")
def test_the_cursor_goes_on(tmp_path: Path) -> None:
    """Nothing is lost, nothing comes twice, and a run of the older Airflow gets the same again."""
    dags, inherited = tmp_path / "dags", tmp_path / "airflow.db"
    shutil.copytree(DAGS, dags, ignore=shutil.ignore_patterns("__pycache__"))
    key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    with FakeStripeProcess() as fake:
        extra = {"stripe_account": f"acct_{NAME}", "rate_limit_url": f"file://{tmp_path}/calls"}
        connections = {f"stripe_{NAME}": {**fake.connection(KEY), "extra": extra}}
        env = {"FAKE_STRIPE": fake.url, "AIRFLOW__CORE__FERNET_KEY": key}
        living = partial(AirflowStack, dags_folder=dags, env=env, connections=connections)
        with living(home=tmp_path / "old", python=OLD) as airflow:
            stream = stream_of(airflow, fake)
            airflow.unpause(NAME)
            stream.run_once("failed")
            stream.create(3)
            first = stream.run_once()
            stream.create(2)
        # What SQLite has written beside its file is part of the database.
        with (
            closing(sqlite3.connect(tmp_path / "old" / "airflow.db")) as old,
            closing(sqlite3.connect(inherited)) as new,
        ):
            old.backup(new)
        with living(home=tmp_path / "new", inherited=inherited) as airflow:
            stream = stream_of(airflow, fake)
            airflow.wait_dag(NAME)
            stream.run_once()
            assert [len(ids) for ids in stream.received().values()] == [3, 2]
            given = stream.received()[first]
            airflow.clear(NAME, [first])
            assert airflow.wait_run(NAME, first) == "success"
            assert stream.received()[first] == given
            stream.create(2)
            stream.run_once()
            assert stream.verdict() == "0 lost, 0 twice"


def stream_of(airflow: AirflowStack, fake: FakeStripeProcess) -> Stream:
    """Return the customers of the one DAG that runs."""
    airflow.fake = fake  # type: ignore[attr-defined]
    return Stream(airflow, NAME)
