"""What a read costs in calls, however long the list is."""

from __future__ import annotations

import pytest

from airflow_provider_stripe_lite.core import old_end
from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.lists import feed_named, list_named
from airflow_provider_stripe_lite.core.reading import poll, poll_window, read_list
from airflow_provider_stripe_lite.core.window import Position
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.core.polls import CUSTOMERS, DAY, START, ids, names, positioned
from tests.helpers import NOW, Clock, SharedServer, client_for, gets


@pytest.mark.parametrize("new", [0, 1, 99, 100, 101, 200, 201, 950, 1_000])
def test_a_poll_costs_one_call_for_each_hundred_objects(
    fake: FakeStripe, client: StripeClient, new: int
) -> None:
    """Nothing new is one call; N new objects are N/100 calls, rounded up."""
    position = positioned(fake, client)
    made = fake.add_many("customer", new, created=NOW - 500, spread=300)
    assert ids(poll(client, CUSTOMERS, position)) == made
    assert len(fake.calls) == max(1, -(-new // 100))


@pytest.mark.parametrize("new", [0, 1, 250])
def test_a_deleted_last_object_costs_at_most_two_calls_more(
    fake: FakeStripe, client: StripeClient, new: int
) -> None:
    """One call is refused and one finds another object to go on from."""
    fake.add("customer", created=NOW - 950)
    position = positioned(fake, client)
    made = fake.add_many("customer", new, created=NOW - 500, spread=300)
    fake.delete(str(position.last_id))
    assert ids(poll(client, CUSTOMERS, position)) == made
    assert len(fake.calls) <= max(1, -(-new // 100)) + 2


def test_a_last_object_that_was_deleted_is_asked_for_once(
    fake: FakeStripe, client: StripeClient
) -> None:
    """The next poll costs one call again, also when nothing was new."""
    fake.add("customer", created=NOW - 950)
    position = positioned(fake, client)
    fake.delete(str(position.last_id))
    batch = poll(client, CUSTOMERS, position)
    assert batch.position.before == position.before
    assert batch.position.last_id != position.last_id
    fake.calls.clear()
    assert poll(client, CUSTOMERS, batch.position).items == []
    assert len(fake.calls) == 1


def test_the_first_poll_from_now_costs_one_call(fake: FakeStripe, client: StripeClient) -> None:
    """A history of any length is not read."""
    fake.add_many("customer", 1_000, created=NOW - 5_000, spread=4_000)
    batch = poll(client, CUSTOMERS, Position(NOW))
    assert (batch.items, batch.position) == ([], Position(NOW))
    assert len(fake.calls) == 1


@pytest.mark.parametrize("looked", [NOW - 120, NOW - DAY + 1])
def test_a_quiet_feed_costs_one_call_however_old_its_last_object_is(
    fake: FakeStripe, client: StripeClient, looked: int
) -> None:
    """As long as somebody has looked within a day."""
    last = fake.add("customer", created=NOW - 90 * DAY)
    position = Position(NOW - 90 * DAY + 1, last, looked)
    assert poll(client, CUSTOMERS, position).items == []
    assert len(fake.calls) == 1


@pytest.mark.parametrize(("new", "known"), [(0, True), (1, True), (5_000, True), (5_000, False)])
def test_a_window_of_a_sensor_costs_one_call(
    fake: FakeStripe, client: StripeClient, new: int, known: bool
) -> None:
    """Its end is found without reading it, from an id as from a date."""
    position = positioned(fake, client) if known else START
    fake.calls.clear()
    made = fake.add_many("customer", new, created=NOW - 500, spread=300)
    fake.add_many("customer", 30, created=NOW - 20)
    batch = poll_window(client, CUSTOMERS, position)
    assert batch.items == []
    assert batch.position.last_id == (made[-1] if new else position.last_id)
    assert len(fake.calls) == 1


@pytest.mark.parametrize(
    ("start", "most"),
    [
        pytest.param(Position(NOW - 200_000 + 1, f"re_{0:024}"), 510, id="an id"),
        pytest.param(Position(NOW - 200_000 + 1), 510, id="a date"),
        pytest.param(Position(NOW - 200_100), 510, id="a date before the first"),
        pytest.param(Position(0), 515, id="the beginning"),
    ],
)
def test_a_backlog_of_fifty_thousand_costs_its_pages(
    server: SharedServer, start: Position, most: int
) -> None:
    """Batches of 1,000, the last page of each being the first of the next one's: 1.02 x 500 calls
    and, where no object is known to begin behind, some more to find the first one.
    """
    account = FakeStripe(clock=Clock())
    account.generate("refund", 50_001, created=lambda index: NOW - 200_000 + 3 * index)
    client, position, seen = client_for(server.use(account)), start, list[str]()
    first, more = 0 if start.before <= NOW - 200_000 else 1, True
    while more:
        batch = poll(client, feed_named("refund"), position, take=lambda raw: raw["id"])
        assert len(batch.items) <= 1_000
        seen += batch.items
        position, more = batch.position, batch.more
    assert seen == [f"re_{index:024}" for index in range(first, 50_001)]
    assert len(account.calls) <= most


def test_a_small_batch_of_a_large_backlog_reads_only_its_own_page(
    server: SharedServer,
) -> None:
    """Of a million objects, 90 cost one call behind an id, and about 35 from the beginning."""
    account = FakeStripe(clock=Clock())
    account.generate("refund", 1_000_000, created=lambda index: NOW - 50_000_000 + 40 * index)
    client = client_for(server.use(account))
    first = poll(client, feed_named("refund"), Position(0), max_items=90)
    assert ids(first) == [f"re_{index:024}" for index in range(90)]
    assert len(account.calls) <= 35
    account.calls.clear()
    second = poll(client, feed_named("refund"), first.position, max_items=90)
    assert ids(second) == [f"re_{index:024}" for index in range(90, 180)]
    assert len(account.calls) == 1


def test_a_beginning_with_five_thousand_objects_in_one_second_is_found_too(
    server: SharedServer,
) -> None:
    """Nothing but a walk leads to the old end of one second: a call for each of its pages comes on
    top.
    """
    account = FakeStripe(clock=Clock())
    account.generate(
        "refund", 100_000, created=lambda index: NOW - 9_000_000 + 60 * max(0, index - 4_999)
    )
    client = client_for(server.use(account))
    batch = poll(client, feed_named("refund"), Position(0))
    assert ids(batch) == [f"re_{index:024}" for index in range(5_000)]
    assert len([query for query in gets(account) if "ending_before" not in query]) <= 35 + 50
    batch = poll(client, feed_named("refund"), batch.position, max_items=90)
    assert ids(batch) == [f"re_{index:024}" for index in range(5_000, 5_090)]


@pytest.mark.parametrize("older", [0, 1, 3, 4, 120])
@pytest.mark.parametrize("size", [0, 1, 97, 99, 100, 101, 250, 1_000, 3_000])
def test_a_range_costs_one_call_more_than_its_pages(
    fake: FakeStripe, client: StripeClient, size: int, older: int
) -> None:
    """Oldest first, and nothing of what lies before and behind it; an empty one, one call more."""
    fake.add_many("customer", older, created=NOW - 7_000, spread=900)
    made = fake.add_many("customer", size, created=NOW - 6_000, spread=5_000)
    fake.add_many("customer", 450, created=NOW - 1_000, spread=900)
    resource, is_feed = list_named("customer")
    fake.calls.clear()
    read = read_list(client, resource, is_feed=is_feed, first=NOW - 6_000, end=NOW - 1_000)
    assert names(read) == made
    # That what is empty is no page cursor that has just gone takes another call.
    assert len(fake.calls) <= (-(-size // 100) or 2) + 1


@pytest.mark.parametrize("size", [0, 99, 250, 1_000, 12_000])
@pytest.mark.parametrize("first", [NOW - 40_000_000, None])
def test_a_range_that_begins_before_the_first_object_costs_the_same(
    server: SharedServer, size: int, first: int | None
) -> None:
    """How far away the first object is, one call tells where it may be too far to walk there."""
    account = FakeStripe(clock=Clock())
    account.generate("refund", size, created=lambda index: NOW - 100_000 + 3 * index)
    resource, is_feed = list_named("refund")
    client = client_for(server.use(account))
    read = read_list(client, resource, is_feed=is_feed, first=first, end=None)
    assert names(read) == [f"re_{index:024}" for index in range(size)]
    assert len(account.calls) <= max(1, -(-size // 100)) + (1 if first is None else 2)


@pytest.mark.parametrize(("slower", "more"), [(0, 12), (5, 112), (20, 22)])
def test_the_first_range_of_a_large_account_is_not_kept_as_a_whole(
    server: SharedServer, monkeypatch: pytest.MonkeyPatch, slower: int, more: int
) -> None:
    """More pages than the most, with nothing older, cost some calls more; where the newest ones
    look as if all were few, it is found out on the way.
    """
    monkeypatch.setattr(old_end, "_MOST_WALKED", 300)
    account, size, first = FakeStripe(clock=Clock()), 40_000, NOW - 90_000_000
    sparse = {0: 0, 5: 5_000, 20: 500}[slower]
    account.generate(
        "refund", size, created=lambda at: first + at + max(0, at - size + sparse) * slower
    )
    resource, is_feed = list_named("refund")
    client = client_for(server.use(account))
    read = read_list(client, resource, is_feed=is_feed, first=first, end=None)
    assert names(read) == [f"re_{index:024}" for index in range(size)]
    assert len(account.calls) <= size // 100 + more
