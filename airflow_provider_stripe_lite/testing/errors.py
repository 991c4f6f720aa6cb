"""What the fake refuses, and in which words: Stripe's documented errors."""

from __future__ import annotations

from typing import Any, Literal

__all__ = [
    "ApiError",
    "CursorWords",
    "aged_out",
    "missing",
    "unexpandable",
    "unknown",
    "unusable",
    "usual",
]

# How a list answers to a cursor that is gone.
CursorWords = Literal["missing", "gone", "plain", "empty"]


class ApiError(Exception):
    """A refusal, as Stripe words it.

    :param began: whether execution had begun, so that an idempotency key keeps the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        param: str | None = None,
        *,
        type: str = "invalid_request_error",
        began: bool = False,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.began, self.headers = status, began, headers or {}
        page = code and "https://stripe.com/docs/error-codes/" + code.replace("_", "-")
        self.error = {"type": type, "code": code, "message": message, "param": param}
        self.error["doc_url"] = page

    def body(self, request_id: str, livemode: bool, now: float) -> dict[str, Any]:
        """Return the body of the answer, without what has no value."""
        mode = "" if livemode else "test/"
        log = f"https://dashboard.stripe.com/{mode}logs/{request_id}?t={int(now)}"
        full = self.error | {"request_log_url": log}
        return {"error": {name: value for name, value in full.items() if value is not None}}


def unknown(name: str) -> ApiError:
    """Return the refusal of a parameter that the call does not have."""
    return ApiError(400, f"Received unknown parameter: {name}", "parameter_unknown", name)


def unexpandable(path: str) -> ApiError:
    """Return the refusal to expand what is no object."""
    return ApiError(400, f"This property cannot be expanded ({path}).", None, "expand")


def missing(kind: str, id: str, param: str = "id", status: int = 404) -> ApiError:
    """Return the answer to an id that names nothing."""
    message = f"No such {kind}: '{id}'"
    return ApiError(status, message, "resource_missing", param, began=True)


def aged_out(kind: str, id: str, status: int = 404) -> ApiError:
    """Return the answer to the id of an object that Stripe keeps no longer."""
    gone = "is no longer available because it's aged out of our retention policy."
    return ApiError(status, f"The {kind} {id} {gone}")


def unusable(usual: ApiError, id: str, words: CursorWords) -> ApiError:
    """Return the refusal of a cursor that is gone, in the words that a test asks for.

    :param usual: what Stripe is known to say.
    """
    plain = {
        "gone": ApiError(404, f"{id} is no longer available."),
        "plain": ApiError(400, f"The object {id} is not part of this list."),
    }
    return plain.get(words, usual)


_LIMITS = "https://stripe.com/docs/rate-limits"

# What a status says when a test gives no body: message, code, type, headers.
_USUAL: dict[int, tuple[str, str | None, str, dict[str, str]]] = {
    402: ("Your card was declined.", "card_declined", "card_error", {}),
    409: ("There is currently another in-progress request using this Idempotency-Key.",
          "idempotency_key_in_use", "idempotency_error", {"Stripe-Should-Retry": "true"}),
    429: (f"Request rate limit exceeded. Learn more about rate limits here {_LIMITS}.",
          "rate_limit", "invalid_request_error", {"Stripe-Rate-Limited-Reason": "endpoint-rate"}),
    500: ("An unknown error occurred", None, "api_error", {}),
}  # fmt: skip


def usual(status: int, began: bool = False) -> ApiError:
    """Return what Stripe usually says with a status."""
    message, code, type, headers = _USUAL.get(status, _USUAL[500])
    return ApiError(status, message, code, type=type, began=began, headers=headers)
