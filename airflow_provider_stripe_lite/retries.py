"""When it makes sense to try a task again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy

from airflow_provider_stripe_lite.errors import StripeError, StripeInputError, WouldWait

if TYPE_CHECKING:
    from airflow.sdk import Context


class StripeRetryPolicy(RetryPolicy):
    """Fails at once where a retry cannot help, waits as long as the server or the call limit asks, else the usual.

    The default of all operators and sensors. It shortens what ``retries`` allows and never extends it.
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide by the type and the fields of the error."""
        if isinstance(exception, WouldWait):
            return RetryDecision.retry(timedelta(seconds=exception.seconds), "the call limit is used up")
        if isinstance(exception, StripeInputError):
            return RetryDecision.fail("the input has to be mended first")
        if isinstance(exception, StripeError) and not exception.retryable:
            return RetryDecision.fail(f"Stripe will answer the same again ({exception.status or 'no answer'})")
        if isinstance(exception, StripeError) and exception.retry_after is not None:
            return RetryDecision.retry(timedelta(seconds=exception.retry_after), "the server asks for this wait")
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """Nothing to keep: the policy has no settings."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> StripeRetryPolicy:
        """Make the policy again."""
        return cls()
