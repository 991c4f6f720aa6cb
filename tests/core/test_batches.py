"""Where a batch ends, by the dates of its objects alone."""

from __future__ import annotations

import pytest

from airflow_provider_stripe_lite.core.batches import GrowingBatch
from airflow_provider_stripe_lite.core.pages import Item, Page
from airflow_provider_stripe_lite.core.window import Position

LATER = 10_000


def batch_of(*seconds: int) -> GrowingBatch:
    """Return a batch of old objects, behind which the list goes on."""
    batch = GrowingBatch(Position(0), take=lambda raw: raw)
    items = [Item(f"ch_{at}", second, {}) for at, second in enumerate(seconds)]
    batch.add(Page(items, True, LATER, LATER), LATER, more=True)
    return batch


@pytest.mark.parametrize(
    ("seconds", "end"),
    [
        pytest.param((10, 11, 12, 13, 14, 15, 16, 17), 4, id="in order"),
        pytest.param((10, 500, 12, 13, 14, 15, 16, 17), 4, id="one is dated far ahead"),
        pytest.param((10, 11, 13, 12, 14, 15, 16, 17), 4, id="neighbours are swapped"),
        pytest.param((10, 11, 12, 14, 13, 15, 16, 17), 3, id="swapped where the batch would end"),
        pytest.param((10, 11, 12, 13, 13, 13, 13, 13), 3, id="the last second may go on"),
    ],
)
def test_a_batch_ends_before_a_larger_second_whatever_single_dates_say(
    seconds: tuple[int, ...], end: int
) -> None:
    """A date that several later objects contradict does not hold the batch up."""
    assert batch_of(*seconds).end(4) == end
