"""A window is read again and again, and a look tells whether anything is new."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.reading import newest_before, poll, read, reread
from airflow_provider_stripe_lite.errors import RateLimitWait
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.core.polls import START, ids, positioned
from tests.helpers import NOW, Clock, FakeLimiter, window


def test_a_window_can_be_read_again_and_again(
    fake: FakeStripe, client: StripeClient, clock: Clock
) -> None:
    """The same objects each time, also when newer ones exist, its start is gone or its own are
    deleted.
    """
    fake.add("customer", created=NOW - 2_000)
    start = positioned(fake, client)
    made = fake.add_many("customer", 250, created=NOW - 500, spread=100)
    end = poll(client, "customer", start).position.before
    stretch = window("customer", start, end)
    clock.now += 500
    fake.add_many("customer", 250, created=NOW)
    again = [item["id"] for item in read(client, stretch)]
    fake.delete(str(start.last_id))
    fake.delete(made[99])
    assert again == made
    assert [item["id"] for item in read(client, stretch)] == made[:99] + made[100:]


def test_a_window_reads_no_page_behind_its_end(fake: FakeStripe, client: StripeClient) -> None:
    """The pages of what came later are not fetched."""
    start = positioned(fake, client)
    fake.add_many("customer", 10, created=NOW - 500)
    fake.add_many("customer", 5_000, created=NOW - 400, spread=100)
    assert len(list(read(client, window("customer", start, NOW - 400)))) == 10
    assert len(fake.calls) == 1


def test_newest_before_tells_whether_anything_is_new_in_one_call(
    fake: FakeStripe, client: StripeClient
) -> None:
    """The second of the newest object older than the bound, and Stripe's clock."""
    assert newest_before(client, "customer", NOW) == (None, NOW)
    fake.add("customer", created=NOW - 7)
    fake.add("customer", created=NOW)
    fake.calls.clear()
    assert newest_before(client, "customer", NOW) == (NOW - 7, NOW)
    assert len(fake.calls) == 1


def test_newest_before_never_waits(fake: FakeStripe, connect: Callable[..., StripeClient]) -> None:
    """It is asked from an event loop's thread: a used-up limit is told and not slept on."""
    limiter = FakeLimiter()
    limiter.open(free=0)
    with pytest.raises(RateLimitWait):
        newest_before(connect(limiter=limiter), "customer", NOW)


def test_a_window_can_be_had_as_the_batch_that_a_poll_made_of_it(
    fake: FakeStripe, client: StripeClient
) -> None:
    """The same objects and the same end."""
    made = fake.add_many("customer", 250, created=NOW - 500, spread=100)
    batch = poll(client, "customer", START)
    again = reread(client, window("customer", START, batch.position.before))
    assert ids(again) == ids(batch) == made
    assert (again.position.before, again.more) == (batch.position.before, False)
