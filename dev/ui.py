"""``make ui``: an Airflow to look at until Ctrl-C, and a fake Stripe that gets new objects.

The fake has a history, and the sensors of the examples begin an hour ago: their first runs have
rows.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from datetime import UTC, datetime

from dev.accounts import say
from dev.demo import ACTIONS, ROOT, stack
from dev.fake_process import FakeStripeProcess
from dev.processes import leave_cleanly
from dev.stack import AirflowStack

HOUR, DAY = 3600, 24 * 3600
BUNDLES = {"examples": "example_dags", "ui": "dev/ui_dags"}
# New objects each second; failed charges are made one by one.
INFLOW = {"customer": 0.05, "charge": 1, "dispute": 0.017}
DECLINE_SECONDS = 30
# What is there at the start: of an hour for the sensors, of yesterday for the transfers.
RECENT = {"customer": 5, "charge": 180, "dispute": 3}
YESTERDAY = ("charge", "invoice", "subscription", "refund", "payout", "balance_transaction")
# The examples begin at what is new; here, their cursors say otherwise.
CURSORS = (
    *("stripe_new_customers.new", "stripe_charges_to_jsonl.window"),
    *("stripe_customer_events.new", "stripe_failed_payments.failed"),
)
# What each DAG shows, in the order in which they begin.
SHOWN = {
    "stripe_new_customers": "a sensor every two minutes, a mapped task for each customer",
    "stripe_customer_actions": "operators: create, read and update a customer",
    "stripe_product_catalogue": "operators: a mapped task for each product",
    "stripe_charges_to_jsonl": "a sensor's window, which a transfer writes into .ui/charges",
    "stripe_three_waits": "a waiting sensor in each mode: reschedule, poke, deferrable",
    "stripe_customer_events": "started by the asset stripe_customers, when somebody is new",
    "stripe_failed_payments": "started by the asset stripe_failed_charges, by events of Stripe",
    "stripe_charges_by_day": "a transfer: yesterday's charges, into .ui/lake",
    "stripe_lists_by_day": "transfers: five more of yesterday's lists",
}
PAUSED = {"stripe_charges_to_database": "paused, as it needs a database: the connection warehouse"}
PLACES = {
    "A task instance": "rows under Storage, XCom; links to Stripe's dashboard under Details",
    "Assets": "both assets, their events, and which DAG each has started",
    "Admin, Variables": "the cursors of the sensors",
    "Admin, Connections": "stripe_default: the connection's form, and its Test button",
}


def fill(fake: FakeStripeProcess) -> None:
    """Make the history, all of it old enough to be delivered."""
    now = int(time.time())
    for kind in YESTERDAY:
        day = {"created": now - now % DAY - DAY, "spread": DAY}
        fake.control("add_many", kind=kind, n=240, **day)
    for kind, number in RECENT.items():
        fake.control("add_many", kind=kind, n=number, created=now - HOUR // 2, spread=HOUR // 4)
    decline(fake, created=now - HOUR // 2)


def decline(fake: FakeStripeProcess, **when: int) -> None:
    """Make a charge that failed, and its event."""
    why = {"status": "failed", "paid": False, "failure_message": "Your card was declined."}
    charge = fake.control("add", kind="charge", **why, **when)
    data = {"object": {"id": charge, "object": "charge"}}
    fake.control("add", kind="event", type="charge.failed", data=data, **when)


def configuration() -> dict[str, str]:
    """Return what this Airflow has beside the settings of the demo's."""
    loader = "airflow.dag_processing.bundles.local.LocalDagBundle"
    bundles = [
        {"name": name, "classpath": loader, "kwargs": {"path": str(ROOT / folder)}}
        for name, folder in BUNDLES.items()
    ]
    return {
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
        # The first runs begin together, and a slow machine would take their tasks for dead.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "300",
    }


def begin(airflow: AirflowStack) -> None:
    """Let the DAGs run; those that nothing else starts are triggered."""
    for name, folder in (("stripe_charges_path", "charges"), ("stripe_lake", "lake")):
        airflow.set_variable(name, f"file://{airflow.home}/{folder}")
    start = {"start_from": datetime.fromtimestamp(time.time() - HOUR, UTC).isoformat()}
    for cursor in CURSORS:
        airflow.set_variable(f"stripe_cursor.{cursor}", json.dumps(start))
    for dag in SHOWN:
        airflow.unpause(dag)
        if dag in ACTIONS:
            airflow.trigger(dag, logical_date=datetime.now(UTC).isoformat())


def explain(airflow: AirflowStack, fake: FakeStripeProcess) -> None:
    """Say what is to be seen, and where."""
    say(f"\n    {airflow.url}\n")
    say("No password is needed. All begin now; a sensor's first run takes half a minute.\n")
    for part in (SHOWN | PAUSED, PLACES):
        for name, text in part.items():
            say(f"    {name:26}  {text}")
        say("")
    say(
        f"The fake Stripe at {fake.url} gets a charge every second, a customer every 20\n"
        f"seconds, a failed charge every {DECLINE_SECONDS} and a dispute every 60. "
        "A sensor returns an object when\nit is a minute old. Ctrl-C ends everything."
    )


def main() -> None:
    """Start both, and let a card be declined now and then until Ctrl-C."""
    inflow = [word for kind, rate in INFLOW.items() for word in ("--inflow", f"{kind}:{rate}")]
    with FakeStripeProcess(*inflow) as fake:
        fill(fake)
        with stack(".ui", fake.connection(), env=configuration()) as airflow:
            with suppress(KeyboardInterrupt):
                explain(airflow, fake)
                begin(airflow)
                while True:
                    time.sleep(DECLINE_SECONDS)
                    decline(fake)
            say("\nStopping …")


if __name__ == "__main__":
    leave_cleanly()
    # A Ctrl-C is the end that was asked for: make prints an error where the recipe fails.
    with suppress(KeyboardInterrupt):
        main()
    say("Stopped.")
