"""What a poll costs, what it delivers, and what happens when Stripe's lists are at their worst."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.reading import (
    Batch,
    newest_before,
    poll,
    read,
    reread,
)
from airflow_provider_stripe_lite.core.window import Position
from airflow_provider_stripe_lite.errors import (
    RateLimitWait,
    StripeConnectionError,
    StripeInputError,
    StripeInvalidRequestError,
    StripeNotFoundError,
    StripeServerError,
)
from airflow_provider_stripe_lite.testing import FakeStripe, Request
from tests.helpers import (
    NOW,
    Clock,
    FakeLimiter,
    SharedServer,
    client_for,
    gets,
    raw_server,
    window,
)

START = Position(NOW - 1_000)


def ids(batch: Batch) -> list[str]:
    return [item["id"] for item in batch.items]


def found(batch: Batch) -> tuple[list[Any], Position, bool]:
    return batch.items, batch.position, batch.more


def positioned(fake: FakeStripe, client: StripeClient) -> Position:
    """Return a position with an id, as each poll but the first has one; the log is empty."""
    position = Position(NOW - 899, fake.add("customer", created=NOW - 900))
    assert poll(client, "customer", position, min_age=899).items == []
    fake.calls.clear()
    return position


# --- What is delivered


def test_new_objects_come_oldest_first_and_once(fake: FakeStripe, client: StripeClient) -> None:
    """Two polls in a row share the objects between them, in the order of creation."""
    first = fake.add_many("customer", 5, created=NOW - 500)
    batch = poll(client, "customer", START)
    second = fake.add_many("customer", 5, created=NOW - 55)
    assert ids(batch) == first
    assert batch.position == Position(NOW - 60, first[-1])
    fake.advance(60)
    assert ids(poll(client, "customer", batch.position)) == second


def test_an_object_is_delivered_when_it_is_old_enough(
    fake: FakeStripe, client: StripeClient, clock: Clock
) -> None:
    """An object waits until it is more than `min_age` seconds old by Stripe's clock."""
    made = fake.add("customer", created=NOW)
    position = poll(client, "customer", START).position
    clock.now = NOW + 60
    position = poll(client, "customer", position).position
    clock.now = NOW + 61
    assert ids(poll(client, "customer", position)) == [made]


def test_an_object_that_shows_late_is_not_missed(
    fake: FakeStripe, client: StripeClient, clock: Clock
) -> None:
    """Up to `min_age` seconds may pass between the date of an object and its appearance."""
    late = fake.add("customer", created=NOW, visible_at=NOW + 59.9)
    clock.now = NOW + 59
    prompt = fake.add("customer", created=NOW + 20)
    batch = poll(client, "customer", START)
    clock.now = NOW + 100
    assert ids(batch) == []
    assert ids(poll(client, "customer", batch.position)) == [late, prompt]


def test_the_server_clock_counts_and_not_the_workers(
    fake: FakeStripe, client: StripeClient
) -> None:
    """The fake has a time of its own; what is old enough there is delivered, whatever the clock
    here.
    """
    fake.add("customer", created=NOW - 61)
    fake.add("customer", created=NOW - 60)
    batch = poll(client, "customer", START)
    assert len(batch.items) == 1
    assert batch.position.before == NOW - 60


def test_objects_dated_in_the_future_wait_their_turn(
    fake: FakeStripe, client: StripeClient, clock: Clock
) -> None:
    """They hold nothing up and are delivered when their date is old enough."""
    future = fake.add("customer", created=NOW + 3_000)
    present = fake.add("customer", created=NOW - 100)
    batch = poll(client, "customer", START)
    assert ids(batch) == [present]
    clock.now = NOW + 4_000
    assert ids(poll(client, "customer", batch.position)) == [future]


def test_what_was_created_before_the_start_never_comes(
    fake: FakeStripe, client: StripeClient
) -> None:
    """The second of the start itself belongs to it, the one before does not."""
    fake.add_many("customer", 150, created=NOW - 200)
    after = fake.add("customer", created=NOW - 199)
    assert ids(poll(client, "customer", Position(NOW - 199))) == [after]


def test_the_position_never_runs_back(fake: FakeStripe, client: StripeClient, clock: Clock) -> None:
    """A clock that runs back a second, or a longer `min_age`, delivers nothing twice."""
    fake.add_many("customer", 3, created=NOW - 61)
    batch = poll(client, "customer", START)
    clock.now -= 1
    assert found(poll(client, "customer", batch.position)) == ([], batch.position, False)
    longer = poll(client, "customer", batch.position, min_age=600)
    assert found(longer) == ([], batch.position, False)


