"""From a connection, in whatever form it is given, to a client; and the Test button."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from airflow.sdk import Connection

from airflow_provider_stripe_lite.errors import StripeInputError
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.polling import Position
from tests.airflow.conftest import KEY, NOW, Connect
from tests.fake_stripe import FakeStripe


def client_of(**fields: Any) -> Any:
    """The client that a connection with these fields gives."""
    fields = {"conn_id": "c", "conn_type": "stripe", "password": KEY} | fields
    return StripeHook("c").client_for(Connection(**fields))


# --- Forms of a connection


def test_a_connection_as_json(stripe: FakeStripe) -> None:
    """The JSON form of an environment variable works, and every request says key, version and who it is."""
    made = stripe.create("customer")
    assert StripeHook().get_customer(made)["id"] == made
    (request,) = stripe.requests
    assert request.key == f"sk_test_****{KEY[-4:]}"
    assert request.headers["stripe-version"] == "2025-02-24.acacia"
    assert request.headers["user-agent"].startswith("airflow-provider-stripe-lite/")
    assert "stripe-account" not in request.headers
    assert "x-stripe-client-telemetry" not in request.headers


def test_a_connection_as_uri(fake: FakeStripe, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """The URI form works, whose options are all text, and whose host may hold a URL of its own."""
    options = f"timeout=5&rate_limit_calls=50&rate_limit_url={quote(f'sqlite:///{tmp_path}/calls.sqlite', safe='')}"
    monkeypatch.setenv("AIRFLOW_CONN_C", f"stripe://:{KEY}@{quote(fake.url, safe='')}/?{options}")
    made = fake.create("customer")
    assert StripeHook("c").get_customer(made)["id"] == made


def test_options_reach_the_requests(fake: FakeStripe, connect: Connect) -> None:
    """Version and connected account come from the extra; the hook's own arguments win."""
    connect(extra={"api_version": "2020-08-27", "stripe_account": "acct_1"})
    made = fake.create("customer", account="acct_1")
    StripeHook().get_customer(made)
    fake.create("customer", account="acct_2")
    StripeHook(stripe_account="acct_2", api_version="2024-06-20").get_customer(
        fake.ids("customer", account="acct_2")[0]
    )
    sent = [(r.headers["stripe-version"], r.headers["stripe-account"]) for r in fake.requests]
    assert sent == [("2020-08-27", "acct_1"), ("2024-06-20", "acct_2")]


@pytest.mark.parametrize(("host", "port", "url"), [
    (None, None, "https://api.stripe.com"),
    ("", None, "https://api.stripe.com"),
    ("  ", None, "https://api.stripe.com"),
    ("api.stripe.com", None, "https://api.stripe.com"),
    ("https://api.stripe.com/", None, "https://api.stripe.com"),
    ("https://proxy.example/stripe/", None, "https://proxy.example/stripe"),
    ("proxy.example", 8443, "https://proxy.example:8443"),
    ("https://proxy.example:8443", 9, "https://proxy.example:8443"),
    ("http://localhost:12111", None, "http://localhost:12111"),
    ("http://127.0.0.1", 12111, "http://127.0.0.1:12111"),
    ("http://127.1.2.3", None, "http://127.1.2.3"),
    ("http://[::1]:12111", None, "http://[::1]:12111"),
])  # fmt: skip
def test_where_stripe_is(host: str | None, port: int | None, url: str) -> None:
    """Empty is the real one; a bare name is reached by https; plain http only on this machine."""
    assert client_of(host=host, port=port).base_url == url


@pytest.mark.parametrize("host", [
    "http://api.stripe.com",
    "http://10.0.0.1:12111",
    "http://localhost.example.com",
    "http://127.0.0.1.example.com",
    "http://[::2]",
    "ftp://api.stripe.com",
    "https://user:pw@api.stripe.com",
    "https://api.stripe.com?x=1",
    "https://api.stripe.com:99999",
    "https://",
    "https://a b",
    "https://api.stripe.com\n.example",
    "file:///etc/passwd",
    "//",
])  # fmt: skip
def test_where_stripe_is_not(host: str) -> None:
    """An address that would send the key elsewhere, or in clear, is refused in a sentence about the host."""
    with pytest.raises(StripeInputError, match="connection's host"):
        client_of(host=host)


@pytest.mark.parametrize("key", [
    "sk_test_0123456789", "sk_live_0123456789", "rk_test_0123456789", "rk_live_0123456789", "rkcs_test_0123456789",
    "  sk_test_0123456789\n",
])  # fmt: skip
def test_keys_that_are_accepted(key: str) -> None:
    """Secret and restricted keys, also with the space around them that copying brings along."""
    assert client_of(password=key).mode in ("test", "live")


