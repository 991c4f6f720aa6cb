"""Every feed is read in the same way: what the table says of a list is all that differs."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.fields import projection
from airflow_provider_stripe_lite.core.lists import feed_list, feed_named, list_named
from airflow_provider_stripe_lite.core.reading import poll, poll_window, read, read_list, reread
from airflow_provider_stripe_lite.core.resources import RESOURCES
from airflow_provider_stripe_lite.core.window import Position
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.core.polls import START, ids, names, window_of
from tests.helpers import NOW, Clock, SharedServer, client_for, gets

VERSIONS = {"order": "2020-08-27", "invoice_payment": "2025-03-31.basil"}


@pytest.mark.parametrize("feed", RESOURCES)
def test_every_feed_is_polled(server: SharedServer, clock: Clock, feed: Any) -> None:
    """Three objects come, then none, then one more that showed later; a window holds them, a range,
    and a row is made of each.
    """
    fake, resource = server.account(clock), feed_named(feed)
    options = {"api_version": VERSIONS[feed]} if feed in VERSIONS else {}
    client = client_for(server.url, **options)
    before = fake.add(feed, created=NOW - 2_000)
    made = fake.add_many(feed, 3, created=NOW - 500, spread=30)
    first = poll(client, resource, START)
    assert ids(first) == made
    assert first.position == Position(NOW - 479, made[-1])
    assert poll_window(client, resource, START).position == first.position
    assert poll(client, resource, first.position).items == []
    clock.now += 200
    made.append(fake.add(feed, created=NOW + 100))
    second = poll(client, resource, first.position, take=projection(feed, None))
    assert ids(second) == made[3:]
    assert names(read(client, window_of(START, second.position, feed))) == made
    listed, is_feed = list_named(resource.path)
    assert names(read_list(client, listed, is_feed=is_feed, first=None, end=NOW)) == [
        before,
        *made[:3],
    ]


# --- What a list would hide


def test_a_subscription_that_was_canceled_between_two_polls_is_delivered(
    fake: FakeStripe, client: StripeClient
) -> None:
    """Stripe's list leaves it out unless it is asked for, and so it is, in every request."""
    subscriptions = feed_named("subscription")
    seen = fake.add("subscription", created=NOW - 900)
    position = poll(client, subscriptions, START).position
    canceled = fake.add("subscription", created=NOW - 500, status="canceled")
    active = fake.add("subscription", created=NOW - 400)
    end = poll(client, subscriptions, position).position
    window = window_of(position, end, "subscription")
    assert reread(client, window, lambda raw: raw["id"]) == [canceled, active]
    resource, is_feed = list_named("subscription", {"customer": None})
    whole = read_list(client, resource, is_feed=is_feed, first=NOW - 950, end=None)
    assert names(whole) == [seen, canceled, active]
    poll_window(client, subscriptions, position)
    assert all(query["status"] == "all" for query in gets(fake))


def test_a_list_may_be_asked_for_less_than_the_feed_always_asks(
    fake: FakeStripe, client: StripeClient
) -> None:
    """Whoever lists a range names a status; nobody who polls can."""
    fake.add("subscription", created=NOW - 500)
    canceled = fake.add("subscription", created=NOW - 400, status="canceled")
    resource, is_feed = list_named("subscription", {"status": "canceled"})
    whole = read_list(client, resource, is_feed=is_feed, first=None, end=None)
    assert names(whole) == [canceled]
    assert dict(RESOURCES["subscription"].always) == {"status": "all"}


# --- Events


@pytest.mark.parametrize(
    ("types", "wanted"),
    [
        (["charge.failed"], ["charge.failed"]),
        (["charge.failed", "payout.paid"], ["charge.failed", "payout.paid"]),
        (["charge.*"], ["charge.failed", "charge.dispute.closed"]),
        (["*"], ["charge.failed", "payout.paid", "charge.dispute.closed"]),
        (None, ["charge.failed", "payout.paid", "charge.dispute.closed"]),
    ],
)
def test_events_are_polled_by_their_types(
    fake: FakeStripe, client: StripeClient, types: list[str] | None, wanted: list[str]
) -> None:
    """Names go as `types`, a wildcard as `type`; a position behind an event of one type holds."""
    events = feed_list("event", types)
    for at, name in enumerate(("charge.failed", "payout.paid", "charge.dispute.closed")):
        fake.add("event", created=NOW - 900 + at, type=name)
    position, got = START, list[str]()
    for _ in range(4):
        batch = poll(client, events, position, max_items=1)
        got, position = got + [item["type"] for item in batch.items], batch.position
    assert got == wanted


