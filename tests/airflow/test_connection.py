"""From a connection, in whatever form it is given, to a client."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from airflow.sdk import Connection

from airflow_provider_stripe_lite._connection import connect
from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.errors import StripeInputError
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.conftest import SetConnection
from tests.helpers import KEY


def client_of(**fields: Any) -> StripeClient:
    """Return the client that a connection with these fields gives."""
    fields = {"conn_id": "c", "conn_type": "stripe", "password": KEY} | fields
    return connect(Connection(**fields), StripeHook("c").log)


# --- Forms of a connection


def test_a_connection_as_json(stripe: FakeStripe) -> None:
    """JSON in an environment variable works, and each request says key, version and who it is."""
    made = stripe.add("customer")
    assert StripeHook().get_customer(made)["id"] == made
    (request,) = stripe.calls
    assert request.key == f"sk_test_****{KEY[-4:]}"
    assert request.headers["stripe-version"] == "2025-02-24.acacia"
    assert request.headers["user-agent"].startswith("airflow-provider-stripe-lite/")
    assert "stripe-account" not in request.headers
    assert "x-stripe-client-telemetry" not in request.headers


def test_a_connection_as_uri(
    fake: FakeStripe, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """The URI form works, whose options are all text, and whose host may hold a URL of its own."""
    limit_url = quote(f"file://{tmp_path}/calls", safe="")
    options = f"timeout=5&rate_limit_calls=50&rate_limit_url={limit_url}"
    monkeypatch.setenv("AIRFLOW_CONN_C", f"stripe://:{KEY}@{quote(fake.url, safe='')}/?{options}")
    made = fake.add("customer")
    assert StripeHook("c").get_customer(made)["id"] == made


def test_options_reach_the_requests(fake: FakeStripe, set_connection: SetConnection) -> None:
    """Version and connected account come from the extra; the hook's own arguments win."""
    set_connection(extra={"api_version": "2020-08-27", "stripe_account": "acct_1"})
    made = fake.add("customer", account="acct_1")
    StripeHook().get_customer(made)
    fake.add("customer", account="acct_2")
    StripeHook(stripe_account="acct_2", api_version="2024-06-20").get_customer(
        fake.ids("customer", account="acct_2")[0]
    )
    sent = [(r.headers["stripe-version"], r.headers["stripe-account"]) for r in fake.calls]
    assert sent == [("2020-08-27", "acct_1"), ("2024-06-20", "acct_2")]


# --- Host


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
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
    ],
)
def test_where_stripe_is(host: str | None, port: int | None, url: str) -> None:
    """Empty is the real one; a bare name is reached by https; plain http only on this machine."""
    assert client_of(host=host, port=port).base_url == url


@pytest.mark.parametrize(
    "host",
    [
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
    ],
)
def test_where_stripe_is_not(host: str) -> None:
    """An address that would send the key elsewhere, or in clear, is refused with a sentence."""
    with pytest.raises(StripeInputError, match="The API base URL of the connection"):
        client_of(host=host)


# --- Key


@pytest.mark.parametrize(
    "key",
    [
        "sk_test_0123456789",
        "sk_live_0123456789",
        "rk_test_0123456789",
        "rk_live_0123456789",
        "rkcs_test_0123456789",
        "  sk_test_0123456789\n",
    ],
)
def test_keys_that_are_accepted(key: str) -> None:
    """Secret and restricted keys, also with the space around them that copying brings along."""
    assert client_of(password=key).livemode in (False, True)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (None, "has no API key"),
        ("", "has no API key"),
        ("   ", "has no API key"),
        ("pk_test_0123456789", "publishable key"),
        ("pk_live_0123456789", "publishable key"),
        ("sk_test_0123 456789", "copy it again"),
        ("sk_test_0123\n456789", "copy it again"),
        ("sk_test_01234567é", "copy it again"),
        ("sk_test_0123\r\nX-Header: 1", "copy it again"),
    ],
)
def test_keys_that_are_refused(key: str | None, words: str) -> None:
    """In one sentence that says why and does not repeat the key."""
    with pytest.raises(StripeInputError, match=words) as refused:
        client_of(password=key)
    assert "0123" not in str(refused.value)


