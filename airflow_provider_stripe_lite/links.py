"""Links from a task to Stripe's dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from airflow.sdk import BaseOperatorLink

from airflow_provider_stripe_lite.core.resources import RESOURCES
from airflow_provider_stripe_lite.core.window import Window, end_of, start_of

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

    from airflow_provider_stripe_lite._seen import Seen
    from airflow_provider_stripe_lite.core.client import StripeClient

__all__ = ["StripeDashboardLink", "StripeRequestLogLink"]

_DASHBOARD = "https://dashboard.stripe.com"


class StripeDashboardLink(BaseOperatorLink):
    """Open what the task made, changed, read or found."""

    name = "Open in Stripe"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the page of what the operator noted; Airflow asks in the same process."""
        seen: Seen | None = getattr(operator, "seen", None)
        if seen and seen.window:
            return _window_url(seen.window, seen.client)
        if seen and seen.object:
            return _object_url(seen.object, seen.client)
        return ""


class StripeRequestLogLink(BaseOperatorLink):
    """Open the last request of the task, also of one that failed."""

    name = "Stripe request log"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the log page of what the operator noted; Airflow asks in the same process."""
        seen: Seen | None = getattr(operator, "seen", None)
        if seen and seen.request_id:
            return _page(f"logs/{seen.request_id}", seen.client)
        return getattr(operator, "request_log_url", None) or ""


def _object_url(seen: Mapping[str, Any], client: StripeClient) -> str:
    """Return the page of an object, or "" where none is known."""
    resource = RESOURCES.get(str(seen.get("object")))
    if resource is None or not resource.dashboard:
        return ""
    return _page(f"{resource.dashboard}/{quote(str(seen['id']), safe='')}", client)


def _window_url(window: Window, client: StripeClient) -> str:
    """Return the list of what was created in a window, or "" where no page is known."""
    page = RESOURCES[window["feed"]].dashboard
    bounds = {"created[gte]": start_of(window).before, "created[lt]": end_of(window).before}
    return f"{_page(page, client)}?{urlencode(bounds)}" if page else ""


def _page(page: str, client: StripeClient) -> str:
    """Return the address of a page in the mode and, for a connected account, the account."""
    account = client.account if client.account and client.account.startswith("acct_") else None
    parts = (_DASHBOARD, account, "test" if client.livemode is False else None, page)
    return "/".join(part for part in parts if part)
