"""One way of reading charges, measured: ``python readers.py NAME URL``, where it is installed.

The script speaks with the bench in lines. It prints "ready" when its first small read is over. Then
it answers each line ``[since, times]`` with the cost of reading all charges behind the charge FIRST
(by the second ``since``, where the reader knows no ids), as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_stripe_lite.core.client import StripeClient

KEY = "sk_test_51BenchBenchBench0123456789"
# The charge behind which is read: the last of the OLD ones of the shop.
FIRST = f"ch_{9:024}"
Read = Callable[[int], Iterable[object]]


def ours_list(url: str, *, fast: bool = False) -> Read:
    """Read the objects of a range of time, as ``StripeHook.list`` does."""
    client = _client(url, fast)
    from airflow_provider_stripe_lite.core.fields import projection
    from airflow_provider_stripe_lite.core.lists import list_named
    from airflow_provider_stripe_lite.core.reading import read_list

    resource, is_feed = list_named("charge")
    row = projection("charge", "*")

    def read(since: int) -> Iterable[object]:
        return map(row, read_list(client, resource, is_feed=is_feed, first=since, end=None))

    return read


def ours_poll(url: str, *, fast: bool = False, most: int = 1_000, fields: str | None = "*") -> Read:
    """Poll batch after batch, as a sensor does run by run."""
    client = _client(url, fast)
    from airflow_provider_stripe_lite.core.fields import projection
    from airflow_provider_stripe_lite.core.lists import feed_list
    from airflow_provider_stripe_lite.core.reading import poll
    from airflow_provider_stripe_lite.core.window import Position

    resource, take = feed_list("charge"), projection("charge", fields)

    def read(since: int) -> Iterable[object]:
        position, more = Position(since, FIRST), True
        while more:
            batch = poll(client, resource, position, take=take, max_items=most)
            yield from batch.items
            position, more = batch.position, batch.more

    return read


def bare(url: str, *, fast: bool = False) -> Read:
    """Read as one does without any library: no retry, no limit, no cursor, no check."""
    import requests

    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {KEY}"
    if fast:
        from orjson import loads

    def read(since: int) -> Iterable[object]:
        last, more = FIRST, True
        while more:
            params: dict[str, Any] = {"limit": 100, "ending_before": last}
            answer = session.get(f"{url}/v1/charges", params=params, timeout=80)
            page = loads(answer.content) if fast else answer.json()
            yield from reversed(page["data"])
            more = page["has_more"]
            last = page["data"][0]["id"] if more else last

    return read


ours_list_orjson = partial(ours_list, fast=True)
ours_poll_orjson = partial(ours_poll, fast=True)
ours_rows = partial(ours_poll, fields=None)
ours_batch = partial(ours_poll, fields=None, most=10_000)
bare_orjson = partial(bare, fast=True)


def stripe_python(url: str) -> Read:
    """Read with Stripe's own package."""
    import stripe

    client = stripe.StripeClient(KEY, base_addresses={"api": url})
    charges = getattr(client, "v1", client).charges
    params: Any = {"limit": 100, "ending_before": FIRST}
    return lambda since: charges.list(params).auto_paging_iter()


def tap_stripe(url: str) -> Read:
    """Read as a whole sync of the one stream does, its records written to nowhere."""
    import singer
    import tap_stripe as tap

    with_timer = tap.apply_request_timer_to_client

    def redirected(client: Any) -> None:
        request = client.request

        def request_there(method: str, to: str, *args: Any) -> Any:
            return request(method, to.replace("https://api.stripe.com", url), *args)

        client.request = request_there
        with_timer(client)

    tap.apply_request_timer_to_client = redirected
    catalog = tap.discover()
    for stream in catalog["streams"]:
        stream["metadata"][0]["metadata"]["selected"] = stream["stream"] == "charges"
    folder = Path(tempfile.mkdtemp())
    files = {name: folder / f"{name}.json" for name in ("config", "catalog", "state")}
    start = "2020-01-01T00:00:00Z"
    config = {"account_id": "acct_1", "client_secret": KEY, "start_date": start}
    files["config"].write_text(json.dumps(config))
    files["catalog"].write_text(json.dumps(catalog))
    singer.get_logger().setLevel("ERROR")
    options = [word for name, path in files.items() for word in (f"--{name}", str(path))]
    sys.argv = ["tap-stripe", *options]

    def read(since: int) -> Iterable[object]:
        updates = {"updates_created": int(time.time()) - 60}
        marks = {"charges": {"created": since}, "charges_events": updates}
        files["state"].write_text(json.dumps({"bookmarks": marks}))
        tap.Context.new_counts["charges"] = 0
        tap.main()
        return repeat(None, tap.Context.new_counts["charges"])

    return read


def dlt_rest(url: str) -> Read:
    """Read with the REST source that comes with dlt: iterate only, without loading."""
    from dlt.sources.rest_api import rest_api_resources

    paginator = {
        "type": "cursor",
        "cursor_path": "data[-1].id",
        "cursor_param": "starting_after",
        "has_more_path": "has_more",
    }
    auth = {"type": "bearer", "token": KEY}
    client = {"base_url": url, "auth": auth, "paginator": paginator}

    def read(since: int) -> Iterable[object]:
        params = {"limit": 100, "created[gte]": since}
        endpoint = {"path": "v1/charges", "params": params, "data_selector": "data"}
        charges = {"name": "charges", "endpoint": endpoint}
        rows: Iterable[object]
        (rows,) = rest_api_resources({"client": client, "resources": [charges]})
        return rows

    return read


def _client(url: str, fast: bool) -> StripeClient:
    """Return the provider's client with its call limit on."""
    decode_with_orjson(fast)
    from airflow_provider_stripe_lite.core.client import StripeClient
    from airflow_provider_stripe_lite.core.ratelimit import limiter_for

    limiter = limiter_for(f"file://{tempfile.mkdtemp()}", calls=1_000_000)
    return StripeClient(KEY, base_url=url, limiter=limiter)


def decode_with_orjson(fast: bool) -> None:
    """Let the provider decode with orjson, which must be installed, or as if it were not."""
    if fast:
        import orjson  # noqa: F401 - it must be there
    else:
        sys.modules["orjson"] = None  # type: ignore[assignment]


def megabytes(field: str) -> float:
    """Return a figure of the kernel on this process' memory: VmRSS is now, VmHWM the peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def measure(read: Read, since: int, times: int) -> dict[str, float]:
    """Read so many times, keep nothing, and return the mean cost; memory is over that before."""
    rest, objects = megabytes("VmRSS"), 0
    cpu, begin = time.process_time(), time.perf_counter()
    for _ in range(times):
        for _charge in read(since):
            objects += 1
    return {
        "objects": objects / times,
        "seconds": (time.perf_counter() - begin) / times,
        "cpu": (time.process_time() - cpu) / times,
        "peak": megabytes("VmHWM") - rest,
    }


def serve(ways: Mapping[str, Callable[..., Read]], name: str, *arguments: str) -> None:
    """Serve the bench with one of the ways until it closes the pipe."""
    lines = os.fdopen(os.dup(1), "w")
    # Some readers write their records to the standard output.
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
    read = ways[name](*arguments)
    # All charges are older, so that none is found.
    next(iter(read(int(time.time()) - 300)), None)
    print("ready", file=lines, flush=True)
    for line in sys.stdin:
        print(json.dumps(measure(read, *json.loads(line))), file=lines, flush=True)


if __name__ == "__main__":
    serve(globals(), *sys.argv[1:])
