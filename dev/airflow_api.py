"""A running Airflow, as the demo and the end-to-end tests use it over its REST API."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class ApiError(RuntimeError):
    """Airflow's REST API refused; ``status`` says how."""

    def __init__(self, response: requests.Response) -> None:
        self.status = response.status_code
        request = response.request
        super().__init__(
            f"{request.method} {request.path_url}: {self.status} {response.text[:1000]}"
        )


def wait_for(
    what: str,
    check: Callable[[], Any],
    timeout: float = 120,
    *,
    every: float = 1,
    say: Callable[[str], None] | None = None,
) -> Any:
    """Return the first true answer of ``check``; ask again while the API is away or broken.

    :raises TimeoutError: no true answer within ``timeout`` seconds.
    """
    began = said = time.monotonic()
    while True:
        with suppress(
            requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError
        ):
            try:
                if answer := check():
                    return answer
            except ApiError as exc:
                if exc.status < 500:
                    raise
        now = time.monotonic()
        if now - began > timeout:
            raise TimeoutError(f"{what}: not within {timeout:g} s")
        if say and now - said >= 10:
            said = now
            say(f"… waiting for {what} ({now - began:.0f} s)")
        time.sleep(every)


class AirflowApi:
    """A running Airflow at ``url``; answers are the API's JSON."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._headers: dict[str, str] = {}

    def call(self, method: str, path: str, **kwargs: Any) -> Any:
        """Send one request below /api/v2 and return the JSON.

        :raises ApiError: Airflow refuses it.
        """
        with requests.Session() as session:
            # No proxy stands between a test and its own machine.
            session.trust_env = False
            for _ in range(10):
                session.headers.update(self._headers)
                response = session.request(method, f"{self.url}/api/v2{path}", timeout=90, **kwargs)
                if response.status_code == 401:
                    # Airflow 3.1 gives anybody a token, and wants to see it.
                    token = session.get(f"{self.url}/auth/token", timeout=90).json()
                    self._headers = {"Authorization": f"Bearer {token['access_token']}"}
                    continue
                # Airflow 3.2 says no more than this.
                busy = ("Database error", "Internal Server Error")
                if response.status_code != 500 or not any(text in response.text for text in busy):
                    break
                # SQLite was busy, and nothing was written.
                time.sleep(0.5)
        if not response.ok:
            raise ApiError(response)
        return response.json() if response.content else None

    def change(self, path: str, body: Mapping[str, Any], method: str = "PATCH") -> None:
        """Send a change that may be applied twice, again and again while the api-server is away."""

        def changed() -> bool:
            self.call(method, path, json=body)
            return True

        wait_for(f"{method} {path}", changed)

    def all(self, path: str, key: str, **params: Any) -> list[dict[str, Any]]:
        """Return every row of a list, page by page."""
        rows: list[dict[str, Any]] = []
        while True:
            page = self.call("GET", path, params={"limit": 100, "offset": len(rows), **params})
            rows += page[key]
            if not page[key] or len(rows) >= page["total_entries"]:
                return rows

    def wait_dag(self, dag: str, timeout: float = 120) -> None:
        """Wait until Airflow knows the DAG; raise the error of a file that cannot be loaded."""

        def known() -> bool:
            try:
                return bool(self.call("GET", f"/dags/{dag}"))
            except ApiError as exc:
                if exc.status != 404:
                    raise
            if errors := self.import_errors():
                raise RuntimeError("\n".join(error["stack_trace"] for error in errors))
            return False

        wait_for(f"DAG {dag}", known, timeout)

    def import_errors(self) -> list[dict[str, Any]]:
        """Return the DAG files that cannot be loaded."""
        return self.all("/importErrors", "import_errors")

    def unpause(self, dag: str) -> None:
        """Let the DAG run, once it is known."""
        self.wait_dag(dag)
        self.change(f"/dags/{dag}", {"is_paused": False})

    def pause(self, dag: str) -> None:
        """Stop the DAG's schedule; runs that have begun go on."""
        self.change(f"/dags/{dag}", {"is_paused": True})

    def trigger(
        self,
        dag: str,
        conf: Mapping[str, Any] | None = None,
        logical_date: str | None = None,
        **more: Any,
    ) -> str:
        """Start a manual run, as the UI does, and return its run id."""
        body = {"conf": dict(conf or {}), "logical_date": logical_date, **more}
        return str(self.call("POST", f"/dags/{dag}/dagRuns", json=body)["dag_run_id"])

    def runs(self, dag: str) -> list[dict[str, Any]]:
        """Return the runs of a DAG in the order of their making; wait for an absent api-server."""
        path = f"/dags/{dag}/dagRuns"
        (rows,) = wait_for(path, lambda: [self.all(path, "dag_runs", order_by="id")])
        return list(rows)

    def run_state(self, dag: str, run_id: str) -> str:
        """Return queued, running, success or failed."""
        return str(self.call("GET", _run(dag, run_id))["state"])

    def wait_run(
        self, dag: str, run_id: str, timeout: float = 240, say: Callable[[str], None] | None = None
    ) -> str:
        """Wait until the run has ended and return success or failed."""

        def ended() -> str | None:
            state = self.run_state(dag, run_id)
            return state if state in ("success", "failed") else None

        return str(wait_for(f"{dag}, run {run_id}", ended, timeout, every=2, say=say))

    def emit(self, asset: str) -> None:
        """Make an event of an asset, as its producer would."""
        rows = self.all("/assets", "assets", name_pattern=asset)
        number = next(row["id"] for row in rows if row["name"] == asset)
        self.call("POST", "/assets/events", json={"asset_id": number})

    def backfill(
        self, dag: str, from_date: str, to_date: str, timeout: float = 120, **more: Any
    ) -> int:
        """Run a backfill to its end and return its id."""
        dates = {"from_date": from_date, "to_date": to_date}
        body = {"dag_id": dag, **dates, "max_active_runs": 1, **more}
        number = int(self.call("POST", "/backfills", json=body)["id"])

        def completed() -> Any:
            return self.call("GET", f"/backfills/{number}")["completed_at"]

        wait_for(f"backfill {number} of {dag}", completed, timeout)
        return number

    def task_instances(self, dag: str, run_id: str = "~") -> list[dict[str, Any]]:
        """Return the task instances of a run, or with ``~`` of every run."""
        return self.all(f"{_run(dag, run_id)}/taskInstances", "task_instances")

    def xcom(
        self, dag: str, run_id: str, task: str, key: str = "return_value", map_index: int = -1
    ) -> Any:
        """Return the XCom that a task has pushed, or None."""
        path = f"{_run(dag, run_id)}/taskInstances/{task}/xcomEntries/{quote(key, safe='')}"
        try:
            return self.call("GET", path, params={"map_index": map_index})["value"]
        except ApiError as exc:
            if exc.status == 404:
                return None
            raise

    def links(self, dag: str, run_id: str, task: str, map_index: int = -1) -> dict[str, str | None]:
        """Return the extra links of a task instance by their names."""
        path = f"{_run(dag, run_id)}/taskInstances/{task}/links"
        return dict(self.call("GET", path, params={"map_index": map_index})["extra_links"])

    def logs(
        self, dag: str, run_id: str, task: str, try_number: int = 1, map_index: int = -1
    ) -> str:
        """Return the log of one try, a line of JSON for each event."""
        path = f"{_run(dag, run_id)}/taskInstances/{task}/logs/{try_number}"
        params = {"map_index": map_index, "full_content": True}
        answer = self.call("GET", path, params=params, headers={"Accept": "application/json"})
        return "\n".join(json.dumps(event, ensure_ascii=False) for event in answer["content"])

    def story(self, dag: str, run_id: str) -> str:
        """Return the state of each task of a run and the end of its log, for an error message."""
        lines = []
        for row in self.task_instances(dag, run_id):
            task = f"{row['task_id']}[{row['map_index']}]"
            lines.append(f"{task}: {row['state']}, try {row['try_number']}")
            if row["try_number"]:
                log = self.logs(dag, run_id, row["task_id"], row["try_number"], row["map_index"])
                lines += [f"    {line[:1500]}" for line in log.splitlines()[-15:]]
        return "\n".join(lines)

    def clear(
        self,
        dag: str,
        run_ids: Sequence[str],
        task_ids: Sequence[str | tuple[str, int]] | None = None,
        *,
        downstream: bool = True,
        **more: Any,
    ) -> None:
        """Clear tasks (None: all) of these runs, as the UI's Clear does, so that they run again."""
        body = {"dry_run": False, "only_failed": False, "include_downstream": downstream, **more}
        if task_ids is not None:
            body["task_ids"] = list(task_ids)
        for run_id in run_ids:
            self.change(f"/dags/{dag}/clearTaskInstances", {**body, "dag_run_id": run_id}, "POST")

    def set_state(self, dag: str, run_id: str, task: str, state: str, map_index: int = -1) -> None:
        """Mark a task instance success, failed or skipped, as a person does."""
        mapped = f"/{map_index}" if map_index >= 0 else ""
        path = f"{_run(dag, run_id)}/taskInstances/{task}{mapped}"
        self.change(path, {"new_state": state})

    def variables(self) -> dict[str, str]:
        """Return all Airflow Variables."""
        return {row["key"]: row["value"] for row in self.all("/variables", "variables")}

    def set_variable(self, key: str, value: str) -> None:
        """Make the Variable, or change it."""
        self._put("/variables", key, {"key": key, "value": value})

    def set_connection(self, conn_id: str, fields: Mapping[str, Any]) -> None:
        """Store the connection in the database, or change it; ``extra`` may be a mapping."""
        self._put("/connections", conn_id, _connection(conn_id, fields))

    def test_connection(self, conn_id: str, fields: Mapping[str, Any]) -> tuple[bool, str]:
        """Press the Test button of the connection form."""
        answer = self.call("POST", "/connections/test", json=_connection(conn_id, fields))
        return answer["status"], answer["message"]

    def _put(self, path: str, name: str, body: Mapping[str, Any]) -> None:
        try:
            self.call("POST", path, json=body)
        except ApiError as exc:
            # 409: it exists already, and is changed.
            if exc.status != 409:
                raise
            self.change(f"{path}/{quote(name, safe='')}", body)


def _run(dag: str, run_id: str) -> str:
    return f"/dags/{dag}/dagRuns/{quote(run_id, safe='~')}"


def _connection(conn_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    extra = fields.get("extra")
    return {
        "connection_id": conn_id,
        **fields,
        "extra": extra if isinstance(extra, str | None) else json.dumps(extra),
    }
