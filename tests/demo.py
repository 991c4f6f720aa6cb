"""`make demo`: the example DAGs in a real Airflow, against a fake Stripe or a real test account, and one table.

Three rounds of new customers and charges, each handed to one run; between two rounds the customer is deleted
that the cursor names. Then the actions run. It fails where an object is missing or came twice.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections import Counter
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, Self

import requests

from tests.stack import AirflowStack, FakeStripeProcess, leave_cleanly

ROOT = Path(__file__).parents[1]
SENSORS = ("stripe_new_customers", "stripe_charges_to_jsonl")
ACTIONS = ("stripe_customer_actions", "stripe_product_catalogue")
SETTLE = 61  # an object is handed over when it is older than a minute


class FakeAccount(FakeStripeProcess):
    """The fake makes objects that are a minute old already, so nobody waits."""

    def __enter__(self) -> Self:
        self.began = time.time() - 3 * SETTLE
        return super().__enter__()

    def make(self, kind: str, number: int) -> list[str]:
        """Make new objects and return their ids."""
        return list(self.control("create_many", kind=kind, n=number, created=int(time.time()) - SETTLE))

    def delete(self, customer: str) -> None:
        """Delete a customer."""
        self.control("delete", kind="customer", id=customer)

    def settle(self) -> None:
        """Wait until the youngest object is old enough to be handed over: it is."""


class StripeAccount(AbstractContextManager["StripeAccount"]):
    """A real Stripe account in test mode, whose clock nobody can set."""

    api = "https://api.stripe.com"

    def __init__(self, key: str) -> None:
        self.key, self.began, self._youngest = key, time.time() - 5, 0.0

    def __exit__(self, *exc: object) -> None:
        """Leave what was made: it is a test account."""

    def connection(self) -> dict[str, str]:
        """Return the Airflow connection that leads there."""
        return {"conn_type": "stripe", "password": self.key}

    def make(self, kind: str, number: int) -> list[str]:
        """Make new objects, at most five, and return their ids."""
        form = {"description": "made by the demo of airflow-provider-stripe-lite"}
        if kind == "charge":
            form |= {"amount": "1000", "currency": "usd", "source": "tok_visa"}
        made = [self._call("POST", f"{kind}s", form)["id"] for _ in range(min(number, 5))]
        self._youngest = time.time()
        return made

    def delete(self, customer: str) -> None:
        """Delete a customer."""
        self._call("DELETE", f"customers/{customer}")

    def settle(self) -> None:
        """Wait until the youngest object is old enough to be handed over."""
        wait = self._youngest + SETTLE + 4 - time.time()
        if wait > 0:
            say(f"Waiting {wait:.0f} s: Stripe may show objects late, so they are handed over after a minute …")
            time.sleep(wait)

    def _call(self, method: str, path: str, form: dict[str, str] | None = None) -> dict[str, Any]:
        answer = requests.request(method, f"{self.api}/v1/{path}", data=form, auth=(self.key, ""), timeout=30)
        if not answer.ok:
            raise SystemExit(f"Stripe refuses {method} {path}: {answer.json()['error']['message']}")
        return dict(answer.json())


Account = FakeAccount | StripeAccount


class Row(NamedTuple):
    """One line of the table."""

    dag: str
    run: str
    task: str
    state: str
    what: str


def say(text: str) -> None:
    """Print at once, so that nobody waits before an empty screen."""
    print(text, flush=True)


def stack(home: str, connection: dict[str, str], **more: Any) -> AirflowStack:
    """Return an Airflow of its own below the checkout, with the example DAGs and the connection."""
    connections = {"stripe_default": connection}
    return AirflowStack(home=ROOT / home, dags_folder=ROOT / "example_dags", connections=connections, say=say, **more)


def ready(airflow: AirflowStack) -> None:
    """Let the example DAGs run, and write below the home of this Airflow."""
    airflow.set_variable("stripe_charges_path", f"file://{airflow.home}/charges")
    for dag in (*SENSORS, *ACTIONS):
        airflow.unpause(dag)


def run_round(airflow: AirflowStack, stripe: Account, name: str) -> None:
    """Start one run of each sensor's DAG and wait for both."""
    stripe.settle()
    say(f"Running {' and '.join(SENSORS)} ({name}) …")
    began = datetime.fromtimestamp(stripe.began, UTC).isoformat()  # "now", for the first of them
    for dag in SENSORS:
        airflow.trigger(dag, logical_date=datetime.now(UTC).isoformat(), run_after=began, dag_run_id=name)
    for dag in SENSORS:
        airflow.wait_run(dag, name, timeout=180, say=say)


