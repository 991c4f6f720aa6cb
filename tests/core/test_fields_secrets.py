"""Whoever has a client secret can act in a customer's place: it is in no row unless it is named."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_stripe_lite.core.fields import projection
from airflow_provider_stripe_lite.core.lists import feed_named, list_named
from airflow_provider_stripe_lite.core.reading import poll, read_list
from airflow_provider_stripe_lite.core.resources import FeedName
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.core.polls import START
from tests.helpers import NOW, Connect

SECRET = "pi_1_secret_XYZ"
INTENT = {"id": "pi_1", "object": "payment_intent", "client_secret": SECRET, "amount": 5}
SESSION = {
    "id": "cs_1",
    "object": "checkout.session",
    "client_secret": SECRET,
    "url": f"https://checkout.stripe.com/{SECRET}",
    "success_url": "https://example.com/",
}
LINK = {"id": "link_1", "object": "file_link", "url": f"https://files.stripe.com/{SECRET}"}
VERIFICATION = {
    "id": "vs_1",
    "object": "identity.verification_session",
    "client_secret": SECRET,
    "url": f"https://verify.stripe.com/{SECRET}",
}
OBJECTS: list[dict[str, Any]] = [
    INTENT,
    {"id": "seti_1", "object": "setup_intent", "client_secret": SECRET},
    SESSION,
    LINK,
    VERIFICATION,
    {"id": "we_1", "object": "webhook_endpoint", "secret": SECRET, "url": "https://example.com/"},
    {"id": "appsecret_1", "object": "apps.secret", "payload": SECRET, "name": "mine"},
]


def without(value: dict[str, Any]) -> dict[str, Any]:
    """Return an object without what holds the secret."""
    return {name: held for name, held in value.items() if SECRET not in str(held)}


@pytest.mark.parametrize("fields", ["*", None])
@pytest.mark.parametrize("raw", OBJECTS, ids=lambda raw: raw["object"])
def test_a_secret_is_left_out_of_an_object(raw: dict[str, Any], fields: Any) -> None:
    """And all else stays, in its order: also a url that lets nobody in."""
    kind = raw["object"] if raw["object"] != "webhook_endpoint" else "/v1/webhook_endpoints"
    row = projection(kind, "*")(raw)
    assert row == without(raw)
    assert list(row) == list(without(raw))
    assert SECRET not in str(projection(kind, fields)(raw))
    assert SECRET in str(raw)


@pytest.mark.parametrize("raw", OBJECTS, ids=lambda raw: raw["object"])
@pytest.mark.parametrize("nest", ["event", "expanded", "list", "deep"])
def test_a_secret_is_left_out_wherever_the_object_is(raw: dict[str, Any], nest: str) -> None:
    """In an event's payload, expanded in another object, in a list inside it."""
    whole: dict[str, dict[str, Any]] = {
        "event": {"id": "evt_1", "object": "event", "data": {"object": raw}},
        "expanded": {"id": "ch_1", "object": "charge", "other": raw},
        "list": {"id": "ch_1", "object": "charge", "all": {"data": [{"id": "x"}, raw]}},
        "deep": {"id": "ch_1", "object": "charge", "a": {"b": [[{"c": raw}]]}},
    }
    kind = "event" if nest == "event" else "charge"
    row = projection(kind, "*", expanded=nest != "event")(whole[nest])
    assert SECRET not in str(row)
    assert raw["id"] in str(row)
    assert SECRET in str(whole[nest])


def test_a_secret_that_is_named_is_given() -> None:
    """Whoever writes its name means it."""
    assert projection("payment_intent", ["id", "client_secret"])(INTENT) == {
        "id": "pi_1",
        "client_secret": SECRET,
    }
    named = projection("checkout.session", ["url", "client_secret"])(SESSION)
    assert named == {"url": SESSION["url"], "client_secret": SECRET}
    event = {"id": "evt_1", "data": {"object": INTENT}}
    row = projection("event", ["data.object.client_secret"])(event)
    assert row == {"data": {"object": {"client_secret": SECRET}}}


def test_the_links_of_a_file_are_left_out() -> None:
    """They come inside every file, and open it to anybody; the file's own url asks for the key."""
    url = "https://files.stripe.com/v1/files/file_1/contents"
    file = {"id": "file_1", "object": "file", "url": url, "links": {"data": [LINK]}}
    row = projection("file", "*")(file)
    assert SECRET not in str(row)
    assert row["url"] == url
    assert row["links"]["data"][0]["id"] == "link_1"


@pytest.mark.parametrize("odd", [{"object": 5}, {"object": ["x"]}, {"object": None}, {}])
def test_an_object_of_no_kind_loses_its_client_secret_all_the_same(odd: dict[str, Any]) -> None:
    """Whatever stands where its kind should."""
    row = projection("/v1/things", "*")(odd | {"client_secret": SECRET, "url": "u", "secret": "s"})
    assert row == odd | {"url": "u", "secret": "s"}


@pytest.mark.parametrize(
    "kind", ["payment_intent", "setup_intent", "checkout.session", "identity.verification_session"]
)
def test_no_row_of_a_poll_holds_a_secret(
    fake: FakeStripe, connect: Connect, kind: FeedName
) -> None:
    """Of the feeds whose objects hold one, nor does one that is listed by its path."""
    fake.add(kind, created=NOW - 500)
    raw, row = (
        poll(connect(), feed_named(kind), START, take=take).items[0]
        for take in (lambda raw: raw, projection(kind, "*"))
    )
    assert "client_secret" in raw
    assert row == {
        name: value for name, value in raw.items() if name not in ("client_secret", "url")
    }
    resource, is_feed = list_named(feed_named(kind).path)
    read = read_list(connect(), resource, is_feed=is_feed, first=None, end=None)
    assert list(map(projection(kind, "*"), read)) == [row]