@pytest.mark.parametrize(("key", "words"), [
    (None, "has no API key"), ("", "has no API key"), ("   ", "has no API key"),
    ("pk_test_0123456789", "publishable key"), ("pk_live_0123456789", "publishable key"),
    ("sk_test_0123 456789", "copy it again"), ("sk_test_0123\n456789", "copy it again"),
    ("sk_test_01234567é", "copy it again"), ("sk_test_0123\r\nX-Header: 1", "copy it again"),
])  # fmt: skip
def test_keys_that_are_refused(key: str | None, words: str) -> None:
    """In one sentence that says why and does not repeat the key."""
    with pytest.raises(StripeInputError, match=words) as refused:
        client_of(password=key)
    assert "0123" not in str(refused.value)


def test_a_key_of_another_shape_is_tried(fake: FakeStripe, capfd: pytest.CaptureFixture[str]) -> None:
    """Stripe may give out keys of new shapes: a warning, but no refusal."""
    client = client_of(password="new_kind_of_key", host=fake.url)
    assert client.mode is None
    assert "no shape that Stripe is known to use" in capfd.readouterr().out


@pytest.mark.parametrize(("extra", "words"), [
    ("not json", "must be a JSON object"),
    ("[1, 2]", "must be a JSON object"),
    ('"text"', "must be a JSON object"),
    ("{", "must be a JSON object"),
    ({"api_version": "latest"}, "api_version"),
    ({"api_version": 20200827}, "api_version"),
    ({"api_version": "2020-08-27\nX: 1"}, "api_version"),
    ({"stripe_account": "1A2b"}, "stripe_account"),
    ({"stripe_account": "acct_1\r\nX: 1"}, "stripe_account"),
    ({"stripe_account": ["acct_1"]}, "stripe_account"),
    ({"timeout": "soon"}, "timeout"),
    ({"timeout": 0}, "timeout"),
    ({"timeout": -1}, "timeout"),
    ({"timeout": True}, "timeout"),
    ({"timeout": [5]}, "timeout"),
    ({"timeout": "inf"}, "timeout"),
    ({"rate_limit_calls": 0}, "rate_limit_calls"),
    ({"rate_limit_calls": 1.5}, "rate_limit_calls"),
    ({"rate_limit_calls": "many"}, "rate_limit_calls"),
    ({"rate_limit_period": 0}, "rate_limit_period"),
    ({"rate_limit_period": {}}, "rate_limit_period"),
    ({"rate_limit_url": "memcached://x"}, "rate_limit_url"),
    ({"rate_limit_url": "redis://"}, "rate_limit_url"),
    ({"rate_limit_url": 5}, "rate_limit_url"),
])  # fmt: skip
def test_a_malformed_extra_is_named(extra: Any, words: str, monkeypatch: pytest.MonkeyPatch, fake: FakeStripe) -> None:
    """One sentence that names the option, and no request."""
    extra = extra if isinstance(extra, str) else json.dumps(extra)
    with pytest.raises(StripeInputError, match=words) as refused:
        client_of(extra=extra, host=fake.url)
    assert "connection's extra" in str(refused.value)
    assert fake.requests == []


@pytest.mark.parametrize("extra", [None, "", "{}", '{"timeout": null, "api_version": "", "rate_limit_calls": ""}'])
def test_an_empty_extra_is_the_defaults(extra: str | None) -> None:
    """What the form leaves empty counts as not given."""
    assert client_of(extra=extra).api_version == "2025-02-24.acacia"


def test_the_account_of_a_key_is_seen_without_a_call(fake: FakeStripe) -> None:
    """Keys of one account agree, of two do not, old ones show nothing; no piece of the key is in it."""
    same = {client_of(password=key).account for key in (KEY, KEY.replace("cdef", "9999"), KEY.replace("sk_", "rk_"))}
    assert len(same) == 1
    assert KEY[10:24] not in same.pop()
    assert client_of(password=KEY.replace("AbCd", "ZzZz")).account != client_of(password=KEY).account
    assert client_of(password="sk_test_0123456789").account is None
    assert client_of(extra='{"stripe_account": "acct_1"}').account == "acct_1"
    assert fake.requests == []


def test_the_key_is_in_no_representation(stripe: FakeStripe) -> None:
    """Neither hook nor client show it."""
    hook = StripeHook()
    assert KEY not in repr(hook.client) + str(vars(hook)) + repr(hook)


