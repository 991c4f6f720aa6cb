"""``make demo``: the example DAGs in a real Airflow, and one table of what they received.

Stripe is the fake one, or a real account in test mode. Three rounds of new customers and charges
are made, and one run of each sensor's DAG receives a round; between two rounds, the customer that
the cursor names is deleted. Then the actions run. The demo fails if an object is missing or came
twice.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from dev.accounts import Account, account, say
from dev.processes import leave_cleanly
from dev.stack import AirflowStack

ROOT = Path(__file__).parents[1]
SENSORS = ("stripe_new_customers", "stripe_charges_to_jsonl")
ACTIONS = ("stripe_customer_actions", "stripe_product_catalogue")


class Row(NamedTuple):
    """One line of the table."""

    dag: str
    run: str
    task: str
    state: str
    value: str


def stack(home: str, connection: dict[str, str], **more: Any) -> AirflowStack:
    """Return an Airflow below the checkout, with the example DAGs and the connection."""
    return AirflowStack(
        home=ROOT / home,
        dags_folder=ROOT / "example_dags",
        connections={"stripe_default": connection},
        say=say,
        **more,
    )


def ready(airflow: AirflowStack) -> None:
    """Let the example DAGs run, and write below the home of this Airflow."""
    airflow.set_variable("stripe_charges_path", f"file://{airflow.home}/charges")
    for dag in (*SENSORS, *ACTIONS):
        airflow.unpause(dag)


def run_round(airflow: AirflowStack, stripe: Account, name: str) -> None:
    """Start one run of each sensor's DAG and wait for both."""
    stripe.wait_for_age()
    say(f"Running {' and '.join(SENSORS)} ({name}) …")
    # For the first of these runs, this is the time that start_from="now" means.
    began = datetime.fromtimestamp(stripe.began, UTC).isoformat()
    for dag in SENSORS:
        now = datetime.now(UTC).isoformat()
        airflow.trigger(dag, logical_date=now, run_after=began, dag_run_id=name)
    for dag in SENSORS:
        airflow.wait_run(dag, name, timeout=180, say=say)


def rounds(airflow: AirflowStack, stripe: Account) -> dict[str, list[str]]:
    """Have three rounds of objects made and delivered; return the ids that were made."""
    made: dict[str, list[str]] = {"customer": [], "charge": []}
    for number, sizes in enumerate(((3, 120), (4, 5), (2, 250)), start=1):
        if number > 1:
            cursor = airflow.xcom(SENSORS[0], f"demo-{number - 1}", "new", "cursor")
            # A run without a cursor has failed, as the table will show.
            if not cursor:
                break
            last = cursor["window"]["last"]
            say(f"Deleting {last}, the customer that the cursor names …")
            stripe.delete(last)
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
            instances = airflow.task_instances(dag, run)
            for ti in sorted(instances, key=lambda ti: (ti["id"], ti["map_index"])):
                index = ti["map_index"]
                value = airflow.xcom(dag, run, ti["task_id"], map_index=index)
                task = ti["task_id"] + (f"[{index}]" if index >= 0 else "")
                rows.append(Row(dag, run, task, ti["state"] or "none", brief(value)))
    return rows


def received(airflow: AirflowStack, rows: list[Row]) -> dict[str, list[str]]:
    """Return the ids that arrived: one of each mapped task, one of each line of the files."""
    files = sorted((airflow.home / "charges").glob("*.jsonl"))
    charges = [json.loads(line)["id"] for file in files for line in file.read_text().splitlines()]
    customers = [row.value for row in rows if row.task.startswith("welcome[")]
    return {"customer": customers, "charge": charges}


def brief(value: Any) -> str:
    """Say in half a line what a task returned."""
    if isinstance(value, list):
        return f"{len(value)} rows: {', '.join(row['id'] for row in value)}"
    if isinstance(value, dict) and "feed" in value:
        return f"a window of feed {value['feed']}, until {value['created_lt']}"
    if isinstance(value, dict):
        given = {name: part for name, part in value.items() if part not in (None, "")}
        return ", ".join(f"{name}={part}" for name, part in given.items())
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
        print(f"{line}  {row.value:.70}{'…' if len(row.value) > 70 else ''}")
    print()


def faults(made: dict[str, list[str]], got: dict[str, list[str]], rows: list[Row]) -> list[str]:
    """Return each task that did not succeed, each object that is missing or came twice."""
    failed = [row for row in rows if row.state != "success"]
    found = [f"{row.dag}, {row.run}, {row.task}: {row.state}" for row in failed]
    for kind, names in made.items():
        counts = Counter(got[kind])
        found += [f"{kind} {name} was never delivered" for name in names if not counts[name]]
        twice = {name: times for name, times in counts.items() if times > 1}
        found += [f"{kind} {name} was delivered {times} times" for name, times in twice.items()]
    return found


def main() -> int:
    """Run it all; return 0 if every object came exactly once."""
    began = time.monotonic()
    # Each round starts its runs itself; the clock starts none.
    by_hand = {"AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False"}
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
        seconds = time.monotonic() - began
        say(f"{counts}: each was delivered exactly once. ({seconds:.0f} s)")
    return bool(wrong)


if __name__ == "__main__":
    leave_cleanly()
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Stopped.")
    except TimeoutError as exc:
        sys.exit(f"WRONG: {exc}; the logs are in .demo/logs")
