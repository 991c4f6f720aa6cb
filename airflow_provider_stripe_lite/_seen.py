"""What a task notes while it runs: for its log, and for the links that Airflow asks for later."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.window import Window
from airflow_provider_stripe_lite.errors import StripeError, StripeInputError

if TYPE_CHECKING:
    from airflow_provider_stripe_lite._cursor import Outcome

__all__ = ["Seen", "found", "tells_failure"]

_T = TypeVar("_T")


class Seen(NamedTuple):
    """What a task has seen of Stripe; its links are made of it when Airflow asks for them.

    :param client: the client that the task used.
    :param request_id: ``req_…`` of the last answer.
    :param object: the object that an operator returned.
    :param window: the window that a sensor returned.
    """

    client: StripeClient
    request_id: str | None
    object: Mapping[str, Any] | None = None
    window: Window | None = None


def found(outcome: Outcome, whole: str, min_age: int) -> str:
    """Say what a poll has found.

    :param whole: what the sensor returns where something is new.
    :param min_age: of the sensor, in seconds.
    """
    batch, cursor = outcome.batch, outcome.cursor
    if outcome.window is None:
        since = cursor["position"]["created_gte"]
        return f"Nothing is new since {since} that is {min_age} s old"
    before = "" if batch else ", claimed before"
    more = "; more are left for the next run" if batch and batch.more else ""
    return f"Returning {whole}, the newest {cursor['late_seconds']} s old{before}{more}"


def tells_failure(method: Callable[[Any, Any], _T]) -> Callable[[Any, Any], _T]:
    """Log an error of a task's method in one plain line, and keep the link to its request.

    Airflow logs the error behind it with all of its frames, on a line that its page cuts off.
    """

    @wraps(method)
    def telling(task: Any, context: Any) -> _T:
        try:
            return method(task, context)
        except StripeInputError as exc:
            # In poke mode there may be an earlier request, which has succeeded.
            task.seen = None
            # The sentence names the argument, or the connection.
            task.log.error("%s", exc)
            raise
        except StripeError as exc:
            task.seen, task.request_log_url = None, exc.request_log_url
            task.log.error("Connection %s: %s", task.stripe_conn_id, exc)
            raise

    return telling
