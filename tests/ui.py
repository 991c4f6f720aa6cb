"""`make ui`: an Airflow to look at, with a fake Stripe behind it in which something happens, until Ctrl-C."""

from __future__ import annotations

import sys
import threading

from tests.demo import ACTIONS, ready, say, stack
from tests.stack import FakeStripeProcess, leave_cleanly

INFLOW = ("--inflow", "customer:0.2", "--inflow", "charge:1")


def main() -> None:
    """Start both, and wait."""
    with FakeStripeProcess(*INFLOW) as fake, stack(".ui", fake.connection()) as airflow:
        fake.control("create_many", kind="customer", n=12, spread=180)
        fake.control("create_many", kind="charge", n=180, spread=180)
        ready(airflow)
        for dag in airflow.all("/dags", "dags"):
            airflow.unpause(dag["dag_id"])
        for dag in ACTIONS:
            airflow.trigger(dag)
        say(f"\n    {airflow.url}\n")
        say("No password. Connection stripe_default leads to a fake Stripe that gets a customer every five seconds")
        say(f"and a charge every second; runs look for them every two and ten minutes. It is at {fake.url}.")
        say("Ctrl-C ends it all.")
        threading.Event().wait()


if __name__ == "__main__":
    leave_cleanly()
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("Stopped.")
