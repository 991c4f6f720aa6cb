"""One way of writing charges into a file, measured: ``python writers.py NAME URL PATH``.

The script speaks with the bench as readers.py does.
"""

from __future__ import annotations

import atexit
import gzip
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import redirect_stdout
from functools import partial
from itertools import repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from dev.benchmarks import readers
from dev.benchmarks.readers import KEY, Read


def ours(url: str, path: str, *, fast: bool = False) -> Read:
    """Write as a task with the operator does."""
    readers.decode_with_orjson(fast)
    connect(url)
    # All charges are older than this.
    end = int(time.time()) - 100
    return lambda since: repeat(None, export(path, since, end)["objects"])


def connect(url: str, **options: Any) -> None:
    """Let Airflow's connection lead to the fake.

    :param options: of the connection.
    """
    home = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ["AIRFLOW_HOME"] = home
    extra = {
        "rate_limit_url": f"file://{home}/calls",
        "rate_limit_calls": 100_000,
        **options,
    }
    connection = {"conn_type": "stripe", "host": url, "password": KEY, "extra": extra}
    os.environ["AIRFLOW_CONN_STRIPE_DEFAULT"] = json.dumps(connection)


def export(path: str, first: int, end: int) -> dict[str, int]:
    """Write the charges of a range of time by the operator; return how many, and its calls."""
    from airflow_provider_stripe_lite.transfers import StripeToObjectStorageOperator

    operator = StripeToObjectStorageOperator(
        task_id="export", feed="charge", path=path, created_gte=first, created_lt=end
    )
    # The operator asks for nothing else where its range is given.
    context: Any = {"ti": SimpleNamespace(map_index=-1)}
    count = operator.execute(context)["count"]
    assert operator.seen
    return {"objects": count, "calls": operator.seen.client.calls}


def bare(url: str, path: str) -> Read:
    """Write as one does without any library."""
    read = readers.bare(url)
    return lambda since: _lines(read(since), path)


def dlt_rest(url: str, path: str) -> Read:
    """Write what dlt's REST source gives, as the bare loop does."""
    read = readers.dlt_rest(url)
    return lambda since: _lines(read(since), path)


def dlt_pipeline(url: str, path: str) -> Read:
    """Write as dlt's pipeline does, each object in one line as here."""
    os.environ |= {
        "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }
    import dlt
    from dlt.destinations import filesystem

    read = readers.dlt_rest(url)

    def write(since: int) -> Iterable[object]:
        rows: Any = read(since)
        rows.max_table_nesting = 0
        pipeline = dlt.pipeline(
            "bench",
            pipelines_dir=f"{path}/state",
            destination=filesystem(bucket_url=f"file://{path}/files"),
            dataset_name=f"since_{since}",
        )
        pipeline.run(rows, loader_file_format="jsonl")
        return repeat(None, pipeline.last_trace.last_normalize_info.row_counts.get("charges", 0))

    return write


def tap_stripe(url: str, path: str) -> Read:
    """Write as a sync does whose output goes into a file."""
    read = readers.tap_stripe(url)

    def write(since: int) -> Iterable[object]:
        with Path(path).open("w") as file, redirect_stdout(file):
            return read(since)

    return write


ours_orjson = partial(ours, fast=True)


def _lines(rows: Iterable[object], path: str) -> Iterable[object]:
    """Write the rows as the operator does, and pass them on."""
    with gzip.open(path, "wb", 6) if path.endswith(".gz") else Path(path).open("wb") as file:
        for row in rows:
            file.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")
            yield row


if __name__ == "__main__":
    readers.serve(globals(), *sys.argv[1:])
