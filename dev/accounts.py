"""The Stripe account of the demo: the fake one, or a real one in test mode."""

from __future__ import annotations

import os
import re
import time
from contextlib import AbstractContextManager
from typing import Any, Self

import requests

from dev.fake_process import FakeStripeProcess

# An object is delivered when it is older than a minute.
MIN_AGE = 61


def say(text: str) -> None:
    """Print at once, so that nobody waits before an empty screen."""
    print(text, flush=True)


class FakeAccount(FakeStripeProcess):
    """An account at the fake Stripe: its new objects are a minute old already, so nobody waits."""

    def __enter__(self) -> Self:
        self.began = time.time() - 3 * MIN_AGE
        return super().__enter__()

    def make(self, kind: str, number: int) -> list[str]:
        """Make new objects and return their ids."""
        created = int(time.time()) - MIN_AGE
        return list(self.control("add_many", kind=kind, n=number, created=created))

    def delete(self, customer: str) -> None:
        """Delete a customer."""
        self.control("delete", id=customer)

    def wait_for_age(self) -> None:
        """Wait until the youngest object is old enough to be delivered: it always is."""


class StripeAccount(AbstractContextManager["StripeAccount"]):
    """A real Stripe account in test mode, whose clock nobody can set."""

    api = "https://api.stripe.com"

    def __init__(self, key: str) -> None:
        self.key, self.began, self._youngest = key, time.time() - 5, 0.0

    def __exit__(self, *exc: object) -> None:
        """Leave the objects in the account, since it is a test account."""

    def connection(self) -> dict[str, str]:
        """Return the Airflow connection that leads there."""
        return {"conn_type": "stripe", "password": self.key}

    def make(self, kind: str, number: int) -> list[str]:
        """Make new objects, at most five, and return their ids."""
        form = {"description": "made by the demo of airflow-provider-stripe-lite"}
        if kind == "charge":
            form |= {"amount": "1000", "currency": "usd", "source": "tok_visa"}
        made = [self._call("POST", f"{kind}s", form)["id"] for _ in range(min(number, 5))]
        self._youngest = time.time()
        return made

    def delete(self, customer: str) -> None:
        """Delete a customer."""
        self._call("DELETE", f"customers/{customer}")

    def wait_for_age(self) -> None:
        """Wait until the youngest object is old enough to be delivered."""
        wait = self._youngest + MIN_AGE + 4 - time.time()
        if wait > 0:
            say(
                f"Waiting {wait:.0f} s: Stripe may show objects late, so they are delivered when "
                "they are a minute old …"
            )
            time.sleep(wait)

    def _call(self, method: str, path: str, form: dict[str, str] | None = None) -> dict[str, Any]:
        url = f"{self.api}/v1/{path}"
        answer = requests.request(method, url, data=form, auth=(self.key, ""), timeout=30)
        if not answer.ok:
            message = answer.json()["error"]["message"]
            raise SystemExit(f"Stripe refuses {method} {path}: {message}")
        return dict(answer.json())


Account = FakeAccount | StripeAccount


def account() -> Account:
    """Return the fake Stripe, or the account of STRIPE_API_KEY if that is a test key."""
    # Airflow's processes get the key in the connection alone.
    key = os.environ.pop("STRIPE_API_KEY", "")
    if key and not re.match(r"(sk|rk)_test_", key):
        raise SystemExit(
            "STRIPE_API_KEY must be a test key (sk_test_…): the demo makes and deletes objects."
        )
    if not key:
        return FakeAccount()
    say(
        "Using your Stripe test account. The demo waits a minute in each round until the objects "
        "are old enough, so it takes about five."
    )
    return StripeAccount(key)
