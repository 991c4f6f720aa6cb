"""Ranges of time that follow each other hold every object once, whatever happens meanwhile."""

from __future__ import annotations

import pytest

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.lists import list_named
from airflow_provider_stripe_lite.core.reading import read_list
from airflow_provider_stripe_lite.testing import FakeStripe, Request
from tests.core.polls import WORDS, names
from tests.helpers import NOW, gets

FIRST, MIDDLE, END = NOW - 3_000, NOW - 2_000, NOW - 1_000


def ranged(client: StripeClient, first: int | None, end: int | None) -> list[str]:
    """Return the ids of the customers of a range."""
    resource, is_feed = list_named("customer")
    return names(read_list(client, resource, is_feed=is_feed, first=first, end=end))


@pytest.mark.parametrize("older", [0, 1, 2, 3, 4, 100])
@pytest.mark.parametrize("apart", [1, 2, 3])
def test_neighbours_that_stand_on_the_wrong_side_of_a_bound_are_in_one_range(
    fake: FakeStripe, client: StripeClient, older: int, apart: int
) -> None:
    """As far apart as a list may show them; their seconds say which range has which."""
    fake.add_many("customer", older, created=FIRST - 1_000, spread=900)
    late = fake.add("customer", created=FIRST, listed_at=FIRST - apart - 1)
    fake.add_many("customer", apart, created=FIRST - apart, spread=apart)
    next_one = fake.add("customer", created=MIDDLE, listed_at=MIDDLE - apart - 1)
    last = [fake.add("customer", created=MIDDLE - apart + at) for at in range(apart)]
    assert ranged(client, FIRST, MIDDLE) == [late, *last]
    assert ranged(client, MIDDLE, END) == [next_one]


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("older", [0, 3, 4, 8])
@pytest.mark.parametrize("skip", range(5))
def test_page_cursors_of_a_range_may_all_go(
    fake: FakeStripe, client: StripeClient, words: str, older: int, skip: int
) -> None:
    """What was there all the time is read once: with objects before the range, and with none or
    too few to begin behind, where the range is walked through from its new end.
    """
    fake.options(cursor_words=words)
    before = fake.add_many("customer", older, created=FIRST - 500, spread=400)
    made = fake.add_many("customer", 450, created=FIRST, spread=900)
    gone = set[str]()

    def strike(request: Request) -> None:
        for name, id in request.query:
            if name in ("ending_before", "starting_after") and id in {*made, *before} - gone:
                gone.add(id)
                fake.delete(id)

    fake.fault(hook=strike, skip=skip, every=2, times=4)
    read = ranged(client, FIRST, END)
    assert len(gone) >= 1
    assert [id for id in made if id not in gone] == [id for id in read if id not in gone]
    assert len(set(read)) == len(read)
    assert not set(read) & set(before)


@pytest.mark.parametrize("words", WORDS)
def test_an_empty_range_is_believed_where_all_that_is_older_goes(
    fake: FakeStripe, client: StripeClient, words: str
) -> None:
    """And one that is not empty is whole."""
    fake.options(cursor_words=words)
    before = fake.add_many("customer", 8, created=FIRST - 500, spread=400)
    made = fake.add_many("customer", 3, created=MIDDLE)
    fake.fault(hook=lambda _: [fake.delete(id) for id in before], skip=1, times=1)
    assert ranged(client, MIDDLE, END) == made
    assert ranged(client, FIRST, MIDDLE) == []


@pytest.mark.parametrize("size", [100, 101, 450])
def test_objects_that_come_meanwhile_are_in_a_range_without_an_end_or_not_but_once(
    fake: FakeStripe, client: StripeClient, size: int
) -> None:
    """The list goes on at its new end while the range is walked through from there."""
    made = fake.add_many("customer", size, created=FIRST, spread=900)
    fake.fault(hook=lambda _: fake.add("customer", created=END), every=1)
    read = ranged(client, None, None)
    assert [id for id in read if id in made] == made
    assert len(set(read)) == len(read)
    assert len(gets(fake)) <= -(-size // 100) + 2
