"""Pages that cannot be had in full are read in smaller ones, and lists inside objects are cut."""

from __future__ import annotations

import time
from typing import Any

import pytest

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.lists import feed_named, list_named
from airflow_provider_stripe_lite.core.reading import newest_before, poll, read, read_list
from airflow_provider_stripe_lite.core.window import Position
from airflow_provider_stripe_lite.errors import StripeConnectionError, StripeServerError
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.core.hostile import Hostile, drip, request
from tests.core.polls import CUSTOMERS, START, ids, names, positioned, window_of
from tests.helpers import NOW, Connect, client_for, gets

# Decoded, they would take more memory than a worker may have.
TOO_MANY = '{"object": "list", "has_more": true, "data": [' + "0," * 1_000_001 + "0]}"


def limits(fake: FakeStripe) -> list[str]:
    """Return how large a page each request asked for."""
    return [query["limit"] for query in gets(fake)]


# --- Pages that are too large


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_page_that_cannot_be_had_is_halved_for_the_rest_of_the_read(
    fake: FakeStripe, client: StripeClient, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """After the tries, once; one line says from how many to how many, and why."""
    position = positioned(fake, client)
    made = fake.add_many("customer", 230, created=NOW - 500, spread=230)
    fake.fault(limit_over=50, status=status, times=None)
    assert ids(poll(client, CUSTOMERS, position)) == made
    assert limits(fake) == ["100"] * 5 + ["50"] * 5
    [line] = caplog.messages
    assert line.startswith("/v1/customers gave no page of 100 objects (")
    assert line.endswith("); going on with pages of 50.")


@pytest.mark.parametrize(("over", "sizes"), [(49, ["50", "25"]), (20, ["50", "25", "12"])])
def test_a_page_is_halved_until_it_comes(
    fake: FakeStripe, client: StripeClient, over: int, sizes: list[str]
) -> None:
    """A smaller one is tried once each, down to twelve objects."""
    position = positioned(fake, client)
    made = fake.add_many("customer", 30, created=NOW - 500, spread=30)
    fake.fault(limit_over=over, status=504, times=None)
    assert ids(poll(client, CUSTOMERS, position)) == made
    assert limits(fake)[5:][: len(sizes)] == sizes
    assert set(limits(fake)[5 + len(sizes) :]) <= {sizes[-1]}
    fake.calls.clear()
    poll(client, CUSTOMERS, position)
    assert limits(fake)[0] == "100"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"truncate": "length"}, "the connection broke off (IncompleteRead)"),
        ({"status": 200, "saved": False, "body": TOO_MANY}, "a body of more than a million values"),
    ],
    ids=["not whole", "too many values"],
)
def test_a_page_that_does_not_come_whole_or_holds_too_much_is_halved(
    fake: FakeStripe,
    client: StripeClient,
    caplog: pytest.LogCaptureFixture,
    fault: dict[str, Any],
    words: str,
) -> None:
    """A smaller one may pass whatever cuts the large ones off, and the line says what it was."""
    position = positioned(fake, client)
    made = fake.add_many("customer", 30, created=NOW - 500, spread=30)
    fake.fault(limit_over=20, times=None, **fault)
    assert ids(poll(client, CUSTOMERS, position)) == made
    assert limits(fake)[:8] == ["100"] * 5 + ["50", "25", "12"]
    assert set(limits(fake)[8:]) == {"12"}
    [line] = caplog.messages
    assert words in line


@pytest.mark.parametrize("kind", ["a window", "a range", "a list", "the beginning"])
def test_every_read_halves(fake: FakeStripe, client: StripeClient, kind: str) -> None:
    """Whatever is read, by whatever bounds."""
    start = positioned(fake, client)
    made = fake.add_many("customer", 180, created=NOW - 500, spread=180)
    fake.add_list("/v1/things", [{"id": id} for id in made])
    end = Position(NOW - 319, made[-1])
    fake.fault(limit_over=50, status=500, times=None)
    customers, things = list_named("customer"), list_named("/v1/things")

    def whole(named: Any, first: int | None) -> list[str]:
        resource, is_feed = named
        return names(read_list(client, resource, is_feed=is_feed, first=first, end=None))

    if kind == "a window":
        assert names(read(client, window_of(start, end))) == made
    elif kind == "a range":
        assert whole(customers, NOW - 500) == made
    elif kind == "a list":
        assert whole(things, None) == made
    else:
        assert whole(customers, None)[1:] == made
    assert limits(fake).count("100") == 5


