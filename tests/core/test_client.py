"""One request: what it carries, when it is tried again, how long it waits, and what it never gives
away.
"""

from __future__ import annotations

import importlib.metadata
import re
import socket
import sys
import time
import types
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_stripe_lite.core import transport
from airflow_provider_stripe_lite.core.arguments import UPDATE_CUSTOMER, UPDATE_PRODUCT
from airflow_provider_stripe_lite.core.client import StripeClient, encode
from airflow_provider_stripe_lite.core.keys import ApiKey
from airflow_provider_stripe_lite.errors import (
    RateLimitWait,
    StripeAuthenticationError,
    StripeConnectionError,
    StripeError,
    StripeIdempotencyError,
    StripeInputError,
    StripeInvalidRequestError,
    StripeLimiterError,
    StripeNotFoundError,
    StripePermissionError,
    StripeRateLimitError,
    StripeReplayedError,
    StripeServerError,
)
from airflow_provider_stripe_lite.testing import FakeStripe, Request
from airflow_provider_stripe_lite.testing.parameters import unflatten
from tests.helpers import KEY, NOW, FakeLimiter, client_for, raw_server

Connect = Callable[..., StripeClient]


# --- What a request carries


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


# --- When it is tried again


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 409},
        {"status": 429},
        {"status": 500, "saved": False},
        {"status": 502},
        {"status": 503},
        {"status": 504},
        {"reset": True},
        {"drop": True},
        {"truncate": "length"},
        {"truncate": "json"},
        {
            "status": 200,
            "body": "<html>maintenance</html>",
            "headers": {"Content-Type": "text/html"},
        },
        {"status": 400, "headers": {"Stripe-Should-Retry": "true"}},
    ],
)
def test_what_may_pass_is_tried_again(
    fake: FakeStripe, client: StripeClient, sleeps: list[float], fault: dict[str, Any]
) -> None:
    """Conflicts, limits, server errors and broken connections, and whatever Stripe says to try
    again.
    """
    fake.fault(**fault, times=4)
    answer = client.post("/v1/customers", {"email": "a@example.com"})
    assert answer.tries == 5
    assert len(sleeps) == 4
    assert len({request.headers["idempotency-key"] for request in fake.calls}) == 1
    assert len(fake.ids("customer")) == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 400, "body": {"error": {"message": "No."}}}, StripeInvalidRequestError),
        ({"status": 400, "body": {"error": {"type": "idempotency_error"}}}, StripeIdempotencyError),
        ({"status": 401, "body": {}}, StripeAuthenticationError),
        ({"status": 402}, StripeInvalidRequestError),
        ({"status": 403, "body": {}}, StripePermissionError),
        ({"status": 404, "body": {}}, StripeNotFoundError),
        ({"status": 429, "headers": {"Stripe-Should-Retry": "false"}}, StripeRateLimitError),
        ({"status": 500, "headers": {"Stripe-Should-Retry": "false"}}, StripeServerError),
        ({"redirect": "https://elsewhere.example/"}, StripeInvalidRequestError),
    ],
)
def test_what_stays_is_not_tried_again(
    fake: FakeStripe,
    client: StripeClient,
    sleeps: list[float],
    fault: dict[str, Any],
    kind: type[StripeError],
) -> None:
    """The same request would get the same answer."""
    fake.fault(**fault, times=9)
    with pytest.raises(kind) as caught:
        client.post("/v1/customers", {})
    assert type(caught.value) is kind
    assert (len(fake.calls), sleeps) == (1, [])


def test_a_saved_server_error_is_not_looped_on(fake: FakeStripe, client: StripeClient) -> None:
    """Stripe repeats it for the key: one try more shows that, and the error says what to do."""
    fake.fault(status=500)
    with pytest.raises(StripeReplayedError, match="pass another idempotency_key"):
        client.post("/v1/customers", {}, idempotency_key="k")
    assert len(fake.calls) == 2


def test_the_last_error_is_passed_on_after_five_tries(
    fake: FakeStripe, client: StripeClient, sleeps: list[float]
) -> None:
    """With its type and fields, for Airflow's own retries to go on from."""
    fake.fault(status=503, times=9)
    with pytest.raises(StripeServerError) as caught:
        client.get("/v1/customers")
    assert (caught.value.status, caught.value.retryable) == (503, True)
    assert len(fake.calls) == 5
    assert len(sleeps) == 4


def test_one_try_is_one_request(fake: FakeStripe, connect: Connect) -> None:
    """What presses a Test button has no time for more."""
    fake.fault(status=503, times=9)
    with pytest.raises(StripeServerError):
        connect(tries=1).get("/v1/customers")
    assert len(fake.calls) == 1


