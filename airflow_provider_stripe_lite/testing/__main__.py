"""``python -m airflow_provider_stripe_lite.testing``: the fake as a process of its own."""

from __future__ import annotations

import argparse
import sys
import threading
from contextlib import suppress
from typing import Any

from airflow_provider_stripe_lite.testing.fake import FakeStripe

__all__: list[str] = []


def main() -> None:
    """Serve until Ctrl-C; print the URL first, and how to connect to it."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_stripe_lite.testing",
        description="A fake Stripe: an account in memory that answers over HTTP.",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="0.0.0.0 is every address of this machine"
    )
    parser.add_argument("--port", type=int, default=12111, help="0 is a free one")
    parser.add_argument(
        "--inflow",
        action="append",
        default=[],
        metavar="KIND:PER_SECOND",
        help="add objects steadily, such as charge:0.5; may be given several times",
    )
    parser.add_argument(
        "--lateness",
        type=float,
        default=0,
        metavar="SECONDS",
        help="let each of them become visible up to so much later than it was created",
    )
    options = parser.parse_args()
    if not 0 <= options.port <= 65535:
        parser.error(f"--port {options.port} is no port: it takes 0 to 65535.")
    try:
        with FakeStripe(host=options.host, port=options.port, seed=None) as fake:
            for stream in options.inflow:
                kind, rate = _inflow(stream)
                fake.inflow(kind, rate, options.lateness)
            sys.stdout.write(fake.url + "\n")
            sys.stdout.flush()
            sys.stderr.write(f"AIRFLOW_CONN_STRIPE_DEFAULT='{fake.connection}'\n")
            threading.Event().wait()
    except (OSError, ValueError) as error:
        parser.error(str(error))


def _inflow(stream: str) -> tuple[Any, float]:
    """Return a kind, and how many of it come in a second."""
    kind, _, rate = stream.partition(":")
    try:
        return kind, float(rate)
    except ValueError:
        raise ValueError(
            f"--inflow {stream} is no inflow: it takes KIND:PER_SECOND, such as charge:0.5."
        ) from None


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
