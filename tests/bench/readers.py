"""One way of reading charges, measured: ``python readers.py NAME URL``, in the environment that has it.

Speaks with the bench in lines: prints "ready" when its first small read is over, then answers each line
``[since, times]`` with what reading everything from ``since`` on took, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from itertools import repeat
from pathlib import Path
from typing import Any

KEY = "sk_test_51BenchBenchBench0123456789"
FIRST = f"ch_{0:024}"  # the charge that is older than all that is to be read
Read = Callable[[int], Iterable[object]]


def ours(url: str, how: str) -> Read:
    """The provider's core, with its call limit on."""
    from airflow_provider_stripe_lite.client import StripeClient
    from airflow_provider_stripe_lite.polling import Position, poll, read_window
    from airflow_provider_stripe_lite.ratelimit import RateLimiter

    limiter = RateLimiter(Path(tempfile.mkdtemp()) / "calls.sqlite", calls=1_000_000)
    client = StripeClient(KEY, base_url=url, limiter=limiter)
    if how == "window":
        return lambda since: read_window(client, "charge", Position(since, FIRST), int(time.time()))
    return lambda since: poll(client, "charge", Position(since, FIRST), max_items=50_000).items


def ours_window(url: str) -> Read:
    sys.modules["orjson"] = None  # type: ignore[assignment]  # as if it were not installed
    return ours(url, "window")


def ours_poll(url: str) -> Read:
    sys.modules["orjson"] = None  # type: ignore[assignment]
    return ours(url, "poll")


def ours_orjson(url: str) -> Read:
    import orjson  # noqa: F401 - it is there

    return ours(url, "window")


def bare(url: str) -> Read:
    """What one writes without any library: no retry, no limit, no cursor, no check."""
    import requests

    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {KEY}"

    def read(since: int) -> Iterable[object]:
        anchor, more = FIRST, True
        while more:
            page = session.get(f"{url}/v1/charges", params={"limit": 100, "ending_before": anchor}, timeout=80).json()
            yield from reversed(page["data"])
            more = page["has_more"]
            anchor = page["data"][0]["id"] if more else anchor

    return read


def stripe_python(url: str) -> Read:
    import stripe

    client = stripe.StripeClient(KEY, base_addresses={"api": url})
    charges = getattr(client, "v1", client).charges
    return lambda since: charges.list({"limit": 100, "ending_before": FIRST}).auto_paging_iter()


def tap_stripe(url: str) -> Read:
    """A whole sync of the one stream, its records written to nowhere."""
    import singer
    import tap_stripe as tap

    with_timer = tap.apply_request_timer_to_client

    def redirected(client: Any) -> None:
        request = client.request
        client.request = lambda method, to, *args: request(method, to.replace("https://api.stripe.com", url), *args)
        with_timer(client)

    tap.apply_request_timer_to_client = redirected
    catalog = tap.discover()
    for stream in catalog["streams"]:
        stream["metadata"][0]["metadata"]["selected"] = stream["stream"] == "charges"
    folder = Path(tempfile.mkdtemp())
    files = {name: folder / f"{name}.json" for name in ("config", "catalog", "state")}
    config = {"account_id": "acct_1", "client_secret": KEY, "start_date": "2020-01-01T00:00:00Z"}
    files["config"].write_text(json.dumps(config))
    files["catalog"].write_text(json.dumps(catalog))
    singer.get_logger().setLevel("ERROR")
    sys.argv = ["tap-stripe", *(word for name, path in files.items() for word in (f"--{name}", str(path)))]

    def read(since: int) -> Iterable[object]:
        marks = {"charges": {"created": since}, "charges_events": {"updates_created": int(time.time()) - 60}}
        files["state"].write_text(json.dumps({"bookmarks": marks}))
        tap.Context.new_counts["charges"] = 0
        tap.main()
        return repeat(None, tap.Context.new_counts["charges"])

    return read


def dlt_rest(url: str) -> Read:
    """The REST source that comes with dlt, iterated only: no normalising, no loading."""
    from dlt.sources.rest_api import rest_api_resources

    paginator = {
        "type": "cursor",
        "cursor_path": "data[-1].id",
        "cursor_param": "starting_after",
        "has_more_path": "has_more",
    }
    client = {"base_url": url, "auth": {"type": "bearer", "token": KEY}, "paginator": paginator}

    def read(since: int) -> Iterable[object]:
        endpoint = {"path": "v1/charges", "params": {"limit": 100, "created[gte]": since}, "data_selector": "data"}
        return rest_api_resources({"client": client, "resources": [{"name": "charges", "endpoint": endpoint}]})[0]

    return read


def megabytes(field: str) -> float:
    """What the kernel says about this process' memory: VmRSS now, VmHWM at most so far."""
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith(field)) / 1024


def measure(read: Read, since: int, times: int) -> dict[str, float]:
    """Read so many times, keep nothing, and say what one reading took; memory is over what it was before."""
    rest, cpu, begin, objects = megabytes("VmRSS"), time.process_time(), time.perf_counter(), 0
    for _ in range(times):
        for _charge in read(since):
            objects += 1
    return {
        "objects": objects / times,
        "seconds": (time.perf_counter() - begin) / times,
        "cpu": (time.process_time() - cpu) / times,
        "peak": megabytes("VmHWM") - rest,
    }


def main() -> None:
    """Serve the bench until it closes the pipe."""
    name, url = sys.argv[1:]
    lines = os.fdopen(os.dup(1), "w")
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - for what writes its records there
    read = globals()[name](url)
    next(iter(read(int(time.time()))), None)
    print("ready", file=lines, flush=True)
    for line in sys.stdin:
        print(json.dumps(measure(read, *json.loads(line))), file=lines, flush=True)


if __name__ == "__main__":
    main()
