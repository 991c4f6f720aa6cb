"""Which error an answer of Stripe stands for, and whether it is worth another try."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_stripe_lite.core.scrub import scrub
from airflow_provider_stripe_lite.errors import (
    StripeAuthenticationError,
    StripeError,
    StripeIdempotencyError,
    StripeInvalidRequestError,
    StripeNotFoundError,
    StripePermissionError,
    StripeRateLimitError,
    StripeReplayedError,
    StripeServerError,
)

__all__ = ["from_response", "missing_permissions"]

_BY_STATUS: dict[int, type[StripeError]] = {
    401: StripeAuthenticationError,
    403: StripePermissionError,
    404: StripeNotFoundError,
    429: StripeRateLimitError,
}
_BAD_KEY = "Stripe does not accept the API key: put a valid one into the connection's password."
_REPLAYED = (
    "Stripe repeats a server error that it saved for this idempotency key (it keeps it for 24 "
    "hours): look at the request log whether the object was made, then pass another "
    "idempotency_key to try anew."
)


def from_response(status: int, headers: Mapping[str, str], body: Any) -> StripeError:
    """Build the error that an answer stands for; every shape of body is accepted.

    :param status: HTTP status, 300 or above.
    :param headers: response headers, looked up case-insensitively.
    :param body: decoded JSON, or None where the body was not JSON.
    """
    error = body.get("error") if isinstance(body, dict) else None
    detail: dict[str, Any] = (
        error if isinstance(error, dict) else {"message": error} if error else {}
    )
    replayed = headers.get("Idempotent-Replayed") == "true"
    message = _text(detail.get("message")) or _plain(status, headers)
    kind = _kind(status, detail, replayed)
    hint = _hint(kind, message)
    return kind(
        f"{hint} Stripe says: {message}" if hint else message,
        status=status,
        type=_text(detail.get("type")),
        code=_text(detail.get("code")),
        param=_text(detail.get("param")),
        request_id=_text(headers.get("Request-Id")),
        request_log_url=_text(detail.get("request_log_url")),
        retryable=_retryable(status, headers, replayed),
        retry_after=_seconds(headers.get("Retry-After")),
    )


def missing_permissions(message: str) -> str:
    """Return the permissions that Stripe names in a 403, joined by "or", or an empty text."""
    return " or ".join(dict.fromkeys(re.findall(r"rak_\w+", message)))


def _hint(kind: type[StripeError], message: str) -> str:
    """Return the advice that stands before Stripe's words: a log shows the beginning of a line."""
    if kind is StripePermissionError and (lacks := missing_permissions(message)):
        return f"The API key lacks {lacks}."
    return {StripeReplayedError: _REPLAYED, StripeAuthenticationError: _BAD_KEY}.get(kind, "")


def _kind(status: int, detail: Mapping[str, Any], replayed: bool) -> type[StripeError]:
    # The status decides first: Stripe says invalid_request_error for 401, 403, 404 and 429, too.
    if status >= 500:
        return StripeReplayedError if replayed else StripeServerError
    if status == 400 and detail.get("code") == "rate_limit":
        return StripeRateLimitError
    if detail.get("type") == "idempotency_error" and status != 429:
        return StripeIdempotencyError
    return _BY_STATUS.get(status, StripeInvalidRequestError)


def _retryable(status: int, headers: Mapping[str, str], replayed: bool) -> bool:
    if replayed:
        # The same saved answer would come again.
        return False
    advice = headers.get("Stripe-Should-Retry")
    if advice in ("true", "false"):
        return advice == "true"
    return status in (409, 429) or status >= 500


def _plain(status: int, headers: Mapping[str, str]) -> str:
    if 300 <= status < 400:
        return (
            f"The server answered {status}, a redirect, and redirects are not followed: check the "
            "base URL."
        )
    content = headers.get("Content-Type", "an unknown type").split(";")[0]
    return f"The server answered {status} without a Stripe error ({content})."


def _text(value: object) -> str | None:
    return scrub(value) if isinstance(value, str) and value else None


def _seconds(value: str | None) -> float | None:
    try:
        return max(0.0, float(value)) if value else None
    except ValueError:
        # Stripe does not send the other form, an HTTP date.
        return None
