"""What Airflow reads about this package; the connection form is declared here and nowhere else."""

from __future__ import annotations

from typing import Any

from airflow_provider_stripe_lite import __version__
from airflow_provider_stripe_lite.catalog import DEFAULT_API_VERSION

_PACKAGE = "airflow_provider_stripe_lite"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's dictionary."""
    return {
        "package-name": "airflow-provider-stripe-lite",
        "name": "Stripe",
        "description": "Stripe: operators for five actions, sensors that hand over every new object exactly once.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": "Stripe",
                "external-doc-url": "https://docs.stripe.com/api",
                "tags": ["service"],
            }
        ],
        **{
            kind: [{"integration-name": "Stripe", "python-modules": [f"{_PACKAGE}.{kind}"]}]
            for kind in ("hooks", "operators", "sensors", "triggers")
        },
        "extra-links": [f"{_PACKAGE}.links.StripeDashboardLink", f"{_PACKAGE}.links.StripeRequestLogLink"],
        "connection-types": [
            {
                "connection-type": "stripe",
                "hook-class-name": f"{_PACKAGE}.hooks.StripeHook",
                "hook-name": "Stripe",
                "ui-field-behaviour": {
                    "hidden-fields": ["login", "schema", "port"],
                    "relabeling": {"password": "API key", "host": "API base URL"},
                    "placeholders": {"password": "sk_… or rk_…", "host": "https://api.stripe.com"},
                },
                "conn-fields": _FIELDS,
            }
        ],
    }


def _field(kind: str, label: str, description: str, **schema: Any) -> dict[str, Any]:
    # The form marks a field as required unless its type may be null.
    return {"label": label, "description": description, "schema": {"type": [kind, "null"], **schema}}


_FIELDS = {
    "api_version": _field(
        "string",
        "Stripe API version",
        f"Sent with every request, so that answers keep their shape. Empty: {DEFAULT_API_VERSION}.",
        pattern=r"^\d{4}-\d{2}-\d{2}(\.\w+)?$",
    ),
    "stripe_account": _field(
        "string",
        "Connected account",
        "acct_… for which a platform's key acts. Empty: the key's own account.",
        pattern=r"^acct_\w+$",
    ),
    "timeout": _field("number", "Timeout (s)", "Seconds to wait for an answer. Empty: 80.", minimum=1, maximum=600),
    "rate_limit_calls": _field(
        "integer",
        "Call limit",
        "Calls of this connection in each period, over all tasks. Empty: 100.",
        minimum=1,
        maximum=100_000,
    ),
    "rate_limit_period": _field(
        "number",
        "Call limit period (s)",
        "The seconds for which the call limit stands. Empty: 60.",
        minimum=1,
        maximum=86_400,
    ),
    "rate_limit_url": _field(
        "string",
        "Call limit store",
        "redis://… where tasks run on several hosts. Empty: a file, for the tasks of one host.",
    ),
}
