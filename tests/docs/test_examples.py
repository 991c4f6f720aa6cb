"""The example that an asset starts; what the others do, the demo shows."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.polling import Position
from tests.airflow.conftest import NOW, Clock
from tests.docs.blocks import ROOT
from tests.fake_stripe import FakeStripe


def test_an_event_is_turned_into_rows(
    stripe: FakeStripe, clock: Clock, monkeypatch: pytest.MonkeyPatch, database: None
) -> None:
    """Two windows, one of them announced twice: the task reads each once, oldest first."""
    spec = importlib.util.spec_from_file_location("customer_events", ROOT / "example_dags" / "customer_events.py")
    assert spec and spec.loader  # noqa: PT018
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: list[str] = []
    windows: list[dict[str, Any]] = []
    position = Position(NOW)
    for _ in range(2):
        made += stripe.create_many("customer", 2, created=int(clock.now))
        clock.now += 100
        start, position = position, StripeHook().poll("customer", position).position
        name = f"customer-{start.until}-{position.until}"
        windows.append({"id": name, "feed": "customer", "from": start.as_dict(), "until": position.until})
    events = [SimpleNamespace(extra={"payload": window}) for window in (windows[1], windows[0], windows[1])]
    context = {"triggering_asset_events": {"stripe_customers": events}}
    monkeypatch.setattr(module, "get_current_context", lambda: context)
    (task,) = module.stripe_customer_events().tasks
    assert task.python_callable() == made
