"""Clocks that are wrong, Stripe's or this host's: nothing is lost, nothing comes too early."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from airflow_provider_stripe_lite.core import clock as host
from airflow_provider_stripe_lite.core import pages
from airflow_provider_stripe_lite.core.batches import Batch
from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.reading import newest_before, poll, poll_window, read
from airflow_provider_stripe_lite.core.window import Position
from airflow_provider_stripe_lite.errors import StripeConnectionError
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.core.polls import CUSTOMERS, DAY, START, ids, names, positioned, window_of
from tests.helpers import NOW, Clock, client_for, raw_server

OFF = [90, 300, 3_600, DAY, -90, -300, -DAY, -NOW]


@pytest.fixture(autouse=True)
def nobody_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test be the first that meets a wrong clock."""
    monkeypatch.setattr(pages, "_told", set())


@pytest.fixture
def wrong_host() -> Iterator[dict[str, float]]:
    """Return by how many seconds ``["off"]`` this host's clock is wrong from now on."""
    wrong = {"off": 0.0}
    before = host.use()
    host.use(lambda: max(read() for read in before) + wrong["off"])
    yield wrong
    host.use(*before)


def drain(fake: FakeStripe, client: StripeClient, clock: Clock, off: list[int]) -> list[str]:
    """Poll every 20 s while an object arrives every 4 s, and each answer's Date is off otherwise.

    Return what was delivered in the end, when the clocks are right again.
    """
    position, delivered = START, list[str]()
    for wrong in off:
        fake.fault(clock=wrong)
        batch = poll(client, CUSTOMERS, position)
        delivered, position = delivered + check(batch, clock), batch.position
        fake.add_many("customer", 5, created=int(clock.now), spread=20)
        clock.now += 20
    clock.now += 100
    return delivered + ids(poll(client, CUSTOMERS, position))


def check(batch: Batch, clock: Clock) -> list[str]:
    """Return the ids of a batch, none of which came too early."""
    assert all(item["created"] < clock.now - 60 for item in batch.items)
    return ids(batch)


@pytest.mark.parametrize("off", OFF)
def test_a_date_header_that_is_off_loses_nothing(
    fake: FakeStripe, client: StripeClient, clock: Clock, off: int
) -> None:
    """In every answer alike, ahead or behind, by seconds or back to 1970."""
    delivered = drain(fake, client, clock, [off] * 12)
    assert delivered == fake.ids("customer")
    assert len(delivered) == 60


def test_each_answer_may_have_a_clock_of_its_own(
    fake: FakeStripe, client: StripeClient, clock: Clock
) -> None:
    """As behind a balancer whose hosts disagree."""
    off = [300, 0, -90, DAY, -NOW, 90, 0, 0, -DAY, 300, 3_600, 0, 45, -45, 0, -3_600, 0]
    assert drain(fake, client, clock, off) == fake.ids("customer")


@pytest.mark.parametrize("off", OFF)
def test_a_host_whose_clock_is_off_loses_nothing(
    fake: FakeStripe, client: StripeClient, clock: Clock, wrong_host: dict[str, float], off: int
) -> None:
    """What comes while it is, comes on time or later; what is left comes once it is right."""
    wrong_host["off"] = off
    position, delivered = START, list[str]()
    for _ in range(10):
        fake.add_many("customer", 5, created=int(clock.now), spread=20)
        batch = poll(client, CUSTOMERS, position)
        delivered, position = delivered + check(batch, clock), batch.position
        clock.now += 20
    # A clock that is ahead holds nothing up, as Stripe's is the earlier one.
    assert bool(delivered) is (off > -300)
    wrong_host["off"] = 0
    clock.now += 100
    assert delivered + ids(poll(client, CUSTOMERS, position)) == fake.ids("customer")


@pytest.mark.parametrize("off", OFF)
@pytest.mark.parametrize("whose", ["stripe", "host"])
def test_the_end_of_a_window_goes_by_the_earlier_clock_too(
    fake: FakeStripe, client: StripeClient, wrong_host: dict[str, float], whose: str, off: int
) -> None:
    """It holds nothing that is too young, and what a clock ahead hides comes in a second call."""
    start = positioned(fake, client)
    old = fake.add("customer", created=NOW - 200)
    fake.add_many("customer", 5, created=NOW - 50, spread=50)
    wrong_host["off"] = off if whose == "host" else 0
    fake.fault(clock=off if whose == "stripe" else 0, every=1)
    end = poll_window(client, CUSTOMERS, start).position
    assert end == (Position(NOW - 199, old) if off > -140 else start)
    assert len(fake.calls) <= 2
    assert names(read(client, window_of(start, end))) == ([old] if off > -140 else [])


def test_a_window_whose_page_is_all_too_young_is_asked_for_again(
    fake: FakeStripe, client: StripeClient, wrong_host: dict[str, float]
) -> None:
    """This host's clock is ten minutes ahead, and more than a page came in these minutes."""
    start = positioned(fake, client)
    old = fake.add("customer", created=NOW - 200)
    fake.add_many("customer", 250, created=NOW - 50, spread=50)
    wrong_host["off"] = 600
    assert poll_window(client, CUSTOMERS, start).position == Position(NOW - 199, old)
    assert len(fake.calls) == 2


def test_a_bell_is_told_the_earlier_clock(
    fake: FakeStripe, client: StripeClient, wrong_host: dict[str, float]
) -> None:
    """Whichever it is."""
    fake.fault(clock=-70)
    assert newest_before(client, CUSTOMERS, NOW)[1] == NOW - 70
    wrong_host["off"] = -7
    assert newest_before(client, CUSTOMERS, NOW)[1] == NOW - 7


# --- It is said


@pytest.mark.parametrize(("off", "shown"), [(DAY, "2026-02-03T02:40:00"), (-NOW, "1970-01-01T00")])
def test_clocks_far_apart_are_said_once_with_both(
    fake: FakeStripe, client: StripeClient, caplog: pytest.LogCaptureFixture, off: int, shown: str
) -> None:
    """In one line, which names the host and what counts; a second host has a line of its own."""
    fake.fault(clock=off, every=1)
    for _ in range(3):
        poll(client, CUSTOMERS, START)
    [line] = caplog.messages
    assert caplog.records[0].levelno == logging.WARNING
    for part in (fake.url, shown, "2026-02-02T02:40:00", "the earlier one"):
        assert part in line
    poll(client_for(fake.url.replace("127.0.0.1", "localhost")), CUSTOMERS, START)
    assert len(caplog.messages) == 2


@pytest.mark.parametrize("off", [600, -600, 90, 0])
def test_clocks_that_differ_by_minutes_are_not_worth_a_line(
    fake: FakeStripe, client: StripeClient, caplog: pytest.LogCaptureFixture, off: int
) -> None:
    """Ten minutes are the bound."""
    fake.fault(clock=off)
    poll(client, CUSTOMERS, START)
    assert caplog.messages == []


@pytest.mark.parametrize("date", ["", "Date: yesterday\r\n", "Date: \r\n"])
def test_an_answer_without_a_date_moves_nothing(date: str) -> None:
    """Without Stripe's clock nobody can say what is old enough."""
    body = '{"object": "list", "data": [], "has_more": false}'
    answer = f"HTTP/1.1 200 OK\r\n{date}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    with (
        raw_server((answer + body).encode()) as (url, _),
        pytest.raises(StripeConnectionError, match="no Date header") as caught,
    ):
        poll(client_for(url), CUSTOMERS, START)
    assert caught.value.retryable
