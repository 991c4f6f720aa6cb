"""What can go wrong, as types with fields.

StripeError                     all below: status, type, code, param, request id and log link
├── StripeConnectionError       no usable answer: network, timeout, TLS, truncated or not JSON
├── StripeInvalidRequestError   400, 404 and every other refusal of what was asked
│   ├── StripeNotFoundError     404, or a customer that has been deleted
│   └── StripeIdempotencyError  the same idempotency key with other parameters
├── StripeCardError             402: the payment was declined
├── StripeAuthenticationError   401: the key is not valid
├── StripePermissionError       403: the key is real and may not do this
├── StripeRateLimitError        429: the account's limit, or a locked object
├── StripeServerError           5xx
│   └── StripeReplayedError     a saved 5xx, which Stripe repeats for the same idempotency key
├── StripeLimiterError          the local call limit cannot be kept, so no call is made
└── StripeCursorError           a sensor's cursor cannot be read or written now
StripeInputError (ValueError)   an argument is wrong; nothing was sent
RateLimitWait                   not an error: the call limit has no free slot yet
"""

from __future__ import annotations

from typing import Any

from airflow_provider_stripe_lite.core.scrub import scrub

__all__ = [
    "RateLimitWait",
    "StripeAuthenticationError",
    "StripeCardError",
    "StripeConnectionError",
    "StripeCursorError",
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
]


class StripeInputError(ValueError):
    """An argument is wrong: the sentence names it and the fix, and no request was sent."""

    def __init__(self, message: str) -> None:
        super().__init__(scrub(message))


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
    :ivar replayed: whether this is the answer that Stripe saved for the idempotency key.
    :ivar refused: whether Stripe says by this that it has made nothing, but for `intent`.
    :ivar intent: ``pi_…`` or ``seti_…``, which stays where its payment was declined.

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
        replayed: bool = False,
        refused: bool = False,
        intent: str | None = None,
    ) -> None:
        super().__init__(scrub(message))
        self.status, self.type, self.code, self.param = status, type, code, param
        self.request_id, self.request_log_url = request_id, request_log_url
        self.retryable, self.retry_after = retryable, retry_after
        self.replayed, self.refused, self.intent = replayed, refused, intent

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
    """There was no usable answer.

    :ivar timed_out: whether the call's `timeout` ran out before the answer was complete.
    :ivar incomplete: whether an answer began, and was not received, or not accepted, as a whole.
    """

    def __init__(
        self, message: str, *, timed_out: bool = False, incomplete: bool = False, **fields: Any
    ) -> None:
        super().__init__(message, **fields)
        self.timed_out, self.incomplete = timed_out, incomplete


class StripeInvalidRequestError(StripeError):
    """Stripe refuses what was asked."""


class StripeNotFoundError(StripeInvalidRequestError):
    """The object or the address does not exist (any more)."""


class StripeIdempotencyError(StripeInvalidRequestError):
    """The idempotency key was used before with other parameters."""


class StripeCardError(StripeError):
    """The payment was declined."""


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


class StripeCursorError(StripeError):
    """A sensor's cursor cannot be read or written now; nothing was delivered; try again."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=True)
