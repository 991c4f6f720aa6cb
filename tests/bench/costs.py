"""What one thing costs, in a fresh process: ``python costs.py NAME``, in the environment that has it."""

from __future__ import annotations

import json
import runpy
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from itertools import pairwise
from pathlib import Path

MANY = 1_000_000  # permits per period: nobody waits
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
    from airflow_provider_stripe_lite.ratelimit import RateLimiter

    limiter = RateLimiter(Path(tempfile.mkdtemp()) / "calls.sqlite", calls=MANY)
    return _each(lambda: limiter.acquire("bench"))


def pyrate() -> dict[str, float]:
    from pyrate_limiter import Duration, Limiter, Rate, SQLiteBucket

    path = str(Path(tempfile.mkdtemp()) / "calls.sqlite")
    bucket = SQLiteBucket.init_from_file([Rate(MANY, Duration.MINUTE)], db_path=path, use_file_lock=True)
    limiter = Limiter(bucket)
    return _each(lambda: limiter.try_acquire("bench"))


def _each(acquire: Callable[[], object], times: int = 300) -> dict[str, float]:
    """Elapsed and CPU seconds of one permit: the medians of nine times so many."""
    acquire()
    wall, cpu = [], []
    for _ in range(9):
        begin, used = time.perf_counter(), time.process_time()
        for _ in range(times):
            acquire()
        wall.append((time.perf_counter() - begin) / times)
        cpu.append((time.process_time() - used) / times)
    return {"wall": sorted(wall)[4], "cpu": sorted(cpu)[4]}


def parsing(*ground: str) -> dict[str, float]:
    """CPU seconds: what everybody imports, this package on top of it, and a DAG file with all nine."""
    path = Path(tempfile.mkdtemp()) / "all_nine.py"
    path.write_text(DAG)
    times = [time.process_time()]

    def done() -> None:
        times.append(time.process_time())

    for modules in (ground, ("airflow_provider_stripe_lite.operators", "airflow_provider_stripe_lite.sensors")):
        for module in modules:
            import_module(module)
        done()
    for _ in range(2):  # Airflow itself imports more for the first DAG
        runpy.run_path(str(path))
        done()
    parts = [later - earlier for earlier, later in pairwise(times)]
    return {"ground": parts[0], "package": parts[1], "parse": parts[3], "requests": "requests" in sys.modules}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
