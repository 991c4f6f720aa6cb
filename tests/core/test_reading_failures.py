"""What makes a poll fail or wait: it loses nothing, and the error says what it was."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.lists import feed_list, feed_named, list_named
from airflow_provider_stripe_lite.core.reading import poll, poll_window, read_list
from airflow_provider_stripe_lite.core.window import Position
from airflow_provider_stripe_lite.errors import (
    RateLimitWait,
    StripeInputError,
    StripeInvalidRequestError,
    StripeNotFoundError,
    StripeRateLimitError,
    StripeServerError,
)
from airflow_provider_stripe_lite.testing import FakeStripe, Request
from tests.core.polls import CUSTOMERS, DAY, START, ids, positioned
from tests.helpers import NOW, Connect, FakeLimiter


def test_a_page_that_fails_loses_nothing(fake: FakeStripe, client: StripeClient) -> None:
    """The error is passed on after the last try, and the same position gives everything later."""
    position = positioned(fake, client)
    made = fake.add_many("customer", 250, created=NOW - 500, spread=100)
    fake.fault(status=429, times=5, skip=2)
    with pytest.raises(StripeRateLimitError):
        poll(client, CUSTOMERS, position)
    assert ids(poll(client, CUSTOMERS, position)) == made


# --- The call limit


def test_no_free_slot_means_that_nothing_was_read(fake: FakeStripe, connect: Connect) -> None:
    """The wait is known beforehand and no request is sent."""
    limiter = FakeLimiter()
    limiter.open(free=0)
    for look in (poll, poll_window):
        with pytest.raises(RateLimitWait) as caught:
            look(connect(limiter=limiter), CUSTOMERS, START, max_wait=0)
        assert caught.value.seconds == 7.0
    assert fake.calls == []


def test_slots_that_run_out_in_the_middle_end_the_batch(fake: FakeStripe, connect: Connect) -> None:
    """What is complete is delivered; the last second seen may not be complete, so it waits."""
    limiter = FakeLimiter()
    client = connect(limiter=limiter)
    position = positioned(fake, client)
    made = fake.add_many("customer", 950, created=NOW - 500, spread=95)
    limiter.open(free=3)
    batch = poll(client, CUSTOMERS, position, max_wait=0)
    assert ids(batch) == made[:290]
    assert batch.more
    limiter.open()
    assert ids(poll(client, CUSTOMERS, batch.position, max_wait=0)) == made[290:]


def test_a_second_that_is_larger_than_the_slots_is_waited_for(
    fake: FakeStripe, connect: Connect
) -> None:
    """One second with 500 objects cannot be cut, so the poll waits instead of reading it in vain
    again and again.
    """
    limiter = FakeLimiter()
    client = connect(limiter=limiter)
    position = positioned(fake, client)
    made = fake.add_many("customer", 500, created=NOW - 500)
    limiter.open(free=1)
    assert ids(poll(client, CUSTOMERS, position, max_wait=0)) == made


def test_a_lost_cursor_does_not_waste_the_call_that_found_it_out(
    fake: FakeStripe, connect: Connect
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
    assert ids(poll(client, CUSTOMERS, position, max_wait=0)) == [made]


# --- Lists that are not there


@pytest.mark.parametrize("start", [START, Position(NOW - 1_000, "or_gone")])
@pytest.mark.parametrize(
    ("feed", "version", "words"),
    [
        ("order", "2025-02-24.acacia", r"has removed the Orders API.*2020-08-27.*checkout.session"),
        ("invoice_payment", "2025-02-24.acacia", r"from API version 2025-03-31.basil on"),
    ],
)
def test_a_list_that_the_api_version_has_not_is_one_clear_error(
    fake: FakeStripe, connect: Connect, feed: str, version: str, words: str, start: Position
) -> None:
    """It says which versions have the list, and Stripe's own words; and it is not tried again."""
    with pytest.raises(StripeNotFoundError, match=rf"{words}.* Stripe says: Unrec") as caught:
        poll(connect(api_version=version), feed_named(feed), start)
    assert caught.value.status == 404
    assert not caught.value.retryable
    assert len(fake.calls) == (1 if start.last_id is None else 2)


def test_an_address_that_is_not_there_is_an_error_of_every_list(
    fake: FakeStripe, client: StripeClient
) -> None:
    """A 404 for another list is passed on as Stripe said it."""
    resource, is_feed = list_named("/v1/chrages")
    with pytest.raises(StripeNotFoundError, match=r"^Unrecognized request URL"):
        list(read_list(client, resource, is_feed=is_feed, first=None, end=None))


def test_a_list_without_page_cursors_says_so_at_once(
    fake: FakeStripe, client: StripeClient
) -> None:
    """A search has none: no other object of its first page would be a better one."""
    page = [{"id": f"cus_{at}", "object": "customer"} for at in range(100)]
    body = {"object": "search_result", "has_more": True, "data": page}
    words = {"type": "invalid_request_error", "message": "No.", "code": "parameter_unknown"}
    fake.fault(path="/v1/customers/search", status=200, body=body, times=1)
    fake.fault(path="/v1/customers/search", status=400, body={"error": words})
    resource, is_feed = list_named("/v1/customers/search", {"query": "name:'Jenny'"})
    with pytest.raises(StripeInvalidRequestError) as caught:
        list(read_list(client, resource, is_feed=is_feed, first=None, end=None))
    assert caught.value.code == "parameter_unknown"
    assert len(fake.calls) == 2


