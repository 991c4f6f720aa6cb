"""A real Airflow of its own, for the demo, the UI and the end-to-end tests.

    with AirflowStack(dags_folder=dags, connections={"stripe_default": {...}}) as airflow:
        airflow.unpause("my_dag")
        run_id = airflow.trigger("my_dag")
        assert airflow.wait_run("my_dag", run_id) == "success"

Its components are the processes that an installation has, started as one starts them there; only the times
after which they look around are shorter. Each has a session of its own, by which its descendants are found.
"""

from __future__ import annotations

import base64
import configparser
import ctypes
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil  # comes with Airflow
import requests

from tests.airflow_api import AirflowApi, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
APIS = ("api-server", "execution-api")  # the second is an api-server of its own for the tasks

# The server for database="postgresql"; its role must be allowed to make databases.
POSTGRESQL = os.environ.get("STACK_POSTGRESQL", "postgres@127.0.0.1:5432")

# How often Airflow looks, and how soon it takes a silent process for dead; nothing else is unusual here.
FAST = {
    "core": {"parallelism": 16, "min_serialized_dag_update_interval": 1, "killed_task_cleanup_time": 5},
    "scheduler": {
        "job_heartbeat_sec": 1,
        "scheduler_heartbeat_sec": 1,
        "scheduler_idle_sleep_time": 0.5,
        "scheduler_health_check_threshold": 20,  # less, and on a loaded machine a scheduler takes itself for dead
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
    "workers": {"min_heartbeat_interval": 1},
}


def free_port() -> int:
    """Return a port of the loopback interface that nobody uses."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class AirflowStack(AirflowApi):
    """A running Airflow: api-server, scheduler (LocalExecutor), dag-processor, triggerer, database.

    :param dags_folder: the DAG files.
    :param home: AIRFLOW_HOME, emptied at the start and kept at the end. None: a temporary one.
    :param database: ``sqlite``, or ``postgresql``: a database of its own on the server named by POSTGRESQL.
    :param env: environment of every component, such as ``AIRFLOW__SCHEDULER__…``; it wins over what is here.
    :param connections: kept in the database, so that they are seen and changed in the UI.
    :param components: which of them to start; ``api-server`` is always needed. With ``execution-api`` the tasks have
        an api-server of their own: on a busy SQLite the two would hold each other up.
    :param say: where to say what is being waited for.
    """

    def __init__(
        self,
        *,
        dags_folder: Path | str,
        home: Path | str | None = None,
        database: str = "sqlite",
        env: Mapping[str, str] | None = None,
        connections: Mapping[str, Mapping[str, Any]] | None = None,
        components: Sequence[str] = COMPONENTS,
        say: Callable[[str], None] = print,
    ) -> None:
        super().__init__(f"http://127.0.0.1:{free_port()}")
        self.dags_folder = Path(dags_folder).resolve()
        self.home = Path(home or tempfile.mkdtemp(prefix="airflow-stack-")).resolve()
        self.database = database
        self.connections = dict(connections or {})
        self.components = tuple(components)
        self.say = say
        self._execution_url = f"http://127.0.0.1:{free_port()}" if "execution-api" in components else self.url
        self._temporary = home is None
        self._database_name = f"airflow_stack_{secrets.token_hex(6)}"
        self._env = self._environment(env or {})
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._sessions: set[int] = set()

    def __enter__(self) -> Self:
        began = time.monotonic()
        _adopt_orphans()
        self.say(f"Starting Airflow {version('apache-airflow-core')} ({self.database}) …")
        try:
            self._make_home()
            self._make_database()
            self._run(self.components)
            for conn_id, fields in self.connections.items():
                self.set_connection(conn_id, fields)
        except BaseException:
            self.stop()
            raise
        self.say(f"Airflow is up at {self.url} ({time.monotonic() - began:.1f} s).")
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    # -- processes -------------------------------------------------------------------------------------------

    def pid(self, component: str) -> int:
        """Return the main process of a component."""
        return self._processes[component].pid

    def descendants(self, *components: str) -> dict[int, str]:
        """Return pid and title of each process of these components, or of all that were ever started."""
        return _processes({self.pid(name) for name in components} or self._sessions)

    def tasks(self) -> list[int]:
        """Return the processes in which the user's code of a task runs now."""
        return self._titled(r"airflow worker -- [0-9a-f]{8}-")

    def supervisors(self) -> list[int]:
        """Return the workers that watch over a running task; each is the parent of one of ``tasks()``."""
        return self._titled(r"airflow worker -- LocalExecutor: (?!<idle>)")

    def kill(self, component: str, signum: int = signal.SIGKILL) -> None:
        """Send the main process of a component a signal, and wait for its death where it is a deadly one."""
        process = self._processes[component]
        process.send_signal(signum)
        if signum in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
            process.wait(60)

    def restart(self, component: str) -> None:
        """Start a component again, after ending it where it still lives, and wait until it is healthy."""
        if self._processes[component].poll() is None:
            self.kill(component, signal.SIGTERM)
        self._run([component])

    def command(self, *words: str) -> None:
        """Run an ``airflow`` command with this Airflow's configuration; fail where it fails."""
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *words], env=self._env, cwd=self.home, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"airflow {' '.join(words)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")

    def log_of(self, component: str) -> str:
        """Return what a component has written."""
        return (self.home / f"{component}.log").read_text(errors="replace")

    def stop(self) -> None:
        """End every process that was started, and theirs; remove the database."""
        with _undisturbed():
            for process in self._processes.values():
                process.terminate()
            with suppress(TimeoutError):
                wait_for("a quiet end", lambda: not self.descendants(), timeout=3, every=0.1)
            while left := self.descendants():  # a dying one may still have had a child
                for pid in left:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                time.sleep(0.05)
            for process in self._processes.values():
                process.wait()  # so that it knows, too; one with threads may still be on its way out
            if self.database == "postgresql":
                self._on_server(f"DROP DATABASE IF EXISTS {self._database_name} WITH (FORCE)")
            if self._temporary:
                shutil.rmtree(self.home, ignore_errors=True)

    def _titled(self, pattern: str) -> list[int]:
        return [pid for pid, title in self.descendants().items() if re.match(pattern, title)]

    def _run(self, components: Sequence[str]) -> None:
        since = time.time()
        for component in components:
            self._start(component)
        what = ", ".join(components)
        wait_for(what, lambda: self._healthy(components, since), timeout=180, say=self.say)

    def _start(self, component: str) -> None:
        env = dict(self._env)
        if component in APIS:
            # In Airflow 3.3.2 its event loop may wait for SQLite's lock while one of its own requests holds that and
            # needs the loop to commit. All stand still until the wait is over; whoever gets the error asks again.
            env.setdefault("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", self._database_url(patience=2))
        own = self._execution_url != self.url
        command = {
            "api-server": self._serve(self.url, "core" if own else "all"),
            "execution-api": self._serve(self._execution_url, "execution"),
            "scheduler": ["scheduler", "--skip-serve-logs"],  # the api-server reads the log files themselves
            "triggerer": ["triggerer", "--skip-serve-logs"],
        }
        with (self.home / f"{component}.log").open("ab") as log, _undisturbed():
            self._processes[component] = process = subprocess.Popen(
                [sys.executable, "-m", "airflow", *command.get(component, [component])],
                env=env,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._sessions.add(process.pid)

    @staticmethod
    def _serve(url: str, apps: str) -> list[str]:
        return ["api-server", "--apps", apps, "--host", "127.0.0.1", "--port", url.rpartition(":")[2]]

    def _healthy(self, components: Sequence[str], since: float) -> bool:
        """Whether each of these components has shown a sign of life after ``since``."""
        for component in components:
            if self._processes[component].poll() is not None:
                raise RuntimeError(f"airflow {component} has ended:\n{self.log_of(component)[-3000:]}")
        health = self.call("GET", "/monitor/health")
        if "execution-api" in components and not requests.get(f"{self._execution_url}/execution/health", timeout=10).ok:
            return False
        beats = [health[name.replace("-", "_")] for name in components if name not in APIS]
        return all(beat["status"] == "healthy" and _heard(beat) >= since for beat in beats)

    # -- home, configuration, database -----------------------------------------------------------------------

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)  # without its .pyc files Airflow compiles for half a minute
        local = ",".join(filter(None, ["127.0.0.1,localhost", os.environ.get("no_proxy")]))
        return {**kept, "AIRFLOW_HOME": str(self.home), "no_proxy": local, "NO_PROXY": local, **more}

    def _make_home(self) -> None:
        marker = self.home / "made-by-tests-stack"
        if marker.exists() or self._temporary:  # never empty a folder that is somebody else's
            shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True, exist_ok=True)
        if any(self.home.iterdir()):
            raise FileExistsError(f"{self.home} holds something already: name another home")
        marker.touch()
        config = configparser.RawConfigParser()
        config.read_dict(self._settings())
        path = self.home / "airflow.cfg"
        path.touch(mode=0o600)
        with path.open("w") as file:
            config.write(file)

    def _settings(self) -> dict[str, dict[str, Any]]:
        own = {
            "core": {
                "dags_folder": str(self.dags_folder).replace("%", "%%"),
                "executor": "LocalExecutor",
                "execution_api_server_url": f"{self._execution_url}/execution/",
                "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
                "load_examples": False,
                "simple_auth_manager_all_admins": True,
                "test_connection": "Enabled",
            },
            "api": {"base_url": self.url, "secret_key": secrets.token_hex(32)},
            "api_auth": {"jwt_secret": secrets.token_hex(32)},
        }
        own["database"] = {"sql_alchemy_conn": self._database_url(patience=30).replace("%", "%%")}
        return {section: {**FAST.get(section, {}), **own.get(section, {})} for section in {*FAST, *own}}

    def _database_url(self, patience: int) -> str:
        """Where the database is; ``patience`` is how many seconds one waits for another writer of SQLite's file."""
        if self.database == "postgresql":
            return f"postgresql+psycopg2://{POSTGRESQL}/{self._database_name}"
        return f"sqlite:///{self.home}/airflow.db?timeout={patience}"

    def _make_database(self) -> None:
        """Migrate an empty database; for SQLite the result is kept beside Airflow and copied later."""
        template = Path(sys.prefix) / f"airflow-{version('apache-airflow-core')}-migrated.db"
        if self.database == "postgresql":
            self._on_server(f"CREATE DATABASE {self._database_name}")
            # A scheduler that is killed alone leaves executor workers behind, which hold its connection open, and so
            # the locks of its last transaction; in a container or under systemd they would die with it.
            self._on_server(f"ALTER DATABASE {self._database_name} SET idle_in_transaction_session_timeout = '10s'")
        elif template.exists():
            shutil.copy(template, self.home / "airflow.db")
            return
        self.command("db", "migrate")
        if self.database == "sqlite":
            with suppress(OSError):  # where it cannot be kept, that only costs time
                shutil.copy(self.home / "airflow.db", partial := template.with_suffix(f".{os.getpid()}"))
                partial.rename(template)

    @staticmethod
    def _on_server(statement: str) -> None:
        import psycopg2

        with closing(psycopg2.connect(f"postgresql://{POSTGRESQL}/postgres")) as server:
            server.autocommit = True  # a database is not made within a transaction
            server.cursor().execute(statement)


