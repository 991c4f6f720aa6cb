"""Objects are deleted, also those that a poll goes on from: nothing else is missed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.reading import poll
from airflow_provider_stripe_lite.core.window import Position
from airflow_provider_stripe_lite.errors import StripeInvalidRequestError
from airflow_provider_stripe_lite.testing import FakeStripe, Request
from tests.core.polls import START, found, ids, positioned
from tests.helpers import NOW, Clock, FakeLimiter, SharedServer, client_for


def test_deleting_everything_loses_nothing_and_ends(fake: FakeStripe, client: StripeClient) -> None:
    """An account that was emptied is an account with nothing new, and goes on from there."""
    position = positioned(fake, client)
    for id in fake.ids("customer"):
        fake.delete(id)
    batch = poll(client, "customer", position)
    assert found(batch) == ([], Position(NOW - 60, None), False)
    fake.advance(200)
    made = fake.add("customer", created=NOW)
    assert ids(poll(client, "customer", batch.position)) == [made]


def test_an_empty_account_costs_one_call(fake: FakeStripe, client: StripeClient) -> None:
    """No objects, no last one, no fuss, from any start."""
    for start in (Position(0), START, Position(NOW + 5_000)):
        fake.calls.clear()
        assert poll(client, "customer", start).items == []
        assert len(fake.calls) == 1


def vanish(
    fake: FakeStripe, times: int, *, skip: int = 0, every: int = 1, cursor: str = "ending_before"
) -> Callable[[], int]:
    """Let objects that requests name as their cursor be deleted just before Stripe looks; tells how
    many were.
    """
    named, gone = 0, 0

    def strike(request: Request) -> None:
        nonlocal named, gone
        id = dict(request.query).get(cursor)
        if id:
            named += 1
            if named > skip and (named - skip) % every == 0 and gone < times:
                fake.delete(id)
                gone += 1

    fake.fault(hook=strike, every=1)
    return lambda: gone


def test_a_cursor_that_vanishes_in_the_middle_does_not_start_from_the_front(
    fake: FakeStripe, client: StripeClient
) -> None:
    """It costs two calls and the page that was being read, not the pages before it."""
    position = positioned(fake, client)
    fake.add_many("customer", 2_000, created=NOW - 500, spread=400)
    vanish(fake, 1, skip=15)
    assert len(poll(client, "customer", position, max_items=5_000).items) == 2_000
    assert len(fake.calls) <= 20 + 3


@pytest.mark.parametrize("older", [0, 1])
@pytest.mark.parametrize("scrambled", [False, True])
def test_a_cursor_that_vanishes_in_the_middle_of_a_drain_loses_nothing(
    server: SharedServer, clock: Clock, older: int, scrambled: bool
) -> None:
    """Whatever page it happens on, and whether or not an older object is left to go on from."""
    fake, client = server.account(clock, scrambled=scrambled), client_for(server.url)
    fake.add_many("customer", older, created=NOW - 2_000)
    made = fake.add_many("customer", 700, created=NOW - 500, spread=3)
    vanish(fake, 3, skip=2)
    batch = poll(client, "customer", START)
    assert set(ids(batch)) >= set(made) & set(fake.ids("customer"))
    assert len(ids(batch)) == len(set(ids(batch)))
    seconds = [item["created"] for item in batch.items]
    assert seconds == sorted(seconds)


def test_cursors_may_be_lost_many_times_in_a_row(fake: FakeStripe, client: StripeClient) -> None:
    """Twenty cursors vanish one after the other, and the poll still ends with everything that is
    left.
    """
    fake.add_many("customer", 50, created=NOW - 2_000)
    position = positioned(fake, client)
    made = fake.add_many("customer", 5, created=NOW - 500)
    vanish(fake, 20)
    assert ids(poll(client, "customer", position)) == made


def test_cursors_that_are_not_lost_in_a_row_are_not_counted_together(
    fake: FakeStripe, client: StripeClient
) -> None:
    """A long drain may lose more than twenty: only a list that gives no page in between is given
    up.
    """
    position = positioned(fake, client)
    made = fake.add_many("customer", 3_000, created=NOW - 800, spread=600)
    lost = vanish(fake, 1_000, every=2)
    batch = poll(client, "customer", position, max_items=5_000)
    assert lost() > 20
    assert set(made) >= set(ids(batch)) >= set(made) & set(fake.ids("customer"))
    assert len(ids(batch)) == len(set(ids(batch)))


def test_a_list_that_refuses_every_cursor_is_an_error_in_the_end(
    fake: FakeStripe, client: StripeClient
) -> None:
    """Stripe's own error is passed on after 21 lost cursors; it does not try for ever."""
    fake.add_many("customer", 100, created=NOW - 2_000)
    position = positioned(fake, client)
    vanish(fake, 1_000)
    with pytest.raises(StripeInvalidRequestError) as caught:
        poll(client, "customer", position)
    assert caught.value.code == "resource_missing"
    assert len(fake.calls) < 50


@pytest.mark.parametrize(
    ("code", "param"),
    [
        ("parameter_invalid", "limit"),
        ("parameter_invalid", "ending_before"),
        ("parameter_invalid", None),
        ("resource_missing", "customer"),
        (None, None),
    ],
)
def test_an_error_that_is_no_lost_cursor_is_passed_on(
    fake: FakeStripe, client: StripeClient, code: str | None, param: str | None
) -> None:
    """Another 400 on a page is the caller's to see, at once."""
    position = positioned(fake, client)
    fake.fault(status=400, body={"error": {"message": "No.", "code": code, "param": param}})
    with pytest.raises(StripeInvalidRequestError, match=r"No."):
        poll(client, "customer", position)
    assert len(fake.calls) == 1


def test_a_cursor_lost_while_the_oldest_page_is_sought_is_no_matter(
    fake: FakeStripe, client: StripeClient
) -> None:
    """The search begins anew and still finds everything that is left."""
    made = fake.add_many("customer", 450, created=NOW - 900)
    vanish(fake, 2, skip=1, cursor="starting_after")
    batch = poll(client, "customer", START)
    assert set(ids(batch)) == set(fake.ids("customer")) <= set(made)
    assert len(ids(batch)) == len(set(ids(batch)))


def test_late_objects_from_before_the_start_do_not_make_it_search_for_ever(
    server: SharedServer, clock: Clock
) -> None:
    """More than a page of objects dated before the start appear just after it was seen that there
    are none.
    """
    fake, limiter = server.account(clock), FakeLimiter()
    client = client_for(server.url, limiter=limiter)
    made = fake.add_many("customer", 130, created=NOW)
    fake.fault(hook=lambda _: fake.add_many("customer", 130, created=NOW - 10), skip=2)
    limiter.open(most=50)
    batch = poll(client, "customer", Position(NOW))
    clock.now += 100
    assert batch.items == []
    assert ids(poll(client, "customer", batch.position)) == made