def test_waits_between_tries_are_random_and_bounded(
    fake: FakeStripe, client: StripeClient, sleeps: list[float]
) -> None:
    """Exponential with full jitter: at most 0.5, 1, 2 and 4 seconds."""
    for _ in range(5):
        fake.fault(status=503, times=4)
        client.get("/v1/customers")
    assert len(sleeps) == 20
    for turn, most in enumerate((0.5, 1, 2, 4)):
        assert all(0 <= seconds <= most for seconds in sleeps[turn::4])
    assert len(set(sleeps)) > 10


def test_the_wait_that_the_server_asks_for_is_kept(
    fake: FakeStripe, client: StripeClient, sleeps: list[float]
) -> None:
    """`Retry-After` in seconds, where something sends it."""
    fake.fault(status=503, headers={"Retry-After": "7"}, times=2)
    client.get("/v1/customers")
    assert sleeps == [7, 7]


def test_no_request_waits_more_than_a_minute(
    fake: FakeStripe, client: StripeClient, sleeps: list[float]
) -> None:
    """A longer wait is Airflow's to arrange; the error says how long it was to be."""
    fake.fault(status=503, headers={"Retry-After": "25"}, times=9)
    with pytest.raises(StripeServerError) as caught:
        client.get("/v1/customers")
    assert sleeps == [25, 25]
    assert caught.value.retry_after == 25


def test_each_failed_try_is_told(fake: FakeStripe, connect: Connect) -> None:
    """A line for the log with path, reason and wait, without the key."""
    lines: list[str] = []
    fake.fault(status=429, headers={"Retry-After": "2"})
    connect(notify=lines.append).get("/v1/customers")
    assert len(lines) == 1
    assert lines[0].startswith("GET /v1/customers: try 1 of 5 failed (Request rate limit exceeded.")
    assert lines[0].endswith("again in 2.0 s")


# --- Network


def test_a_server_that_is_not_there_is_an_error_that_may_pass(sleeps: list[float]) -> None:
    """It names the address and the kind of failure."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(
        StripeConnectionError, match=rf"^No answer from {url} \(ConnectionError\)"
    ) as caught:
        client_for(url, sleep=sleeps.append).get("/v1/customers")
    assert caught.value.retryable
    assert len(sleeps) == 4


def test_an_answer_that_takes_too_long_is_an_error_that_may_pass(
    fake: FakeStripe, connect: Connect
) -> None:
    """The timeout is kept, and the request tried again."""
    fake.fault(delay=5)
    started = time.monotonic()
    assert connect(timeout=0.2).get("/v1/customers").tries == 2
    assert time.monotonic() - started < 4


def test_a_tls_failure_is_not_tried_again(fake: FakeStripe, sleeps: list[float]) -> None:
    """A wrong certificate, or a server that speaks no TLS, stays that."""
    with pytest.raises(StripeConnectionError, match=r"\(SSLError\)") as caught:
        client_for(fake.url.replace("http:", "https:"), sleep=sleeps.append).get("/v1/customers")
    assert not caught.value.retryable
    assert sleeps == []


def test_an_answer_without_a_date_is_an_answer() -> None:
    """Only a poll needs Stripe's clock; a create that has been made is not refused for its lack."""
    answer = b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 14\r\n\r\n{"id":"cus_1"}'
    with raw_server(answer) as (url, heard):
        made = client_for(url).post("/v1/customers", {})
    assert (made.body, made.date, len(heard)) == ({"id": "cus_1"}, None, 1)


def test_an_answer_that_is_no_http_is_an_error() -> None:
    """Another service listens there."""
    with (
        raw_server(b"SSH-2.0-OpenSSH_9.6\r\n") as (url, heard),
        pytest.raises(StripeConnectionError),
    ):
        client_for(url, tries=2).get("/v1/customers")
    assert len(heard) == 2


@pytest.mark.parametrize("body", [b"[]", b"5", b"null", b'"text"', b"", b"\xff\xfe", b"<html>"])
def test_a_success_that_is_no_json_object_is_an_error(body: bytes) -> None:
    """Something answers in Stripe's place, and the sentence says so."""
    head = (
        b"HTTP/1.1 200 OK\r\nDate: Mon, 02 Feb 2026 02:40:00 GMT\r\nConnection: close\r\n"
        b"Content-Length: %d\r\n\r\n"
    )
    with (
        raw_server(head % len(body) + body) as (url, _),
        pytest.raises(StripeConnectionError, match="not a JSON object") as caught,
    ):
        client_for(url, tries=1).get("/v1/customers")
    assert caught.value.status == 200


