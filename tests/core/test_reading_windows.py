"""A window is read again and again, and a look tells whether anything is new."""

from __future__ import annotations

from collections import deque

import pytest

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.lists import feed_list
from airflow_provider_stripe_lite.core.reading import (
    newest_before,
    poll,
    poll_window,
    read,
    reread,
)
from airflow_provider_stripe_lite.core.window import (
    Position,
    Source,
    Window,
    behind,
    stretch,
)
from airflow_provider_stripe_lite.errors import RateLimitWait
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.core.polls import (
    CUSTOMERS,
    DAY,
    START,
    WORDS,
    ids,
    names,
    positioned,
    window_of,
)
from tests.helpers import NOW, Clock, Connect, FakeLimiter, window


@pytest.mark.parametrize("known", [True, False])
def test_a_window_can_be_read_again_and_again(
    fake: FakeStripe, client: StripeClient, clock: Clock, known: bool
) -> None:
    """The same objects each time, also when newer ones exist and its own are deleted; a poll's, or
    one of whose end only the time is known.
    """
    fake.add("customer", created=NOW - 2_000)
    start = positioned(fake, client)
    made = fake.add_many("customer", 250, created=NOW - 500, spread=100)
    end = poll(client, CUSTOMERS, start).position
    whole = window_of(start, end) if known else window("customer", start, end.before)
    clock.now += 500
    fake.add_many("customer", 250, created=NOW)
    again = names(read(client, whole))
    fake.delete(str(start.last_id))
    fake.delete(made[99])
    assert again == made
    assert names(read(client, whole)) == made[:99] + made[100:]
    assert reread(client, whole, lambda raw: raw["id"]) == made[:99] + made[100:]


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("gone", ["after", "last", "both"])
@pytest.mark.parametrize("older", [0, 1])
def test_a_window_whose_ends_are_gone_gives_what_is_left_of_it(
    fake: FakeStripe, client: StripeClient, words: str, gone: str, older: int
) -> None:
    """In whatever words the list says so: nothing from before it, nothing from behind it."""
    fake.add_many("customer", older, created=NOW - 2_000)
    start = positioned(fake, client)
    made = fake.add_many("customer", 150, created=NOW - 500, spread=100)
    end = poll(client, CUSTOMERS, start).position
    fake.add_many("customer", 150, created=NOW - 50, spread=40)
    fake.options(cursor_words=words)
    if gone in ("after", "both"):
        fake.delete(str(start.last_id))
    if gone in ("last", "both"):
        fake.delete(made.pop())
    fake.advance(1_000)
    assert names(read(client, window_of(start, end))) == made


@pytest.mark.parametrize("words", WORDS)
def test_a_page_cursor_that_goes_while_a_window_is_read_loses_nothing(
    fake: FakeStripe, client: StripeClient, words: str
) -> None:
    """Two of them, one after the other."""
    start = positioned(fake, client)
    made = fake.add_many("customer", 350, created=NOW - 500, spread=100)
    end = poll(client, CUSTOMERS, start).position
    fake.options(cursor_words=words)
    fake.fault(hook=lambda _: deque(map(fake.delete, made[98:100])), skip=1)
    assert names(read(client, window_of(start, end))) == made


def test_a_window_holds_what_its_poll_delivered_whatever_the_dates_say(
    fake: FakeStripe, client: StripeClient
) -> None:
    """One that showed late, one dated ahead: both stand between its ends."""
    start = positioned(fake, client)
    late = fake.add("customer", created=NOW - 950, listed_at=NOW - 600)
    ahead = fake.add("customer", created=NOW + DAY, listed_at=NOW - 590)
    made = fake.add("customer", created=NOW - 500)
    batch = poll(client, CUSTOMERS, start)
    assert ids(batch) == [late, ahead, made]
    fake.add("customer", created=NOW - 450)
    for days in (0, 3):
        fake.advance(days * DAY)
        assert names(read(client, window_of(start, batch.position))) == ids(batch)


def test_an_object_that_shows_late_behind_a_window_is_none_of_it(
    fake: FakeStripe, client: StripeClient
) -> None:
    """Its date lies inside, but the list shows it behind the last object: the next window's."""
    start = positioned(fake, client)
    made = fake.add_many("customer", 3, created=NOW - 500, spread=60)
    first = poll(client, CUSTOMERS, start).position
    late = fake.add("customer", created=NOW - 490, listed_at=NOW - 400)
    second = poll(client, CUSTOMERS, first).position
    assert names(read(client, window_of(start, first))) == made
    assert names(read(client, window_of(first, second))) == [late]


def test_dates_ahead_that_have_passed_do_not_end_a_window_whose_last_object_lives(
    fake: FakeStripe, client: StripeClient
) -> None:
    """Two of them at the end of a page, dated an hour ahead, and two hours have passed."""
    start = positioned(fake, client)
    fake.add_many("customer", 98, created=NOW - 600, spread=98)
    fake.add_many("customer", 2, created=NOW + 3_600, listed_at=NOW - 502)
    fake.add_many("customer", 100, created=NOW - 501, spread=100)
    batch = poll(client, CUSTOMERS, start)
    assert len(batch.items) == 200
    fake.advance(7_200)
    assert names(read(client, window_of(start, batch.position))) == ids(batch)


