"""What a request carries, what its answer says, and that the key does not show."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.errors import StripeInputError, StripeNotFoundError
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.helpers import KEY, NOW, Connect


def test_a_read_carries_the_key_the_version_and_who_asks(
    fake: FakeStripe, connect: Connect
) -> None:
    """Bearer, Stripe-Version, User-Agent, and nothing that only a write needs."""
    connect(api_version="2020-08-27", stripe_account="acct_1").get("/v1/customers", {"limit": 3})
    [request] = fake.calls
    assert (request.method, request.path, request.query) == (
        "GET",
        "/v1/customers",
        [("limit", "3")],
    )
    assert request.key == f"sk_test_****{KEY[-4:]}"
    assert request.headers["stripe-version"] == "2020-08-27"
    assert request.headers["stripe-account"] == "acct_1"
    version = importlib.metadata.version("airflow-provider-stripe-lite")
    assert re.fullmatch(
        rf"airflow-provider-stripe-lite/{re.escape(version)} python-requests/\S+",
        request.headers["user-agent"],
    )
    assert "idempotency-key" not in request.headers
    assert "x-stripe-client-telemetry" not in request.headers


def test_the_api_version_is_always_sent(fake: FakeStripe, client: StripeClient) -> None:
    """The account's own default would decide otherwise how objects look."""
    client.get("/v1/customers")
    assert fake.calls[0].headers["stripe-version"] == "2025-02-24.acacia"
    assert "stripe-account" not in fake.calls[0].headers


def test_a_write_carries_a_form_and_an_idempotency_key(
    fake: FakeStripe, client: StripeClient
) -> None:
    """A new key for every write, unless the caller has one."""
    client.post("/v1/customers", {"email": "a@example.com"})
    client.post("/v1/customers", {"email": "a@example.com"})
    client.post("/v1/customers", {}, idempotency_key="mine")
    first, second, third = fake.calls
    assert first.form == [("email", "a@example.com")]
    assert first.query == []
    assert first.headers["content-type"] == "application/x-www-form-urlencoded"
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]
    assert third.headers["idempotency-key"] == "mine"
    assert len(fake.ids("customer")) == 3


@pytest.mark.parametrize("key", ["k", "a" * 255, "airflow-0123:/?#"])
def test_an_idempotency_key_that_fits_the_header_is_accepted(
    fake: FakeStripe, client: StripeClient, key: str
) -> None:
    """One to 255 printable characters."""
    client.post("/v1/customers", {}, idempotency_key=key)
    assert fake.calls[0].headers["idempotency-key"] == key


@pytest.mark.parametrize(
    "path",
    [
        "",
        "v1/customers",
        "@other.example/v1",
        ":8080/x",
        ".other.example/v1",
        "//other.example/v1",
        "https://other.example/v1",
        "/v1/customers?limit=1",
        "/v1/customers#top",
        "/v1/../v2/customers",
        "/v1/customers/..",
        "/v1/%2e%2E/charges",
        "/./v1",
        "/v1/a b",
        "/v1\\customers",
        "/v1/customers\n",
        "/v1/\x00",
        "/v1/prod_ü",
        "/v1/\ud83d",
        "/v1/a@other",
        None,
        5,
    ],
)
def test_a_path_that_could_lead_elsewhere_is_refused(
    fake: FakeStripe, client: StripeClient, path: Any
) -> None:
    """Before any request, in a sentence with the path: the key stays with its host."""
    for call in (lambda: client.get(path), lambda: client.post(path, {})):
        with pytest.raises(StripeInputError, match="is no path of Stripe's API: ") as refused:
            call()
        assert str(refused.value).startswith(repr(path))
    assert fake.calls == []


def test_a_path_of_any_depth_is_accepted(fake: FakeStripe, client: StripeClient) -> None:
    """With what an id may hold, encoded."""
    with pytest.raises(StripeNotFoundError):
        client.get("/v2/core/a%2Fb/c:d~e...f/")
    assert fake.calls[0].path == "/v2/core/a%2Fb/c:d~e...f/"


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"description": "half \ud83d"}, "'description'"),
        ({"metadata": {"a": ["b", "\ude00"]}}, "'metadata[a][1]'"),
        ({"metadata": {"\ud83d": "b"}}, r"'metadata[\ud83d]'"),
    ],
)
def test_half_of_a_character_is_refused(
    fake: FakeStripe, client: StripeClient, parameters: dict[str, Any], name: str
) -> None:
    """UTF-8 has no form for it; the sentence says where it stands, and no request goes out."""
    for call in (client.get, client.post):
        with pytest.raises(StripeInputError, match="a lone surrogate") as refused:
            call("/v1/customers", parameters)
        assert str(refused.value).startswith(f"{name} holds half of a character")
        str(refused.value).encode()
    assert fake.calls == []


def test_an_answer_says_all_that_matters(fake: FakeStripe, client: StripeClient) -> None:
    """The body as it came, Stripe's clock, the request's id, whether it is a replay, how many tries
    it took.
    """
    answer = client.post("/v1/customers", {"email": "a@example.com"}, idempotency_key="k")
    again = client.post("/v1/customers", {"email": "a@example.com"}, idempotency_key="k")
    assert answer.body["email"] == "a@example.com"
    assert answer.date == NOW
    assert answer.request_id == fake.calls[0].request_id
    assert (answer.replayed, again.replayed, answer.tries) == (False, True, 1)
    assert again.body == answer.body


def test_a_netrc_file_does_not_take_the_place_of_the_key(
    fake: FakeStripe, client: StripeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry for the host in ~/.netrc would replace a plain header."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    client.get("/v1/customers")
    assert fake.calls[0].key == f"sk_test_****{KEY[-4:]}"


def test_connections_are_kept(fake: FakeStripe, client: StripeClient) -> None:
    """Many requests, one connection: no new TLS handshake for each page."""
    for _ in range(5):
        client.get("/v1/customers")
    assert len({request.peer for request in fake.calls}) == 1


def test_a_client_does_not_show_its_key(connect: Connect) -> None:
    """Neither in its repr nor in any attribute of its own that a log may print."""
    client = connect()
    assert repr(client).endswith("livemode=False>")
    assert KEY not in repr(client)
    assert KEY not in repr(vars(client))


def test_a_client_tells_its_deadline(connect: Connect) -> None:
    """Who has less time than that passes less."""
    assert (connect().timeout, connect(timeout=5).timeout) == (80.0, 5)
