"""The order of a list says what is new, and the dates of objects may disagree with it."""

from __future__ import annotations

import pytest

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.reading import poll
from airflow_provider_stripe_lite.core.window import Position
from airflow_provider_stripe_lite.errors import StripeConnectionError
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.core.polls import CUSTOMERS, DAY, START, answers, found, ids, positioned
from tests.helpers import NOW, Clock

# --- Objects that show late


@pytest.mark.parametrize("others", [0, 1, 130])
def test_an_object_that_shows_late_on_a_quiet_feed_is_delivered(
    fake: FakeStripe, client: StripeClient, clock: Clock, others: int
) -> None:
    """The last one was delivered long ago, so whatever stands behind it is new."""
    position = positioned(fake, client)
    late = fake.add("customer", created=NOW - 800, visible_at=NOW + 50)
    for _ in range(3):
        position = poll(client, CUSTOMERS, position).position
        clock.now += 20
    made = fake.add_many("customer", others, created=NOW - 700)
    assert ids(poll(client, CUSTOMERS, position)) == [late, *made]


@pytest.mark.parametrize("delay", [1, 900, 3_000])
def test_an_object_is_new_where_the_list_shows_it_as_new(
    fake: FakeStripe, client: StripeClient, delay: int
) -> None:
    """Also where it is dated before the last one that was delivered; the second never runs back."""
    position = positioned(fake, client)
    late = fake.add("customer", created=position.before - 1 - delay, listed_at=NOW - 300)
    batch = poll(client, CUSTOMERS, position)
    assert ids(batch) == [late]
    assert batch.position == Position(position.before, late)
    assert poll(client, CUSTOMERS, batch.position).items == []


def test_an_object_that_is_old_by_its_date_alone_waits_behind_a_young_one(
    fake: FakeStripe, client: StripeClient, clock: Clock
) -> None:
    """The batch ends before the first one that is too young, in the order of the list."""
    position = positioned(fake, client)
    young = fake.add("customer", created=NOW - 30)
    late = fake.add("customer", created=NOW - 100, listed_at=NOW - 20)
    assert found(poll(client, CUSTOMERS, position)) == ([], position, False)
    clock.now += 100
    assert ids(poll(client, CUSTOMERS, position)) == [young, late]


# --- Neighbours that are out of place


@pytest.mark.parametrize("start", ["an id", "a date"])
@pytest.mark.parametrize("max_items", [1, 2, 3, 4, 1_000])
def test_swapped_neighbours_are_read_as_they_stand(
    fake: FakeStripe, client: StripeClient, start: str, max_items: int
) -> None:
    """Each once, whatever the size of the batches; no batch ends between the two."""
    position = positioned(fake, client) if start == "an id" else Position(NOW - 800)
    made = fake.add_many("customer", 2, created=NOW - 700, spread=20)
    made.append(fake.add("customer", created=NOW - 599, listed_at=NOW - 600))
    made.append(fake.add("customer", created=NOW - 600, listed_at=NOW - 599))
    made += fake.add_many("customer", 2, created=NOW - 500, spread=20)
    batches, more = [], True
    while more:
        batch = poll(client, CUSTOMERS, position, max_items=max_items)
        batches.append(ids(batch))
        position, more = batch.position, batch.more
    assert [id for batch in batches for id in batch] == made
    assert made[2] not in [batch[-1] for batch in batches]


def test_many_neighbours_that_change_places_are_no_disorder(
    fake: FakeStripe, client: StripeClient
) -> None:
    """Every third object of three pages stands on the wrong side of its neighbour."""
    position = positioned(fake, client)
    made = []
    for second in range(NOW - 800, NOW - 200, 6):
        made.append(fake.add("customer", created=second + 1, listed_at=second))
        made.append(fake.add("customer", created=second, listed_at=second + 1))
        made.append(fake.add("customer", created=second + 3))
    assert ids(poll(client, CUSTOMERS, position)) == made


