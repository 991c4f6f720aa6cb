"""A shop at the fake Stripe, with as many charges as are to be read, and its readers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from airflow_provider_stripe_lite.core.resources import DEFAULT_API_VERSION
from airflow_provider_stripe_lite.testing import FakeStripe
from airflow_provider_stripe_lite.testing.calls import Reply
from dev.benchmarks.environments import OWN, Figures, Python, script

# One figure of a poll is the mean of so many readings.
POLLS = 20
# Makes a charge as large as Stripe's often are: about 3 kB.
METADATA = {f"order_detail_{number}": f"value {number} of the shop" for number in range(32)}
PER_SECOND = 4
# So many charges are older than what is read, as in an account that has a history.
OLD = 10


class _OneAccount(FakeStripe):
    """A fake Stripe for tap-stripe, too, which acts for an account and expands refunds.

    The fake keeps accounts apart, and it knows no refunds; neither matters to what is measured.
    """

    def respond(
        self, method: str, target: str, headers: dict[str, str], body: bytes, peer: int
    ) -> Reply:
        """Answer as if nobody had named an account, or a field to expand."""
        target = re.sub(r"&?expand(\[|%5B)0(\]|%5D)=[^&]*", "", target)
        headers = {name: text for name, text in headers.items() if name != "stripe-account"}
        return super().respond(method, target, headers, body, peer)


class Shop:
    """A fake Stripe in this process, which does nothing else while a reader is measured.

    The first OLD charges are there for long; the readers read the charges behind them, the newest
    of which are some minutes old.
    """

    def __init__(self) -> None:
        self._fake = _OneAccount()
        self._newest = int(time.time()) - 600

    def __enter__(self) -> Self:
        # Readers that name no version get the same charges as the others.
        self._fake.options(default_version=DEFAULT_API_VERSION)
        # tap-stripe reads its account first.
        settings = {"dashboard": {"display_name": "Shop"}}
        self._fake.add("account", id="acct_1", settings=settings)
        self._fake.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._fake.__exit__(None, None, None)

    def hold(self, count: int) -> int:
        """Hold so many charges behind the old ones; return the second of the first of them."""

        def created(index: int) -> int:
            age = (OLD + count - 1 - index) // PER_SECOND + (100 if index < OLD else 0)
            return self._newest - age

        self._fake.generate("charge", OLD + count, created=created, metadata=METADATA)
        self._fake.calls.clear()
        return created(OLD)

    def read(self, python: Python, name: str, objects: int, *, polls: bool = True) -> Figures:
        """Let a fresh process read so many charges, then poll where none and where ten are new."""
        with self._child(python, "readers.py", name) as child:
            peers = self._peers()
            figures = self._ask(child, objects, 1)
            figures["connections"] = len(peers | self._peers())
            for part, count in (("none", 0), ("ten", 10)) if polls else ():
                costs = self._ask(child, count, POLLS)
                figures |= {f"{part}_{key}": cost for key, cost in costs.items()}
        return figures

    def write(self, python: Python, name: str, objects: int, path: str) -> Figures:
        """Let a fresh process write so many charges into a file."""
        with self._child(python, "writers.py", name, path) as child:
            return self._ask(child, objects, 1)

    def backfill(self, objects: int, intervals: int, at_once: int, delay: float) -> Figures:
        """Let processes write so many charges in so many intervals of their time.

        :param delay: seconds that each call takes.
        """
        print(f"backfill of {intervals} …", file=sys.stderr, flush=True)
        since = self.hold(objects)
        self._fake.fault(delay=delay, times=None)
        numbers = map(str, (since, self._newest + 1, intervals, at_once))
        figures = script(OWN, "backfill", self._fake.url, *numbers)
        self._fake.faults.clear()
        calls = figures["calls"] + figures["warm_calls"]
        if figures["objects"] != objects or calls != len(self._fake.calls):
            raise RuntimeError(f"The fake has counted other charges or calls: {figures}.")
        return figures

    @contextmanager
    def _child(
        self, python: Python, file: str, name: str, *arguments: str
    ) -> Iterator[subprocess.Popen[str]]:
        """Start a reader or writer, and wait until it is ready."""
        print(" ".join([name, *arguments, "…"]), file=sys.stderr, flush=True)
        self.hold(0)
        command, variables = python.command(file, name, self._fake.url, *arguments)
        child = subprocess.Popen(
            command,
            env=variables,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        with child:
            if child.stdout is None or child.stdout.readline() != "ready\n":
                raise RuntimeError(f"{name} did not start: run dev/benchmarks/{file} by hand.")
            yield child

    def _ask(self, child: subprocess.Popen[str], objects: int, times: int) -> Figures:
        """Have the child read so many charges, so many times; return the costs of one reading."""
        if child.stdin is None or child.stdout is None:
            raise RuntimeError("the reader has no pipes")
        since = self.hold(objects)
        print(json.dumps([since, times]), file=child.stdin, flush=True)
        figures: Figures = json.loads(child.stdout.readline())
        if figures["objects"] != objects:
            raise RuntimeError(f"The reader read {figures['objects']:g} charges of {objects}.")
        return figures | {"calls": len(self._fake.calls) / times}

    def _peers(self) -> set[int]:
        return {call.peer for call in self._fake.calls}
