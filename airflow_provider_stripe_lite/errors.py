"""What can go wrong, as types with fields.

StripeError                     all below: status, type, code, param, request id and log link
├── StripeConnectionError       no usable answer: network, timeout, TLS, truncated or not JSON
├── StripeInvalidRequestError   400, 404 and every other refusal of what was asked
│   ├── StripeNotFoundError     404, or a customer that has been deleted
│   └── StripeIdempotencyError  the same idempotency key with other parameters
├── StripeAuthenticationError   401: the key is not valid
├── StripePermissionError       403: the key is real and may not do this
├── StripeRateLimitError        429: the account's limit, or a locked object
├── StripeServerError           5xx
│   └── StripeReplayedError     a saved 5xx, which Stripe repeats for the same idempotency key
└── StripeLimiterError          the local call limit cannot be kept, so no call is made
StripeInputError (ValueError)   an argument is wrong; nothing was sent
RateLimitWait                   not an error: the call limit has no free slot yet
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = [
    "RateLimitWait",
    "StripeAuthenticationError",
    "StripeConnectionError",
    "StripeError",
    "StripeIdempotencyError",
    "StripeInputError",
    "StripeInvalidRequestError",
    "StripeLimiterError",
    "StripeNotFoundError",
    "StripePermissionError",
    "StripeRateLimitError",
    "StripeReplayedError",
    "StripeServerError",
    "from_response",
    "missing_permissions",
    "scrub",
]

_KEY = re.compile(r"\b(pk|sk|rk|rkcs)_(test_|live_)?\w{6,}", re.ASCII)
_EMAIL = re.compile(r"[^\s@<>'\":]+@[^\s@<>'\":]+\.\w+")


def scrub(text: str) -> str:
    """Remove each text that looks like an API key or an e-mail address.

    A key that Stripe itself has masked with asterisks stays.
    """
    return _EMAIL.sub("<e-mail>", _KEY.sub(r"\1_\2***", text))


class StripeInputError(ValueError):
    """An argument is wrong: the sentence names it and the fix, and no request was sent."""


class RateLimitWait(Exception):  # noqa: N818
    """The call limit has no free slot within the time the caller is ready to wait.

    :ivar seconds: how long until the slot is free; nothing was reserved.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return f"the call limit frees the next slot in {self.seconds:.1f} s"


class StripeError(Exception):
    """A request to Stripe failed; never holds the key.

    :ivar status: HTTP status, or None where there was no answer.
    :ivar type: Stripe's error type, such as ``invalid_request_error``.
    :ivar code: Stripe's error code, such as ``resource_missing``.
    :ivar param: the parameter that Stripe objects to.
    :ivar request_id: ``req_…``, what Stripe's support asks for.
    :ivar request_log_url: the request in the dashboard's log.
    :ivar retryable: whether the same request may succeed later.
    :ivar retry_after: seconds that the server asks to wait, or None.

    See https://docs.stripe.com/api/errors
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        type: str | None = None,
        code: str | None = None,
        param: str | None = None,
        request_id: str | None = None,
        request_log_url: str | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(scrub(message))
        self.status, self.type, self.code, self.param = status, type, code, param
        self.request_id, self.request_log_url = request_id, request_log_url
        self.retryable, self.retry_after = retryable, retry_after

    def __str__(self) -> str:
        where = [f"request {self.request_id}"] if self.request_id else []
        where += [self.request_log_url] if self.request_log_url else []
        return f"{self.args[0]} ({', '.join(where)})" if where else str(self.args[0])

    def with_hint(self, hint: str) -> StripeError:
        """Return the same error with a sentence in front that says what to do."""
        copy = type(self)(f"{hint} Stripe says: {self.args[0]}")
        copy.__dict__.update(self.__dict__)
        return copy


class StripeConnectionError(StripeError):
    """There was no usable answer."""


class StripeInvalidRequestError(StripeError):
    """Stripe refuses what was asked."""


class StripeNotFoundError(StripeInvalidRequestError):
    """The object or the address does not exist (any more)."""


class StripeIdempotencyError(StripeInvalidRequestError):
    """The idempotency key was used before with other parameters."""


class StripeAuthenticationError(StripeError):
    """The API key is not valid."""


class StripePermissionError(StripeError):
    """The API key lacks a permission; the message names it."""


class StripeRateLimitError(StripeError):
    """Too many requests, or the object is locked by another one."""


class StripeServerError(StripeError):
    """Something went wrong at Stripe."""


class StripeReplayedError(StripeServerError):
    """Stripe repeats a saved server error under the same idempotency key."""


class StripeLimiterError(StripeError):
    """The call limit cannot be kept, so no call is made."""


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
