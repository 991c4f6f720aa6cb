"""The exactly-once tests for as long as one likes: make soak MINUTES=30."""

from __future__ import annotations

import os
import random
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.e2e.scenarios import FAULTS, MODES, VICTIMS, kill, started

if TYPE_CHECKING:
    from collections.abc import Callable

    from dev.stack import AirflowStack
    from tests.e2e.scenarios import Stream

pytestmark = pytest.mark.soak


def test_soak(airflow: AirflowStack, stream: Callable[[str], Stream]) -> None:
    """Objects, faults and kills for SOAK_MINUTES, in three modes: nothing lost, nothing twice."""
    seconds = 60 * float(os.environ.get("SOAK_MINUTES", "30"))
    streams = started([stream(mode) for mode in MODES])
    for index, fault in enumerate(FAULTS):
        when = {"every": 5 * len(FAULTS), "skip": 5 * index}
        streams[0].fake.control("fault", path="/v1/customers", **when, **fault)
    kills = 0
    with ExitStack() as inflow:
        for each in streams:
            inflow.enter_context(each.arriving(int(seconds), seconds))
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(random.uniform(1, 10))
            kills += kill(airflow, random.choice(VICTIMS))
        # test_kills says why the last one is a scheduler.
        kills += kill(airflow, "scheduler")
    streams[0].fake.clear("faults")
    print(f"\n{airflow.database}: {kills} kills in {seconds / 60:g} minutes")
    for each in streams:
        each.wait_for_all(300)
        assert each.verdict() == "0 lost, 0 twice"
