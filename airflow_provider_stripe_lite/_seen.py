"""What a task notes while it runs: for its log, and for the links that Airflow asks for later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.window import Window
from airflow_provider_stripe_lite.errors import StripeError, StripeInputError

__all__ = ["Seen", "failure_told"]


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


@contextmanager
def failure_told(task: Any) -> Iterator[None]:
    """Log an error in one plain line, and keep the link to its request.

    Airflow logs the error behind it with all of its frames, on a line that its page cuts off.
    """
    try:
        yield
    except StripeInputError as exc:
        # Its sentence names the argument, or the connection.
        task.log.error("%s", exc)
        raise
    except StripeError as exc:
        task.request_log_url = exc.request_log_url
        task.log.error("Connection %s: %s", task.stripe_conn_id, exc)
        raise