def test_min_age_zero_delivers_up_to_the_second_before(
    fake: FakeStripe, client: StripeClient
) -> None:
    """Even without `min_age`, a second is delivered only when it is over."""
    over = fake.add("customer", created=NOW - 1)
    fake.add("customer", created=NOW)
    assert ids(poll(client, "customer", START, min_age=0)) == [over]


@pytest.mark.parametrize(
    ("feed", "options"),
    [
        ("customer", {}),
        ("charge", {}),
        ("invoiceitem", {}),
        ("checkout.session", {}),
        ("order", {"api_version": "2020-08-27"}),
    ],
)
def test_every_feed_is_read_in_the_same_way(
    fake: FakeStripe, connect: Callable[..., StripeClient], feed: str, options: dict[str, str]
) -> None:
    """Each kind of object, also the one whose date is not called `created`."""
    made = fake.add_many(feed, 250, created=NOW - 500, spread=100)
    assert ids(poll(connect(**options), feed, START)) == made


# --- Cut only between seconds


@pytest.mark.parametrize("max_items", [1, 101, 5_000])
def test_one_second_is_one_batch(fake: FakeStripe, client: StripeClient, max_items: int) -> None:
    """5,000 objects of one second come together, however small the batch was to be."""
    before = fake.add("customer", created=NOW - 200)
    burst = fake.add_many("customer", 5_000, created=NOW - 100)
    after = fake.add("customer", created=NOW - 99)
    first = poll(client, "customer", START, max_items=max_items)
    second = poll(client, "customer", first.position, max_items=max_items)
    third = poll(client, "customer", second.position, max_items=max_items)
    assert [ids(first), ids(second), ids(third)] == [[before], burst, [after]]
    assert [first.more, second.more, third.more] == [True, True, False]
    assert first.position == Position(NOW - 100, before)


def test_a_batch_ends_between_two_seconds(fake: FakeStripe, client: StripeClient) -> None:
    """`max_items` is kept, and no second is split."""
    made = [fake.add_many("customer", 3, created=NOW - 500 + second) for second in range(4)]
    batch = poll(client, "customer", START, max_items=8)
    assert ids(batch) == made[0] + made[1]
    assert batch.position == Position(NOW - 498, made[1][-1])
    assert batch.more


def test_a_batch_that_fits_exactly_leaves_nothing(fake: FakeStripe, client: StripeClient) -> None:
    """There is more only if there is more."""
    fake.add_many("customer", 200, created=NOW - 500, spread=200)
    assert poll(client, "customer", START, max_items=200).more is False
    assert poll(client, "customer", START, max_items=199).more is True


def test_what_is_not_old_enough_is_not_left_over(fake: FakeStripe, client: StripeClient) -> None:
    """A burst of 500 that is not old enough yet does not ask for another poll at once."""
    fake.add_many("customer", 500, created=NOW - 10)
    old = fake.add("customer", created=NOW - 100)
    batch = poll(client, "customer", START, max_items=1)
    assert ids(batch) == [old]
    assert not batch.more


# --- What it costs


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


# --- Deletions


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


# --- Failures and waiting


def test_a_page_that_fails_loses_nothing(fake: FakeStripe, client: StripeClient) -> None:
    """The error is passed on after the last try, and the same position gives everything later."""
    made = fake.add_many("customer", 250, created=NOW - 500, spread=100)
    fake.fault(status=500, times=5, skip=2)
    with pytest.raises(StripeServerError):
        poll(client, "customer", START)
    assert ids(poll(client, "customer", START)) == made


def test_no_free_slot_means_that_nothing_was_read(
    fake: FakeStripe, connect: Callable[..., StripeClient]
) -> None:
    """The wait is known beforehand and no request is sent."""
    limiter = FakeLimiter()
    limiter.open(free=0)
    with pytest.raises(RateLimitWait) as caught:
        poll(connect(limiter=limiter), "customer", START, max_wait=0)
    assert caught.value.seconds == 7.0
    assert fake.calls == []


def test_slots_that_run_out_in_the_middle_end_the_batch(
    fake: FakeStripe, connect: Callable[..., StripeClient]
) -> None:
    """What is complete is delivered; the last second seen may not be complete, so it waits."""
    limiter = FakeLimiter()
    client = connect(limiter=limiter)
    position = positioned(fake, client)
    made = fake.add_many("customer", 950, created=NOW - 500, spread=95)
    limiter.open(free=3)
    batch = poll(client, "customer", position, max_wait=0)
    assert ids(batch) == made[:290]
    assert batch.more
    limiter.open()
    assert ids(poll(client, "customer", batch.position, max_wait=0)) == made[290:]


