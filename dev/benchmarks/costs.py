"""The cost of one thing, in a fresh process: ``python costs.py NAME``, where it is installed."""

from __future__ import annotations

import json
import runpy
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

# Permits per period: so many that nobody waits.
MANY = 1_000_000
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
    from airflow_provider_stripe_lite.core.ratelimit import RateLimiter

    limiter = RateLimiter(Path(tempfile.mkdtemp()) / "calls.sqlite", calls=MANY)
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


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
