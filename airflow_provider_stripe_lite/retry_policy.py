"""When it makes sense to try a task again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_stripe_lite._compat import RetryDecision, RetryPolicy
from airflow_provider_stripe_lite.errors import (
    RateLimitWait,
    StripeError,
    StripeInputError,
    StripeReplayedError,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["StripeRetryPolicy"]

_MOST_SECONDS = 3_600.0


class StripeRetryPolicy(RetryPolicy):
    """Fail at once where a retry cannot help, and wait as long as the server or the limit asks.

    It is the default of all operators and sensors. It shortens what ``retries`` allows and never
    extends it.
    """

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,
        context: Context | None = None,
    ) -> RetryDecision:
        """Decide by the type and the fields of the error."""
        if isinstance(exception, RateLimitWait):
            return RetryDecision.retry(_wait(exception.seconds), "the call limit is used up")
        if isinstance(exception, StripeInputError):
            return RetryDecision.fail("the input has to be mended first")
        if isinstance(exception, StripeError) and not exception.retryable:
            return RetryDecision.fail(_refusal(exception))
        if isinstance(exception, StripeError) and exception.retry_after is not None:
            return RetryDecision.retry(
                _wait(exception.retry_after), "the server asks for this wait"
            )
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """Return nothing: the policy has no settings."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> StripeRetryPolicy:
        """Make the policy again."""
        return cls()


def _wait(seconds: float) -> timedelta:
    """Return a wait of an hour at most: what asks for more may be wrong about it."""
    return timedelta(seconds=max(0.0, min(_MOST_SECONDS, seconds)))


def _refusal(error: StripeError) -> str:
    if error.status is None:
        return "not answered, and another try cannot mend that"
    if isinstance(error, StripeReplayedError):
        return f"Stripe repeats an error that it saved ({error.status})"
    return f"Stripe refused the request ({error.status})"
