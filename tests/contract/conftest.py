"""Fixtures of the tests that call the fake as plainly as they can."""

from __future__ import annotations

import pytest

from tests.contract.calls import NOW
from tests.helpers import Clock


@pytest.fixture
def clock() -> Clock:
    """Return the time of the documents' examples."""
    return Clock(NOW)