def test_a_key_of_another_shape_is_tried(
    fake: FakeStripe, capfd: pytest.CaptureFixture[str]
) -> None:
    """Stripe may give out keys of new shapes: a warning, but no refusal."""
    client = client_of(password="new_kind_of_key", host=fake.url)
    assert client.livemode is None
    assert "no shape that Stripe is known to use" in capfd.readouterr().out


def test_the_account_of_a_key_is_seen_without_a_call(fake: FakeStripe) -> None:
    """Keys of one account agree, of two do not, old ones show nothing; nor does it hold the key."""
    keys = (KEY, KEY.replace("cdef", "9999"), KEY.replace("sk_", "rk_"))
    same = {client_of(password=key).account for key in keys}
    assert len(same) == 1
    assert KEY[10:24] not in str(same.pop())
    other = KEY.replace("AbCd", "ZzZz")
    assert client_of(password=other).account != client_of(password=KEY).account
    assert client_of(password="sk_test_0123456789").account is None
    assert client_of(extra='{"stripe_account": "acct_1"}').account == "acct_1"
    assert fake.calls == []


def test_the_key_is_in_no_representation(stripe: FakeStripe) -> None:
    """Neither hook nor client show it."""
    hook = StripeHook()
    assert KEY not in repr(hook.get_conn()) + str(vars(hook)) + repr(hook)


def test_the_netrc_does_not_win(
    stripe: FakeStripe, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry for the host in ~/.netrc does not replace the connection's key."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    made = stripe.add("customer")
    StripeHook().get_customer(made)
    assert stripe.calls[0].key == f"sk_test_****{KEY[-4:]}"


# --- Extra

SECRET = "aVerySecretText"


@pytest.mark.parametrize(
    ("extra", "words"),
    [
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
        ({"timeout": "nan"}, "timeout"),
        ({"rate_limit_calls": 0}, "rate_limit_calls"),
        ({"rate_limit_calls": 1.5}, "rate_limit_calls"),
        ({"rate_limit_calls": "many"}, "rate_limit_calls"),
        ({"rate_limit_period": 0}, "rate_limit_period"),
        ({"rate_limit_period": {}}, "rate_limit_period"),
        ({"rate_limit_url": "memcached://x"}, "rate_limit_url"),
        ({"rate_limit_url": "redis://"}, "rate_limit_url"),
        ({"rate_limit_url": 5}, "rate_limit_url"),
        ({"rate_limit_url": f" redis://:{SECRET}@host"}, "rate_limit_url"),
        ({"rate_limit_url": f"redis:/:{SECRET}@host"}, "rate_limit_url"),
        ({"stripe_account": f"sk_test_{SECRET}"}, "stripe_account"),
        ({"api_version": f"sk_test_{SECRET}"}, "api_version"),
    ],
)
def test_a_malformed_extra_is_named(extra: Any, words: str, fake: FakeStripe) -> None:
    """One sentence that names the option and repeats no secret in the wrong place; no request."""
    extra = extra if isinstance(extra, str) else json.dumps(extra)
    with pytest.raises(StripeInputError, match=words) as refused:
        client_of(extra=extra, host=fake.url)
    assert "connection's extra" in str(refused.value)
    assert SECRET not in str(refused.value)
    assert fake.calls == []


@pytest.mark.parametrize(
    "extra",
    [None, "", "{}", '{"timeout": null, "api_version": "", "rate_limit_calls": ""}'],
)
def test_an_empty_extra_is_the_defaults(extra: str | None) -> None:
    """What the form leaves empty counts as not given."""
    assert client_of(extra=extra).api_version == "2025-02-24.acacia"