def test_the_netrc_does_not_win(stripe: FakeStripe, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry for the host in ~/.netrc does not replace the connection's key."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    made = stripe.create("customer")
    StripeHook().get_customer(made)
    assert stripe.requests[0].key == f"sk_test_****{KEY[-4:]}"


# --- Cursors and windows of something else


@pytest.mark.parametrize(("made", "words"), [
    ({"feed": "charge"}, ("feed 'charge'", "feed 'customer'")),
    ({"mode": "live"}, ("mode 'live'", "mode 'test'")),
    ({"account": "acct_other"}, ("account 'acct_other'", "account '")),
])  # fmt: skip
def test_what_was_made_for_something_else_is_refused(stripe: FakeStripe, made: Any, words: tuple[str, ...]) -> None:
    """Both values are named, and what to do."""
    with pytest.raises(StripeInputError) as refused:
        StripeHook().refuse_foreign(made, "customer", "cursor", "Do this.")
    assert all(word in str(refused.value) for word in (*words, "This cursor", "stripe_default", "Do this."))


@pytest.mark.parametrize("made", [
    {}, {"feed": "customer"}, {"feed": "customer", "mode": "test", "account": None}, {"mode": None},
])  # fmt: skip
def test_what_is_not_known_is_not_compared(stripe: FakeStripe, made: Any) -> None:
    """An older key shows no account: that is no reason to refuse."""
    StripeHook().refuse_foreign(made, "customer", "cursor")


@pytest.mark.parametrize("window", [
    None, "window", 5, [], {}, {"until": "now"}, {"until": 5}, {"until": 5, "from": 3}, {"until": True, "from": {}},
    {"until": 5, "from": {"until": 1, "anchor": 7}},
])  # fmt: skip
def test_what_is_no_window_is_refused(stripe: FakeStripe, window: Any) -> None:
    """Before any request."""
    with pytest.raises(StripeInputError):
        list(StripeHook().read_window("customer", window))
    assert stripe.requests == []


def test_a_hook_can_poll_by_itself(stripe: FakeStripe, clock: Any) -> None:
    """Without a sensor: from a position to a batch and the next position."""
    made = stripe.create_many("customer", 3, created=NOW)
    clock.now += 100
    batch = StripeHook().poll("customer", Position(NOW))
    assert [item["id"] for item in batch.items] == made
    assert not batch.more
    assert StripeHook().poll("customer", batch.position).items == []


# --- The Test button


@pytest.mark.parametrize("mode", ["test", "live"])
def test_the_test_button_names_the_mode(fake: FakeStripe, connect: Connect, mode: str) -> None:
    """200: connected, in test or live mode, by one small read."""
    connect(password=KEY.replace("test", mode))
    assert StripeHook().test_connection() == (True, f"Connected to Stripe in {mode} mode.")
    assert [(request.method, request.path) for request in fake.requests] == [("GET", "/v1/balance")]


def test_the_test_button_tells_a_restricted_key(fake: FakeStripe, connect: Connect) -> None:
    """403: the key is real, and which permission it lacks is said."""
    connect(password="rk_test_0123456789")
    fake.missing_permissions = {"rk_test_0123456789": ["rak_balance_read"]}
    good, message = StripeHook().test_connection()
    assert good
    assert "restricted key" in message
    assert "rak_balance_read" in message
    assert "0123456789" not in message


def test_the_test_button_tells_a_bad_key(fake: FakeStripe, connect: Connect) -> None:
    """401: not accepted; the message shows no more of the key than Stripe does."""
    connect()
    fake.accepted_keys = set()
    good, message = StripeHook().test_connection()
    assert not good
    assert "does not accept this API key" in message
    assert KEY[:-4] not in message


@pytest.mark.parametrize(("fields", "words"), [
    ({"password": "pk_test_0123456789"}, "publishable key"),
    ({"password": ""}, "has no API key"),
    ({"host": "http://api.stripe.com"}, "http://"),
    ({"host": "http://127.0.0.1:1"}, "No answer from http://127.0.0.1:1"),
    ({"extra": "nonsense"}, "extra"),
])  # fmt: skip
def test_the_test_button_says_what_is_wrong(connect: Connect, fields: dict[str, Any], words: str) -> None:
    """No network, no key, the wrong key, the wrong host: a sentence, no traceback and no key."""
    connect(**fields)
    good, message = StripeHook().test_connection()
    assert not good
    assert words in message
    assert KEY not in message
    assert "0123456789" not in message


@pytest.mark.parametrize("fault", [
    {"status": 500}, {"status": 503}, {"reset": True}, {"truncate": "json"}, {"truncate": "length"},
    {"status": 200, "body": "<html>Welcome to the hotel</html>", "saved": False},
    {"redirect": "http://127.0.0.1:1/v1/balance"}, {"status": 429},
])  # fmt: skip
def test_the_test_button_survives_a_bad_answer(stripe: FakeStripe, fault: dict[str, Any]) -> None:
    """Whatever answers: no retry, no exception, a sentence."""
    stripe.fault(path="/v1/balance", **fault)
    good, message = StripeHook().test_connection()
    assert not good
    assert len(message) > 20
    assert KEY not in message
    assert len(stripe.requests) == 1


def test_the_test_button_does_not_follow_redirects(stripe: FakeStripe) -> None:
    """The key goes nowhere but to the connection's host."""
    with FakeStripe() as elsewhere:
        stripe.fault(path="/v1/balance", redirect=f"{elsewhere.url}/v1/balance")
        good, message = StripeHook().test_connection()
        assert not good
        assert "redirects are not followed" in message
        assert elsewhere.requests == []
