"""What a task notes while it runs, for the links that Airflow asks for behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.window import Window

__all__ = ["Seen"]


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
