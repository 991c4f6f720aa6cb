"""What tests of reading share: where polls begin, what they gave, and lists that answer wrongly."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_provider_stripe_lite.core.batches import Batch
from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.lists import feed_named
from airflow_provider_stripe_lite.core.reading import poll
from airflow_provider_stripe_lite.core.window import Position, Source, Window, stretch
from airflow_provider_stripe_lite.testing import FakeStripe, Request
from tests.helpers import NOW

__all__ = [
    "CUSTOMERS",
    "DAY",
    "START",
    "WORDS",
    "answers",
    "found",
    "ids",
    "ignore",
    "names",
    "positioned",
    "window_of",
]

CUSTOMERS = feed_named("customer")
DAY = 86_400
START = Position(NOW - 1_000)
# How a list may say that the object of the page cursor is gone.
WORDS = ("missing", "gone", "plain", "empty")


def ids(batch: Batch) -> list[str]:
    return names(batch.items)


def names(objects: Iterable[Any]) -> list[str]:
    return [one["id"] for one in objects]


def found(batch: Batch) -> tuple[list[Any], Position, bool]:
    return batch.items, batch.position, batch.more


def positioned(fake: FakeStripe, client: StripeClient) -> Position:
    """Return a position with an id, as each poll but the first has one; the log is empty."""
    position = Position(NOW - 899, fake.add("customer", created=NOW - 900))
    assert poll(client, CUSTOMERS, position, min_age=899).items == []
    fake.calls.clear()
    return position


def window_of(start: Position, end: Position, feed: str = "customer") -> Window:
    """Return the window between what two polls had delivered."""
    return stretch(Source(feed, "stripe_default", None, None), start, end, None)


def ignore(fake: FakeStripe, *parameters: str) -> None:
    """Let the fake answer as if it knew no parameter of these names."""

    def forget(request: Request) -> None:
        request.query[:] = [pair for pair in request.query if pair[0] not in parameters]

    fake.fault(hook=forget, every=1)


def answers(fake: FakeStripe, *pages: Any, more: Any = False) -> None:
    """Let the fake answer with pages of these objects, whatever is asked.

    :param pages: objects newest first, or what stands in their place.
    :param more: ``has_more`` of each page; None: it is left out.
    """
    for page in pages:
        body = {"object": "list", "data": page} | ({} if more is None else {"has_more": more})
        fake.fault(path="/v1/customers", status=200, body=body)
