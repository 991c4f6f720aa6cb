"""What tests of reading share: where polls begin, and what they gave."""

from __future__ import annotations

from typing import Any

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.reading import Batch, poll
from airflow_provider_stripe_lite.core.window import Position
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.helpers import NOW

START = Position(NOW - 1_000)


def ids(batch: Batch) -> list[str]:
    return [item["id"] for item in batch.items]


def found(batch: Batch) -> tuple[list[Any], Position, bool]:
    return batch.items, batch.position, batch.more


def positioned(fake: FakeStripe, client: StripeClient) -> Position:
    """Return a position with an id, as each poll but the first has one; the log is empty."""
    position = Position(NOW - 899, fake.add("customer", created=NOW - 900))
    assert poll(client, "customer", position, min_age=899).items == []
    fake.calls.clear()
    return position
