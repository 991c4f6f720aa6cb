"""Times as people give them become seconds, and what is none is refused with its name."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_stripe_lite.core import clock as host
from airflow_provider_stripe_lite.core.times import (
    DAY,
    FIRST,
    FUTURE,
    first_second,
    iso,
    least_gap,
    second_of,
)
from airflow_provider_stripe_lite.errors import StripeInputError
from tests.helpers import NOW

RUN = datetime(2026, 2, 2, 2, 40, tzinfo=UTC)
MIDNIGHT = NOW - 9_600

GOOD = [
    ("2026-02-02T02:40:00Z", NOW),
    ("2026-02-02T02:40:00", NOW),
    ("2026-02-02 02:40", NOW),
    (" 2026-02-02T03:40:00+01:00\n", NOW),
    ("2026-02-02T02:40:00.999999Z", NOW),
    ("2026-02-02", MIDNIGHT),
    (date(2026, 2, 2), MIDNIGHT),
    (RUN, NOW),
    (RUN.replace(tzinfo=None), NOW),
    (RUN.replace(microsecond=999_999), NOW),
    (RUN.astimezone(timezone(timedelta(hours=-5))), NOW),
    (NOW, NOW),
    (NOW + 0.9, NOW),
    (f" {NOW} ", NOW),
]
# None of them can be taken for a time.
BAD: list[Any] = [
    "", "yesterday", "2026-13-01", "2026-02-30", "{{ ds }}", "None", "1e9", "-5", "5.5",
    "17700000OO", "१७७०००००००", None, True, False, [], {}, object, (2026, 2, 2),
    timedelta(1), Decimal(NOW), float("nan"), float("inf"), float("-inf"),
]  # fmt: skip
# They are times, but no pipeline's: milliseconds, a date without dashes, before Stripe, afterwards.
FAR = [
    0, 1, 5.5, -1, FIRST - 1, NOW * 1_000, 10**30, 1e300, "20260202", "9" * 5_000, "1900-01-01",
    "1969-12-31T23:59:59Z", "2009-12-31T23:59:59Z", "2100-01-01", date.min, date.max,
    f"{NOW}000",
]  # fmt: skip


@pytest.mark.parametrize(("value", "second"), GOOD)
def test_a_time_is_a_second(value: Any, second: int) -> None:
    """However it is written; without an offset it is UTC, and parts of a second do not count."""
    assert second_of("created_gte", value) == second
    assert first_second(value, RUN) == second


@pytest.mark.parametrize("value", BAD)
def test_what_is_no_time_is_refused(value: Any) -> None:
    """In a short sentence that names the argument and shows what it may be."""
    with pytest.raises(
        StripeInputError, match=r"^created_lt must be a date-time such as"
    ) as caught:
        second_of("created_lt", value)
    assert str(caught.value).endswith(".")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("value", FAR)
def test_a_time_that_no_pipeline_means_is_refused(value: Any) -> None:
    """Between 2010 and 2100, as a number counts seconds and nothing else."""
    with pytest.raises(
        StripeInputError, match=r"^created_gte must be a time between 2010 and 2100"
    ):
        second_of("created_gte", value)
    with pytest.raises(StripeInputError, match=r"^start_from must be a time between 2010 and 2100"):
        first_second(value, RUN)


def test_the_bounds_themselves_are_times() -> None:
    """The first second of 2010, and the last one of 2099."""
    assert second_of("x", FIRST) == second_of("x", "2010-01-01") == FIRST
    assert second_of("x", "2099-12-31T23:59:59Z") == 4_102_444_799


@pytest.mark.parametrize(
    ("start_from", "second"), [("beginning", 0), (" beginning ", 0), ("now", NOW), ("now\n", NOW)]
)
def test_a_start_has_two_words_of_its_own(start_from: str, second: int) -> None:
    """The beginning of the account, and the moment at hand."""
    assert first_second(start_from, RUN) == second
    assert first_second("now", RUN.replace(microsecond=999_999)) == NOW


@pytest.mark.parametrize("start_from", [*BAD, "NOW", "the beginning"])
def test_a_start_that_is_none_is_refused(start_from: Any) -> None:
    """The sentence says what it may be."""
    refused = r'^start_from must be "now", "beginning" or a date-time such as .*, got '
    with pytest.raises(StripeInputError, match=refused) as caught:
        first_second(start_from, RUN)
    assert len(str(caught.value)) < 200


def test_a_start_in_the_future_is_refused() -> None:
    """Ten minutes are what two clocks may be apart; an old run's date does not count."""
    host.use(lambda: NOW)
    assert first_second(NOW + FUTURE, RUN) == NOW + FUTURE
    with pytest.raises(
        StripeInputError, match=r'must not lie in the future.*Give a past time, or "now'
    ):
        first_second(NOW + FUTURE + 1, RUN)
    assert first_second(NOW, RUN - timedelta(days=30)) == NOW


def test_a_second_is_shown_as_people_and_machines_read_it() -> None:
    """ISO 8601, in UTC."""
    assert iso(NOW) == "2026-02-02T02:40:00+00:00"
    assert iso(0) == "1970-01-01T00:00:00+00:00"
    assert second_of("x", iso(NOW)) == NOW


@pytest.mark.parametrize(
    ("schedule", "seconds"),
    [
        (timedelta(minutes=1), 60),
        (timedelta(days=1), DAY),
        ("* * * * *", 60),
        ("*/1 3 * * *", 60),
        ("*/2 * * * *", 120),
        ("*/7 * * * *", 240),
        ("0,1,30 * * * *", 60),
        ("59,0 * * * *", 60),
        ("10-12/2 * * * *", 120),
        ("0 * * * *", 3600),
        ("5/1 * * * *", 60),
        ("0,59 3 * * *", 59 * 60),
        ("0 0 * * *", math.inf),
        ("0 0 * *", math.inf),
        ("@hourly", math.inf),
        ("x * * * *", math.inf),
        (None, math.inf),
        ([], math.inf),
    ],
)
def test_the_least_time_between_two_runs_of_a_schedule(schedule: Any, seconds: float) -> None:
    """Only what is under two minutes is asked for."""
    assert least_gap(schedule) == seconds
