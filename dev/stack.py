"""A real Airflow of its own, for the demo, the UI and the end-to-end tests.

    with AirflowStack(dags_folder=dags, connections={"stripe_default": {...}}) as airflow:
        airflow.unpause("my_dag")
        run_id = airflow.trigger("my_dag")
        assert airflow.wait_run("my_dag", run_id) == "success"

Its components are the processes of an installation, started as an installation starts them; only
the intervals at which they look around are shorter. Each component has a session of its own, by
which its descendants are found.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import requests

from dev.airflow_api import AirflowApi, wait_for
from dev.airflow_home import AirflowHome
from dev.processes import adopt_orphans, free_port, processes_of, undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
# "execution-api" is a second api-server, for the tasks alone.
APIS = ("api-server", "execution-api")


class AirflowStack(AirflowApi):
    """A running Airflow: api-server, scheduler (LocalExecutor), dag-processor, triggerer, database.

    :param dags_folder: the DAG files.
    :param home: AIRFLOW_HOME, emptied at the start and kept at the end. None: a temporary one.
    :param database: ``sqlite``, or ``postgresql``: a database of its own on the server named by
        ``dev.airflow_home.POSTGRESQL``.
    :param env: environment of every component, such as ``AIRFLOW__SCHEDULER__…``; it wins over
        the settings of ``dev.airflow_home``.
    :param connections: kept in the database, so that they are seen and changed in the UI.
    :param components: which of them to start; ``api-server`` is always needed. With
        ``execution-api`` the tasks have an api-server of their own: on a busy SQLite the two
        would hold each other up. Behind an @ stands the host of a component, such as
        ``triggerer@one`` or ``celery-worker@one``: it shares this machine's network and
        AIRFLOW_HOME, and has a temporary directory of its own.
    :param python: the interpreter whose Airflow it is; this one's by default.
    :param inherited: a SQLite file of an older Airflow, to begin with.
    :param say: called with sentences that say what is being waited for.
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
        python: Path = Path(sys.executable),
        inherited: Path | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        super().__init__(f"http://127.0.0.1:{free_port()}")
        self.dags_folder = Path(dags_folder).resolve()
        self.database = database
        self.connections = dict(connections or {})
        self.components = tuple(components)
        self.say = say
        own = "execution-api" in components
        self._execution_url = f"http://127.0.0.1:{free_port()}" if own else self.url
        self._home = AirflowHome(
            folder=home,
            dags_folder=self.dags_folder,
            database=database,
            url=self.url,
            execution_url=self._execution_url,
            env=env or {},
            python=python,
            inherited=inherited,
        )
        self.home = self._home.folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._sessions: set[int] = set()
        # How often a worker had said before it was started again that it is ready.
        self._ready: dict[str, int] = {}
        # Epoch seconds at which a component was ended, and at which it was healthy again.
        self.outages: list[tuple[str, float, float]] = []
        self._ended: dict[str, float] = {}

    def __enter__(self) -> Self:
        began = time.monotonic()
        adopt_orphans()
        self.say(f"Starting Airflow {self._home.version} ({self.database}) …")
        try:
            self._home.make()
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

    def pid(self, component: str) -> int:
        """Return the main process of a component."""
        return self._processes[component].pid

    def descendants(self, *components: str) -> dict[int, str]:
        """Return pid and title of each process of these components, or of all ever started."""
        return processes_of({self.pid(name) for name in components} or self._sessions)

    def tasks(self, dag: str | None = None) -> list[int]:
        """Return the processes in which users' code of tasks runs now, of one DAG or of all."""
        if dag is None:
            return self._titled(r"airflow worker -- [0-9a-f]{8}-")
        rows = self.task_instances(dag)
        running = [row["id"] for row in rows if row["state"] == "running"]
        return self._titled(rf"airflow worker -- ({'|'.join(running)})") if running else []

    def supervisors(self) -> list[int]:
        """Return the workers that watch over a running task: the parents of ``tasks()``."""
        return self._titled(r"airflow worker -- LocalExecutor: (?!<idle>)")

    def crash(self, host: str) -> None:
        """Kill every process of a host at once."""
        components = [name for name in self.components if name.endswith(f"@{host}")]
        pids = self.descendants(*components)
        for component in components:
            self.kill(component)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def kill(self, component: str, signum: int = signal.SIGKILL) -> None:
        """Send the main process of a component a signal; wait for its death if that is deadly."""
        process = self._processes[component]
        self._ended[component] = time.time()
        process.send_signal(signum)
        if signum in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
            process.wait(60)

    def restart(self, component: str) -> None:
        """End a component if it lives, start it again, and wait until it is healthy."""
        if self._processes[component].poll() is None:
            self.kill(component, signal.SIGTERM)
        self._run([component])
        self.outages.append((component, self._ended.pop(component), time.time()))

    def command(self, *words: str) -> None:
        """Run an ``airflow`` command with this configuration; raise an error if it fails."""
        self._home.command(*words)

    def log_of(self, component: str) -> str:
        """Return the output of a component so far."""
        return (self.home / f"{component}.log").read_text(errors="replace")

    def stop(self) -> None:
        """End every process that was started, and its descendants; remove the database."""
        with undisturbed():
            for process in self._processes.values():
                process.terminate()
            with suppress(TimeoutError):
                wait_for("a quiet end", lambda: not self.descendants(), timeout=3, every=0.1)
            # A dying process may still have had a child: look again until none is left.
            while left := self.descendants():
                for pid in left:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                time.sleep(0.05)
            # A process with threads may still be on its way out.
            for process in self._processes.values():
                process.wait()
            self._home.remove()

    def _titled(self, pattern: str) -> list[int]:
        return [pid for pid, title in self.descendants().items() if re.match(pattern, title)]

    def _run(self, components: Sequence[str]) -> None:
        since = time.time()
        for component in components:
            self._start(component)
        names = ", ".join(components)
        wait_for(names, lambda: self._healthy(components, since), timeout=180, say=self.say)

    def _start(self, component: str) -> None:
        env = dict(self._home.env)
        kind, _, host = component.partition("@")
        if host:
            env["TMPDIR"] = str(self.home / "hosts" / host)
            (self.home / "hosts" / host).mkdir(parents=True, exist_ok=True)
        if component in APIS:
            # In Airflow 3.3.2 the event loop of an api-server may wait for SQLite's lock while one
            # of its own requests holds that lock and needs the loop to commit. Everything stands
            # still until the wait is over; the client that gets the error asks again.
            url = self._home.database_url(patience=2)
            env.setdefault("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", url)
        own = self._execution_url != self.url
        # Logs are not served, since the api-server reads the log files themselves.
        command = {
            "api-server": self._serve(self.url, "core" if own else "all"),
            "execution-api": self._serve(self._execution_url, "execution"),
            "scheduler": ["scheduler", "--skip-serve-logs"],
            "triggerer": ["triggerer", "--skip-serve-logs"],
            "celery-worker": [
                *("celery", "worker", "--skip-serve-logs", "--celery-hostname", component),
                *("--pid", f"{self.home}/{component}.pid"),
            ],
        }
        # A worker that was killed has left this, and none begins beside it.
        (self.home / f"{component}.pid").unlink(missing_ok=True)
        with (self.home / f"{component}.log").open("ab") as log, undisturbed():
            self._ready[component] = self.log_of(component).count(" ready.")
            self._processes[component] = process = subprocess.Popen(
                [str(self._home.python), "-m", "airflow", *command.get(kind, [kind])],
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
        port = url.rpartition(":")[2]
        return ["api-server", "--apps", apps, "--host", "127.0.0.1", "--port", port]

    def _healthy(self, components: Sequence[str], since: float) -> bool:
        """Return whether each of these components has shown a sign of life after ``since``."""
        for component in components:
            if self._processes[component].poll() is not None:
                log = self.log_of(component)[-3000:]
                raise RuntimeError(f"airflow {component} has ended:\n{log}")
        health = self.call("GET", "/monitor/health")
        if "execution-api" in components:
            url = f"{self._execution_url}/execution/health"
            if not requests.get(url, timeout=10).ok:
                return False
        kinds = [name.partition("@")[0].replace("-", "_") for name in components]
        beats = [health[kind] for kind in kinds if kind in health]
        if not all(beat["status"] == "healthy" and _heard(beat) >= since for beat in beats):
            return False
        # One of several triggerers beats for all, and a worker beats nowhere.
        begun = datetime.fromtimestamp(since, UTC).isoformat()
        which = {"job_type": "TriggererJob", "start_date_gte": begun, "is_alive": True}
        return len(self.all("/jobs", "jobs", **which)) >= kinds.count("triggerer") and all(
            self._ready[name] < self.log_of(name).count(" ready.")
            for name in components
            if name.startswith("celery-worker")
        )


def _heard(beat: Mapping[str, Any]) -> float:
    """Return when a component last showed a sign of life, in epoch seconds."""
    text = next(value for name, value in beat.items() if name.startswith("latest_"))
    return datetime.fromisoformat(text).timestamp() if text else 0.0