def test_a_second_that_is_larger_than_the_slots_is_waited_for(
    fake: FakeStripe, connect: Callable[..., StripeClient]
) -> None:
    """One second with 500 objects cannot be cut, so the poll waits instead of reading it in vain
    again and again.
    """
    limiter = FakeLimiter()
    client = connect(limiter=limiter)
    position = positioned(fake, client)
    made = fake.add_many("customer", 500, created=NOW - 500)
    limiter.open(free=1)
    assert ids(poll(client, "customer", position, max_wait=0)) == made


def test_a_lost_cursor_does_not_waste_the_call_that_found_it_out(
    fake: FakeStripe, connect: Callable[..., StripeClient]
) -> None:
    """After its first call a poll waits for the next slot, else two calls would never be had where
    one is free.
    """
    limiter = FakeLimiter()
    client = connect(limiter=limiter)
    position = positioned(fake, client)
    made = fake.add("customer", created=NOW - 500)
    fake.delete(str(position.last_id))
    limiter.open(free=1)
    assert ids(poll(client, "customer", position, max_wait=0)) == [made]


def test_orders_that_stripe_no_longer_has_are_one_clear_error(
    fake: FakeStripe, client: StripeClient
) -> None:
    """It says that the API is gone, since which version, and what to use; and it is not tried
    again.
    """
    with pytest.raises(
        StripeNotFoundError, match=r"has removed the Orders API.*2020-08-27.*checkout.session"
    ) as caught:
        poll(client, "order", START)
    assert caught.value.status == 404
    assert not caught.value.retryable
    assert len(fake.calls) == 1


def test_an_address_that_is_not_there_is_an_error_of_every_feed(
    fake: FakeStripe, client: StripeClient
) -> None:
    """A 404 for another list is passed on as Stripe said it."""
    fake.fault(status=404, body={"error": {"message": "Unrecognized request URL."}})
    with pytest.raises(StripeNotFoundError, match=r"^Unrecognized request URL"):
        poll(client, "customer", START)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": None},
        {"data": {}},
        {"data": [1]},
        {"data": [{"id": 5, "created": 1}]},
        {"data": [{"id": "a"}]},
        {"data": [{"id": "a", "created": "1"}]},
        {"data": [{"id": "a", "created": True}]},
        {"data": [], "has_more": True},
    ],
)
def test_an_answer_that_is_no_list_moves_nothing(
    fake: FakeStripe, client: StripeClient, body: Any
) -> None:
    """A server that is not Stripe is found out, and no position is made of what it says."""
    fake.fault(status=200, body=body)
    with pytest.raises(StripeConnectionError, match="gave no list of objects with id and created"):
        poll(client, "customer", START)


def test_a_page_that_comes_again_is_an_error_and_no_endless_walk(
    fake: FakeStripe, client: StripeClient
) -> None:
    """A server that ignores the page cursor would otherwise be asked for ever."""
    page = {
        "object": "list",
        "has_more": True,
        "data": [{"id": "cus_newest", "created": NOW - 100}],
    }
    fake.fault(path="/v1/customers", status=200, body=page, times=2)
    with pytest.raises(StripeConnectionError, match="the same page again"):
        poll(client, "customer", Position(NOW - 200, "cus_last"))


def test_an_answer_without_a_date_moves_nothing(client: StripeClient) -> None:
    """Without Stripe's clock nobody can say what is old enough."""
    body = b'{"data": [], "has_more": false}'
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (
        len(body),
        body,
    )
    with (
        raw_server(answer) as (url, _),
        pytest.raises(StripeConnectionError, match="no Date header"),
    ):
        poll(client_for(url), "customer", START)


# --- Windows and positions


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


@pytest.mark.parametrize("feed", ["", "customers", None, 5, ["customer"], "x" * 10_000])
def test_a_feed_that_is_none_is_refused(fake: FakeStripe, client: StripeClient, feed: Any) -> None:
    """The sentence names some that there are, and nothing is sent."""
    with pytest.raises(StripeInputError, match=r"^feed must be one of .*customer.*, got") as caught:
        poll(client, feed, START)
    assert len(str(caught.value)) < 300
    assert fake.calls == []


@pytest.mark.parametrize(
    ("feed", "meant"),
    [
        ("invoice_item", "invoiceitem"),
        ("checkout_session", "checkout.session"),
        ("Charge", "charge"),
    ],
)
def test_a_feed_that_is_nearly_one_is_told_its_name(
    client: StripeClient, feed: str, meant: str
) -> None:
    """Where people write it as the path of the list, or as a class."""
    with pytest.raises(StripeInputError, match=rf"such as {meant}, "):
        poll(client, feed, START)
