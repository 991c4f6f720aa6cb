"""Writing charges into files: beside other ways, to an object store, and in a backfill."""

from __future__ import annotations

import filecmp
import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import NamedTuple

import requests

from dev.benchmarks import report
from dev.benchmarks.costs import CALLS_A_SECOND
from dev.benchmarks.environments import Figures, Python, Runs, medians, rounds_of
from dev.benchmarks.shop import Shop
from dev.processes import free_port

# Intervals of a backfill, and how many of them are written at the same time.
INTERVALS = ((1, 1), (24, 16))
CALL_SECONDS = 0.25
MOST_MEGABYTES, MOST_TIMES, MORE_CALLS = 20, 1.5, 2
BUCKET = "bench"
_RATIOS = tuple(
    (f"{mine} over {text}, {report.RATES}", theirs, key, "cpu", least)
    for mine, text, theirs, key, least in (
        ("file", "the bare loop", "bare.jsonl", "ours.jsonl", 0.9),
        ("file.gz", "the bare loop with gzip", "bare.jsonl.gz", "ours.jsonl.gz", 0.9),
        ("file", "dlt's REST source and json.dumps", "dlt.jsonl", "ours.jsonl", 1),
        ("file", "dlt's pipeline", "dlt", "ours.jsonl", 1),
        ("file", "tap-stripe", "tap.jsonl", "ours.jsonl", 1),
    )
)
HEAD = "calls | objects/s | CPU s | objects per CPU s | peak MB over rest"
BACKFILL_HEAD = "calls | CPU s | s | least s | s ÷ least s"
LIMITS = f"{CALL_SECONDS * 1e3:g} ms for each call, {CALLS_A_SECOND} calls a second"
NOTES = """
¹ With requests, gzip where the name ends so, and json.dumps; its file has the operator's bytes.
² Each row with json.dumps, as the bare loop. ³ Normalised, `max_table_nesting=0`, and loaded into
JSON lines, without compression. ⁴ A whole sync, its output in a file. ⁵ Once, to the S3 of moto;
the peak is that of three copies which s3fs makes of a part of 5 MB. The fake's charges differ
little: real ones take gzip longer.
"""
LEAST = """
The least is what the call limit allows, or what the calls of one process take one after the other,
whichever is longer. """


class Writer(NamedTuple):
    """One way of writing.

    :param name: of the function in writers.py.
    :param where: its environment.
    :param file: what it writes, and the name of its figures.
    """

    name: str
    where: str
    label: str
    file: str