def test_a_read_whose_objects_are_all_deleted_meanwhile_may_be_tried_again(
    fake: FakeStripe, client: StripeClient
) -> None:
    """Begun anew, it finds what is there now."""
    first = fake.add("customer", created=NOW - 400_000)
    made = fake.add_many("customer", 150, created=NOW - 9_000, spread=500)

    def delete(request: Request) -> None:
        if ("starting_after", first) in request.query and first in fake.ids("customer"):
            fake.delete(first, kind="customer")

    fake.fault(hook=delete, every=1)
    start, customers = Position(NOW - 500_000), feed_named("customer")
    with pytest.raises(StripeInvalidRequestError) as caught:
        poll(client, customers, start)
    assert caught.value.retryable
    assert [item["id"] for item in poll(client, customers, start).items] == made


# --- Arguments and positions that cannot be


@pytest.mark.parametrize(
    "wrong", [{"min_age": -1}, {"min_age": 1.5}, {"max_items": 0}, {"max_items": True}]
)
def test_an_argument_that_cannot_be_is_refused(
    fake: FakeStripe, client: StripeClient, wrong: dict[str, Any]
) -> None:
    """By its name, before any request."""
    [name] = wrong
    with pytest.raises(StripeInputError, match=rf"^{name} must be a whole number of at least"):
        poll(client, CUSTOMERS, START, **wrong)
    assert fake.calls == []


@pytest.mark.parametrize("last_id", [None, "cus_1"])
def test_a_position_in_the_future_is_refused(
    fake: FakeStripe, client: StripeClient, last_id: str | None
) -> None:
    """Behind it nothing would come for a year, in silence; ten minutes may be a clock's."""
    fake.add("customer", id="cus_1", created=NOW - 5)
    with pytest.raises(
        StripeInputError,
        match=r"^The position of the cursor lies in the future, at 2027-.*as it is 2026-02-02T",
    ):
        poll(client, CUSTOMERS, Position(NOW + 365 * DAY, last_id))
    assert len(fake.calls) == 1
    poll(client, CUSTOMERS, Position(NOW + 600, last_id))


# --- Events, which Stripe keeps for 30 days


def test_a_start_among_events_that_stripe_has_dropped_is_refused(
    fake: FakeStripe, client: StripeClient
) -> None:
    """The sentence names the place and the fix; a day more is a day too many."""
    events = feed_list("event", ["charge.failed"])
    fake.add("event", created=NOW - 29 * DAY, type="charge.failed")
    refused = r"^The position of the cursor must not lie .* 30 days back.*got 2026-01-02T.*Begin at"
    with pytest.raises(StripeInputError, match=refused):
        poll(client, events, Position(NOW - 31 * DAY))
    assert len(poll(client, events, Position(NOW - 30 * DAY + 5)).items) == 1
    assert len(poll(client, events, Position(0)).items) == 1
    resource, is_feed = list_named("event")
    with pytest.raises(StripeInputError, match=r"^created_gte must not lie more than 30 days back"):
        list(read_list(client, resource, is_feed=is_feed, first=NOW - 31 * DAY, end=None))


@pytest.mark.parametrize("last_id", ["evt_1", None])
@pytest.mark.parametrize("looked", [NOW - 30 * DAY - 5, NOW - 60])
def test_a_cursor_is_judged_by_its_last_look_and_not_by_its_last_event(
    fake: FakeStripe, client: StripeClient, looked: int, last_id: str | None
) -> None:
    """Events of a rare type may be far between; who has not looked has missed what came since."""
    position = Position(NOW - 90 * DAY, last_id, looked)
    if looked > NOW - 30 * DAY:
        assert poll(client, feed_named("event"), position).items == []
    else:
        with pytest.raises(StripeInputError, match=r"as Stripe keeps no event longer"):
            poll(client, feed_named("event"), position)


def test_a_clock_that_was_wrong_once_does_not_end_a_cursor(
    fake: FakeStripe, client: StripeClient
) -> None:
    """A look is never undone: one answer of 40 days ago must not make the next poll refused."""
    position = Position(NOW - 899, fake.add("event", created=NOW - 900), NOW - 60)
    fake.fault(clock=-40 * DAY)
    position = poll(client, feed_named("event"), position).position
    assert poll(client, feed_named("event"), position).items == []


def test_a_poll_that_fails_on_the_server_is_an_error_of_the_server(
    fake: FakeStripe, client: StripeClient
) -> None:
    """Also after smaller pages were tried."""
    fake.fault(status=503, every=1)
    with pytest.raises(StripeServerError):
        poll(client, CUSTOMERS, START)
