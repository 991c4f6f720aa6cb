"""What a poll costs: how many calls, and how much memory, however long the list is."""

from __future__ import annotations

import gc

import pytest

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.reading import poll, read
from airflow_provider_stripe_lite.core.window import Position
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.core.polls import START, ids, positioned
from tests.helpers import NOW, Clock, SharedServer, client_for, gets, window


@pytest.mark.parametrize(
    ("new", "calls"), [(0, 1), (1, 1), (99, 1), (100, 1), (101, 2), (200, 2), (950, 10)]
)
def test_a_poll_costs_one_call_for_each_hundred_objects(
    fake: FakeStripe, client: StripeClient, new: int, calls: int
) -> None:
    """Nothing new is one call; N new objects are N/100 calls, rounded up."""
    position = positioned(fake, client)
    made = fake.add_many("customer", new, created=NOW - 500, spread=300)
    assert ids(poll(client, "customer", position)) == made
    assert len(fake.calls) == calls


@pytest.mark.parametrize("new", [0, 1, 250])
def test_a_deleted_last_object_costs_at_most_two_calls_more(
    fake: FakeStripe, client: StripeClient, new: int
) -> None:
    """One call is refused and one finds another object to go on from."""
    fake.add("customer", created=NOW - 950)
    position = positioned(fake, client)
    made = fake.add_many("customer", new, created=NOW - 500, spread=300)
    fake.delete(str(position.last_id))
    assert ids(poll(client, "customer", position)) == made
    assert len(fake.calls) <= max(1, -(-new // 100)) + 2


def test_a_last_object_that_was_deleted_is_replaced_for_good(
    fake: FakeStripe, client: StripeClient
) -> None:
    """The next poll costs one call again, also when nothing was new."""
    older = fake.add("customer", created=NOW - 950)
    position = positioned(fake, client)
    fake.delete(str(position.last_id))
    position = poll(client, "customer", position).position
    assert position.last_id == older
    fake.calls.clear()
    assert poll(client, "customer", position).items == []
    assert len(fake.calls) == 1


def test_the_first_poll_from_now_costs_one_call(fake: FakeStripe, client: StripeClient) -> None:
    """A history of any length is not read."""
    fake.add_many("customer", 1_000, created=NOW - 5_000, spread=4_000)
    batch = poll(client, "customer", Position(NOW))
    assert batch.items == []
    assert batch.position.before == NOW
    assert batch.position.last_id
    assert len(fake.calls) == 1


@pytest.fixture(scope="module")
def long_history() -> tuple[FakeStripe, list[str]]:
    """100,000 objects over more than a year."""
    account = FakeStripe(clock=Clock())
    return account, account.add_many(
        "customer", 100_000, created=NOW - 50_000_000, spread=40_000_000
    )


def test_a_poll_of_a_large_backlog_reads_ten_pages(
    server: SharedServer, long_history: tuple[FakeStripe, list[str]]
) -> None:
    """100,000 objects wait; a batch of 1,000 reads its own pages and not the rest."""
    fake, made = long_history
    client = client_for(server.use(fake))
    start = Position(NOW - 50_000_000 + 1, made[0])
    first = poll(client, "customer", start, max_items=1_000)
    assert len(fake.calls) <= 11
    fake.calls.clear()
    second = poll(client, "customer", first.position, max_items=1_000)
    assert len(fake.calls) <= 11
    assert ids(first) + ids(second) == made[1:2_001]


def test_the_beginning_of_a_long_history_is_found_in_about_thirty_calls(
    server: SharedServer, long_history: tuple[FakeStripe, list[str]]
) -> None:
    """`start_from="beginning"` halves the time and does not walk over 1,000 pages."""
    fake, made = long_history
    fake.calls.clear()
    batch = poll(client_for(server.use(fake)), "customer", Position(0), max_items=90)
    assert ids(batch) == made[:90]
    assert len(fake.calls) <= 35


def test_a_beginning_with_five_thousand_objects_in_one_second_is_found_too(
    server: SharedServer, long_history: tuple[FakeStripe, list[str]]
) -> None:
    """Nothing but a walk leads to the old end of one second: a call for each of its pages comes on
    top.
    """
    fake, made = long_history
    burst = fake.add_many("customer", 5_000, created=NOW - 60_000_000)
    fake.calls.clear()
    batch = poll(client_for(server.use(fake)), "customer", Position(0), max_items=1_000)
    assert ids(batch) == burst
    assert len([query for query in gets(fake) if "ending_before" not in query]) <= 35 + 50
    batch = poll(client_for(fake.url), "customer", batch.position, max_items=100)
    assert ids(batch) == made[:100]


def test_a_young_account_is_read_from_its_first_object(
    fake: FakeStripe, client: StripeClient
) -> None:
    """Nothing older than the start exists: the oldest page is found by halving."""
    made = fake.add_many("customer", 1_000, created=NOW - 900, spread=800)
    assert ids(poll(client, "customer", START)) == made


def test_memory_holds_one_page_of_a_window(fake: FakeStripe, client: StripeClient) -> None:
    """Reading 20,000 objects again holds one page of them (and the next, while it arrives)."""
    fake.add_many("invoiceitem", 20_000, created=NOW - 90_000, spread=20_000)
    start = Position(NOW - 90_000 + 1, fake.ids("invoiceitem")[0])
    most = count = 0
    for _ in read(client, window("invoiceitem", start, NOW - 60)):
        count += 1
        if count % 4_900 == 150:
            rows = (thing for thing in gc.get_objects() if type(thing) is dict)
            most = max(most, sum("proration" in row for row in rows))
    assert count == 19_999
    assert 0 < most <= 210