@pytest.mark.parametrize("size", [4, 20, 100])
@pytest.mark.parametrize("start", [START, Position(NOW - 900, "cus_last"), Position(0)])
def test_a_page_that_is_oldest_first_is_refused(
    fake: FakeStripe, client: StripeClient, size: int, start: Position
) -> None:
    """In a sentence: what is read of such a list would begin at the wrong end."""
    answers(fake, [{"id": f"cus_{at}", "created": NOW - 800 + at} for at in range(size)])
    with pytest.raises(StripeConnectionError, match=r"gave a page that is not newest first: check"):
        poll(client, CUSTOMERS, start)


# --- Dates in the future


@pytest.mark.parametrize("ahead", [120, DAY, 50 * 365 * DAY, 10**15])
@pytest.mark.parametrize("start", ["an id", "a date", "the beginning"])
def test_a_date_in_the_future_holds_nobody_up(
    fake: FakeStripe, client: StripeClient, start: str, ahead: int
) -> None:
    """The object is delivered in its place, and what stands behind it, too."""
    position = positioned(fake, client) if start == "an id" else Position(NOW - 800)
    early = fake.add_many("customer", 75, created=NOW - 700, spread=100)
    odd = fake.add("customer", created=NOW + ahead, listed_at=NOW - 560)
    later = fake.add_many("customer", 75, created=NOW - 500, spread=100)
    fake.add("customer", created=NOW - 30)
    if start == "the beginning":
        position = Position(0)
    batch = poll(client, CUSTOMERS, position)
    assert ids(batch) == [*early, odd, *later]
    assert batch.position == Position(NOW - 401, later[-1])
    assert poll(client, CUSTOMERS, batch.position).items == []


@pytest.mark.parametrize("size", [1, 2, 3, 40])
def test_a_date_in_the_future_ends_no_batch(
    fake: FakeStripe, client: StripeClient, size: int
) -> None:
    """In batches of any size, two such objects side by side among others come once."""
    position = positioned(fake, client)
    made = fake.add_many("customer", 20, created=NOW - 700, spread=100)
    made += fake.add_many("customer", 2, created=NOW + DAY, listed_at=NOW - 550)
    made += fake.add_many("customer", 20, created=NOW - 500, spread=100)
    delivered, more = list[str](), True
    while more:
        batch = poll(client, CUSTOMERS, position, max_items=size)
        delivered, position, more = delivered + ids(batch), batch.position, batch.more
        assert position.before <= NOW
    assert delivered == made


def test_the_newest_object_waits_for_an_older_one_behind_it_or_for_its_date(
    fake: FakeStripe, client: StripeClient, clock: Clock
) -> None:
    """As long as it is the newest its date may be right, by a clock that is ahead."""
    for wait in (False, True):
        position = positioned(fake, client)
        present = fake.add("customer", created=int(clock.now) - 100)
        future = fake.add("customer", created=int(clock.now) + 3_000)
        batch = poll(client, CUSTOMERS, position)
        assert ids(batch)[-1] == present
        behind = []
        if wait:
            clock.now += 4_000
        else:
            clock.now += 100
            behind = [fake.add("customer", created=int(clock.now) - 90, listed_at=NOW + 9_000)]
        assert ids(poll(client, CUSTOMERS, batch.position)) == [future, *behind]
        for id in fake.ids("customer"):
            fake.delete(id)
        clock.now = NOW


@pytest.mark.parametrize("place", [1, 100, 101, 450, 949])
@pytest.mark.parametrize("older", [0, 1])
def test_a_date_in_the_future_does_not_mislead_who_begins_at_a_date(
    fake: FakeStripe, client: StripeClient, place: int, older: int
) -> None:
    """Wherever it stands in a backlog of several pages."""
    fake.add_many("customer", older, created=NOW - 5_000)
    seconds = [NOW - 4_000 + 3 * at for at in range(950)]
    made = fake.add_many("customer", 950, created=seconds[0], spread=2_850)
    odd = fake.add("customer", created=NOW + DAY, listed_at=seconds[place])
    made.insert(made.index(made[place]) + 1, odd)
    delivered, position, more = list[str](), Position(NOW - 4_500), True
    while more:
        batch = poll(client, CUSTOMERS, position, max_items=300)
        delivered, position, more = delivered + ids(batch), batch.position, batch.more
    # The newest one of all waits.
    assert delivered == [id for id in made if id != odd or place != 949]
