"""What makes a poll fail or wait: it loses nothing, and the error says what it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.reading import poll
from airflow_provider_stripe_lite.core.window import Position
from airflow_provider_stripe_lite.errors import (
    RateLimitWait,
    StripeConnectionError,
    StripeInputError,
    StripeNotFoundError,
    StripeServerError,
)
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.core.polls import START, ids, positioned
from tests.helpers import NOW, FakeLimiter, client_for, raw_server


def test_a_page_that_fails_loses_nothing(fake: FakeStripe, client: StripeClient) -> None:
    """The error is passed on after the last try, and the same position gives everything later."""
    made = fake.add_many("customer", 250, created=NOW - 500, spread=100)
    fake.fault(status=500, times=5, skip=2)
    with pytest.raises(StripeServerError):
        poll(client, "customer", START)
    assert ids(poll(client, "customer", START)) == made


def test_no_free_slot_means_that_nothing_was_read(
    fake: FakeStripe, connect: Callable[..., StripeClient]
) -> None:
    """The wait is known beforehand and no request is sent."""
    limiter = FakeLimiter()
    limiter.open(free=0)
    with pytest.raises(RateLimitWait) as caught:
        poll(connect(limiter=limiter), "customer", START, max_wait=0)
    assert caught.value.seconds == 7.0
    assert fake.calls == []


def test_slots_that_run_out_in_the_middle_end_the_batch(
    fake: FakeStripe, connect: Callable[..., StripeClient]
) -> None:
    """What is complete is delivered; the last second seen may not be complete, so it waits."""
    limiter = FakeLimiter()
    client = connect(limiter=limiter)
    position = positioned(fake, client)
    made = fake.add_many("customer", 950, created=NOW - 500, spread=95)
    limiter.open(free=3)
    batch = poll(client, "customer", position, max_wait=0)
    assert ids(batch) == made[:290]
    assert batch.more
    limiter.open()
    assert ids(poll(client, "customer", batch.position, max_wait=0)) == made[290:]


def test_a_second_that_is_larger_than_the_slots_is_waited_for(
    fake: FakeStripe, connect: Callable[..., StripeClient]
) -> None:
    """One second with 500 objects cannot be cut, so the poll waits instead of reading it in vain
    again and again.
    """
    limiter = FakeLimiter()
    client = connect(limiter=limiter)
    position = positioned(fake, client)
    made = fake.add_many("customer", 500, created=NOW - 500)
    limiter.open(free=1)
    assert ids(poll(client, "customer", position, max_wait=0)) == made


def test_a_lost_cursor_does_not_waste_the_call_that_found_it_out(
    fake: FakeStripe, connect: Callable[..., StripeClient]
) -> None:
    """After its first call a poll waits for the next slot, else two calls would never be had where
    one is free.
    """
    limiter = FakeLimiter()
    client = connect(limiter=limiter)
    position = positioned(fake, client)
    made = fake.add("customer", created=NOW - 500)
    fake.delete(str(position.last_id))
    limiter.open(free=1)
    assert ids(poll(client, "customer", position, max_wait=0)) == [made]


def test_orders_that_stripe_no_longer_has_are_one_clear_error(
    fake: FakeStripe, client: StripeClient
) -> None:
    """It says that the API is gone, since which version, and what to use; and it is not tried
    again.
    """
    with pytest.raises(
        StripeNotFoundError, match=r"has removed the Orders API.*2020-08-27.*checkout.session"
    ) as caught:
        poll(client, "order", START)
    assert caught.value.status == 404
    assert not caught.value.retryable
    assert len(fake.calls) == 1


def test_an_address_that_is_not_there_is_an_error_of_every_feed(
    fake: FakeStripe, client: StripeClient
) -> None:
    """A 404 for another list is passed on as Stripe said it."""
    fake.fault(status=404, body={"error": {"message": "Unrecognized request URL."}})
    with pytest.raises(StripeNotFoundError, match=r"^Unrecognized request URL"):
        poll(client, "customer", START)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": None},
        {"data": {}},
        {"data": [1]},
        {"data": [{"id": 5, "created": 1}]},
        {"data": [{"id": "a"}]},
        {"data": [{"id": "a", "created": "1"}]},
        {"data": [{"id": "a", "created": True}]},
        {"data": [], "has_more": True},
    ],
)
def test_an_answer_that_is_no_list_moves_nothing(
    fake: FakeStripe, client: StripeClient, body: Any
) -> None:
    """A server that is not Stripe is found out, and no position is made of what it says."""
    fake.fault(status=200, body=body)
    with pytest.raises(StripeConnectionError, match="gave no list of objects with id and created"):
        poll(client, "customer", START)


def test_a_page_that_comes_again_is_an_error_and_no_endless_walk(
    fake: FakeStripe, client: StripeClient
) -> None:
    """A server that ignores the page cursor would otherwise be asked for ever."""
    page = {
        "object": "list",
        "has_more": True,
        "data": [{"id": "cus_newest", "created": NOW - 100}],
    }
    fake.fault(path="/v1/customers", status=200, body=page, times=2)
    with pytest.raises(StripeConnectionError, match="the same page again"):
        poll(client, "customer", Position(NOW - 200, "cus_last"))


def test_an_answer_without_a_date_moves_nothing(client: StripeClient) -> None:
    """Without Stripe's clock nobody can say what is old enough."""
    body = b'{"data": [], "has_more": false}'
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (
        len(body),
        body,
    )
    with (
        raw_server(answer) as (url, _),
        pytest.raises(StripeConnectionError, match="no Date header"),
    ):
        poll(client_for(url), "customer", START)


@pytest.mark.parametrize("feed", ["", "customers", None, 5, ["customer"], "x" * 10_000])
def test_a_feed_that_is_none_is_refused(fake: FakeStripe, client: StripeClient, feed: Any) -> None:
    """The sentence names some that there are, and nothing is sent."""
    with pytest.raises(StripeInputError, match=r"^feed must be one of .*customer.*, got") as caught:
        poll(client, feed, START)
    assert len(str(caught.value)) < 300
    assert fake.calls == []


@pytest.mark.parametrize(
    ("feed", "meant"),
    [
        ("invoice_item", "invoiceitem"),
        ("checkout_session", "checkout.session"),
        ("Charge", "charge"),
    ],
)
def test_a_feed_that_is_nearly_one_is_told_its_name(
    client: StripeClient, feed: str, meant: str
) -> None:
    """Where people write it as the path of the list, or as a class."""
    with pytest.raises(StripeInputError, match=rf"such as {meant}, "):
        poll(client, feed, START)
