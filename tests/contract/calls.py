"""Plain calls of the fake, which know nothing of the provider's client."""

from __future__ import annotations

from typing import Any

import requests

from airflow_provider_stripe_lite.testing import FakeStripe

NOW = 1_800_000_000
KEY = "sk_test_123456789"


def call(
    fake: FakeStripe, method: str, path: str, params: Any = None, form: Any = None, **headers: str
) -> requests.Response:
    """One request on a connection of its own, without retries or redirects."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named.setdefault("Authorization", f"Bearer {KEY}")
    with requests.Session() as session:
        session.trust_env = False
        return session.request(
            method,
            fake.url + path,
            params=params,
            data=form,
            headers=named,
            timeout=10,
            allow_redirects=False,
        )


def listed(fake: FakeStripe, path: str = "/v1/customers", **params: Any) -> tuple[list[str], bool]:
    """The ids of one page and whether there is more."""
    page = call(fake, "GET", path, params).json()
    return [item["id"] for item in page["data"]], page["has_more"]
