"""When an answer was given, by Stripe's clock and by this host's."""

from __future__ import annotations

import time

import pytest

from airflow_provider_stripe_lite.core import clock
from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.testing import FakeStripe, Request
from tests.core.hostile import Hostile, answer, replies
from tests.helpers import NOW, client_for


def test_an_answer_without_a_date_is_an_answer() -> None:
    """Only a poll needs Stripe's clock; a create that has been made is not refused for its lack."""
    server = Hostile(replies(answer(b'{"id": "cus_1"}')))
    with server as url:
        made = client_for(url).post("/v1/customers", {})
    assert (made.body, made.date, server.connections) == ({"id": "cus_1"}, None, 1)


@pytest.mark.parametrize(
    "date", ["yesterday", "-1", "Mon, 02 Feb 20260 02:40:00 GMT", "Mon, 02 Feb 2026", "\xff", " "]
)
def test_a_date_that_is_none_is_left_out(date: str) -> None:
    """Whatever stands there, the answer is one."""
    with Hostile(replies(answer(b'{"id": "cus_1"}', f"Date: {date}"))) as url:
        assert client_for(url).get("/v1/customers/cus_1").date is None


@pytest.mark.parametrize("date", ["Mon, 02 Feb 2026 02:40:00", "Mon Feb  2 02:40:00 2026"])
def test_a_date_without_a_zone_is_utc_wherever_the_worker_stands(
    monkeypatch: pytest.MonkeyPatch, date: str
) -> None:
    """Read as Tokyo's time, it would be nine hours early."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        with Hostile(replies(answer(b'{"id": "cus_1"}', f"Date: {date}"))) as url:
            assert client_for(url).get("/v1/customers/cus_1").date == NOW
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_slow_answer_is_dated_before_it_looked_at_its_data(
    fake: FakeStripe, client: StripeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stripe dates an answer when it sends it: what appeared in between may be missing in it."""
    real, passed = time.monotonic, 0.0

    def take_time(_: Request) -> None:
        nonlocal passed
        passed = 1.2

    monkeypatch.setattr(time, "monotonic", lambda: real() + passed)
    fake.fault(hook=take_time)
    assert client.get("/v1/customers").date == NOW - 2


def test_an_answer_tells_when_it_was_asked_for(client: StripeClient) -> None:
    """By this host's clock, before the request went out."""
    times = iter([NOW + 0.9, NOW + 5.0])
    before = clock.use(lambda: next(times))
    try:
        assert client.get("/v1/customers").asked == NOW
        assert client.get("/v1/customers").asked == NOW + 5
    finally:
        clock.use(*before)
