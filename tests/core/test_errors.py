"""Every answer that is not a success becomes one typed error with fields, and none of them holds
the key.
"""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from airflow_provider_stripe_lite import errors
from airflow_provider_stripe_lite.core.answers import from_response
from airflow_provider_stripe_lite.errors import RateLimitWait, StripeError
from tests.helpers import KEY


def body(**error: Any) -> dict[str, Any]:
    return {"error": {"type": "invalid_request_error", "message": "What Stripe says."} | error}


@pytest.mark.parametrize(
    ("status", "error", "kind", "retryable"),
    [
        (400, {}, errors.StripeInvalidRequestError, False),
        (400, {"code": "rate_limit"}, errors.StripeRateLimitError, True),
        (400, {"type": "idempotency_error"}, errors.StripeIdempotencyError, False),
        (401, {}, errors.StripeAuthenticationError, False),
        (402, {"type": "card_error"}, errors.StripeCardError, False),
        (403, {}, errors.StripePermissionError, False),
        (404, {}, errors.StripeNotFoundError, False),
        (408, {}, errors.StripeInvalidRequestError, True),
        (409, {"type": "idempotency_error"}, errors.StripeIdempotencyError, True),
        (409, {}, errors.StripeInvalidRequestError, True),
        (424, {}, errors.StripeInvalidRequestError, True),
        (425, {}, errors.StripeInvalidRequestError, True),
        (429, {}, errors.StripeRateLimitError, True),
        (429, {"type": "idempotency_error"}, errors.StripeRateLimitError, True),
        (500, {"type": "api_error"}, errors.StripeServerError, True),
        (503, {"type": "idempotency_error"}, errors.StripeServerError, True),
        (418, {}, errors.StripeInvalidRequestError, False),
    ],
)
def test_the_status_decides_which_error_it_is(
    status: int, error: dict[str, str], kind: type[StripeError], retryable: bool
) -> None:
    """Stripe calls 401, 403, 404 and 429 all `invalid_request_error`, so its type alone says
    little.
    """
    exc = from_response(status, {}, body(**error))
    assert type(exc) is kind
    assert exc.status == status
    assert exc.retryable is retryable
    assert str(exc).endswith("What Stripe says.")


def test_an_error_carries_what_stripe_told() -> None:
    """All fields that help a person or a program, and where to look in the dashboard."""
    told = body(
        code="resource_missing",
        param="id",
        request_log_url="https://dashboard.stripe.com/test/logs/req_1",
    )
    exc = from_response(404, {"Request-Id": "req_1", "Retry-After": "3"}, told)
    assert (exc.type, exc.code, exc.param) == ("invalid_request_error", "resource_missing", "id")
    assert (exc.request_id, exc.retry_after) == ("req_1", 3.0)
    assert exc.request_log_url == "https://dashboard.stripe.com/test/logs/req_1"
    assert (
        str(exc)
        == "What Stripe says. (request req_1, https://dashboard.stripe.com/test/logs/req_1)"
    )


@pytest.mark.parametrize(
    ("advice", "status", "write", "read"),
    [
        ("true", 400, True, True),
        ("false", 500, False, True),
        ("false", 409, False, True),
        ("false", 429, False, True),
        ("false", 404, False, False),
        ("perhaps", 500, True, True),
    ],
)
def test_stripes_advice_on_retrying_wins(advice: str, status: int, write: bool, read: bool) -> None:
    """`Stripe-Should-Retry` knows better than the status, but no read is final by it alone."""
    headers = {"Stripe-Should-Retry": advice}
    assert from_response(status, headers, body()).retryable is write
    assert from_response(status, headers, body(), reads=True).retryable is read


def test_the_kind_of_a_limit_is_told() -> None:
    """Another limit wants another cure."""
    exc = from_response(429, {"Stripe-Rate-Limited-Reason": "endpoint-rate"}, body())
    assert str(exc) == "What Stripe says. (Stripe-Rate-Limited-Reason: endpoint-rate)"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "http://dashboard.stripe.com/logs/req_1",
        "https://dashboard.stripe.com.example/logs/req_1",
        "https://dashboard.stripe.com@x.example/",
        5,
        "",
    ],
)
def test_a_link_leads_to_the_dashboard_or_nowhere(url: Any) -> None:
    """It becomes a button."""
    assert from_response(400, {}, body(request_log_url=url)).request_log_url is None


def test_a_repeated_server_error_says_what_to_do() -> None:
    """The saved answer would come again for the same idempotency key, so it is not tried again."""
    exc = from_response(500, {"Idempotent-Replayed": "true", "Stripe-Should-Retry": "true"}, body())
    assert type(exc) is errors.StripeReplayedError
    assert not exc.retryable
    assert "pass another idempotency_key" in str(exc)
    assert "What Stripe says." in str(exc)


def test_a_key_that_is_not_accepted_is_named_first() -> None:
    """A log shows the beginning of a line, so what to do stands before what Stripe says."""
    text = str(from_response(401, {}, body()))
    assert text.startswith("Stripe does not accept the API key: ")
    assert text.endswith("Stripe says: What Stripe says.")


def test_a_missing_permission_is_named_first() -> None:
    """As Stripe calls it, once each; where Stripe names none, its own words are all there is."""
    lacking = body(
        message="Having the 'rak_charge_read' or 'rak_order_read' permission, or "
        "'rak_charge_read', …."
    )
    assert str(from_response(403, {}, lacking)).startswith(
        "The API key lacks rak_charge_read or rak_order_read: grant the key that permission in "
        "Stripe's dashboard. Stripe says: Having"
    )
    assert str(from_response(403, {}, body())) == "What Stripe says."


