"""What Airflow reads about this package."""

from __future__ import annotations

from typing import Any

from airflow_provider_stripe_lite import __version__
from airflow_provider_stripe_lite._options import FIELD_BEHAVIOUR, configuration, form

__all__ = ["get_provider_info"]

_PACKAGE = "airflow_provider_stripe_lite"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's dictionary."""
    return {
        "package-name": "airflow-provider-stripe-lite",
        "name": "Stripe",
        "description": "Stripe: operators for five actions, sensors that deliver every new object "
        "exactly once, days of objects into files.",
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
        "transfers": [
            {
                "source-integration-name": "Stripe",
                "target-integration-name": "Common IO",
                "python-module": f"{_PACKAGE}.transfers",
            }
        ],
        "config": configuration(),
        "extra-links": [
            f"{_PACKAGE}.links.StripeDashboardLink",
            f"{_PACKAGE}.links.StripeRequestLogLink",
        ],
        "connection-types": [
            {
                "connection-type": "stripe",
                "hook-class-name": f"{_PACKAGE}.hooks.StripeHook",
                "hook-name": "Stripe",
                "ui-field-behaviour": FIELD_BEHAVIOUR,
                "conn-fields": form(),
            }
        ],
    }
