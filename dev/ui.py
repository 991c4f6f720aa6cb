"""``make ui``: an Airflow to look at until Ctrl-C, and a fake Stripe that gets new objects."""

from __future__ import annotations

import sys
import threading

from dev.accounts import say
from dev.demo import ACTIONS, ready, stack
from dev.fake_process import FakeStripeProcess
from dev.processes import leave_cleanly

INFLOW = ("--inflow", "customer:0.2", "--inflow", "charge:1")


def main() -> None:
    """Start both, and wait."""
    with FakeStripeProcess(*INFLOW) as fake, stack(".ui", fake.connection()) as airflow:
        fake.control("add_many", kind="customer", n=12, spread=180)
        fake.control("add_many", kind="charge", n=180, spread=180)
        ready(airflow)
        for row in airflow.all("/dags", "dags"):
            airflow.unpause(row["dag_id"])
        for dag in ACTIONS:
            airflow.trigger(dag)
        say(f"\n    {airflow.url}\n")
        say(
            "No password. The connection stripe_default leads to a fake Stripe that gets a "
            "customer every five seconds\nand a charge every second; runs look for them every two "
            f"and ten minutes. The fake Stripe is at {fake.url}.\nCtrl-C ends it all."
        )
        threading.Event().wait()


if __name__ == "__main__":
    leave_cleanly()
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("Stopped.")
