"""Measure reading, writing, imports and the call limit; ``make bench`` runs all but ``limiter``.

``python -m dev.benchmarks`` measures side by side and writes docs/bench.md, whose sections are
``python -m dev.benchmarks reading`` and ``python -m dev.benchmarks files``,
``python -m dev.benchmarks imports`` what importing the package costs,
``python -m dev.benchmarks limiter`` the call limit under load, and writes docs/limiter.md.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from itertools import product

from dev.benchmarks import files, limiter, report
from dev.benchmarks.environments import OWN, ROOT, Environments, medians, rounds_of, script
from dev.benchmarks.shop import Shop

# function in readers.py, environment, label
READERS = (
    ("ours_list", "own", "**list**"),
    ("bare", "own", "bare requests loop"),
    ("ours_poll", "own", "**poll** ¹"),
    ("ours_rows", "own", "**poll**, rows ¹ ²"),
    ("ours_list_orjson", "own", "**list**, orjson"),
    ("bare_orjson", "own", "bare requests loop, orjson"),
    ("ours_poll_orjson", "own", "**poll**, orjson ¹"),
    ("dlt_rest", "dlt", "dlt, REST source ³"),
    ("stripe_python", "stripe", "stripe-python"),
    ("tap_stripe", "tap-stripe", "tap-stripe ⁴"),
)
# name of the figures: environment, function in costs.py
COSTS = {
    "ours": ("own", "ours"),
    "pyrate": ("pyrate-limiter", "pyrate"),
    "parsing": ("own", "parsing"),
}
IMPORT_RUNS = 7
REDIS = "redis://127.0.0.1:6379/14"


def compare(quick: bool) -> None:
    """Measure both sections of docs/bench.md."""
    reading(quick)
    writing(quick)


def reading(quick: bool) -> None:
    """Run all readers side by side, in turn, several rounds; print and write the tables."""
    rounds, objects, many = (1, 5_000, 50_000) if quick else (5, 50_000, 1_000_000)
    with Environments(ROOT / ".bench") as pythons, Shop() as shop:
        readers = [row for row in READERS if row[1] in pythons]
        reads = {
            name: partial(shop.read, pythons[where], name, objects) for name, where, _ in readers
        }
        runs = rounds_of(rounds, reads)
        costs = {
            name: partial(script, pythons[where], function)
            for name, (where, function) in COSTS.items()
            if where in pythons
        }
        runs |= rounds_of(2 * rounds, costs)
        found = medians(runs) | {
            "million": shop.read(pythons["own"], "ours_list", many, polls=False),
            "batch": shop.read(pythons["own"], "ours_batch", 10_000, polls=False),
            "imports": least_imports(),
        }
        text = report.reading(readers, found, runs, pythons)
    print(text)
    if not quick:
        report.write_section("docs/bench.md", "reading", text)
        report.write_page("bench.svg", report.bars(readers, found))


def writing(quick: bool) -> None:
    """Do the same with all that writes files."""
    with Environments(ROOT / ".bench") as pythons, Shop() as shop:
        text = files.measure(pythons, shop, quick)
    print(text)
    if not quick:
        report.write_section("docs/bench.md", "files", text)


def imports(_: bool) -> None:
    """Print what importing operators and sensors adds to the imports of a DAG file."""
    print(report.imports(least_imports()))


def least_imports() -> dict[str, float]:
    """Return the least of each figure of seven fresh processes.

    Each process measures both parts one after the other: the package's part is about 15 ms, and
    whole processes differ by more than that.
    """
    # The first process compiles the modules that are not compiled yet.
    script(OWN, "imports")
    runs = [script(OWN, "imports") for _ in range(IMPORT_RUNS)]
    return {name: min(run[name] for run in runs) for name in runs[0]}


def load(quick: bool) -> None:
    """Put the limiter under load, in a file and in Redis, at both limits."""
    stores = ["file", "redis"] if limiter.reachable(REDIS) else ["file"]
    rows = []
    short = product((6.0,), (18.0 if quick else 30.0,), (1, 4, 16), (0.0, 0.05, 0.15))
    settings = [*short, *(() if quick else [(60.0, 140.0, 16, 0.05)])]
    for store, (period, seconds, processes, gap) in product(stores, settings):
        with tempfile.TemporaryDirectory() as folder:
            url = f"file://{folder}" if store == "file" else REDIS
            task = limiter.Load(100, period, processes, gap, seconds)
            rows.append((store, task, limiter.run(url, task, key=folder)))
        print(report.load_row(*rows[-1]), flush=True)
    text = report.loads(rows)
    print(text)
    if not quick:
        report.write_page("limiter.md", text)


def main() -> None:
    """Parse the command line."""
    parts = {
        "compare": compare,
        "reading": reading,
        "files": writing,
        "imports": imports,
        "limiter": load,
    }
    parser = argparse.ArgumentParser(
        prog="python -m dev.benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", nargs="?", choices=parts, default="compare")
    parser.add_argument("--quick", action="store_true", help="fewer rounds; writes no file")
    options = parser.parse_args()
    parts[options.part](options.quick)


if __name__ == "__main__":
    main()
