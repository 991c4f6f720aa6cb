"""When it makes sense to try a task again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_stripe_lite._compat import RetryDecision, RetryPolicy
from airflow_provider_stripe_lite.errors import RateLimitWait, StripeError, StripeInputError

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["StripeRetryPolicy"]


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
            wait = timedelta(seconds=exception.seconds)
            return RetryDecision.retry(wait, "the call limit is used up")
        if isinstance(exception, StripeInputError):
            return RetryDecision.fail("the input has to be mended first")
        if isinstance(exception, StripeError) and not exception.retryable:
            status = exception.status or "no answer"
            return RetryDecision.fail(f"Stripe will answer the same again ({status})")
        if isinstance(exception, StripeError) and exception.retry_after is not None:
            wait = timedelta(seconds=exception.retry_after)
            return RetryDecision.retry(wait, "the server asks for this wait")
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """Return nothing: the policy has no settings."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> StripeRetryPolicy:
        """Make the policy again."""
        return cls()