class FakeStripeProcess:
    """The fake Stripe of ``fake_stripe.py`` as a process of its own, at ``url``, until the context is left.

    :param options: of its command line, such as ``"--inflow", "customer:0.5"``.
    """

    def __init__(self, *options: str) -> None:
        self.options = options

    def __enter__(self) -> Self:
        with _undisturbed():
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fake_stripe", "--port", "0", *self.options],
                cwd=Path(__file__).parents[1],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,  # Ctrl-C is for us: it must outlive the Airflow that asks it
            )
            self.url = (self._process.stdout.readline() if self._process.stdout else "").strip()
        if not self.url:
            raise RuntimeError(f"the fake Stripe has ended with {self._process.wait()}")
        return self

    def __exit__(self, *exc: object) -> None:
        with _undisturbed(), self._process:
            self._process.kill()

    def connection(self, key: str = "sk_test_fake") -> dict[str, Any]:
        """Return the Airflow connection that leads to it."""
        # A port of 0, as Airflow 3.3.2 refuses the Test button of the list for a stored connection without a port.
        return {"conn_type": "stripe", "host": self.url, "port": 0, "password": key}

    def control(self, verb: str, **arguments: Any) -> Any:
        """Have it do something (create, create_many, delete, fault, options): see ``FakeStripe``."""
        return _answer(requests.post(f"{self.url}/_fake/{verb}", json=arguments, timeout=30))

    def read(self, what: str, **query: str) -> Any:
        """Return its requests, its ledger, or with ``kind=…`` the ids of its objects, oldest first."""
        return _answer(requests.get(f"{self.url}/_fake/{what}", params=query, timeout=30))

    def clear(self, what: str) -> None:
        """Forget its requests, its ledger, or its faults."""
        _answer(requests.delete(f"{self.url}/_fake/{what}", timeout=30))


