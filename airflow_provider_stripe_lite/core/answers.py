"""Which error an answer of Stripe stands for, and whether it is worth another try."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_stripe_lite.core.scrub import scrub
from airflow_provider_stripe_lite.errors import (
    StripeAuthenticationError,
    StripeCardError,
    StripeConnectionError,
    StripeError,
    StripeIdempotencyError,
    StripeInvalidRequestError,
    StripeNotFoundError,
    StripePermissionError,
    StripeRateLimitError,
    StripeReplayedError,
    StripeServerError,
)

__all__ = ["CONFLICTS", "from_response", "missing_permissions"]

_BY_STATUS: dict[int, type[StripeError]] = {
    401: StripeAuthenticationError,
    402: StripeCardError,
    403: StripePermissionError,
    404: StripeNotFoundError,
    429: StripeRateLimitError,
}
# With these, Stripe refuses what another try may do: a conflict, a service of others, a limit.
_PASSING = (408, 409, 424, 425, 429)
# Nothing was done, as another request or too many others stood in the way.
CONFLICTS = (409, 429)
_DASHBOARD = "https://dashboard.stripe.com/"
_BAD_KEY = (
    "Stripe does not accept the API key: put a valid one into the connection, as its API key."
)
_REPLAYED = (
    "Stripe repeats a server error that it saved for this idempotency key (it keeps it for 24 "
    "hours): look at the request log whether the object was made, then pass another "
    "idempotency_key to try anew."
)

_SAVED = (
    "Stripe repeats the answer that it saved for this idempotency key (it keeps it for 24 hours): "
    "to ask anew, pass another idempotency_key."
)


def from_response(
    status: int, headers: Mapping[str, str], body: Any, *, reads: bool = False
) -> StripeError:
    """Build the error that an answer stands for; every shape of body is accepted.

    Only an error of Stripe's own, which has a type, can be final; whatever else answers may be
    gone at the next try.

    :param status: HTTP status.
    :param headers: response headers, looked up case-insensitively.
    :param body: decoded JSON, or None where the body was not JSON.
    :param reads: whether the request only reads, so that trying again does no harm.
    """
    error = body.get("error") if isinstance(body, dict) else None
    detail: dict[str, Any] = error if isinstance(error, dict) else {"message": error}
    stripes = status >= 400 and isinstance(detail.get("type"), str)
    replayed = headers.get("Idempotent-Replayed") == "true"
    kind = _kind(status, detail, replayed) if stripes else _foreign(status)
    message = _text(detail.get("message")) or ""
    if not stripes:
        message = f"{_plain(status, headers)}{' It says: ' if message else ''}{message}"
    message = message or f"Stripe answered {status} and does not say why."
    if kind is StripeRateLimitError and (reason := headers.get("Stripe-Rate-Limited-Reason")):
        message = f"{message} (Stripe-Rate-Limited-Reason: {reason})"
    hint = _hint(kind, message, replayed=replayed and stripes)
    log_url = _text(detail.get("request_log_url")) or ""
    return kind(
        f"{hint} Stripe says: {message}" if hint else message,
        status=status,
        type=_text(detail.get("type")),
        code=_text(detail.get("code")),
        param=_text(detail.get("param")),
        request_id=_text(headers.get("Request-Id")),
        # It becomes a button, which may lead nowhere else.
        request_log_url=log_url if log_url.startswith(_DASHBOARD) else None,
        retryable=not stripes or _retryable(kind, status, headers, reads),
        retry_after=_seconds(headers.get("Retry-After")),
        replayed=replayed and stripes,
        refused=stripes and _made_nothing(kind, status, replayed=replayed),
        intent=_intent(detail),
    )


def missing_permissions(message: str) -> str:
    """Return the permissions that Stripe names in a 403, joined by "or", or an empty text."""
    return " or ".join(dict.fromkeys(re.findall(r"rak_\w+", message)))


def _hint(kind: type[StripeError], message: str, *, replayed: bool) -> str:
    """Return the advice that stands before Stripe's words: a log shows the beginning of a line."""
    if kind is StripePermissionError and (lacks := missing_permissions(message)):
        return f"The API key lacks {lacks}: grant the key that permission in Stripe's dashboard."
    saved = _SAVED if replayed else ""
    return {StripeReplayedError: _REPLAYED, StripeAuthenticationError: _BAD_KEY}.get(kind, saved)


def _made_nothing(kind: type[StripeError], status: int, *, replayed: bool) -> bool:
    """Return whether nothing was made: by a refusal, or by a conflict that was saved as the end."""
    if status in CONFLICTS:
        return replayed
    final = 400 <= status < 500 and status not in _PASSING
    return final and kind is not StripeIdempotencyError


def _intent(detail: Mapping[str, Any]) -> str | None:
    """Return the id of the intent whose payment was declined."""
    held = [detail.get(name) for name in ("payment_intent", "setup_intent")]
    return next((_text(one.get("id")) for one in held if isinstance(one, dict)), None)


def _kind(status: int, detail: Mapping[str, Any], replayed: bool) -> type[StripeError]:
    # The status decides first: Stripe says invalid_request_error for 401, 403, 404 and 429, too.
    if status >= 500:
        return StripeReplayedError if replayed else StripeServerError
    if status == 400 and detail.get("code") == "rate_limit":
        return StripeRateLimitError
    if detail.get("type") == "idempotency_error" and status != 429:
        return StripeIdempotencyError
    return _BY_STATUS.get(status, StripeInvalidRequestError)


def _foreign(status: int) -> type[StripeError]:
    """Return what an answer is that does not hold an error of Stripe's."""
    if status >= 500:
        return StripeServerError
    return StripeRateLimitError if status == 429 else StripeConnectionError


def _retryable(
    kind: type[StripeError], status: int, headers: Mapping[str, str], reads: bool
) -> bool:
    if headers.get("Idempotent-Replayed") == "true":
        # The same saved answer would come again. A conflict has made nothing: another key helps.
        return status in CONFLICTS
    advice = headers.get("Stripe-Should-Retry")
    if advice == "true" or (advice == "false" and not reads):
        return advice == "true"
    return kind is StripeRateLimitError or status in _PASSING or status >= 500


def _plain(status: int, headers: Mapping[str, str]) -> str:
    if 300 <= status < 400:
        return (
            f"The server answered {status}, a redirect, and redirects are not followed: check the "
            "base URL."
        )
    if status < 300:
        return f"The server answered {status}, which is no error, with one."
    content = headers.get("Content-Type", "an unknown type").split(";")[0]
    return f"The server answered {status} without a Stripe error ({content})."


def _text(value: object) -> str | None:
    """Return a text on one line, or None where there is none."""
    return scrub(" ".join(value.split())) if isinstance(value, str) and value else None


def _seconds(value: str | None) -> float | None:
    try:
        seconds = float(value or "")
    except ValueError:
        # Stripe does not send the other form, an HTTP date.
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
