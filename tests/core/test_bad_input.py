"""What is wrong is said in one sentence that names it, before a request goes out; the key is in none of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_stripe_lite import params
from airflow_provider_stripe_lite.client import StripeClient, check_key, segment
from airflow_provider_stripe_lite.errors import StripeConnectionError, StripeError, StripeInputError
from airflow_provider_stripe_lite.output import projection
from airflow_provider_stripe_lite.polling import Position, newest_before, poll, read_window
from airflow_provider_stripe_lite.ratelimit import limiter_for
from tests.core.ground import KEY, NOW, client_for, raw_server
from tests.fake_stripe import FakeStripe

Call = Callable[[StripeClient], Any]
SECRET = KEY.rpartition("_")[2]


def everything(exc: BaseException | None) -> Iterator[str]:
    """All text that a log or an error tracker could make of an exception and of what it came from."""
    while exc is not None:
        yield f"{exc} {exc!r} {exc.args!r} {vars(exc)!r}"
        yield from (str(getattr(thing, "headers", "")) for thing in vars(exc).values())  # such as a request's
        exc = exc.__cause__ or exc.__context__


def one_sentence(exc: BaseException) -> str:
    text = str(exc)
    assert text.endswith((".", ")")), text
    assert "\n" not in text
    assert ". " not in text.partition(" (request ")[0].rstrip("."), text
    assert len(text) < 400
    return text


# --- What can be known before a request


def write(kind: str, id: str | None = None, **given: Any) -> Call:
    """Create or update, as an action does it."""

    def call(client: StripeClient) -> Any:
        if kind == "product":
            params.require_name(given.setdefault("name", "Cup") if id is None else given.get("name", "Cup"))
        sent = params.build(kind, given, create=id is None, api_version=client.api_version)
        path = f"/v1/{kind}s" if id is None else f"/v1/{kind}s/{segment(params.object_id(f'{kind}_id', id))}"
        return client.post(path, sent)

    return call


def read(id: Any) -> Call:
    return lambda client: client.get(f"/v1/customers/{segment(params.object_id('customer_id', id))}")


def fields(value: Any, kind: str = "charge") -> Call:
    return lambda client: map(projection(kind, value), client.get("/v1/charges").body["data"])


def keyed(key: Any) -> Call:
    return lambda client: client.post("/v1/customers", {}, idempotency_key=key)


def connected(key: Any) -> Call:
    return lambda client: client_for(client.base_url, api_key=check_key(key)).get("/v1/balance")


URLS = [f"https://example.com/{index}.png" for index in range(9)]
KNOWN: list[tuple[str, str, Call]] = [
    # argument, what is wrong, the call
    ("name", "none", write("product", name=None)),
    ("name", "empty", write("product", name="")),
    ("name", "blank", write("product", name="   ")),
    ("name", "number", write("product", name=5)),
    ("name", "5,001 characters", write("product", name="a" * 5_001)),
    ("name", "NUL", write("product", name="Cup\x00")),
    ("name", "emptied on an update", write("product", "prod_1", name="")),
    ("active", "a word", write("product", active="maybe")),
    ("active", "number", write("product", active=1)),
    ("active", "empty", write("product", active="")),
    ("shippable", "list", write("product", shippable=[True])),
    ("images", "nine", write("product", images=URLS)),
    ("images", "nine in one text", write("product", images=", ".join(URLS))),
    ("images", "mapping", write("product", images={"a": "https://example.com"})),
    ("images", "number", write("product", images=5)),
    ("images", "list of numbers", write("product", images=[5])),
    ("images[1]", "blank among others", write("product", images=["https://example.com", " "])),
    ("images[0]", "5,001 characters", write("product", images=["https://" + "a" * 4_993])),
    ("images[0]", "escape", write("product", images=["https://example.com/\x1b[31m"])),
    ("url", "number", write("product", url=5)),
    ("url", "5,001 characters", write("product", "prod_1", url="h" * 5_001)),
    ("description", "bytes", write("customer", description=b"text")),
    ("description", "list", write("customer", description=["text"])),
    ("description", "5,001 characters", write("customer", description="a" * 5_001)),
    ("description", "40,001 characters", write("product", description="a" * 40_001)),
    ("description", "control character", write("customer", description="bell\x07")),
    ("description", "half a surrogate pair", write("customer", description="\ud83c")),
    ("customer_email", "600 characters", write("customer", customer_email="a" * 588 + "@example.com")),
    ("customer_email", "list", write("customer", customer_email=["a@example.com"])),
    ("customer_email", "blank", write("customer", customer_email=" ")),
    ("customer_email", "DEL", write("customer", customer_email="a\x7f@example.com")),
    ("metadata", "text", write("customer", metadata="a=b")),
    ("metadata", "list", write("customer", metadata=[("a", "b")])),
    ("metadata", "51 keys", write("customer", metadata={f"k{index}": "v" for index in range(51)})),
    ("metadata", "a key of 41 characters", write("customer", metadata={"k" * 41: "v"})),
    ("metadata", "an empty key", write("customer", metadata={"": "v"})),
    ("metadata", "a number as key", write("customer", metadata={5: "v"})),
    ("metadata", "brackets in a key", write("customer", metadata={"a][b": "v"})),
    ("metadata", "control character in a key", write("customer", metadata={"a\x01": "v"})),
    ("metadata[k]", "a value of 501 characters", write("customer", metadata={"k": "v" * 501})),
    ("metadata[k]", "none as value", write("customer", metadata={"k": None})),
    ("metadata[k]", "a list as value", write("customer", metadata={"k": ["v"]})),
    ("metadata[k]", "control character in a value", write("customer", metadata={"k": "\x00"})),
    ("caption", "too long for metadata", write("product", caption="a" * 501)),
    ("caption", "also in metadata", write("product", caption="a", metadata={"caption": "b"})),
    ("caption", "while metadata is cleared", write("product", "prod_1", caption="a", metadata="")),
    ("description, customer_email, metadata", "an update of nothing", write("customer", "cus_1")),
    ("metadata", "an update of no metadata", write("customer", "cus_1", metadata={})),
    ("customer_id", "another path", read("../charges")),
    ("customer_id", "a slash", read("cus_1/sources")),
    ("customer_id", "a backslash", read("..\\charges")),
    ("customer_id", "one dot", read(".")),
    ("customer_id", "two dots", read("..")),
    ("customer_id", "empty", read("")),
    ("customer_id", "blank", read("  ")),
    ("customer_id", "none", read(None)),
    ("customer_id", "number", read(5)),
    ("customer_id", "a line end", read("cus_1\n")),
    ("customer_id", "a header", read("cus_1\r\nX-Evil: 1")),
    ("customer_id", "space before it", read(" cus_1")),
    ("customer_id", "not ASCII", read("cus_ä")),
    ("customer_id", "256 characters", read("c" * 256)),
    ("product_id", "another path", write("product", "../customers/cus_1", name="Cup")),
    ("fields", "one name as text", fields("id")),
    ("fields", "empty text", fields("")),
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
    ("idempotency_key", "empty", keyed("")),
    ("idempotency_key", "a space", keyed("a b")),
    ("idempotency_key", "a line end", keyed("a\r\nX-Evil: 1")),
    ("idempotency_key", "not ASCII", keyed("schlüssel")),
    ("idempotency_key", "256 characters", keyed("k" * 256)),
    ("idempotency_key", "number", keyed(5)),
    ("API key", "none", connected(None)),
    ("API key", "empty", connected("")),
    ("API key", "blank", connected(" \n")),
    ("API key", "number", connected(5)),
    ("publishable key (pk_)", "publishable", connected(KEY.replace("sk_", "pk_"))),
    ("API key", "a space within", connected(f"{KEY} {KEY}")),
    ("API key", "a line end within", connected(f"{KEY}\nX-Evil: 1")),
    ("API key", "not ASCII", connected(f"{KEY}ä")),
    ("feed", "unknown", lambda client: poll(client, "customers", Position(NOW))),
    ("feed", "none, again", lambda client: list(read_window(client, None, Position(NOW), NOW))),  # type: ignore[arg-type]
    ("feed", "unhashable", lambda client: newest_before(client, ["customer"], NOW)),  # type: ignore[arg-type]
    ("position", "edited", lambda client: poll(client, "customer", Position.from_dict({"until": "now"}))),
    ("rate_limit_url", "another scheme", lambda _: limiter_for("mysql://localhost/db")),
]


@pytest.mark.parametrize(("argument", "call"), [pytest.param(a, c, id=f"{a}: {what}") for a, what, c in KNOWN])
def test_bad_input_is_refused_before_a_request(
    fake: FakeStripe, client: StripeClient, argument: str, call: Call
) -> None:
    """One sentence that names the argument; nothing is sent; nothing is tried again; the key is nowhere in it."""
    with pytest.raises(StripeInputError) as caught:
        call(client)
    assert argument in one_sentence(caught.value)
    assert fake.requests == []
    assert not any(SECRET in text for text in everything(caught.value))


def test_the_table_is_as_long_as_it_has_to_be() -> None:
    """At least forty cases, none of them twice."""
    assert len({(argument, what) for argument, what, _ in KNOWN}) == len(KNOWN) >= 40


# --- What only the server's answer shows


HTML = {"status": 200, "body": "<!doctype html><title>Sign in</title>", "headers": {"Content-Type": "text/html"}}
ECHO = {"error": {"message": f"Bad header: Authorization: Bearer {KEY}", "code": KEY, "param": KEY}}
ANSWERS: list[tuple[str, dict[str, Any], str]] = [
    ("HTML in place of JSON", HTML, "not a JSON object"),
    ("half a document", {"truncate": "json"}, "not a JSON object"),
    ("a body that ends too early", {"truncate": "length"}, "No answer from"),
    ("a list", {"status": 200, "body": [1]}, "not a JSON object"),
    ("nothing", {"status": 200, "body": ""}, "not a JSON object"),
    ("deep nesting", {"status": 200, "body": "[" * 100_000}, "not a JSON object"),
    ("an HTML error page", HTML | {"status": 502}, "answered 502 without a Stripe error (text/html)"),
    ("an HTML refusal", HTML | {"status": 403}, "answered 403 without a Stripe error (text/html)"),
    ("a login page elsewhere", {"redirect": "https://login.example/"}, "redirects are not followed"),
    ("moved for good", {"status": 308, "body": "", "headers": {"Location": "/v2"}}, "redirects are not followed"),
    ("the key sent back", {"status": 401, "body": ECHO}, "Bad header"),
    ("the key sent back as text", {"status": 400, "body": {"error": f"key {KEY}"}}, "key sk_test_***"),
    ("a reset", {"reset": True}, "No answer from"),
    ("silence", {"drop": True}, "No answer from"),
]


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize(("answer", "says"), [pytest.param(answer, says, id=what) for what, answer, says in ANSWERS])
def test_an_answer_that_is_not_stripes_is_one_sentence(
    fake: FakeStripe, connect: Callable[..., StripeClient], method: str, answer: dict[str, Any], says: str
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
        fake.fault(status=status, body="", headers={"Location": elsewhere + "/v1/customers"})
        with pytest.raises(StripeError, match="redirects are not followed"):
            getattr(client, method)("/v1/customers", {})
    assert heard == []
    assert len(fake.requests) == 1


@pytest.mark.parametrize("url", ["http://[::1", "http://", "nonsense", "http://127.0.0.1:99999", "ftp://127.0.0.1"])
def test_an_address_that_is_none_is_one_sentence(url: str) -> None:
    """It names the address and is not tried again."""
    naps: list[float] = []
    with pytest.raises(StripeConnectionError) as caught:
        client_for(url, sleep=naps.append).get("/v1/customers")
    assert url in one_sentence(caught.value)
    assert naps == []
    assert not any(SECRET in text for text in everything(caught.value))


@pytest.mark.parametrize("key", [f"{KEY}\r\nX-Evil: 1", f"{KEY} {KEY}", f"{KEY}ä"])
def test_a_key_that_does_not_fit_a_header_makes_no_client(key: str) -> None:
    """The HTTP library would quote the header in its own error."""
    with pytest.raises(StripeInputError) as caught:
        StripeClient(key)
    assert "API key" in one_sentence(caught.value)
    assert not any(SECRET in text for text in everything(caught.value))
