"""``python -m tests.bench [--quick]`` measures reading, parsing and the limiter's cost; ``… limiter`` its load."""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from itertools import product
from pathlib import Path

from tests.bench import limiter, report
from tests.bench.setting import ROOT, Environments, Server, rounds_of, script

READERS = (  # function in readers.py, environment, what to call it
    ("ours_window", "own", "**read_window**"),
    ("ours_orjson", "orjson", "**read_window**, orjson installed"),
    ("ours_poll", "own", "**poll**, all in one batch ¹"),
    ("bare", "own", "bare requests loop"),
    ("dlt_rest", "dlt", "dlt, REST source ²"),
    ("stripe_python", "stripe", "stripe-python"),
    ("tap_stripe", "tap-stripe", "tap-stripe ³"),
)
COSTS = {  # name of the figures: environment, arguments of costs.py
    "ours": ("own", ["ours"]),
    "pyrate": ("pyrate-limiter", ["pyrate"]),
    "parsing": ("own", ["parsing", "airflow.sdk", "requests"]),
    "alone": ("own", ["parsing", "airflow.sdk"]),
}
REDIS = "redis://127.0.0.1:6379/14"


def compare(quick: bool) -> None:
    """Run everything side by side, in turn, several rounds; print the table and write it for the README."""
    rounds, objects, many = (1, 5_000, 50_000) if quick else (3, 50_000, 1_000_000)
    with Environments(ROOT / ".bench") as pythons, Server() as server:
        readers = [row for row in READERS if row[1] in pythons]
        reads = {name: partial(server.read, pythons[where], name, objects) for name, where, _ in readers}
        costs = {
            name: partial(script, pythons[where], *given) for name, (where, given) in COSTS.items() if where in pythons
        }
        found = rounds_of(rounds, reads)
        found["million"] = server.read(pythons["own"], "ours_window", many, polls=False)
        costs["parsing"]()  # compiles what is not compiled yet
        found |= rounds_of(3 * rounds, costs)
        text = report.reading(readers, found, objects, many, rounds, pythons)
    report.write("bench", text, report.bars(readers, found), quick)
    if not quick:
        report.write_readme(report.summary(readers, found))


def load(quick: bool) -> None:
    """Put the limiter under load, in SQLite and Redis, at both limits."""
    stores = ["sqlite", "redis"] if limiter.reachable(REDIS) else ["sqlite"]
    limits = [(6.0, 18.0)] if quick else [(6.0, 30.0), (60.0, 140.0)]
    rows = []
    for store, (period, seconds), processes, gap in product(stores, limits, (1, 4, 16), (0.0, 0.15)):
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite://{Path(folder) / 'calls.sqlite'}" if store == "sqlite" else REDIS
            task = limiter.Load(100, period, processes, gap, seconds)
            rows.append((store, task, limiter.run(url, task, key=folder)))
        print(report.load_row(*rows[-1]), flush=True)
    report.write("limiter", report.loads(rows), None, quick)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("what", nargs="?", choices=["compare", "limiter"], default="compare")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and objects; writes no file")
    options = parser.parse_args()
    (load if options.what == "limiter" else compare)(options.quick)


if __name__ == "__main__":
    main()
