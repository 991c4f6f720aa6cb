"""When a request is tried again, how long it waits, and that each try is within the limit."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.errors import (
    RateLimitWait,
    StripeAuthenticationError,
    StripeCardError,
    StripeError,
    StripeIdempotencyError,
    StripeInvalidRequestError,
    StripeLimiterError,
    StripeNotFoundError,
    StripePermissionError,
    StripeRateLimitError,
    StripeReplayedError,
    StripeServerError,
)
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.helpers import Connect, FakeLimiter

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


def stripe_error(status: int, **fields: str) -> dict[str, Any]:
    """Return the script of a refusal of Stripe's own."""
    error = {"type": "invalid_request_error", "message": "No."} | fields
    return {"status": status, "body": {"error": error}}


NEVER = {"headers": {"Stripe-Should-Retry": "false"}}


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (stripe_error(400), StripeInvalidRequestError),
        (stripe_error(400, type="idempotency_error"), StripeIdempotencyError),
        (stripe_error(401), StripeAuthenticationError),
        (stripe_error(402, type="card_error"), StripeCardError),
        ({"status": 402}, StripeCardError),
        (stripe_error(403), StripePermissionError),
        (stripe_error(404), StripeNotFoundError),
        (stripe_error(429) | NEVER, StripeRateLimitError),
        (stripe_error(500) | NEVER, StripeServerError),
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


def test_no_request_waits_beyond_its_deadline(
    fake: FakeStripe, connect: Connect, sleeps: list[float]
) -> None:
    """A longer wait is Airflow's to arrange; the error says how long it was to be."""
    fake.fault(status=503, headers={"Retry-After": "25"}, times=9)
    with pytest.raises(StripeServerError) as caught:
        connect(timeout=20).get("/v1/customers")
    assert sleeps == []
    assert caught.value.retry_after == 25
    with pytest.raises(StripeServerError):
        connect(timeout=30, tries=3).get("/v1/customers")
    assert sleeps == [25, 25]


def test_each_failed_try_is_told(fake: FakeStripe, connect: Connect) -> None:
    """A line for the log with path, reason and wait, without the key."""
    lines: list[str] = []
    fake.fault(status=429, headers={"Retry-After": "2"})
    connect(notify=lines.append).get("/v1/customers")
    assert len(lines) == 1
    assert lines[0].startswith("GET /v1/customers: try 1 of 5 failed (Request rate limit exceeded.")
    assert lines[0].endswith("again in 2.0 s")


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