def test_no_page_that_is_smaller_helps_where_the_server_is_down(
    fake: FakeStripe, client: StripeClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The error is the server's, and nothing is said about sizes."""
    position = positioned(fake, client)
    fake.fault(status=500, times=None)
    with pytest.raises(StripeServerError):
        poll(client, CUSTOMERS, position)
    assert limits(fake) == ["100"] * 5 + ["50", "25", "12"]
    assert caplog.messages == []


def test_one_object_is_no_page_to_halve(fake: FakeStripe, client: StripeClient) -> None:
    """A bell's look fails after its tries."""
    fake.fault(status=500, times=None)
    with pytest.raises(StripeServerError):
        newest_before(client, CUSTOMERS, NOW)
    assert limits(fake) == ["1"] * 5


@pytest.mark.parametrize(
    "fault", [{"status": 429}, {"reset": True}, {"status": 403, "body": "<html>"}]
)
def test_other_failures_say_nothing_about_the_size(
    fake: FakeStripe, client: StripeClient, fault: dict[str, Any]
) -> None:
    """A limit that is used up, a network that is broken, a gateway that refuses."""
    fake.fault(times=None, **fault)
    with pytest.raises(Exception, match=r".") as caught:
        poll(client, CUSTOMERS, START)
    assert not isinstance(caught.value, StripeServerError)
    assert limits(fake) == ["100"] * 5


def test_a_smaller_page_that_fails_otherwise_is_that_error(
    fake: FakeStripe, client: StripeClient
) -> None:
    """A network that breaks meanwhile is none of the size's."""
    fake.fault(status=500, limit_over=50, times=None)
    fake.fault(reset=True, times=None)
    with pytest.raises(StripeConnectionError):
        poll(client, CUSTOMERS, START)
    assert limits(fake) == ["100"] * 5 + ["50"]


def test_an_answer_that_never_ends_is_halved_within_twice_its_deadline() -> None:
    """All smaller pages together take no longer than the first one."""

    def script(connection: Any) -> None:
        request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        drip(connection, b" ")

    server = Hostile(script)
    with server as url:
        client = client_for(url, timeout=1.0)
        started = time.monotonic()
        with pytest.raises(StripeConnectionError) as caught:
            poll(client, CUSTOMERS, START)
        assert time.monotonic() - started < 2.5 * client.timeout
    assert caught.value.timed_out
    assert 2 <= server.connections <= 4


# --- Lists inside objects, which end at ten


def inner(there: int, **fields: Any) -> dict[str, Any]:
    """Return a list inside an object, of which Stripe shows so many."""
    objects = [{"id": f"re_{at}", "object": "refund"} for at in range(there)]
    usual = {"object": "list", "data": objects, "has_more": True, "url": "/v1/charges/ch_1/refunds"}
    return usual | fields


def charges(connect: Connect) -> list[Any]:
    """Poll the charges in a version whose charges hold their refunds."""
    return poll(connect(api_version="2020-08-27"), feed_named("charge"), START).items


@pytest.mark.parametrize(
    ("fields", "missing"),
    [({"total_count": 12}, "and 2 are missing"), ({}, "and an unknown number are missing")],
)
def test_an_inner_list_that_is_cut_is_said(
    fake: FakeStripe,
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
    fields: dict[str, int],
    missing: str,
) -> None:
    """In one line: which object, which list, how many are missing, and how to read them."""
    fake.add("charge", created=NOW - 500)
    cut = fake.add("charge", created=NOW - 400, refunds=inner(10, **fields))
    assert len(charges(connect)) == 2
    [line] = caplog.messages
    assert line.startswith(f"{cut} holds 10 of its refunds, {missing}: ")
    assert line.endswith("hook.list('/v1/charges/ch_1/refunds').")


def test_a_page_says_it_once(
    fake: FakeStripe, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """A day of invoices would fill the log."""
    for at in range(3):
        fake.add("charge", created=NOW - 500 + at, refunds=inner(10, total_count=12))
    charges(connect)
    [line] = caplog.messages
    assert line.endswith("; so do 2 more lists of this page.")


def test_what_is_missing_can_be_read_as_the_line_says(
    fake: FakeStripe, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """All of it, newest first."""
    whole = [{"id": f"re_{at}", "object": "refund"} for at in range(112)]
    fake.add_list("/v1/charges/ch_1/refunds", whole)
    fake.add("charge", created=NOW - 400, refunds=inner(10, total_count=112))
    charges(connect)
    path = caplog.messages[0].partition("hook.list('")[2].partition("'")[0]
    resource, is_feed = list_named(path)
    read = list(read_list(connect(), resource, is_feed=is_feed, first=None, end=None))
    assert read == whole


@pytest.mark.parametrize(
    "fields",
    [
        {"refunds": inner(10, has_more=False)},
        {"refunds": inner(0, has_more=False)},
        {"refunds": None},
        {"metadata": {"has_more": "true"}},
    ],
)
def test_an_inner_list_that_is_whole_is_not_worth_a_line(
    fake: FakeStripe, connect: Connect, caplog: pytest.LogCaptureFixture, fields: dict[str, Any]
) -> None:
    """Nor is one that is empty, or metadata that looks like one."""
    fake.add_many("charge", 2, created=NOW - 400, **fields)
    assert len(charges(connect)) == 2
    assert caplog.messages == []
