"""Links from a task to Stripe's dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from airflow.sdk import BaseOperatorLink

from airflow_provider_stripe_lite.catalog import FEEDS

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

_DASHBOARD = "https://dashboard.stripe.com"


def page_url(page: str, mode: str | None, account: str | None) -> str:
    """The address of a dashboard page in the mode and, for a connected account, the account."""
    parts = [
        account if account and account.startswith("acct_") else None,
        "test" if mode == "test" else None,
        page,
    ]
    return "/".join([_DASHBOARD, *(part for part in parts if part)])


def object_url(kind: str, object_id: str, mode: str | None, account: str | None) -> str:
    """The page of a customer or product."""
    return page_url(f"{kind}s/{quote(object_id, safe='')}", mode, account)


def window_url(feed: str, since: int, until: int, mode: str | None, account: str | None) -> str:
    """The list of what was created in a window."""
    query = urlencode({"created[gte]": since, "created[lt]": until})
    return f"{page_url(FEEDS[feed].dashboard, mode, account)}?{query}"


def log_url(request_id: str | None, mode: str | None, account: str | None) -> str:
    """The request in the log of the dashboard."""
    return page_url(f"logs/{request_id}", mode, account) if request_id else ""


class StripeDashboardLink(BaseOperatorLink):
    """Opens what the task made, changed, read or found."""

    name = "Open in Stripe"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return what the operator noted while it ran; Airflow asks in the same process and keeps the answer."""
        return getattr(operator, "dashboard_url", None) or ""


class StripeRequestLogLink(BaseOperatorLink):
    """Opens the last request of the task, also of one that failed."""

    name = "Stripe request log"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return what the operator noted while it ran; Airflow asks in the same process and keeps the answer."""
        return getattr(operator, "request_log_url", None) or ""
