"""What is wrong is said in one sentence that names it; the key is nowhere in it.

The arguments of the actions have a table of their own: tests/core/test_refusals.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.fields import projection
from airflow_provider_stripe_lite.core.keys import ApiKey
from airflow_provider_stripe_lite.core.lists import feed_named
from airflow_provider_stripe_lite.core.ratelimit import limiter_for
from airflow_provider_stripe_lite.core.reading import poll, read
from airflow_provider_stripe_lite.core.window import Position
from airflow_provider_stripe_lite.errors import (
    StripeConnectionError,
    StripeError,
    StripeInputError,
)
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.helpers import KEY, NOW, client_for, raw_server, window

Call = Callable[[StripeClient], Any]
SECRET = KEY.rpartition("_")[2]


def everything(exc: BaseException | None) -> Iterator[str]:
    """Yield all text that a log or an error tracker could make of an exception and its causes."""
    while exc is not None:
        yield f"{exc} {exc!r} {exc.args!r} {vars(exc)!r}"
        # An error may hold a request, and that its headers.
        yield from (str(getattr(thing, "headers", "")) for thing in vars(exc).values())
        exc = exc.__cause__ or exc.__context__


def one_sentence(exc: BaseException) -> str:
    text = str(exc)
    assert text.endswith((".", ")")), text
    assert "\n" not in text
    assert ". " not in text.partition(" (request ")[0].rstrip("."), text
    assert len(text) < 400
    return text


# --- What can be known before a request


def fields(value: Any, kind: str = "charge") -> Call:
    return lambda client: map(projection(kind, value), client.get("/v1/charges").body["data"])


def keyed(key: Any) -> Call:
    return lambda client: client.post("/v1/customers", {}, idempotency_key=key)


def connected(key: Any) -> Call:
    return lambda client: client_for(client.base_url, api_key=ApiKey(key)).get("/v1/balance")


def polled(feed: Any = "customer", **options: Any) -> Call:
    return lambda client: poll(client, feed_named(feed), Position(NOW), **options)


NO_FEED: Any = window("customer", Position(NOW), NOW) | {"feed": None}
KNOWN: list[tuple[str, str, Call]] = [
    # argument, what is wrong, the call
    ("fields", "one name as text", fields("id")),
    ("fields", "empty list", fields([])),
    ("fields", "number", fields(5)),
    ("fields", "set", fields({"id"})),
    ("fields", "mapping", fields({"id": 1})),
    ("fields", "bytes", fields(b"id")),
    ("fields", "numbers", fields([1, 2])),
    ("fields", "a dot too many", fields(["outcome..type"])),
    ("fields", "an empty name", fields(["id", ""])),
    ("fields", "a field and a part of it", fields(["outcome", "outcome.type"])),
    ("fields", "a part and the whole", fields(["metadata.a", "id", "metadata"], "customer")),
    ("fields", "two stars", fields("**")),
    ("fields", "none as a name", fields([None])),
    ("fields", "a dot in front", fields([".a"])),
    ("fields", "an empty name alone", fields([""])),
    ("idempotency_key", "a space", keyed("a b")),
    ("idempotency_key", "a line end", keyed("a\r\nX-Evil: 1")),
    ("idempotency_key", "not ASCII", keyed("schlüssel")),
    ("idempotency_key", "256 characters", keyed("k" * 256)),
    ("idempotency_key", "a list", keyed(["a"])),
    ("API key", "none", connected(None)),
    ("API key", "empty", connected("")),
    ("API key", "blank", connected(" \n")),
    ("API key", "number", connected(5)),
    ("publishable key (pk_)", "publishable", connected(KEY.replace("sk_", "pk_"))),
    ("API key", "a space within", connected(f"{KEY} {KEY}")),
    ("API key", "a line end within", connected(f"{KEY}\nX-Evil: 1")),
    ("API key", "not ASCII", connected(f"{KEY}ä")),
    ("feed", "unknown", polled("customers")),
    ("feed", "none", polled(None)),
    ("feed", "none, again", lambda client: list(read(client, NO_FEED))),
    ("feed", "unhashable", polled({"customer": True})),
    ("feed", "a list", polled(["customer"])),
    ("feed", "a name of 0.1", polled("invoice_item")),
    ("min_age must be a whole number of at least 0", "negative", polled(min_age=-1)),
    ("min_age must be a whole number", "text", polled(min_age="60")),
    ("min_age must be a whole number", "half a second", polled(min_age=1.5)),
    ("min_age must be a whole number", "a flag", polled(min_age=True)),
    ("max_items must be a whole number of at least 1", "nought", polled(max_items=0)),
    ("max_items must be a whole number", "none", polled(max_items=None)),
    ("rate_limit_url", "another scheme", lambda _: limiter_for("mysql://localhost/db")),
]


@pytest.mark.parametrize(
    ("argument", "call"), [pytest.param(a, c, id=f"{a}: {what}") for a, what, c in KNOWN]
)
def test_bad_input_is_refused_before_a_request(
    fake: FakeStripe, client: StripeClient, argument: str, call: Call
) -> None:
    """One sentence that names the argument; nothing is sent; the key is nowhere in it."""
    with pytest.raises(StripeInputError) as caught:
        call(client)
    assert argument in one_sentence(caught.value)
    assert fake.calls == []
    assert not any(SECRET in text for text in everything(caught.value))


def test_the_table_is_as_long_as_it_has_to_be() -> None:
    """At least forty cases, none of them twice."""
    assert len({(argument, what) for argument, what, _ in KNOWN}) == len(KNOWN) >= 40


# --- What only the server's answer shows


HTML = {
    "status": 200,
    "body": "<!doctype html><title>Sign in</title>",
    "headers": {"Content-Type": "text/html"},
}
ECHO = {"error": {"message": f"Bad header: Authorization: Bearer {KEY}", "code": KEY, "param": KEY}}
NAMED = {"error": {"message": f"The key {KEY} may not do that"}}
ODD = {"status": 418, "body": {"error": {"message": None, "code": 5}}}
ANSWERS: list[tuple[str, dict[str, Any], str]] = [
    ("HTML in place of JSON", HTML, "not a JSON object"),
    ("half a document", {"truncate": "json"}, "not a JSON object"),
    ("a body that ends too early", {"truncate": "length"}, "No answer from"),
    ("a list", {"status": 200, "body": [1]}, "not a JSON object"),
    ("nothing", {"status": 200, "body": ""}, "not a JSON object"),
    ("null", {"status": 200, "body": "null"}, "not a JSON object"),
    ("an HTML 400", HTML | {"status": 400}, "answered 400 without a Stripe error (text/html)"),
    ("an error that is text", {"status": 404, "body": {"error": "Not here"}}, "Not here"),
    ("an error of no known shape", ODD, "answered 418 without a Stripe error"),
    ("an empty 502", {"status": 502, "body": ""}, "answered 502 without a Stripe error"),
    ("the key in a refusal", {"status": 403, "body": NAMED}, "may not do that"),
    ("deep nesting", {"status": 200, "body": "[" * 100_000}, "not a JSON object"),
    (
        "an HTML error page",
        HTML | {"status": 502},
        "answered 502 without a Stripe error (text/html)",
    ),
    ("an HTML refusal", HTML | {"status": 403}, "answered 403 without a Stripe error (text/html)"),
    (
        "a login page elsewhere",
        {"redirect": "https://login.example/"},
        "redirects are not followed",
    ),
    (
        "moved for good",
        {"status": 308, "body": "", "headers": {"Location": "/v2"}},
        "redirects are not followed",
    ),
    ("the key sent back", {"status": 401, "body": ECHO}, "Bad header"),
    (
        "the key sent back as text",
        {"status": 400, "body": {"error": f"key {KEY}"}},
        "key sk_test_***",
    ),
    ("a reset", {"reset": True}, "No answer from"),
    ("silence", {"drop": True}, "No answer from"),
]


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize(
    ("answer", "says"), [pytest.param(answer, says, id=what) for what, answer, says in ANSWERS]
)
def test_an_answer_that_is_not_stripes_is_one_sentence(
    fake: FakeStripe,
    connect: Callable[..., StripeClient],
    method: str,
    answer: dict[str, Any],
    says: str,
) -> None:
    """It says what came instead, and the key is nowhere in it, nor in what was told to the log."""
    lines: list[str] = []
    fake.fault(**answer, times=9)
    with pytest.raises(StripeError) as caught:
        getattr(connect(notify=lines.append), method)("/v1/customers", {})
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not any(SECRET in text for text in [*everything(caught.value), *lines])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_redirect_to_another_host_is_not_followed(
    fake: FakeStripe, client: StripeClient, status: int, method: str
) -> None:
    """The other host hears nothing: no key, no data."""
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as (elsewhere, heard):
        headers = {"Location": elsewhere + "/v1/customers"}
        fake.fault(status=status, body="", headers=headers, times=9)
        with pytest.raises(StripeError, match="redirects are not followed"):
            getattr(client, method)("/v1/customers", {})
    assert heard == []
    # It is nothing that Stripe says, so it was tried again.
    assert len(fake.calls) == 5


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://", "nonsense", "http://127.0.0.1:99999", "ftp://127.0.0.1"]
)
def test_an_address_that_is_none_is_one_sentence(url: str) -> None:
    """It names the address and is not tried again."""
    sleeps: list[float] = []
    with pytest.raises(StripeConnectionError) as caught:
        client_for(url, sleep=sleeps.append).get("/v1/customers")
    assert url in one_sentence(caught.value)
    assert sleeps == []
    assert not any(SECRET in text for text in everything(caught.value))


@pytest.mark.parametrize("key", [f"{KEY}\r\nX-Evil: 1", f"{KEY} {KEY}", f"{KEY}ä"])
def test_a_key_that_does_not_fit_a_header_makes_no_client(key: str) -> None:
    """The HTTP library would quote the header in its own error."""
    with pytest.raises(StripeInputError) as caught:
        StripeClient(key)
    assert "API key" in one_sentence(caught.value)
    assert not any(SECRET in text for text in everything(caught.value))