def rounds(airflow: AirflowStack, stripe: Account) -> dict[str, list[str]]:
    """Have three rounds of objects made and handed over; return the ids that were made."""
    made: dict[str, list[str]] = {"customer": [], "charge": []}
    for number, sizes in enumerate(((3, 120), (4, 5), (2, 250)), start=1):
        if number > 1:
            cursor = airflow.xcom(SENSORS[0], f"demo-{number - 1}", "new", "cursor")
            if not cursor:  # that run has failed, as the table will show
                break
            say(f"Deleting {cursor['to']['anchor']}, the customer that the cursor names …")
            stripe.delete(cursor["to"]["anchor"])
        for kind, size in zip(made, sizes, strict=True):
            made[kind] += (new := stripe.make(kind, size))
            say(f"Made {len(new)} new {kind}s.")
        run_round(airflow, stripe, f"demo-{number}")
    return made


def act(airflow: AirflowStack) -> None:
    """Run the DAGs that create, read and update."""
    say(f"Running {' and '.join(ACTIONS)} …")
    for dag in ACTIONS:
        airflow.trigger(dag, dag_run_id="demo")
    for dag in ACTIONS:
        airflow.wait_run(dag, "demo", say=say)


def table(airflow: AirflowStack) -> list[Row]:
    """Return what each task of each run received or returned."""
    rows = []
    for dag in (*SENSORS, *ACTIONS):
        for run in (run["dag_run_id"] for run in airflow.runs(dag)):
            for ti in sorted(airflow.task_instances(dag, run), key=lambda ti: (ti["id"], ti["map_index"])):
                index = ti["map_index"]
                value = airflow.xcom(dag, run, ti["task_id"], map_index=index)
                task = ti["task_id"] + (f"[{index}]" if index >= 0 else "")
                rows.append(Row(dag, run, task, ti["state"] or "none", brief(value)))
    return rows


def received(airflow: AirflowStack, rows: list[Row]) -> dict[str, list[str]]:
    """Return the ids that arrived at the end: of each mapped task, and of each line of the files."""
    files = sorted((airflow.home / "charges").glob("*.jsonl"))
    charges = [json.loads(line)["id"] for file in files for line in file.read_text().splitlines()]
    return {"customer": [row.what for row in rows if row.task.startswith("welcome[")], "charge": charges}


def brief(value: Any) -> str:
    """Say in half a line what a task returned."""
    if isinstance(value, list):
        return f"{len(value)} rows: {', '.join(row['id'] for row in value)}"
    if isinstance(value, dict) and "until" in value:
        return f"a window of {value['count']} {value['feed']}s"
    if isinstance(value, dict):
        return ", ".join(f"{name}={part}" for name, part in value.items() if part not in (None, ""))
    return "" if value is None else str(value)


def show(rows: list[Row]) -> None:
    """Print the table, each DAG and run named once."""
    shown = [Row("DAG", "run", "task", "state", "received or returned")]
    for _, of_run in groupby(rows, key=lambda row: row[:2]):
        first, *others = of_run
        shown += [first, *(row._replace(dag="", run="") for row in others)]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)][:-1]
    print()
    for row in shown:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        print(f"{line}  {row.what:.70}{'…' if len(row.what) > 70 else ''}")
    print()


def faults(made: dict[str, list[str]], got: dict[str, list[str]], rows: list[Row]) -> list[str]:
    """Return what is wrong: a task that did not succeed, an object that is missing or came twice."""
    found = [f"{row.dag}, {row.run}, {row.task}: {row.state}" for row in rows if row.state != "success"]
    for kind, names in made.items():
        counts = Counter(got[kind])
        found += [f"{kind} {name} was never handed over" for name in names if not counts[name]]
        found += [f"{kind} {name} was handed over {n} times" for name, n in counts.items() if n > 1]
    return found


def account() -> Account:
    """Return the fake Stripe, or the account of STRIPE_API_KEY where that is a test key."""
    key = os.environ.pop("STRIPE_API_KEY", "")  # Airflow's processes get it in the connection alone
    if key and not re.match(r"(sk|rk)_test_", key):
        raise SystemExit("STRIPE_API_KEY must be a test key (sk_test_…): the demo makes and deletes objects.")
    if not key:
        return FakeAccount()
    say("Using your Stripe test account; with the minute that Stripe needs each time, this takes about five.")
    return StripeAccount(key)


def main() -> int:
    """Run it all; 0 where every object came exactly once."""
    began = time.monotonic()
    by_hand = {"AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False"}  # a run for each round, none by the clock
    with account() as stripe, stack(".demo", stripe.connection(), env=by_hand) as airflow:
        ready(airflow)
        made = rounds(airflow, stripe)
        act(airflow)
        rows = table(airflow)
        got = received(airflow, rows)
    show(rows)
    wrong = faults(made, got, rows)
    for fault in wrong[:10]:
        say(f"WRONG: {fault}")
    if len(wrong) > 10:
        say(f"WRONG: {len(wrong) - 10} more like these")
    if not wrong:
        counts = " and ".join(f"{len(names)} {kind}s" for kind, names in made.items())
        say(f"{counts}: each was handed over exactly once. ({time.monotonic() - began:.0f} s)")
    return bool(wrong)


if __name__ == "__main__":
    leave_cleanly()
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Stopped.")
    except TimeoutError as exc:
        sys.exit(f"WRONG: {exc}; the logs are in .demo/logs")
