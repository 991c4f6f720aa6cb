"""What a read holds in memory: rows where it polls, about one page where it reads on."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.lists import list_named
from airflow_provider_stripe_lite.core.reading import read, read_list
from airflow_provider_stripe_lite.core.window import Position
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.core.polls import window_of
from tests.helpers import NOW, window

SECOND = NOW - 200_000
# What `resource` tells of a process counts that of its parent, too.
HAS_PROC = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="needs /proc for the most memory of a process"
)


@pytest.fixture
def charges(fake: FakeStripe) -> FakeStripe:
    """Fill the account with 10,001 large charges, which take no memory until they are read."""
    metadata = {
        f"a_name_of_the_shop_{at}": f"a text of the shop's about it {at}" for at in range(50)
    }
    fake.generate("charge", 10_001, created=lambda index: SECOND + 10 * index, metadata=metadata)
    return fake


# What a process of its own does, so that nothing but the read is measured.
CHILD = """
import re, sys
from pathlib import Path
from airflow_provider_stripe_lite.core.fields import projection
from airflow_provider_stripe_lite.core.lists import feed_named
from airflow_provider_stripe_lite.core.reading import poll, reread
from airflow_provider_stripe_lite.core.window import Position, Source, stretch
from tests.helpers import client_for

_, url, kind, second, first, last, fields = sys.argv
client, take = client_for(url), projection("charge", "*" if fields == "*" else None)
start, end = Position(int(second) + 1, first), Position(int(second) + 100_001, last)
feed, window = feed_named("charge"), stretch(Source("charge", "s", None, None), start, end, None)
poll(client, feed, start, take=take, max_items=50)
most = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
rest = most()
if kind == "poll":
    rows = poll(client, feed, start, take=take, max_items=10_000).items
else:
    rows = reread(client, window, take)
print(len(rows), most() - rest)
"""


def grown(fake: FakeStripe, kind: str, fields: str = "") -> float:
    """Return by how many megabytes a process grows that reads all charges but the first."""
    argv = [fake.url, kind, str(SECOND), f"ch_{0:024}", f"ch_{10_000:024}", fields]
    ran = subprocess.run([sys.executable, "-c", CHILD, *argv], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    count, kilobytes = map(int, ran.stdout.split())
    assert count == 10_000
    return kilobytes / 1_000


@HAS_PROC
@pytest.mark.parametrize("kind", ["poll", "reread"])
def test_ten_thousand_rows_take_forty_megabytes_at_most(charges: FakeStripe, kind: str) -> None:
    """A poll, and a claim that is read again, keep rows alone."""
    assert grown(charges, kind) < 40


@HAS_PROC
def test_ten_thousand_raw_charges_would_take_more(charges: FakeStripe) -> None:
    """The measurement itself: as Stripe sent them, they take several times as much."""
    assert grown(charges, "poll", "*") > 60


def objects_held(read: Iterator[Any], mark: str) -> int:
    """Return how many objects with a field of their own are in memory at most, in some samples."""
    most = 0
    for count, _ in enumerate(read):
        if count % 1_900 == 150:
            there = (one for one in gc.get_objects() if type(one) is dict)
            most = max(most, sum(mark in one for one in there))
    assert count == 9_999
    return most


@pytest.mark.parametrize(
    "kind", ["a window", "a window by time", "a range", "the first range", "a list"]
)
def test_a_read_holds_about_one_page(charges: FakeStripe, client: StripeClient, kind: str) -> None:
    """And the next one, while it arrives, of 10,000 objects; where no object is known to begin
    behind, a window by time holds up to ten pages in the beginning, and a range has a file.
    """
    feed, _ = list_named("charge")
    if kind == "a window":
        start = Position(SECOND + 1, f"ch_{0:024}")
        end = Position(SECOND + 100_001, f"ch_{10_000:024}")
        read_ = read(client, window_of(start, end, "charge"))
    elif kind == "a window by time":
        read_ = read(client, window("charge", Position(SECOND + 1), NOW - 60))
    else:
        first = SECOND + (0 if kind == "the first range" else 1)
        read_ = read_list(client, feed, is_feed=kind != "a list", first=first, end=None)
        if kind == "the first range":
            next(read_)
    assert (
        0 < objects_held(read_, "receipt_number") <= (1_010 if kind == "a window by time" else 210)
    )
