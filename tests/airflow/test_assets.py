"""An asset and its watcher, and the windows of its events."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_stripe_lite.assets import event_windows, stripe_asset
from airflow_provider_stripe_lite.errors import StripeInputError
from tests.harness import arguments_of


def test_an_asset_and_its_watcher_are_made_together() -> None:
    """stripe_asset names the asset, and its trigger has the same arguments at every parse."""
    asset = stripe_asset("customers", feed="customer")
    (watcher,) = asset.watchers
    assert asset.name == "customers"
    assert arguments_of(watcher) == {
        "name": "customers",
        "feed": "customer",
        "stripe_conn_id": "stripe_default",
        "poll_interval": 120,
        "min_age": 60,
        "start_from": "now",
        "stripe_account": None,
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"feed": "customers"}, r"feed must be one of the \d+ names .*\bcustomer\b"),
        ({"feed": "customer", "poll_interval": 0}, "poll_interval must be a positive number"),
        ({"feed": "customer", "start_from": "yesterday"}, 'start_from must be "now"'),
        ({"feed": "customer", "min_age": -1}, "min_age must be a whole number"),
    ],
)
def test_a_bad_asset_is_refused_where_it_is_made(arguments: dict[str, Any], words: str) -> None:
    """In the DAG file, not in the triggerer, where nobody looks."""
    with pytest.raises(StripeInputError, match=words):
        stripe_asset("customers", **arguments)


def test_an_asset_that_polls_fast_is_warned_of() -> None:
    """An asset is polled once for all DAGs: a short interval is let through, with a warning."""
    words = r"Asset customers: poll_interval is 10 s, less than 120: .*allow_fast_polling"
    with pytest.warns(UserWarning, match=words):
        stripe_asset("customers", feed="customer", poll_interval=10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stripe_asset("customers", feed="customer", poll_interval=10, allow_fast_polling=True)


def test_event_windows_are_in_order_and_each_once() -> None:
    """A run that several events started gets their windows, oldest first, and no strangers."""

    def event(number: int | None) -> Any:
        window = {
            "id": f"customer-{number}",
            "feed": "customer",
            "created_lt": f"2026-01-0{number}",
        }
        return SimpleNamespace(extra={"from_trigger": True, "payload": window} if number else {})

    context: Any = {
        "triggering_asset_events": {
            "a": [event(3), event(1), event(3), event(None)],
            "b": [event(2)],
        }
    }
    ids = [window["id"] for window in event_windows(context)]
    assert ids == ["customer-1", "customer-2", "customer-3"]
