"""Several fakes at once, and one after the other on the same port."""

from __future__ import annotations

import json
import time
from pathlib import Path

from airflow_provider_stripe_lite.core import clock
from airflow_provider_stripe_lite.core.ratelimit import limiter_for
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.helpers import NOW


def test_the_time_of_the_host_is_that_of_the_latest_fake() -> None:
    """Whichever was entered last, and whichever is left first."""
    a, b = FakeStripe(clock=lambda: NOW), FakeStripe(clock=lambda: NOW)
    with a:
        with b:
            a.advance(60)
            assert clock.now() == NOW + 60
            b.advance(90)
            assert clock.now() == NOW + 90
        assert clock.now() == NOW + 60
    assert abs(clock.now() - time.time()) < 10


def test_fakes_are_left_in_any_order() -> None:
    """Each takes its own clock with it, and nobody keeps one."""
    a, b = FakeStripe(clock=lambda: NOW), FakeStripe(clock=lambda: NOW + 7)
    a.__enter__()
    b.__enter__()
    a.__exit__(None, None, None)
    assert clock.now() == NOW + 7
    b.__exit__(None, None, None)
    assert abs(clock.now() - time.time()) < 10


def test_no_fake_waits_for_what_another_one_asked_for() -> None:
    """The call limit of each is its own, whatever its port, and is gone when it is left."""
    places = []
    for _ in range(2):
        with FakeStripe() as fake:
            extra = json.loads(fake.connection)["extra"]
            limiter = limiter_for(extra["rate_limit_url"], calls=extra["rate_limit_calls"])
            assert limiter.acquire("stripe_default", max_wait=1) == 0
            limiter.push("stripe_default", 60)
            places.append(Path(extra["rate_limit_url"].removeprefix("file://")))
            assert places[-1].is_dir()
    assert places[0] != places[1]
    assert [place for place in places if place.exists()] == []
