"""The example that an asset starts; what the others do, the demo shows."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_stripe_lite.core.reading import poll
from airflow_provider_stripe_lite.core.resources import RESOURCES
from airflow_provider_stripe_lite.core.window import Position, Source, stretch
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.docs.blocks import ROOT
from tests.helpers import NOW, Clock


def test_an_event_is_turned_into_rows(
    stripe: FakeStripe, clock: Clock, monkeypatch: pytest.MonkeyPatch, database: None
) -> None:
    """Two windows, one of them announced twice: the task reads each once, oldest first."""
    path = ROOT / "example_dags" / "customer_events.py"
    spec = importlib.util.spec_from_file_location("customer_events", path)
    assert spec and spec.loader  # noqa: PT018
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    client = StripeHook().get_conn()
    source = Source("customer", "stripe_default", client.account, client.livemode)
    made: list[str] = []
    windows: list[dict[str, Any]] = []
    position = Position(NOW)
    for _ in range(2):
        made += stripe.add_many("customer", 2, created=int(clock.now))
        clock.now += 100
        start, position = position, poll(client, RESOURCES["customer"], position).position
        window = stretch(source, start, position, 2)
        windows.append({"id": f"customer-{start.before}-{position.before}", **window})
    announced = (windows[1], windows[0], windows[1])
    events = [SimpleNamespace(extra={"payload": window}) for window in announced]
    context = {"triggering_asset_events": {"stripe_customers": events}}
    monkeypatch.setattr(module, "get_current_context", lambda: context)
    (task,) = module.stripe_customer_events().tasks
    assert task.python_callable() == made