class Backfill(NamedTuple):
    """A range of time that was written interval by interval, so many at a time."""

    intervals: int
    at_once: int
    of: Figures

    @property
    def label(self) -> str:
        """Return what was done, in words."""
        many = f"{self.intervals} intervals, {self.at_once} at a time"
        return many if self.intervals > 1 else "one interval"

    @property
    def least(self) -> float:
        """Return the seconds that the call limit, or the calls one after the other, take."""
        waves = -(-self.intervals // self.at_once)
        return max(self.of["calls"] / CALLS_A_SECOND, waves * self.of["pages"] * CALL_SECONDS)

    @property
    def times(self) -> float:
        """Return how many times the least seconds it took."""
        return self.of["seconds"] / self.least

    @property
    def row(self) -> str:
        """Return the figures as a row of the table."""
        figures = f"{self.of['calls']:,.0f} | {self.of['cpu']:.1f} | {self.of['seconds']:.1f}"
        return f"{self.label} | {figures} | {self.least:.1f} | {self.times:.2f}"


WRITERS = (
    Writer("ours", "own", "**file**", "ours.jsonl"),
    Writer("bare", "own", "bare loop ¹", "bare.jsonl"),
    Writer("ours_orjson", "own", "**file**, orjson", "ours-orjson.jsonl"),
    Writer("ours", "own", "**file.gz**", "ours.jsonl.gz"),
    Writer("bare", "own", "bare loop, gzip ¹", "bare.jsonl.gz"),
    Writer("dlt_rest", "dlt", "dlt, REST source ²", "dlt.jsonl"),
    Writer("dlt_pipeline", "dlt", "dlt, pipeline ³", "dlt"),
    Writer("tap_stripe", "tap-stripe", "tap-stripe ⁴", "tap.jsonl"),
)
STORED = (
    Writer("ours", "own", "**file** on S3 ⁵", "s3.jsonl"),
    Writer("ours", "own", "**file.gz** on S3 ⁵", "s3.jsonl.gz"),
)


def measure(pythons: dict[str, Python], shop: Shop, quick: bool) -> str:
    """Write everything in turn, several rounds, then to S3, then backfill; return the tables."""
    rounds, objects, many = (1, 5_000, 20_000) if quick else (5, 50_000, 200_000)

    def ways(writers: Sequence[Writer], base: str) -> dict[str, Callable[[], Figures]]:
        return {
            one.file: partial(
                shop.write, pythons[one.where], one.name, objects, f"{base}/{one.file}"
            )
            for one in writers
        }

    writers = [one for one in WRITERS if one.where in pythons]
    with tempfile.TemporaryDirectory() as folder, object_store() as store:
        runs = rounds_of(rounds, ways(writers, folder))
        if not filecmp.cmp(f"{folder}/ours.jsonl", f"{folder}/bare.jsonl", shallow=False):
            raise RuntimeError("The operator and the bare loop have written different bytes.")
        if store:
            writers += STORED
            runs |= rounds_of(1, ways(STORED, store))
    backfills = [
        Backfill(intervals, at_once, shop.backfill(many, intervals, at_once, CALL_SECONDS))
        for intervals, at_once in INTERVALS
    ]
    return _text(writers, runs, backfills)


@contextmanager
def object_store() -> Iterator[str | None]:
    """Serve a bucket of S3 from this process, or give None where moto or s3fs are missing."""
    try:
        moto = import_module("moto.server")
        for needed in ("airflow.providers.amazon", "s3fs"):
            import_module(needed)
    except ImportError:
        yield None
        return
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = moto.ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    try:
        requests.put(f"{url}/{BUCKET}", timeout=30).raise_for_status()
        extra = {"endpoint_url": url, "region_name": "us-east-1"}
        aws = {"conn_type": "aws", "login": "bench", "password": "bench", "extra": extra}
        os.environ["AIRFLOW_CONN_AWS_DEFAULT"] = json.dumps(aws)
        yield f"s3://aws_default@{BUCKET}"
    finally:
        server.stop()


def _text(writers: Sequence[Writer], runs: Runs, backfills: Sequence[Backfill]) -> str:
    found = medians(runs)
    one, many = backfills
    faster = one.of["seconds"] / many.of["seconds"]
    parts = [
        f"`StripeToObjectStorageOperator`, medians of {len(runs['ours.jsonl'])} rounds as above.\n",
        *report.table(
            f"writing {found['ours.jsonl']['objects']:,.0f} charges | {HEAD}",
            [
                f"{way.label} | {found[way.file]['calls']:,.0f} | {report.speed(found[way.file])}"
                for way in writers
            ],
        ),
        NOTES,
        *report.table(
            f"writing {one.of['objects']:,.0f} charges, {LIMITS} | {BACKFILL_HEAD}",
            [each.row for each in backfills],
        ),
        f"{LEAST}{many.label}: {faster:.1f} times as fast as one.\n",
        *report.targets(_targets(writers, found, runs, backfills)),
    ]
    return "\n".join(parts)


def _targets(
    writers: Sequence[Writer], found: report.Found, runs: Runs, backfills: Sequence[Backfill]
) -> Iterator[report.Target]:
    yield from report.ratios(_RATIOS, runs)
    for one in writers:
        if one.name.startswith("ours"):
            peak = found[one.file]["peak"]
            text = f"{report.plain(one.label)}: at most {MOST_MEGABYTES} MB over rest"
            yield text, f"{peak:.1f} MB", peak <= MOST_MEGABYTES
    for each in backfills:
        more = each.of["more_calls"]
        text = f"{each.label}: at most {MORE_CALLS} calls more than pages, in each"
        yield text, f"{more:g}", more <= MORE_CALLS
        text = f"{each.label}: at most {MOST_TIMES} times the least seconds"
        yield text, f"{each.times:.2f}", each.times <= MOST_TIMES
