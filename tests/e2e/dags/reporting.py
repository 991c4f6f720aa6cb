"""What the DAG files of these tests share: reports to the fake's ledger, and a timed cursor."""

from __future__ import annotations

import json
import os
import time
from datetime import timedelta
from typing import Any

from airflow.sdk import get_current_context

from airflow_provider_stripe_lite._runs import Runs
from airflow_provider_stripe_lite.hooks import StripeHook

# For kills, and for a loaded Airflow that fails a task by mistake; a time-out and a refusal end a
# sensor all the same.
RETRIES = {"retries": 50, "retry_delay": timedelta(seconds=1)}


class _TimedRuns(Runs):
    """Runs that report how long each claim takes between its second read and its write."""

    def read(self) -> str | None:
        self.asked = time.time()
        text = Runs.read(self)
        self.answered = time.time()
        return text

    def write(self, text: str) -> None:
        document, me = json.loads(text), {"run_id": self.run_id, "map_index": self.map_index}
        mine = [claim for claim in document["claims"] if me.items() <= claim.items()]
        what = "failed claim"
        try:
            Runs.write(self, text)
            what = "claim"
        finally:
            times = {"asked": self.asked, "answered": self.answered, "written": time.time()}
            if mine and not mine[0]["done"]:
                report({what: self.key, **mine[0], "rev": document["rev"], **times})


def time_claims() -> None:
    """Let every sensor of this process report its claims; the package itself is as it is."""
    import airflow_provider_stripe_lite._sensor as sensor

    sensor.Runs = _TimedRuns  # type: ignore[misc]


def report(entry: dict[str, Any]) -> None:
    """Write a line into the ledger, which no death of an Airflow process takes away."""
    import requests

    ledger = f"{os.environ['FAKE_STRIPE']}/_fake/ledger"
    requests.post(ledger, json=entry, timeout=10).raise_for_status()


def report_received(given: Any, linger: float = 0) -> int:
    """Report what the task behind a sensor was given: rows, a window, or those of mapped ones."""
    context = get_current_context()
    ti: Any = context["ti"]
    time.sleep(linger)
    ids = [name for part in _parts(given) for name in part]
    run = {"dag": ti.dag_id, "run": ti.run_id, "try": ti.try_number}
    report({**run, "ids": ids})
    return len(ids)


def _parts(given: Any) -> list[list[str]]:
    # None comes from a sensor that was marked success by hand.
    if given is None:
        return []
    if isinstance(given, dict):
        return [[row["id"] for row in StripeHook(given["stripe_conn_id"]).read(given)]]
    rows = list(given)
    if rows and not isinstance(rows[0], dict):
        return [part for each in rows for part in _parts(each)]
    return [[row["id"] for row in rows]]