def test_a_repeated_refusal_is_what_it_was() -> None:
    """Only a 5xx that is repeated needs advice."""
    exc = from_response(402, {"Idempotent-Replayed": "true"}, body())
    assert type(exc) is errors.StripeCardError
    assert not exc.retryable


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "text",
        5,
        [],
        {},
        {"error": None},
        {"error": []},
        {"error": 5},
        {"error": {}},
        {"error": {"message": 5, "type": [], "code": {}, "param": False}},
        {"error": {"message": ""}},
    ],
)
def test_an_answer_of_any_shape_is_an_error_with_a_sentence(answer: Any) -> None:
    """Gateways and proxies answer what they like; the status still says what to make of it."""
    exc = from_response(502, {"Content-Type": "text/html; charset=utf-8"}, answer)
    assert type(exc) is errors.StripeServerError
    assert exc.retryable
    assert str(exc).startswith(("The server answered 502 without a Stripe error (text/html)", "5"))
    assert (exc.type, exc.code, exc.param) == (None, None, None)


def test_an_error_that_is_only_text_is_told() -> None:
    """Gateways answer like that, and the OAuth endpoints; it is no error of Stripe's kind."""
    exc = from_response(400, {}, {"error": "invalid_grant"})
    assert str(exc) == (
        "The server answered 400 without a Stripe error (an unknown type). It says: invalid_grant"
    )
    assert type(exc) is errors.StripeConnectionError
    assert exc.retryable


def test_a_stripe_error_without_words_is_a_sentence() -> None:
    """Its status is all there is to say."""
    exc = from_response(400, {}, body(message=None))
    assert str(exc) == "Stripe answered 400 and does not say why."
    assert not exc.retryable


def test_a_redirect_is_named_as_one() -> None:
    """It is an error whose sentence says what to check, not an answer that is followed."""
    exc = from_response(302, {"Location": "https://elsewhere.example"}, None)
    assert str(exc) == (
        "The server answered 302, a redirect, and redirects are not followed: check the base URL."
    )
    assert exc.retryable


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2", 2.0),
        ("0.5", 0.5),
        ("0", 0.0),
        ("-1", None),
        ("inf", None),
        ("-inf", None),
        ("nan", None),
        ("1e400", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("", None),
    ],
)
def test_the_wait_that_a_server_asks_for_is_kept(value: str, seconds: float | None) -> None:
    """In seconds; what is no time to wait is left to the usual wait."""
    assert from_response(429, {"Retry-After": value}, body()).retry_after == seconds


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        "sk_live_0123456789abcdef",
        "rk_test_0123456789abcdef",
        "rkcs_test_0123456789",
        "pk_live_0123456789abc",
        "sk_0123456789abcdef",
        "sk_test_my_key_with_underscores",
    ],
)
def test_a_key_in_a_message_is_made_unreadable(key: str) -> None:
    """Whatever sends it back: the message keeps its sense and loses the key, in every field."""
    told = body(
        message=f"Bad key {key}.",
        code=key,
        param=key,
        type=key,
        request_log_url=f"https://x.example/{key}",
    )
    exc = from_response(401, {"Request-Id": key}, told)
    secret = key.rpartition("_")[2]
    assert secret not in f"{exc} {exc!r} {exc.args} {vars(exc)}"
    assert "Bad key " in str(exc)


def test_a_hint_stands_before_what_stripe_said() -> None:
    """The same error, fields and all, with the sentence that says what to do."""
    exc = from_response(404, {"Request-Id": "req_1"}, body(code="c", param="p"))
    hinted = exc.with_hint("Do this.")
    assert type(hinted) is errors.StripeNotFoundError
    assert str(hinted) == "Do this. Stripe says: What Stripe says. (request req_1)"
    assert (hinted.status, hinted.code, hinted.param, hinted.request_id) == (404, "c", "p", "req_1")
    assert str(exc) == "What Stripe says. (request req_1)"


def test_a_signal_tells_how_long_to_wait() -> None:
    """It is no error of Stripe's, and nobody who handles those catches it by mistake."""
    exc = RateLimitWait(12.34)
    assert exc.seconds == 12.34
    assert str(exc) == "the call limit frees the next slot in 12.3 s"
    assert not isinstance(exc, StripeError)


def test_errors_survive_pickling() -> None:
    """Airflow passes exceptions from process to process."""
    exc = pickle.loads(pickle.dumps(from_response(404, {"Request-Id": "req_1"}, body(code="c"))))
    assert (type(exc), exc.status, exc.code, exc.request_id) == (
        errors.StripeNotFoundError,
        404,
        "c",
        "req_1",
    )
    assert pickle.loads(pickle.dumps(RateLimitWait(5.0))).seconds == 5.0
    late = errors.StripeConnectionError("Late.", timed_out=True, retryable=True)
    assert vars(pickle.loads(pickle.dumps(late))) == vars(late)


def test_every_error_has_one_parent_to_catch() -> None:
    """`except StripeError` catches all that can go wrong with a request, not a bad argument."""
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    ]
    assert {kind.__name__ for kind in kinds if not issubclass(kind, StripeError)} == {
        "StripeInputError",
        "RateLimitWait",
    }
    assert issubclass(errors.StripeInputError, ValueError)
    for kind in kinds:
        assert kind.__name__ in str(errors.__doc__)