def _answer(response: requests.Response) -> Any:
    response.raise_for_status()
    return response.json()


def _heard(beat: Mapping[str, Any]) -> float:
    """Return when a component last showed a sign of life, in epoch seconds."""
    text = next(value for name, value in beat.items() if name.startswith("latest_"))
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def _processes(sessions: set[int]) -> dict[int, str]:
    """Return pid and title of the living processes of sessions (a task leaves its group, not its session).

    Reap the dead ones that are ours, orphans too.
    """
    found = {}
    for pid in psutil.pids():
        with suppress(ProcessLookupError, ChildProcessError, PermissionError, psutil.Error):
            if os.getsid(pid) not in sessions:
                continue
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE:
                found[pid] = " ".join(process.cmdline())
            else:
                os.waitpid(pid, os.WNOHANG)
    return found


def _adopt_orphans() -> None:
    """Become the parent of whoever loses his: in a container there may be nobody else to reap them."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER


ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def leave_cleanly() -> None:
    """Turn every polite signal into an exception, as Ctrl-C is one, so that contexts are left and clean up."""

    def leave(number: int, _: object) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    for number in ENDS:
        signal.signal(number, leave)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let no signal interrupt what must be finished; whoever came meanwhile is answered at the end.

    An exception out of a signal could otherwise lose a process just started, or leave one that was to be ended.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = [signal.signal(number, lambda number, _: came.append(number)) for number in ENDS]
    try:
        yield
    finally:
        for number, handler in zip(ENDS, before, strict=True):
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])
