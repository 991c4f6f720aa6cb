"""Times as people give them and as Stripe counts them, which is in whole seconds since 1970."""

from __future__ import annotations

import contextlib
import math
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from airflow_provider_stripe_lite.core import clock
from airflow_provider_stripe_lite.core.scrub import show
from airflow_provider_stripe_lite.errors import StripeInputError

__all__ = [
    "DAY",
    "FIRST",
    "FUTURE",
    "Moment",
    "first_second",
    "iso",
    "least_gap",
    "range_of",
    "second_of",
]

DAY = 86_400
# Two clocks may be so many seconds apart before anybody is told.
FUTURE = 600
# No object of Stripe is older than the one (2010), and no date of a pipeline beyond the other.
FIRST, _MOST = 1_262_304_000, 4_102_444_800

Moment = datetime | date | int | float | str


def second_of(name: str, value: object) -> int:
    """Return the epoch second of a time.

    :param name: of the argument, for the sentence that refuses it.
    :param value: a date-time or a date (UTC where it has no offset), either as ISO 8601 text, or
        seconds since 1970.
    :raises StripeInputError: the value is none of these, or not between 2010 and 2100.
    """
    second = _epoch(value)
    if second is None:
        raise StripeInputError(
            f"{name} must be a date-time such as 2026-01-31T00:00:00Z, a date or seconds since "
            f"1970, got {show(value)}."
        )
    if not FIRST <= second < _MOST:
        raise StripeInputError(
            f"{name} must be a time between 2010 and 2100, got {show(value)}: a number counts "
            "seconds since 1970."
        )
    return second


def range_of(created_gte: object, created_lt: object) -> tuple[int | None, int | None]:
    """Return the epoch seconds of a range of time; None where an end is not given.

    :raises StripeInputError: an end is no time, or they are the wrong way round.
    """
    first = None if created_gte is None else second_of("created_gte", created_gte)
    end = None if created_lt is None else second_of("created_lt", created_lt)
    if first is not None and end is not None and first >= end:
        raise StripeInputError(
            f"created_gte must be before created_lt, got {created_gte!s:.40} and "
            f"{created_lt!s:.40}."
        )
    return first, end


def first_second(start_from: object, now: datetime) -> int:
    """Return the epoch second where reading begins, 0 for the beginning.

    :param start_from: ``"now"``, ``"beginning"``, or a time that :func:`second_of` takes.
    :param now: what ``"now"`` stands for.
    :raises StripeInputError: something else, or a time in the future.
    """
    start = start_from.strip() if isinstance(start_from, str) else start_from
    if start == "beginning":
        return 0
    if start == "now":
        return int(now.timestamp())
    if _epoch(start) is None:
        raise StripeInputError(
            'start_from must be "now", "beginning" or a date-time such as 2026-01-31T00:00:00Z, '
            f"got {show(start_from)}."
        )
    second = second_of("start_from", start)
    # What "now" stands for may be the date of an old run.
    if second > max(now.timestamp(), clock.now()) + FUTURE:
        raise StripeInputError(
            f"start_from must not lie in the future, got {show(start_from)}: nothing could be "
            'delivered until then. Give a past time, or "now".'
        )
    return second


def least_gap(schedule: object) -> float:
    """Return the least seconds between two times of a schedule, infinity where it does not say.

    :param schedule: an interval, or a cron expression with five fields, of which the minutes count.
    """
    if isinstance(schedule, timedelta):
        return schedule.total_seconds()
    fields = schedule.split() if isinstance(schedule, str) else []
    minutes = set[int]()
    # Airflow itself judges the expression.
    with contextlib.suppress(ValueError):
        for part in fields[0].split(",") if len(fields) == 5 else ():
            among, _, step = part.partition("/")
            first, _, last = among.replace("*", "0-59").partition("-")
            last = last or ("59" if step else first)
            minutes.update(range(int(first), int(last) + 1, int(step or 1)))
    ordered = sorted(minutes)
    # From one hour to the next, where each of them counts.
    again = [*ordered[1:], *(minute + 60 for minute in ordered[:1] if fields[1] == "*")]
    gaps = (later - minute for minute, later in zip(ordered, again, strict=False))
    return 60.0 * min(gaps, default=math.inf)


def iso(second: int) -> str:
    """Return an epoch second as ISO 8601 in UTC.

    :raises ValueError: no calendar has it.
    """
    hour, rest = divmod(second, 3600)
    return f"{_hour(hour)}:{rest // 60:02}:{rest % 60:02}+00:00"


@lru_cache(maxsize=64)
def _hour(hour: int) -> str:
    """Return date and hour, which many objects of a page share: they are what takes the time."""
    return datetime.fromtimestamp(hour * 3600, UTC).isoformat()[:13]


def _epoch(value: object) -> int | None:
    """Return the second of a time, or None where the value is none."""
    if isinstance(value, str):
        text = value.strip()
        if text.isascii() and text.isdecimal():
            return int(text[:20])
        with contextlib.suppress(ValueError):
            value = datetime.fromisoformat(text)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, datetime):
        value = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, int | float) and not isinstance(value, bool):
        with contextlib.suppress(ValueError, OverflowError):
            return int(value)
    return None