def test_an_events_object_may_have_no_id(fake: FakeStripe, client: StripeClient) -> None:
    """As that of invoice.upcoming: the row says its kind, and null."""
    upcoming = {"object": "invoice", "amount_due": 5}
    changed = {"object": "customer", "id": "cus_1", "email": "b@example.com"}
    fake.add("event", created=NOW - 500, type="invoice.upcoming", object=upcoming)
    fake.add(
        "event",
        created=NOW - 400,
        type="customer.updated",
        object=changed,
        previous_attributes={"email": "a@example.com"},
    )
    rows = poll(client, feed_named("event"), START, take=projection("event", None)).items
    assert [row["object_type"] for row in rows] == ["invoice", "customer"]
    assert [row["object_id"] for row in rows] == [None, "cus_1"]
    assert [row["previous_attributes"] for row in rows] == [None, {"email": "a@example.com"}]
    assert [row["account"] for row in rows] == [None, None]
    assert rows[1]["created"] == "2026-02-02T02:33:20+00:00"
    assert list(rows[0]) == [field.name for field in RESOURCES["event"].fields]


# --- Objects without a date, as a connected account that the platform knows little of


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("undated", [{0}, {1}, {2}, {0, 1}, {1, 2}, {0, 2}])
def test_an_object_without_a_date_is_named_and_delivered_with_the_others(
    fake: FakeStripe,
    client: StripeClient,
    caplog: pytest.LogCaptureFixture,
    undated: set[int],
    known: bool,
) -> None:
    """It takes its neighbour's place in time, and one line names it."""
    accounts, position = feed_named("account"), START
    if known:
        first = fake.add("account", created=NOW - 900)
        position = Position(NOW - 899, first)
    made = [
        fake.add("account", created=NOW - 500 + 10 * at, undated=at in undated) for at in range(3)
    ]
    caplog.clear()
    batch = poll(client, accounts, position)
    assert ids(batch) == made
    assert batch.position.last_id == made[-1]
    assert position.before < batch.position.before <= NOW - 479
    [line] = caplog.messages
    assert line.startswith(f"{len(undated)} objects of /v1/accounts have no created")
    assert all(made[at] in line for at in undated)
    assert poll(client, accounts, batch.position).items == []


@pytest.mark.parametrize("start", [Position(NOW - 800), Position(NOW - 899, "acct_0"), Position(0)])
def test_a_list_without_any_date_is_read_by_its_order(
    fake: FakeStripe, client: StripeClient, start: Position
) -> None:
    """Each once, over several pages and polls."""
    accounts = feed_named("account")
    fake.add("account", id="acct_0", created=NOW - 900)
    made = fake.add_many("account", 250, created=NOW - 500, spread=250, undated=True)
    if start.before == 0:
        made.insert(0, "acct_0")
    batch = poll(client, accounts, start)
    assert ids(batch) == made
    assert poll(client, accounts, batch.position).items == []
    fake.advance(100)
    more = fake.add_many("account", 2, created=NOW - 10, undated=True)
    assert ids(poll(client, accounts, batch.position)) == more


def test_a_window_of_undated_objects_gives_them_again(
    fake: FakeStripe, client: StripeClient
) -> None:
    """By its ids, between which the list says what it holds."""
    accounts = feed_named("account")
    start = Position(NOW - 899, fake.add("account", created=NOW - 900))
    made = fake.add_many("account", 130, created=NOW - 500, spread=130, undated=True)
    end = poll(client, accounts, start).position
    fake.add_many("account", 5, created=NOW - 100, undated=True)
    assert names(read(client, window_of(start, end, "account"))) == made


@pytest.mark.parametrize("value", [None, "1770000000", True, 1.5e9, [1]])
def test_a_date_that_is_none_counts_as_missing(
    fake: FakeStripe, client: StripeClient, value: Any
) -> None:
    """The object is handed on as it is."""
    made = [
        {"id": "acct_2", "object": "account", "created": NOW - 400},
        {"id": "acct_1", "object": "account", "created": value},
    ]
    fake.fault(status=200, body={"object": "list", "data": made, "has_more": False})
    assert poll(client, feed_named("account"), Position(NOW - 899, "acct_0")).items == made[::-1]
