"""What a poll delivers: what is old enough, oldest first, once, cut only between seconds."""

from __future__ import annotations

import pytest

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.reading import poll
from airflow_provider_stripe_lite.core.window import Position
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.core.polls import CUSTOMERS, START, found, ids
from tests.helpers import NOW, Clock

# --- What is delivered


def test_new_objects_come_oldest_first_and_once(fake: FakeStripe, client: StripeClient) -> None:
    """Two polls in a row share the objects between them, in the order of creation."""
    first = fake.add_many("customer", 5, created=NOW - 500)
    batch = poll(client, CUSTOMERS, START)
    second = fake.add_many("customer", 5, created=NOW - 55)
    assert ids(batch) == first
    assert batch.position == Position(NOW - 499, first[-1])
    assert batch.position.looked == NOW
    fake.advance(60)
    assert ids(poll(client, CUSTOMERS, batch.position)) == second


def test_an_object_is_delivered_when_it_is_old_enough(
    fake: FakeStripe, client: StripeClient, clock: Clock
) -> None:
    """An object waits until it is more than `min_age` seconds old by Stripe's clock."""
    made = fake.add("customer", created=NOW)
    position = poll(client, CUSTOMERS, START).position
    clock.now = NOW + 60
    position = poll(client, CUSTOMERS, position).position
    clock.now = NOW + 61
    assert ids(poll(client, CUSTOMERS, position)) == [made]


def test_an_object_that_shows_late_is_not_missed(
    fake: FakeStripe, client: StripeClient, clock: Clock
) -> None:
    """Up to `min_age` seconds may pass between the date of an object and its appearance."""
    late = fake.add("customer", created=NOW, visible_at=NOW + 59.9)
    clock.now = NOW + 59
    prompt = fake.add("customer", created=NOW + 20)
    batch = poll(client, CUSTOMERS, START)
    clock.now = NOW + 100
    assert ids(batch) == []
    assert ids(poll(client, CUSTOMERS, batch.position)) == [late, prompt]


def test_nothing_new_moves_nothing_but_the_look(
    fake: FakeStripe, client: StripeClient, clock: Clock
) -> None:
    """What was seen is the position, from a date as behind an object; the look is beside it."""
    assert poll(client, CUSTOMERS, START).position == START
    fake.add("customer", created=NOW - 30)
    behind = Position(NOW - 499, fake.add("customer", created=NOW - 500))
    for later in (1, 2):
        clock.now = NOW + later
        batch = poll(client, CUSTOMERS, behind)
        assert found(batch) == ([], behind, False)
        assert batch.position.looked == NOW + later


def test_what_was_created_before_the_start_never_comes(
    fake: FakeStripe, client: StripeClient
) -> None:
    """The second of the start itself belongs to it, the one before does not."""
    fake.add_many("customer", 150, created=NOW - 200)
    after = fake.add("customer", created=NOW - 199)
    assert ids(poll(client, CUSTOMERS, Position(NOW - 199))) == [after]


def test_the_position_never_runs_back(fake: FakeStripe, client: StripeClient, clock: Clock) -> None:
    """A clock that runs back a second, or a longer `min_age`, delivers nothing twice."""
    fake.add_many("customer", 3, created=NOW - 61)
    batch = poll(client, CUSTOMERS, START)
    clock.now -= 1
    assert found(poll(client, CUSTOMERS, batch.position)) == ([], batch.position, False)
    longer = poll(client, CUSTOMERS, batch.position, min_age=600)
    assert found(longer) == ([], batch.position, False)


def test_min_age_zero_keeps_the_running_second_back(
    fake: FakeStripe, client: StripeClient, clock: Clock
) -> None:
    """An answer may be dated a second later than the list that it shows was looked at."""
    over = fake.add("customer", created=NOW - 2)
    running = fake.add("customer", created=NOW - 1)
    batch = poll(client, CUSTOMERS, START, min_age=0)
    assert ids(batch) == [over]
    also = fake.add("customer", created=NOW - 1)
    clock.now += 1
    assert ids(poll(client, CUSTOMERS, batch.position, min_age=0)) == [running, also]


# --- Cut only between seconds


@pytest.mark.parametrize("max_items", [1, 101, 5_000])
def test_one_second_is_one_batch(fake: FakeStripe, client: StripeClient, max_items: int) -> None:
    """5,000 objects of one second come together, however small the batch was to be."""
    before = fake.add("customer", created=NOW - 200)
    burst = fake.add_many("customer", 5_000, created=NOW - 100)
    after = fake.add("customer", created=NOW - 99)
    first = poll(client, CUSTOMERS, START, max_items=max_items)
    second = poll(client, CUSTOMERS, first.position, max_items=max_items)
    third = poll(client, CUSTOMERS, second.position, max_items=max_items)
    assert [ids(first), ids(second), ids(third)] == [[before], burst, [after]]
    assert [first.more, second.more, third.more] == [True, True, False]
    assert first.position == Position(NOW - 199, before)


def test_a_batch_ends_between_two_seconds(fake: FakeStripe, client: StripeClient) -> None:
    """`max_items` is kept, and no second is split."""
    made = [fake.add_many("customer", 3, created=NOW - 500 + second) for second in range(4)]
    batch = poll(client, CUSTOMERS, START, max_items=8)
    assert ids(batch) == made[0] + made[1]
    assert batch.position == Position(NOW - 498, made[1][-1])
    assert batch.more


def test_a_batch_that_fits_exactly_leaves_nothing(fake: FakeStripe, client: StripeClient) -> None:
    """There is more only if there is more."""
    fake.add_many("customer", 200, created=NOW - 500, spread=200)
    assert poll(client, CUSTOMERS, START, max_items=200).more is False
    assert poll(client, CUSTOMERS, START, max_items=199).more is True


def test_what_is_not_old_enough_is_not_left_over(fake: FakeStripe, client: StripeClient) -> None:
    """A burst of 500 that is not old enough yet does not ask for another poll at once."""
    fake.add_many("customer", 500, created=NOW - 10)
    old = fake.add("customer", created=NOW - 100)
    batch = poll(client, CUSTOMERS, START, max_items=1)
    assert ids(batch) == [old]
    assert not batch.more


def test_a_batch_keeps_what_is_taken_of_an_object(fake: FakeStripe, client: StripeClient) -> None:
    """Once of each, in the order of the list; those that are too young are not touched."""
    made = fake.add_many("customer", 130, created=NOW - 500, spread=100)
    fake.add("customer", created=NOW - 5)
    taken: list[str] = []
    batch = poll(client, CUSTOMERS, START, take=lambda raw: taken.append(raw["id"]))
    assert taken == made
    assert batch.items == [None] * 130