def test_a_slow_answer_is_dated_before_it_looked_at_its_data(
    fake: FakeStripe, client: StripeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stripe dates an answer when it sends it: what appeared in between may be missing in it."""
    real, passed = time.monotonic, 0.0

    def take_time(_: Request) -> None:
        nonlocal passed
        passed = 1.2

    monkeypatch.setattr(time, "monotonic", lambda: real() + passed)
    fake.fault(hook=take_time)
    assert client.get("/v1/customers").date == NOW - 2


# --- The call limit


def test_every_try_passes_the_call_limit(fake: FakeStripe, connect: Connect) -> None:
    """A retry is a call too."""
    limiter = FakeLimiter()
    fake.fault(status=503, times=3)
    connect(limiter=limiter).get("/v1/customers")
    assert limiter.calls == 4


def test_a_rate_limit_slows_everybody_down(fake: FakeStripe, connect: Connect) -> None:
    """The wait after a 429 is for all who share the limiter, and a minute at most."""
    limiter = FakeLimiter()
    fake.fault(status=429, headers={"Retry-After": "3"})
    connect(limiter=limiter).get("/v1/customers")
    fake.fault(status=503)
    connect(limiter=limiter).get("/v1/customers")
    fake.fault(status=429, headers={"Retry-After": "3600"})
    with pytest.raises(StripeRateLimitError):
        connect(limiter=limiter).get("/v1/customers")
    assert limiter.pushed == [3, 60]


def test_a_wait_is_told_before_it_begins(fake: FakeStripe, connect: Connect) -> None:
    """Who is not ready to wait that long gets the number; who is gets a line in the log."""
    limiter, lines = FakeLimiter(), list[str]()
    limiter.open(free=0)
    client = connect(limiter=limiter, notify=lines.append)
    with pytest.raises(RateLimitWait) as caught:
        client.get("/v1/customers", max_wait=3)
    assert caught.value.seconds == 7
    assert (fake.calls, lines) == ([], [])


def test_a_limiter_that_fails_lets_no_call_pass(fake: FakeStripe, connect: Connect) -> None:
    """A client without a limit is never the answer."""

    class Broken:
        def acquire(self, key: str, timeout: float | None = None) -> float:
            raise StripeLimiterError("The file is damaged.")

        def push(self, key: str, seconds: float) -> None: ...

    with pytest.raises(StripeLimiterError):
        connect(limiter=Broken()).get("/v1/customers")
    assert fake.calls == []


# --- Keys


def told(key: str) -> tuple[bool | None, str | None]:
    """Return mode and account, as the key shows them."""
    return ApiKey(key).livemode, ApiKey(key).account


@pytest.mark.parametrize(
    "key", [KEY, "rk_live_0123456789", "rkcs_test_0123456789", "my-proxy-token", f"  {KEY}\n"]
)
def test_a_usable_key_is_accepted(key: str) -> None:
    """Without the white space that copying brings; a shape that is not known is for the caller to
    warn of.
    """
    assert ApiKey(key).value == key.strip()


@pytest.mark.parametrize(
    ("key", "known"),
    [(KEY, True), ("rk_live_0123456789", True), ("my-proxy-token", False), ("sk_short", False)],
)
def test_a_familiar_key_is_told_from_others(key: str, known: bool) -> None:
    """Only to warn: Stripe promises no shape."""
    assert ApiKey(key).familiar is known


def test_mode_and_account_are_told_from_the_key() -> None:
    """Two keys of one account agree, and neither shows in what is told."""
    key = "sk_test_51AbCdEfGhIjKlMnaaaaaaaaaaaa"
    livemode, account = told(key)
    assert told("rk_test_51AbCdEfGhIjKlMnbbbbbbbbbbbb") == (livemode, account)
    assert told("sk_live_51AbCdEfGhIjKlMnaaaaaaaaaaaa") == (True, account)
    assert told("sk_live_51XbCdEfGhIjKlMnaaaaaaaaaaaa")[1] != account
    assert livemode is False
    assert re.fullmatch("[0-9a-f]{12}", str(account))
    acting = client_for("http://127.0.0.1", api_key=key, stripe_account="acct_1")
    assert (acting.livemode, acting.account) == (False, "acct_1")
    assert key[8:] not in repr(ApiKey(key))


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("sk_test_4eC39HqLyjWDarjtT1zdp7dc", (False, None)),
        ("sk_4eC39HqLyjWDarjtT1zdp7dc", (None, None)),
        ("my-proxy-token", (None, None)),
        ("sk_test_51short", (False, None)),
    ],
)
def test_what_a_key_does_not_show_is_not_guessed(
    key: str, shown: tuple[bool | None, str | None]
) -> None:
    """Older keys carry no account, and some no mode."""
    assert told(key) == shown


def test_a_client_does_not_show_its_key(connect: Connect) -> None:
    """Neither in its repr nor in any attribute of its own that a log may print."""
    client = connect()
    assert repr(client).endswith("livemode=False>")
    assert KEY not in repr(client)
    assert KEY not in repr(vars(client))


# --- Encoding


def test_a_path_segment_cannot_change_the_path(fake: FakeStripe, client: StripeClient) -> None:
    """Whatever an id holds, it stays one segment."""
    fake.add("product", id="a b/c?d#e%2F..")
    body = client.get(UPDATE_PRODUCT.read("a b/c?d#e%2F..").path).body
    assert body["id"] == "a b/c?d#e%2F.."
    assert UPDATE_CUSTOMER.read("../charges").path == "/v1/customers/..%2Fcharges"


@pytest.mark.parametrize(
    ("params", "form"),
    [
        ({"a": None, "b": 1}, "b=1"),
        ({"a": ""}, "a="),
        ({"a": True, "b": False}, "a=true&b=false"),
        ({"a": [1, "x"]}, "a[0]=1&a[1]=x"),
        ({"a": []}, "a="),
        ({"a": {"b": {"c": 1}, "d": None}}, "a[b][c]=1"),
        ({"a": [{"b": 1}, {"b": 2}]}, "a[0][b]=1&a[1][b]=2"),
        ({"a": datetime(2026, 2, 2, 2, 40, 0)}, f"a={NOW}"),  # noqa: DTZ001
        ({"a": datetime(2026, 2, 2, 2, 40, 0, 999, UTC)}, f"a={NOW}"),
        ({"a": datetime(2026, 2, 2, 4, 40, 0, tzinfo=timezone(timedelta(hours=2)))}, f"a={NOW}"),
        ({"a": Decimal("1.50"), "b": 2.5}, "a=1.50&b=2.5"),
        ({"created[lt]": 5}, "created[lt]=5"),
    ],
)
def test_parameters_are_encoded_as_stripe_reads_them(params: dict[str, Any], form: str) -> None:
    """Nothing for None, brackets for what is nested, indexes for lists, epoch seconds for times."""
    assert encode(params).replace("%5B", "[").replace("%5D", "]") == form


def test_a_time_without_a_zone_is_utc_wherever_the_worker_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As Airflow means it, and not the machine's own time."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert encode({"a": datetime(2026, 2, 2, 2, 40, 0)}) == f"a={NOW}"  # noqa: DTZ001
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("value", [b"bytes", object(), {1, 2}, 1j])
def test_a_value_without_such_a_form_is_refused(
    fake: FakeStripe, client: StripeClient, value: Any
) -> None:
    """The sentence names the parameter, and nothing is sent."""
    with pytest.raises(StripeInputError, match=r"^metadata\[x\] cannot be sent"):
        client.post("/v1/customers", {"metadata": {"x": value}})
    assert fake.calls == []


NAMES = st.text("abcxyz_", min_size=1, max_size=5)
TREES = st.recursive(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(NAMES, inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)


@settings(
    deadline=None,
    database=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.dictionaries(NAMES, TREES, max_size=3))
def test_what_is_encoded_is_what_the_server_decodes(tree: dict[str, Any]) -> None:
    """Any nesting and any text comes back as it was."""

    # The server knows a list by its parameter only.
    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return {str(index): plain(item) for index, item in enumerate(value)}
        return (
            {name: plain(item) for name, item in value.items()}
            if isinstance(value, dict)
            else value
        )

    assert unflatten(parse_qsl(encode(tree), keep_blank_values=True)) == plain(tree)


@pytest.fixture
def _forget_json() -> Iterator[None]:
    transport._json_loads.cache_clear()
    yield
    transport._json_loads.cache_clear()


@pytest.mark.usefixtures("_forget_json")
@pytest.mark.parametrize("installed", [False, True])
def test_a_faster_json_library_is_used_where_there_is_one(
    client: StripeClient, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    """The extra `speed` is optional."""
    faster = types.ModuleType("orjson")
    faster.loads = lambda _: {"decoded": "faster"}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "orjson", faster if installed else None)
    assert ("decoded" in client.get("/v1/customers").body) is installed


@pytest.mark.usefixtures("_forget_json")
def test_brackets_without_end_are_not_json_either(
    fake: FakeStripe, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's own decoder gives up on them with another exception than on the rest."""
    monkeypatch.setitem(sys.modules, "orjson", None)
    fake.fault(status=200, body="[" * 100_000)
    with pytest.raises(StripeConnectionError, match="not a JSON object"):
        connect(tries=1).get("/v1/customers")
