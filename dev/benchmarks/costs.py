"""The cost of one thing, in a fresh process: ``python costs.py NAME``, where it is installed."""

from __future__ import annotations

import json
import resource
import runpy
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

# Permits per period: so many that nobody waits.
MANY = 1_000_000
# The call limit of the backfill, about Stripe's own in live mode.
CALLS_A_SECOND = 100
PACKAGE = ("airflow_provider_stripe_lite.operators", "airflow_provider_stripe_lite.sensors")
DAG = """
from airflow.sdk import DAG
from airflow_provider_stripe_lite import operators, sensors
with DAG("all_nine", schedule=None):
    operators.StripeCreateProductOperator(task_id="1", name="T-shirt")
    operators.StripeUpdateProductOperator(task_id="2", product_id="prod_1", name="T-shirt")
    operators.StripeGetCustomerOperator(task_id="3", customer_id="cus_1")
    operators.StripeCreateCustomerOperator(task_id="4", customer_email="jenny@example.com")
    operators.StripeUpdateCustomerOperator(task_id="5", customer_id="cus_1", description="Jenny")
    sensors.StripeNewChargeSensor(task_id="6")
    sensors.StripeNewCustomerSensor(task_id="7")
    sensors.StripeNewInvoiceItemSensor(task_id="8")
    sensors.StripeNewOrderSensor(task_id="9")
"""


def ours() -> dict[str, float]:
    """Return the cost of one permit of this package's limiter."""
    from airflow_provider_stripe_lite.core.ratelimit import limiter_for

    limiter = limiter_for(f"file://{tempfile.mkdtemp()}", calls=MANY)
    return _each(lambda: limiter.acquire("bench"))


def pyrate() -> dict[str, float]:
    """Return the cost of one permit of pyrate-limiter's SQLite bucket."""
    from pyrate_limiter import Duration, Limiter, Rate, SQLiteBucket

    path = str(Path(tempfile.mkdtemp()) / "calls.sqlite")
    rates = [Rate(MANY, Duration.MINUTE)]
    bucket = SQLiteBucket.init_from_file(rates, db_path=path, use_file_lock=True)
    limiter = Limiter(bucket)
    return _each(lambda: limiter.try_acquire("bench"))


def _each(acquire: Callable[[], object], times: int = 300) -> dict[str, float]:
    """Return elapsed and CPU seconds of one permit: medians of nine means of so many permits."""
    acquire()
    wall, cpu = [], []
    for _ in range(9):
        begin, used = time.perf_counter(), time.process_time()
        for _ in range(times):
            acquire()
        wall.append((time.perf_counter() - begin) / times)
        cpu.append((time.process_time() - used) / times)
    return {"wall": sorted(wall)[4], "cpu": sorted(cpu)[4]}


def imports() -> dict[str, float]:
    """Return the CPU seconds of a DAG file's imports: those of airflow.sdk, then this package's."""
    begin = time.process_time()
    from airflow.sdk import (  # noqa: F401 - their import is what costs
        Asset,
        AssetWatcher,
        BaseHook,
        BaseOperator,
        BaseSensorOperator,
        Variable,
    )

    between, had_requests = time.process_time(), "requests" in sys.modules
    for module in PACKAGE:
        import_module(module)
    return {
        "ground": between - begin,
        "package": time.process_time() - between,
        "adds_requests": "requests" in sys.modules and not had_requests,
    }


def parsing() -> dict[str, float]:
    """Return the CPU seconds of parsing a DAG file with all nine operators and sensors."""
    path = Path(tempfile.mkdtemp()) / "all_nine.py"
    path.write_text(DAG)
    # Airflow itself imports more for the first DAG of a process.
    runpy.run_path(str(path))
    begin = time.process_time()
    runpy.run_path(str(path))
    return {"parse": time.process_time() - begin}


def backfill(url: str, first: str, end: str, intervals: str, at_once: str) -> dict[str, float]:
    """Return the cost of writing a range of time in so many intervals, each into a file.

    :param at_once: so many processes write at the same time, within one call limit.
    """
    from dev.benchmarks.writers import connect, export

    connect(url, rate_limit_calls=CALLS_A_SECOND, rate_limit_period=1)
    begin, length, parts = int(first), int(end) - int(first), int(intervals)
    bounds = [begin + length * part // parts for part in range(parts + 1)]
    with tempfile.TemporaryDirectory() as folder:
        # The processes are forks, as those of a LocalExecutor, and find everything imported.
        warm = export(f"{folder}/warm.jsonl", begin - 2, begin - 1)
        paths = [f"{folder}/{part}.jsonl" for part in range(parts)]
        with ProcessPoolExecutor(int(at_once), mp_context=get_context("fork")) as pool:
            # The first call starts them all.
            pool.submit(int).result()
            began = time.perf_counter()
            done = list(pool.map(export, paths, bounds, bounds[1:]))
            seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    times = {"seconds": seconds, "cpu": used.ru_utime + used.ru_stime}
    return {**_calls(done), **times, "warm_calls": warm["calls"]}


def _calls(done: list[dict[str, int]]) -> dict[str, float]:
    """Return objects and calls of all intervals, and the most pages and further calls of one."""
    pages = [-(-one["objects"] // 100) for one in done]
    return {
        "objects": sum(one["objects"] for one in done),
        "calls": sum(one["calls"] for one in done),
        "pages": max(pages),
        "more_calls": max(one["calls"] - own for one, own in zip(done, pages, strict=True)),
    }


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
