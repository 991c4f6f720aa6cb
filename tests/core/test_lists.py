"""Which list is meant and how it is asked is known, or refused, before any request."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.lists import event_types, feed_list, feed_named, list_named
from airflow_provider_stripe_lite.core.reading import read_list
from airflow_provider_stripe_lite.core.resources import RESOURCES
from airflow_provider_stripe_lite.errors import StripeInputError
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.helpers import NOW, gets

# --- Names


@pytest.mark.parametrize("feed", ["", "customers", None, 5, ["customer"], {}, "x" * 10_000, "/v1"])
def test_a_feed_that_is_none_is_refused(feed: Any) -> None:
    """The sentence names some that there are."""
    with pytest.raises(StripeInputError, match=r"^feed must be one of .*such as .*, got") as caught:
        feed_named(feed)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("feed", "meant"),
    [
        ("invoice_item", "invoiceitem"),
        ("checkout_session", "checkout.session"),
        ("Charge", "charge"),
        ("subscriptions", "subscription"),
        ("payment_intents", "payment_intent"),
    ],
)
def test_a_feed_that_is_nearly_one_is_told_its_name(feed: str, meant: str) -> None:
    """Where people write it as the path of the list, or as a class."""
    with pytest.raises(StripeInputError, match=rf"such as {meant}, "):
        feed_named(feed)
    with pytest.raises(StripeInputError, match=rf"such as {meant}, "):
        list_named(feed)


@pytest.mark.parametrize("feed", RESOURCES)
def test_a_feed_is_known_by_its_name_and_by_its_path(feed: str) -> None:
    """Both are the same list, asked in the same way."""
    assert feed_named(feed) is feed_list(feed) is RESOURCES[feed]
    by_name, by_path = list_named(feed), list_named(RESOURCES[feed].path)
    assert by_name == by_path == (RESOURCES[feed], True)


@pytest.mark.parametrize(
    "path", ["/v1/prices", "/v1/invoices/in_1/lines", "/v1/customers/cus_1/balance_transactions"]
)
def test_any_other_path_is_a_list_that_is_no_feed(path: str) -> None:
    """It is asked for nothing but what its reader gives."""
    resource, is_feed = list_named(path)
    assert (resource.path, resource.always, is_feed) == (path, (), False)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/",
        "/v2/core/accounts",
        "/v1/prices?active=false",
        "/v1/prices#x",
        "//api.example.com/v1/prices",
        "/v1/../v2/x",
        "/v1/prices\n",
        "/v1/prices x",
    ],
)
def test_a_path_that_is_no_list_is_refused(
    fake: FakeStripe, client: StripeClient, path: str
) -> None:
    """No request is sent; the query belongs into the parameters."""
    with pytest.raises(StripeInputError):
        read(client, path)
    assert fake.calls == []


def read(client: StripeClient, name: Any, parameters: Any = None) -> list[Any]:
    """Read a whole list."""
    resource, is_feed = list_named(name, parameters)
    return list(read_list(client, resource, is_feed=is_feed, first=None, end=None))


# --- Parameters


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("created", "created_gte and created_lt"),
        ("created[gte]", "created_gte and created_lt"),
        ("created[lt]", "created_gte and created_lt"),
        ("limit", "nothing, as a page is always as large as it can be"),
        ("starting_after", "created_gte and created_lt"),
        ("ending_before", "created_gte and created_lt"),
        ("ending_before[]", "created_gte and created_lt"),
    ],
)
@pytest.mark.parametrize("which", ["charge", "/v1/prices"])
def test_what_a_read_sets_itself_is_refused(which: str, name: str, use: str) -> None:
    """The sentence says what to use."""
    with pytest.raises(StripeInputError) as caught:
        list_named(which, {"customer": "cus_1", name: "x"})
    assert str(caught.value).startswith(f"parameters holds {name!r}, ")
    assert str(caught.value).endswith(f": use {use}.")


@pytest.mark.parametrize("parameters", ["customer=cus_1", ["customer"], 5, True])
def test_parameters_that_are_no_mapping_are_refused(parameters: Any) -> None:
    """Whatever else they are."""
    with pytest.raises(StripeInputError, match=r"^parameters must be a mapping of Stripe's own"):
        list_named("charge", parameters)


def test_parameters_lie_over_those_of_the_table() -> None:
    """Nobody else sees them, and what was given is not changed."""
    given = {"customer": "cus_1", "status": "active", "expand": ["customer"]}
    resource, _ = list_named("subscription", given)
    assert dict(resource.always) == {
        "status": "active",
        "customer": "cus_1",
        "expand": ["data.customer"],
    }
    assert given["expand"] == ["customer"]
    assert dict(RESOURCES["subscription"].always) == {"status": "all"}
    assert list_named("subscription", {}) == list_named("subscription", None)


# --- What to expand


@pytest.mark.parametrize(
    ("expand", "asked"),
    [
        (["customer"], ["data.customer"]),
        ("customer", ["data.customer"]),
        (("data.customer", "invoice"), ["data.customer", "data.invoice"]),
        (["invoice.subscription.customer"], ["data.invoice.subscription.customer"]),
        ([], []),
    ],
)
def test_what_to_expand_is_put_below_data(expand: Any, asked: list[str]) -> None:
    """Three levels of an object are four of a list, which is as deep as Stripe goes."""
    resource, _ = list_named("charge", {"expand": expand})
    assert dict(resource.always)["expand"] == asked


@pytest.mark.parametrize(
    ("which", "expand", "words"),
    [
        ("charge", ["a.b.c.d"], "at most 4 levels deep in Stripe, with data as the first"),
        ("charge", ["data.a.b.c.d"], "at most 4 levels deep"),
        ("/v1/prices", ["a.b.c.d"], "at most 4 levels deep"),
        ("event", ["data.object"], "has no effect on events.*read the object by its id"),
        ("/v1/events", "customer", "has no effect on events"),
        ("charge", 5, "^expand must be a list of paths"),
        ("charge", [None], "^expand must be a list of paths"),
        ("charge", {"customer": True}, "^expand must be a list of paths"),
    ],
)
def test_what_cannot_be_expanded_is_refused(which: str, expand: Any, words: str) -> None:
    """Before any request."""
    with pytest.raises(StripeInputError, match=words):
        list_named(which, {"expand": expand})


# --- Types of events


MANY = [f"charge.type_{at}" for at in range(21)]


@pytest.mark.parametrize(
    "types", [["charge.failed"], ("charge.failed", "payout.paid"), MANY[:20], ["*"], ["charge.*"]]
)
def test_types_are_names_or_one_wildcard(types: Any) -> None:
    """Names go as `types`, a wildcard as `type`, beside what the table asks."""
    [(name, asked)] = feed_list("event", types).always
    assert (name, asked) == (("type", types[0]) if "*" in types[0] else ("types", list(types)))
    assert event_types(types) == list(types)
    assert RESOURCES["event"].always == ()


@pytest.mark.parametrize(
    ("types", "words"),
    [
        (MANY, "^types must be a list of 1 to 20 event types"),
        ([], "^types must be a list of 1 to 20"),
        ("charge.failed", "^types must be a list of 1 to 20"),
        ([5], "^types must be a list"),
        ([""], "^types must be a list"),
        (["charge failed"], "^types must be a list"),
        (["charge."], "^types must be a list"),
        (["Charge.Failed"], "^types must be a list"),
        ({"charge.failed"}, "^types must be a list"),
        (5, "^types must be a list"),
        (["charge.*", "payout.paid"], "^types with a wildcard must be the only one"),
        (["payout.paid", "*"], "^types with a wildcard must be the only one"),
    ],
)
def test_types_that_stripe_would_not_take_are_refused(types: Any, words: str) -> None:
    """Before any request, for a sensor as for a list."""
    with pytest.raises(StripeInputError, match=words) as caught:
        feed_list("event", types)
    assert len(str(caught.value)) < 300
    with pytest.raises(StripeInputError, match=words):
        list_named("event", {"types": types})


def test_types_belong_to_events() -> None:
    """A feed of objects has none."""
    with pytest.raises(StripeInputError, match=r'^types belong to the feed "event", got feed'):
        feed_list("charge", ["charge.failed"])


def test_a_list_of_events_takes_its_types(fake: FakeStripe, client: StripeClient) -> None:
    """Twenty of them in one request."""
    fake.add("event", created=NOW - 500, type="payout.paid")
    made = fake.add("event", created=NOW - 400, type=MANY[7])
    assert [event["id"] for event in read(client, "event", {"types": MANY[:20]})] == [made]
    assert len([name for name in gets(fake)[0] if name.startswith("types[")]) == 20


def test_a_list_of_events_takes_a_wildcard(fake: FakeStripe, client: StripeClient) -> None:
    """In the words that Stripe takes."""
    made = fake.add("event", created=NOW - 400, type="charge.failed")
    assert [event["id"] for event in read(client, "event", {"types": ["charge.*"]})] == [made]
