"""A page cursor that is gone is found out in whatever words, and where the list has none."""

from __future__ import annotations

import pytest

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.lists import feed_list, feed_named
from airflow_provider_stripe_lite.core.reading import poll
from airflow_provider_stripe_lite.core.window import Position
from airflow_provider_stripe_lite.errors import StripeInvalidRequestError
from airflow_provider_stripe_lite.testing import FakeStripe, Request
from tests.core.polls import CUSTOMERS, DAY, START, WORDS, ids, positioned
from tests.helpers import NOW, Clock, gets

# --- In words


@pytest.mark.parametrize("words", WORDS[:3])
@pytest.mark.parametrize("older", [0, 1])
@pytest.mark.parametrize("new", [0, 1, 250])
def test_a_last_object_that_is_gone_is_found_out_at_once(
    fake: FakeStripe, client: StripeClient, words: str, older: int, new: int
) -> None:
    """Behind its second everything is new, and nothing before it."""
    fake.add_many("customer", older, created=NOW - 2_000)
    position = positioned(fake, client)
    fake.options(cursor_words=words)
    made = fake.add_many("customer", new, created=NOW - 500, spread=100)
    fake.delete(str(position.last_id))
    batch = poll(client, CUSTOMERS, position)
    assert ids(batch) == made
    fake.calls.clear()
    assert poll(client, CUSTOMERS, batch.position).items == []
    assert len(fake.calls) == 1


def vanish(fake: FakeStripe, made: list[str], *, every: int) -> None:
    """Let every so-many-th request find its page cursor deleted, if it is one of these objects."""

    def strike(request: Request) -> None:
        for name, id in request.query:
            if name in ("ending_before", "starting_after") and id in made:
                fake.delete(id)
                made.remove(id)

    fake.fault(hook=strike, every=every)


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("start", ["an id", "a date", "the beginning"])
def test_page_cursors_that_go_in_the_middle_of_a_read_lose_nothing(
    fake: FakeStripe, client: StripeClient, words: str, start: str
) -> None:
    """The newest object of a page is deleted before the next page is asked for, again and again."""
    position = positioned(fake, client) if start == "an id" else START
    fake.options(cursor_words=words)
    made = fake.add_many("customer", 1_450, created=NOW - 700, spread=500)
    vanish(fake, made, every=3)
    batch = poll(
        client, CUSTOMERS, position if start != "the beginning" else Position(0), max_items=2_000
    )
    # What was deleted after its page had been read is delivered all the same.
    assert len(made) < 1_450
    assert set(ids(batch)) >= set(made)
    assert len(set(ids(batch))) == len(batch.items)
    seconds = [item["created"] for item in batch.items]
    assert seconds == sorted(seconds)


def test_two_page_cursors_that_go_in_a_row_in_silence_lose_nothing(
    fake: FakeStripe, client: StripeClient
) -> None:
    """Also the object that was found to go on from is deleted before it is asked for."""
    position = positioned(fake, client)
    fake.options(cursor_words="empty")
    made = fake.add_many("customer", 450, created=NOW - 700, spread=450)
    fake.fault(hook=lambda _: fake.delete(made[99]), skip=1)
    fake.fault(hook=lambda _: fake.delete(made[94]), skip=2)
    assert ids(poll(client, CUSTOMERS, position)) == made


@pytest.mark.parametrize("words", WORDS[:3])
def test_twenty_cursors_lost_in_a_row_are_survived_and_not_a_thousand(
    fake: FakeStripe, client: StripeClient, words: str
) -> None:
    """In the end Stripe's own error is passed on."""
    fake.add_many("customer", 100, created=NOW - 2_000)
    fake.options(cursor_words=words)
    position = positioned(fake, client)
    made = fake.add("customer", created=NOW - 500)
    left = 20

    def strike(request: Request) -> None:
        nonlocal left
        id = dict(request.query).get("ending_before")
        if id and left:
            fake.delete(id)
            left -= 1

    fake.fault(hook=strike, every=1)
    assert ids(poll(client, CUSTOMERS, position)) == [made]
    left = 1_000
    fake.calls.clear()
    with pytest.raises(StripeInvalidRequestError):
        poll(client, CUSTOMERS, Position(NOW - 499, made))
    assert len(fake.calls) < 50