def test_a_window_reads_no_page_behind_its_end(fake: FakeStripe, client: StripeClient) -> None:
    """The pages of what came later are not fetched, and of an empty window none."""
    start = positioned(fake, client)
    made = fake.add_many("customer", 10, created=NOW - 500)
    fake.add_many("customer", 5_000, created=NOW - 400, spread=100)
    by_time = window("customer", start, NOW - 400)
    by_id = window_of(start, Position(NOW - 499, made[-1]))
    for one in (by_time, by_id):
        fake.calls.clear()
        assert names(read(client, one)) == made
        assert len(fake.calls) == 1
    assert list(read(client, behind(by_id))) == []
    assert len(fake.calls) == 1


def events_window(client: StripeClient, start: Position) -> Window:
    batch = poll(client, feed_list("event", ["charge.*"]), start)
    source = Source("event", "stripe_default", None, None, ["charge.*"])
    return stretch(source, start, batch.position, len(batch.items))


def test_a_window_of_events_asks_for_its_types(fake: FakeStripe, client: StripeClient) -> None:
    """The window knows them; events of other types are none of it."""
    wanted = [fake.add("event", created=NOW - 700, type=f"charge.{word}") for word in ("a", "b")]
    fake.add("event", created=NOW - 650, type="payout.paid")
    assert names(read(client, events_window(client, START))) == wanted


def test_a_window_of_events_that_stripe_has_dropped_is_refused(
    fake: FakeStripe, client: StripeClient
) -> None:
    """What it held cannot be read any more, and no objects at all would be a lie."""
    start = Position(NOW - 899, fake.add("event", created=NOW - 900, type="charge.failed"))
    fake.add("event", created=NOW - 700, type="charge.failed")
    window = events_window(client, start)
    fake.advance(31 * DAY)
    with pytest.raises(ValueError, match="30 days"):
        list(read(client, window))


# --- A window of a sensor, whose end alone is read


def test_the_end_of_a_window_is_what_a_poll_would_have_found(
    fake: FakeStripe, client: StripeClient
) -> None:
    """Nothing new moves nothing but the look; then it is the newest that is old enough."""
    start = positioned(fake, client)
    batch = poll_window(client, CUSTOMERS, start)
    assert (batch.position, batch.position.looked, batch.more) == (start, NOW, False)
    made = fake.add_many("customer", 230, created=NOW - 500, spread=115)
    fake.add("customer", created=NOW - 60)
    end = poll_window(client, CUSTOMERS, start).position
    assert end == poll(client, CUSTOMERS, start).position == Position(NOW - 385, made[-1])
    assert names(read(client, window_of(start, end))) == made
    assert poll_window(client, CUSTOMERS, end).position == end


def test_an_object_that_showed_late_makes_a_window(fake: FakeStripe, client: StripeClient) -> None:
    """It is dated before the position, and stands behind its object."""
    start = positioned(fake, client)
    late = fake.add("customer", created=NOW - 950, listed_at=NOW - 880)
    end = poll_window(client, CUSTOMERS, start).position
    assert end == Position(start.before, late)
    assert names(read(client, window_of(start, end))) == [late]


@pytest.mark.parametrize("words", WORDS)
def test_a_window_needs_no_object_to_begin_behind(
    fake: FakeStripe, client: StripeClient, words: str
) -> None:
    """Where it was deleted, the second of the position says what is new."""
    fake.add("customer", created=NOW - 2_000)
    start = positioned(fake, client)
    fake.options(cursor_words=words)
    fake.delete(str(start.last_id))
    assert poll_window(client, CUSTOMERS, start).position.before == start.before
    made = fake.add_many("customer", 3, created=NOW - 500)
    end = poll_window(client, CUSTOMERS, start).position
    assert names(read(client, window_of(start, end))) == made


# --- What a bell asks for


def test_newest_before_tells_whether_anything_is_new_in_one_call(
    fake: FakeStripe, client: StripeClient
) -> None:
    """The newest object older than the bound, and the earlier clock."""
    assert newest_before(client, CUSTOMERS, NOW) == (None, NOW)
    fake.add("customer", created=NOW - 7)
    fake.add("customer", created=NOW)
    fake.calls.clear()
    fake.fault(clock=40)
    newest, now = newest_before(client, CUSTOMERS, NOW)
    assert newest is not None
    assert (newest.second, now) == (NOW - 7, NOW)
    assert len(fake.calls) == 1


def test_newest_before_never_waits(fake: FakeStripe, connect: Connect) -> None:
    """It is asked from an event loop's thread: a used-up limit is told and not slept on."""
    limiter = FakeLimiter()
    limiter.open(free=0)
    with pytest.raises(RateLimitWait):
        newest_before(connect(limiter=limiter), CUSTOMERS, NOW)
