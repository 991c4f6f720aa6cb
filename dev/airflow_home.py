"""AIRFLOW_HOME of a real Airflow: its environment, its configuration and its database."""

from __future__ import annotations

import base64
import configparser
import os
import secrets
import shutil
import subprocess
import tempfile
from contextlib import closing, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dev.processes import undisturbed

if TYPE_CHECKING:
    from collections.abc import Mapping

# The server for database="postgresql"; its role must be allowed to make databases.
POSTGRESQL = os.environ.get("STACK_POSTGRESQL", "postgres@127.0.0.1:5432")

# These settings say how often Airflow looks around, and how soon it takes a silent process for
# dead. Nothing else of this Airflow is unusual.
FAST: dict[str, dict[str, float]] = {
    "core": {
        "parallelism": 16,
        "min_serialized_dag_update_interval": 1,
        "killed_task_cleanup_time": 5,
    },
    "scheduler": {
        "job_heartbeat_sec": 1,
        "scheduler_heartbeat_sec": 1,
        "scheduler_idle_sleep_time": 0.5,
        # With less, a scheduler on a loaded machine takes itself for dead.
        "scheduler_health_check_threshold": 20,
        "orphaned_tasks_check_interval": 5,
        "task_instance_heartbeat_timeout": 15,
        "task_instance_heartbeat_timeout_detection_interval": 2,
        "trigger_timeout_check_interval": 2,
    },
    "dag_processor": {
        "min_file_process_interval": 5,
        "refresh_interval": 5,
        "bundle_refresh_check_interval": 1,
    },
    "triggerer": {"job_heartbeat_sec": 1, "triggerer_health_check_threshold": 6},
    "workers": {"min_heartbeat_interval": 3},
}


class AirflowHome:
    """A folder that Airflow takes as its home, and the database that belongs to it.

    :param folder: emptied by ``make`` and kept by ``remove``. None: a temporary one.
    :param dags_folder: the DAG files.
    :param database: ``sqlite``, or ``postgresql``: a database on the server of POSTGRESQL.
    :param url: where the api-server is.
    :param execution_url: where the tasks ask; it may be an api-server of its own.
    :param env: environment of every process, which wins over everything here.
    :param python: the interpreter whose Airflow it is.
    :param inherited: a SQLite file of an older Airflow, to begin with.
    """

    def __init__(
        self,
        *,
        folder: Path | str | None,
        dags_folder: Path,
        database: str,
        url: str,
        execution_url: str,
        env: Mapping[str, str],
        python: Path,
        inherited: Path | None,
    ) -> None:
        self.python, self._inherited = python, inherited
        self.folder = Path(folder or tempfile.mkdtemp(prefix="airflow-stack-")).resolve()
        self.database = database
        self.env = self._environment(env)
        self._temporary = folder is None
        self._dags_folder, self._url, self._execution_url = dags_folder, url, execution_url
        self._database_name = f"airflow_stack_{secrets.token_hex(6)}"

    def make(self) -> None:
        """Make the folder, the configuration and a migrated, empty database."""
        self._make_folder()
        self._make_database()

    def remove(self) -> None:
        """Remove the database of PostgreSQL, and the folder if it is a temporary one."""
        if self.database == "postgresql":
            _on_server(f"DROP DATABASE IF EXISTS {self._database_name} WITH (FORCE)")
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    @cached_property
    def version(self) -> str:
        """Return the Airflow's version."""
        ask = "from importlib.metadata import version; print(version('apache-airflow-core'))"
        return subprocess.check_output([str(self.python), "-c", ask], text=True).strip()

    def command(self, *words: str) -> None:
        """Run an ``airflow`` command with this configuration; raise an error if it fails."""
        command = [str(self.python), "-m", "airflow", *words]
        done = subprocess.run(
            command, env=self.env, cwd=self.folder, capture_output=True, text=True
        )
        if done.returncode:
            output = f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
            raise RuntimeError(f"airflow {' '.join(words)} failed:\n{output}")

    def database_url(self, *, patience: int) -> str:
        """Return the database's URL; a writer waits ``patience`` seconds for SQLite's lock."""
        if self.database == "postgresql":
            return f"postgresql+psycopg2://{POSTGRESQL}/{self._database_name}"
        return f"sqlite:///{self.folder}/airflow.db?timeout={patience}"

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        kept = {name: text for name, text in os.environ.items() if not name.startswith("AIRFLOW")}
        # Without its .pyc files, Airflow compiles for half a minute.
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        local = ",".join(filter(None, ["127.0.0.1,localhost", os.environ.get("no_proxy")]))
        own = {"AIRFLOW_HOME": str(self.folder), "no_proxy": local, "NO_PROXY": local}
        return {**kept, **own, **more}

    def _make_folder(self) -> None:
        # The marker tells a folder of ours from somebody else's, which is never emptied.
        marker = self.folder / "made-by-dev-stack"
        # Half emptied, by a Ctrl-C, it might have lost its marker and nothing else.
        with undisturbed():
            if marker.exists() or self._temporary:
                shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True, exist_ok=True)
            if any(self.folder.iterdir()):
                raise FileExistsError(f"{self.folder} holds something already: name another home.")
            marker.touch()
        config = configparser.RawConfigParser()
        config.read_dict(self._settings())
        path = self.folder / "airflow.cfg"
        path.touch(mode=0o600)
        with path.open("w") as file:
            config.write(file)

    def _settings(self) -> dict[str, dict[str, Any]]:
        own: dict[str, dict[str, Any]] = {
            "core": {
                "dags_folder": str(self._dags_folder).replace("%", "%%"),
                "executor": "LocalExecutor",
                "execution_api_server_url": f"{self._execution_url}/execution/",
                "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
                "load_examples": False,
                "simple_auth_manager_all_admins": True,
                "test_connection": "Enabled",
            },
            "api": {"base_url": self._url, "secret_key": secrets.token_hex(32)},
            "api_auth": {"jwt_secret": secrets.token_hex(32)},
            "database": {"sql_alchemy_conn": self.database_url(patience=30).replace("%", "%%")},
        }
        sections = {*FAST, *own}
        return {name: {**FAST.get(name, {}), **own.get(name, {})} for name in sections}

    def _make_database(self) -> None:
        """Migrate an empty database; a migrated SQLite file is kept and copied the next time."""
        template = self.python.parents[1] / f"airflow-{self.version}-migrated.db"
        name = self._database_name
        if self._inherited:
            shutil.copy(self._inherited, self.folder / "airflow.db")
            self.command("db", "migrate")
            return
        if self.database == "postgresql":
            _on_server(f"CREATE DATABASE {name}")
            # A scheduler that is killed alone leaves executor workers behind. These hold its
            # database connection open, and so the locks of its last transaction; in a container
            # or under systemd they would die with it.
            setting = "idle_in_transaction_session_timeout = '10s'"
            _on_server(f"ALTER DATABASE {name} SET {setting}")
        elif template.exists():
            shutil.copy(template, self.folder / "airflow.db")
            return
        self.command("db", "migrate")
        if self.database == "sqlite":
            # If the file cannot be kept, the next start takes longer, and nothing else is lost.
            with suppress(OSError):
                partial = template.with_suffix(f".{os.getpid()}")
                shutil.copy(self.folder / "airflow.db", partial)
                partial.rename(template)


def _on_server(statement: str) -> None:
    import psycopg2

    with closing(psycopg2.connect(f"postgresql://{POSTGRESQL}/postgres")) as server:
        # A database is not made within a transaction.
        server.autocommit = True
        server.cursor().execute(statement)