def test_an_event_that_has_aged_out_is_no_lost_object(
    fake: FakeStripe, client: StripeClient, clock: Clock
) -> None:
    """The last event is over 30 days old, in Stripe's own words, which have no code; the list was
    looked at all the while.
    """
    events = feed_list("event", ["charge.failed"])
    fake.add("event", created=NOW - 900, type="charge.failed")
    position = poll(client, events, START).position
    for _ in range(4):
        clock.now += 9 * DAY
        position = poll(client, events, position).position
    made = fake.add("event", created=int(clock.now) - 100, type="charge.failed")
    assert ids(poll(client, events, position)) == [made]


# --- In silence


def test_an_object_that_left_in_silence_is_found_out_after_a_day_without_a_look(
    fake: FakeStripe, client: StripeClient, clock: Clock
) -> None:
    """The list answers to its id with nothing at all, as if nothing were new."""
    position = positioned(fake, client)
    fake.options(cursor_words="empty")
    fake.delete(str(position.last_id))
    made = fake.add_many("customer", 120, created=NOW - 500, spread=100)
    assert poll(client, CUSTOMERS, position).items == []
    clock.now += DAY
    assert ids(poll(client, CUSTOMERS, position)) == made


@pytest.mark.parametrize("interval", [3_600, DAY // 2, DAY - 60])
def test_an_object_that_left_in_silence_is_found_out_however_often_somebody_looks(
    fake: FakeStripe, client: StripeClient, clock: Clock, interval: int
) -> None:
    """Within two days, and without a second call in each poll."""
    position = positioned(fake, client)
    fake.options(cursor_words="empty")
    fake.delete(str(position.last_id))
    made = fake.add("customer", created=NOW - 500)
    delivered, polls = list[str](), 2 * DAY // interval + 1
    for _ in range(polls):
        batch = poll(client, CUSTOMERS, position)
        delivered, position = delivered + ids(batch), batch.position
        clock.now += interval
    assert delivered == [made]
    assert len(fake.calls) <= polls + 6


def test_silence_is_believed_where_the_last_object_is_the_newest_of_the_list(
    fake: FakeStripe, client: StripeClient, clock: Clock
) -> None:
    """One call finds it out, and the position stays."""
    position = positioned(fake, client)
    clock.now += 2 * DAY
    batch = poll(client, CUSTOMERS, position)
    assert (batch.items, batch.position) == ([], position)
    assert [query.get("limit") for query in gets(fake)] == ["100", "1"]


def test_a_list_that_was_emptied_in_silence_goes_on_with_the_next_object(
    fake: FakeStripe, client: StripeClient, clock: Clock
) -> None:
    """The only object was deleted, and so the list has no newest one either."""
    position = positioned(fake, client)
    fake.options(cursor_words="empty")
    fake.delete(str(position.last_id))
    clock.now += DAY
    position = poll(client, CUSTOMERS, position).position
    made = fake.add("customer", created=int(clock.now))
    clock.now += DAY
    assert ids(poll(client, CUSTOMERS, position)) == [made]


def test_a_list_of_other_words_needs_no_second_look(
    fake: FakeStripe, client: StripeClient, clock: Clock
) -> None:
    """Within a day of the last look, silence costs one call, for every feed."""
    last = fake.add("payout", created=NOW - 40 * DAY)
    for _ in range(3):
        fake.calls.clear()
        looked = int(clock.now) - DAY + 60
        batch = poll(client, feed_named("payout"), Position(NOW - 40 * DAY + 1, last, looked))
        assert batch.items == []
        assert len(fake.calls) == 1
        clock.now += DAY // 2
