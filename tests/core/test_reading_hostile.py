"""A list server that is not Stripe, or not well: each answer ends in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.lists import list_named
from airflow_provider_stripe_lite.core.reading import newest_before, poll, poll_window, read_list
from airflow_provider_stripe_lite.core.window import Position
from airflow_provider_stripe_lite.errors import StripeConnectionError
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.core.polls import CUSTOMERS, START, answers, ignore, positioned
from tests.helpers import NOW, Connect, FakeLimiter

BEHIND = Position(NOW - 900, "cus_last")
OLD = {"id": "cus_1", "created": NOW - 500}
# Every way in which a list is asked.
STARTS = [START, BEHIND, Position(0)]


def refused(client: StripeClient, start: Position, words: str) -> StripeConnectionError:
    """Return the error of a poll: one sentence that says what to do, and nothing was delivered."""
    with pytest.raises(StripeConnectionError, match=words) as caught:
        poll(client, CUSTOMERS, start)
    sentence = str(caught.value.args[0])
    assert sentence.startswith("GET /v1/customers gave ")
    assert sentence.endswith(f"check what answers at {client.base_url}.")
    assert len(sentence) < 300
    assert caught.value.retryable
    assert caught.value.request_id
    return caught.value


# --- No page of a list


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        "cus_1",
        7,
        [1],
        [None],
        [OLD, "cus_2"],
        [OLD, [OLD]],
        [{}],
        [{"created": NOW - 500}],
        [OLD, {"id": 5, "created": NOW - 500}],
        [{"id": "", "created": NOW - 500}],
        [{"id": None, "created": NOW - 500}],
        [{"id": ["cus_1"], "created": NOW - 500}],
    ],
)
@pytest.mark.parametrize("start", STARTS)
def test_data_that_is_no_list_of_objects_with_ids_is_refused(
    fake: FakeStripe, client: StripeClient, data: Any, start: Position
) -> None:
    """Whatever stands in its place."""
    answers(fake, data)
    refused(client, start, "gave no list of objects with ids in data")
    assert len(fake.calls) == 1


@pytest.mark.parametrize("more", [None, "true", "false", 1, 0, "", [], {"more": True}])
@pytest.mark.parametrize("start", STARTS)
def test_has_more_that_is_no_truth_value_is_refused(
    fake: FakeStripe, client: StripeClient, more: Any, start: Position
) -> None:
    """What lies behind the page is not guessed at."""
    answers(fake, [OLD], more=more)
    refused(client, start, r"gave has_more .*, which must be true or false")


def test_has_more_that_is_null_or_text_of_any_length_is_refused(
    fake: FakeStripe, client: StripeClient
) -> None:
    """The sentence stays short."""
    for more in (None, "x" * 100_000):
        fake.fault(status=200, body={"object": "list", "data": [OLD], "has_more": more})
        refused(client, START, r"gave has_more")


@pytest.mark.parametrize("start", STARTS)
def test_an_empty_page_with_more_behind_it_is_refused(
    fake: FakeStripe, client: StripeClient, start: Position
) -> None:
    """There is no object to go on from."""
    answers(fake, [], more=True)
    refused(client, start, "gave an empty page and says that there is more")


@pytest.mark.parametrize("body", ["[]", "null", "5", '"list"', "", "<html>", '{"data": [', "NaN"])
def test_a_body_that_is_no_object_is_refused(
    fake: FakeStripe, client: StripeClient, body: str
) -> None:
    """After the usual tries."""
    fake.fault(status=200, body=body, every=1)
    with pytest.raises(StripeConnectionError, match="not a JSON object"):
        poll(client, CUSTOMERS, START)
    assert len(fake.calls) == 5


@pytest.mark.parametrize("value", [5, "all", None, [1], {"data": {}}])
def test_an_inner_list_that_is_none_harms_nobody(
    fake: FakeStripe, client: StripeClient, value: Any
) -> None:
    """It is handed on as it is."""
    answers(fake, [OLD | {"refunds": {"has_more": True, "data": value}, "has_more": False}])
    assert len(poll(client, CUSTOMERS, START).items) == 1


# --- Parameters that are ignored


def test_a_server_that_ignores_where_to_begin_is_refused(
    fake: FakeStripe, connect: Connect
) -> None:
    """It would give the newest page for ever."""
    limiter = FakeLimiter()
    client = connect(limiter=limiter)
    position = positioned(fake, client)
    fake.add_many("customer", 450, created=NOW - 500, spread=300)
    ignore(fake, "ending_before")
    limiter.open(most=10)
    refused(client, position, "the object of the page cursor again, so it has no end")


@pytest.mark.parametrize("new", [0, 40])
def test_a_server_that_gives_the_last_object_again_is_refused(
    fake: FakeStripe, client: StripeClient, new: int
) -> None:
    """A page behind an object does not hold it."""
    position = positioned(fake, client)
    fake.add_many("customer", new, created=NOW - 500, spread=300)
    ignore(fake, "ending_before")
    refused(client, position, "the object of the page cursor again")


@pytest.mark.parametrize(
    ("start", "words"),
    [(START, "gave no older page when asked for one, so it has no end"), (Position(0), "again")],
)
def test_a_server_that_ignores_what_to_go_on_after_is_refused(
    fake: FakeStripe, connect: Connect, start: Position, words: str
) -> None:
    """On the way to the old end of the list."""
    limiter = FakeLimiter()
    fake.add_many("customer", 2_450, created=NOW - 900, spread=800)
    ignore(fake, "starting_after")
    limiter.open(most=40)
    refused(connect(limiter=limiter), start, words)


def test_a_list_by_its_path_that_gives_the_same_page_again_is_refused(
    fake: FakeStripe, connect: Connect
) -> None:
    """It has no times to tell by."""
    limiter = FakeLimiter()
    limiter.open(most=10)
    fake.add_list("/v1/invoices/in_1/lines", [{"id": f"il_{at}"} for at in range(250)])
    ignore(fake, "starting_after")
    lines, is_feed = list_named("/v1/invoices/in_1/lines")
    with pytest.raises(StripeConnectionError, match="the object of the page cursor again"):
        list(read_list(connect(limiter=limiter), lines, is_feed=is_feed, first=None, end=None))


def test_a_server_that_ignores_the_oldest_second_is_refused(
    fake: FakeStripe, client: StripeClient
) -> None:
    """It would give what was created before the start."""
    fake.add_many("customer", 20, created=NOW - 5_000, spread=4_500)
    ignore(fake, "created[gte]")
    refused(client, START, "gave objects of another time than was asked for")


def test_a_server_that_ignores_the_newest_second_is_refused(
    fake: FakeStripe, client: StripeClient
) -> None:
    """A window, a bell, a range, and what looks for the object before a date."""
    position = positioned(fake, client)
    fake.add_many("customer", 1_450, created=NOW - 800, spread=790)
    ignore(fake, "created[lt]")
    customers, is_feed = list_named("customer")
    for look in (
        lambda: poll_window(client, CUSTOMERS, position),
        lambda: newest_before(client, CUSTOMERS, NOW - 300),
        lambda: list(read_list(client, customers, is_feed=is_feed, first=None, end=NOW - 300)),
        lambda: list(read_list(client, customers, is_feed=is_feed, first=NOW - 600, end=None)),
    ):
        with pytest.raises(StripeConnectionError, match="of another time than was asked for"):
            look()


def test_a_server_that_knows_no_bound_at_all_is_asked_a_few_times(
    fake: FakeStripe, connect: Connect
) -> None:
    """Whatever is asked, it gives its newest page."""
    limiter = FakeLimiter()
    client = connect(limiter=limiter)
    fake.add_many("customer", 450, created=NOW - 5_000, spread=4_500)
    last = fake.ids("customer")[100]
    ignore(fake, "ending_before", "starting_after", "created[gte]", "created[lt]")
    limiter.open(most=20)
    for start in (START, Position(0), Position(NOW - 4_001, last), Position(NOW - 20)):
        with pytest.raises(StripeConnectionError):
            poll(client, CUSTOMERS, start)


# --- Sizes


def test_a_page_of_one_object_at_a_time_is_read_to_its_end(
    fake: FakeStripe, client: StripeClient
) -> None:
    """A server may give less than was asked for."""
    position = positioned(fake, client)
    made = fake.add_many("customer", 25, created=NOW - 500, spread=20)
    fake.fault(hook=lambda request: request.query.insert(0, ("limit", "1")), every=1)
    assert [item["id"] for item in poll(client, CUSTOMERS, position).items] == made
