"""Objects are deleted, also those that a poll goes on from: nothing else is missed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.reading import poll
from airflow_provider_stripe_lite.core.window import Position
from airflow_provider_stripe_lite.errors import (
    StripeAuthenticationError,
    StripeConnectionError,
    StripeError,
    StripeInvalidRequestError,
    StripePermissionError,
    StripeServerError,
)
from airflow_provider_stripe_lite.testing import FakeStripe, Request
from tests.core.polls import CUSTOMERS, START, found, ids, positioned
from tests.helpers import NOW, Clock, FakeLimiter, SharedServer, client_for, gets


def test_deleting_everything_loses_nothing_and_ends(fake: FakeStripe, client: StripeClient) -> None:
    """An account that was emptied is an account with nothing new, and goes on from there."""
    position = positioned(fake, client)
    for id in fake.ids("customer"):
        fake.delete(id)
    batch = poll(client, CUSTOMERS, position)
    assert found(batch) == ([], Position(position.before), False)
    fake.advance(200)
    made = fake.add("customer", created=NOW)
    assert ids(poll(client, CUSTOMERS, batch.position)) == [made]


def test_an_empty_account_costs_one_call(fake: FakeStripe, client: StripeClient) -> None:
    """No objects, no last one, no fuss, from any start."""
    for start in (Position(0), START, Position(NOW)):
        fake.calls.clear()
        assert found(poll(client, CUSTOMERS, start)) == ([], start, False)
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
    assert len(poll(client, CUSTOMERS, position, max_items=5_000).items) == 2_000
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
    batch = poll(client, CUSTOMERS, START)
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
    assert ids(poll(client, CUSTOMERS, position)) == made


def test_cursors_that_are_not_lost_in_a_row_are_not_counted_together(
    fake: FakeStripe, client: StripeClient
) -> None:
    """A long drain may lose more than twenty: only a list that gives no page in between is given
    up.
    """
    position = positioned(fake, client)
    made = fake.add_many("customer", 3_000, created=NOW - 800, spread=600)
    lost = vanish(fake, 1_000, every=2)
    batch = poll(client, CUSTOMERS, position, max_items=5_000)
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
        poll(client, CUSTOMERS, position)
    assert caught.value.code == "resource_missing"
    assert len(fake.calls) < 50


@pytest.mark.parametrize(
    ("code", "param"),
    [
        ("parameter_invalid", "limit"),
        ("parameter_invalid", "ending_before"),
        ("resource_missing", "customer"),
        (None, None),
    ],
)
@pytest.mark.parametrize("status", [400, 404])
def test_an_error_that_was_not_about_the_cursor_meets_the_next_request_too(
    fake: FakeStripe, client: StripeClient, status: int, code: str | None, param: str | None
) -> None:
    """Whatever its words: the same request without the cursor tells, in one call more."""
    position = positioned(fake, client)
    error = {"type": "invalid_request_error", "message": "Really no.", "code": code, "param": param}
    fake.fault(status=status, body={"error": error}, times=2)
    with pytest.raises(StripeInvalidRequestError, match=r"Really no\.") as caught:
        poll(client, CUSTOMERS, position)
    assert (caught.value.status, caught.value.code, caught.value.param) == (status, code, param)
    assert len(fake.calls) == 2


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (
            {"status": 401, "body": {"error": {"message": "No such key.", "type": "x"}}},
            StripeAuthenticationError,
        ),
        (
            {"status": 403, "body": {"error": {"message": "Not yours.", "type": "x"}}},
            StripePermissionError,
        ),
        ({"status": 404, "body": "<html>nobody</html>", "times": 5}, StripeConnectionError),
        ({"status": 500, "times": 20}, StripeServerError),
    ],
)
def test_another_error_says_nothing_about_the_cursor(
    fake: FakeStripe, client: StripeClient, fault: dict[str, Any], kind: type[StripeError]
) -> None:
    """A gateway's page is none of Stripe's, and a key that is refused is refused for every call."""
    position = positioned(fake, client)
    fake.fault(**fault)
    with pytest.raises(StripeError) as caught:
        poll(client, CUSTOMERS, position)
    assert isinstance(caught.value, kind)
    assert all("ending_before" in query for query in gets(fake))


def test_a_cursor_lost_while_the_oldest_page_is_sought_is_no_matter(
    fake: FakeStripe, client: StripeClient
) -> None:
    """The search begins anew and still finds everything that is left."""
    made = fake.add_many("customer", 450, created=NOW - 900)
    vanish(fake, 2, skip=1, cursor="starting_after")
    batch = poll(client, CUSTOMERS, START)
    assert set(made) >= set(ids(batch)) >= set(fake.ids("customer"))
    assert len(ids(batch)) == len(set(ids(batch)))


@pytest.mark.parametrize("start", [START, Position(0)])
@pytest.mark.parametrize("rest", [1, 60])
def test_the_oldest_objects_may_all_go_while_they_are_sought(
    fake: FakeStripe, client: StripeClient, start: Position, rest: int
) -> None:
    """The page that was announced is empty then, and the one before it is the oldest."""
    made = fake.add_many("customer", 100 + rest, created=NOW - 900, spread=300)
    fake.fault(hook=lambda _: deque(map(fake.delete, made[:rest])), skip=1)
    assert ids(poll(client, CUSTOMERS, start)) == made[rest:]


@pytest.mark.parametrize("start", [START, Position(0)])
def test_a_page_that_was_deleted_as_a_whole_is_not_taken_for_the_end(
    fake: FakeStripe, client: StripeClient, start: Position
) -> None:
    """None of its objects leads to what is older: the poll fails, and the next one has it all."""
    made = fake.add_many("customer", 150, created=NOW - 900, spread=300)
    fake.fault(hook=lambda _: deque(map(fake.delete, made[50:])), skip=1)
    with pytest.raises(StripeInvalidRequestError):
        poll(client, CUSTOMERS, start)
    assert ids(poll(client, CUSTOMERS, start)) == made[:50]


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
    batch = poll(client, CUSTOMERS, Position(NOW))
    clock.now += 100
    assert batch.items == []
    assert ids(poll(client, CUSTOMERS, batch.position)) == made
