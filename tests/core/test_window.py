"""A window says the same in Python and as JSON, and what is none is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_stripe_lite.core.window import (
    Position,
    Source,
    Window,
    behind,
    checked,
    end_of,
    is_empty,
    refuse_foreign,
    start_of,
    stretch,
)
from airflow_provider_stripe_lite.errors import StripeInputError
from tests.helpers import NOW

SOURCE = Source("customer", "stripe_shop", "acct_1", livemode=False)
START, END = Position(NOW - 100, "cus_1"), Position(NOW, "cus_9")
WINDOW = {
    "feed": "customer",
    "types": None,
    "created_gte": "2026-02-02T02:38:20+00:00",
    "created_lt": "2026-02-02T02:40:00+00:00",
    "after": "cus_1",
    "last": "cus_9",
    "stripe_conn_id": "stripe_shop",
    "stripe_account": "acct_1",
    "livemode": False,
    "count": 3,
}


def test_a_window_is_what_is_documented() -> None:
    """Times in ISO 8601 and UTC, ids, where it was read, and how many objects it holds."""
    assert stretch(SOURCE, START, END, 3) == WINDOW
    assert list(WINDOW) == list(Window.__annotations__)


@pytest.mark.parametrize("start", [Position(0), Position(NOW), Position(NOW - 100, "cus_1")])
@pytest.mark.parametrize("end", [Position(NOW), Position(NOW + 5, "cus_2")])
def test_both_ends_survive_json(start: Position, end: Position) -> None:
    """What is stored is what is read."""
    window = json.loads(json.dumps(stretch(SOURCE, start, end, None)))
    assert checked(window) == window
    assert (start_of(window), end_of(window)) == (start, end)


def test_an_empty_window_is_known_as_one() -> None:
    """It begins where it ends; one of the same second may hold what showed late."""
    assert is_empty(stretch(SOURCE, START, START, 0))
    assert not is_empty(stretch(SOURCE, START, Position(START.before, "cus_9"), 0))
    assert not is_empty(stretch(SOURCE, START, END, 0))


@pytest.mark.parametrize(
    "time",
    [
        "2026-02-02T02:38:20Z",
        "2026-02-02T02:38:20",
        "2026-02-02 02:38:20",
        "2026-02-02T03:38:20+01:00",
    ],
)
def test_a_time_may_be_written_as_people_do(time: str) -> None:
    """A time without an offset is UTC, wherever the worker stands."""
    assert start_of(checked(WINDOW | {"created_gte": time})) == START


def test_what_somebody_has_added_is_left_out() -> None:
    """The window holds its own names and no others."""
    assert checked(WINDOW | {"note": "mine"}) == WINDOW


@pytest.mark.parametrize("value", [None, 5, "x", [], {}, [WINDOW], json.dumps(WINDOW)])
def test_what_is_no_window_is_refused(value: Any) -> None:
    """One sentence, which names the sensor's argument."""
    refused = r'^window must be what a sensor with returns="window" returned, got .*\.$'
    with pytest.raises(StripeInputError, match=refused) as caught:
        checked(value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("name", WINDOW)
def test_a_window_without_one_of_its_names_is_refused(name: str) -> None:
    """A window that somebody has edited is not guessed at."""
    with pytest.raises(StripeInputError, match=r"^window must be"):
        checked({key: value for key, value in WINDOW.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("created_gte", None),
        ("created_gte", 5),
        ("created_gte", 5.0),
        ("created_gte", True),
        ("created_gte", ""),
        ("created_gte", "now"),
        ("created_gte", "2026-13-01"),
        ("created_gte", "1969-12-31T23:59:59+00:00"),
        ("created_lt", None),
        ("created_lt", NOW),
        ("created_lt", "tomorrow"),
        ("after", 5),
        ("after", ["cus_1"]),
        ("last", 5),
        ("last", {"id": "cus_1"}),
    ],
)
def test_a_window_with_a_value_that_is_none_is_refused(name: str, value: Any) -> None:
    """A time that is no time, an id that is no text."""
    with pytest.raises(StripeInputError, match=r"^window must be"):
        checked(WINDOW | {name: value})


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (SOURCE._replace(feed="charge"), "feed 'customer'.*feed 'charge'"),
        (SOURCE._replace(livemode=True), "livemode False.*livemode True"),
        (SOURCE._replace(stripe_account="acct_2"), "stripe_account 'acct_1'.*'acct_2'"),
    ],
)
def test_a_window_of_something_else_is_refused(source: Source, words: str) -> None:
    """Both sides are named, and what to do."""
    window = stretch(SOURCE, START, END, None)
    with pytest.raises(StripeInputError, match=rf"^This cursor was made for {words}") as caught:
        refuse_foreign(window, source, "cursor", "Delete it.")
    assert str(caught.value).endswith("nothing was delivered. Delete it.")


@pytest.mark.parametrize(
    "source",
    [
        SOURCE,
        SOURCE._replace(livemode=None),
        SOURCE._replace(stripe_account=None),
        SOURCE._replace(stripe_conn_id="another_name"),
    ],
)
def test_what_a_key_does_not_tell_is_not_held_against_it(source: Source) -> None:
    """A key may show neither mode nor account, and a connection may be renamed."""
    own = SOURCE._replace(stripe_account="0123456789ab")
    source = (
        source if source.stripe_account is None else source._replace(stripe_account="0123456789ab")
    )
    refuse_foreign(stretch(own, START, END, None), source, "window")
    refuse_foreign(stretch(source, START, END, None), own, "window")


def test_a_window_of_a_connected_account_is_read_for_that_account_alone() -> None:
    """A key that does not tell its account would read the platform's own list instead."""
    window = stretch(SOURCE, START, END, None)
    with pytest.raises(StripeInputError, match=r"stripe_account 'acct_1'.*stripe_account None"):
        refuse_foreign(window, SOURCE._replace(stripe_account=None), "window")
    refuse_foreign(stretch(SOURCE._replace(stripe_account=None), START, END, None), SOURCE, "w")


def test_behind_a_window_is_an_empty_one() -> None:
    """It begins and ends where the other one ends, and counts nothing."""
    window = behind(stretch(SOURCE, START, END, 7))
    assert start_of(window) == end_of(window) == END
    assert is_empty(window)
    assert window["count"] == 0


def test_when_the_list_was_looked_at_is_no_part_of_a_position() -> None:
    """Two that deliver the same are the same."""
    assert Position(NOW, "cus_1", NOW) == Position(NOW, "cus_1") == Position(NOW, "cus_1", 5)
    assert Position(NOW, "cus_1") != Position(NOW, "cus_2")
    assert len({Position(NOW, None, looked) for looked in range(5)}) == 1


def test_a_window_of_events_holds_their_types() -> None:
    """And comes back with them; what is no list of names is refused."""
    source = SOURCE._replace(feed="event", types=["charge.failed"])
    window = checked(json.loads(json.dumps(stretch(source, START, END, None))))
    assert window["types"] == ["charge.failed"]
    for wrong in ("charge.failed", [5], {"charge.failed": 1}, 5):
        with pytest.raises(StripeInputError, match=r"^window must be"):
            checked(window | {"types": wrong})


def test_a_refusal_names_what_was_refused_and_what_to_do() -> None:
    """For a document that is more than a window, too."""
    with pytest.raises(StripeInputError, match=r"^The cursor must be .*got None\. Delete it\.$"):
        checked(None, "The cursor", "Delete it.")
