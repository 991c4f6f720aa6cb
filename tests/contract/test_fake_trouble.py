"""The fake can be as nasty as what stands between a program and Stripe, and as Stripe's lists."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from airflow_provider_stripe_lite.core import clock as host
from airflow_provider_stripe_lite.core.resources import FeedName
from airflow_provider_stripe_lite.testing import FakeStripe
from airflow_provider_stripe_lite.testing.shapes import DAY
from tests.contract.calls import NOW, call, listed
from tests.helpers import Clock

pytestmark = pytest.mark.contract

CURSORS = ("starting_after", "ending_before")


def date_of(answer: requests.Response) -> int:
    """Return what the answer says that the time is."""
    return int(parsedate_to_datetime(answer.headers["Date"]).timestamp())


def refusal(answer: requests.Response) -> tuple[int, Any, Any, Any]:
    """Return what a program can tell a refusal by."""
    error = answer.json()["error"]
    return answer.status_code, error["type"], error.get("code"), error.get("param")


# --- Clocks


def test_the_fakes_clock_is_the_hosts_too_until_it_is_left(clock: Clock) -> None:
    """Also where it is moved, and where an earlier fake is used inside a later one."""
    before = host.now()
    assert before > NOW - 100 * DAY
    with FakeStripe(clock=clock) as outer:
        outer.advance(30)
        assert host.now() == NOW + 30
        with FakeStripe(clock=lambda: 5):
            assert host.now() == NOW + 30
        clock.now += 1
        assert host.now() == outer.now == NOW + 31
    assert before <= host.now() < before + 60


def test_a_fake_that_was_never_entered_leaves_the_hosts_clock_alone(clock: Clock) -> None:
    before = host.now()
    FakeStripe(clock=clock).__exit__(None, None, None)
    assert before <= host.now() < before + 60


@pytest.mark.parametrize("seconds", [90, -DAY])
def test_one_answers_date_can_be_off(fake: FakeStripe, seconds: int) -> None:
    """The answer itself is good, and the next one's date is right again."""
    made = fake.add("charge")
    fake.fault(clock=seconds)
    wrong, right = (call(fake, "GET", "/v1/charges") for _ in range(2))
    assert (date_of(wrong), date_of(right)) == (NOW + seconds, NOW)
    assert wrong.json() == right.json()
    assert wrong.json()["data"][0]["id"] == made


# --- Answers


def test_pages_over_a_size_can_fail(fake: FakeStripe) -> None:
    """A page of up to 50 comes; without `limit`, a page has ten."""
    fake.fault(limit_over=50, status=504, times=None)
    sizes: tuple[Any, ...] = (100, 51, 50, None, "many")
    statuses = [call(fake, "GET", "/v1/invoices", {"limit": size}).status_code for size in sizes]
    assert statuses == [504, 504, 200, 200, 400]
    fake.fault(limit_over=9, status=500)
    assert call(fake, "GET", "/v1/invoices").status_code == 500


@pytest.mark.parametrize("status", [None, 429, 503])
def test_headers_can_be_put_into_any_answer(fake: FakeStripe, status: int | None) -> None:
    """A good one, an error of Stripe's, a page of a gateway."""
    headers = {"Stripe-Should-Retry": "true", "Stripe-Rate-Limited-Reason": "global-rate"}
    fake.fault(status=status, headers=headers | {"Retry-After": "7"})
    answer = call(fake, "GET", "/v1/charges")
    assert answer.status_code == (status or 200)
    assert answer.headers["Retry-After"] == "7"
    assert {name: answer.headers[name] for name in headers} == headers


# --- Cursors that are gone


WORDS = [
    ("missing", (400, "invalid_request_error", "resource_missing", "{}")),
    ("gone", (404, "invalid_request_error", None, None)),
    ("plain", (400, "invalid_request_error", None, None)),
]


@pytest.mark.parametrize("cursor", CURSORS)
@pytest.mark.parametrize(("words", "said"), WORDS)
def test_a_cursor_that_is_gone_is_refused_in_many_words(
    fake: FakeStripe, words: Any, said: tuple[Any, ...], cursor: str
) -> None:
    """Deleted, unknown, and not let through by the list's filter: all three are gone."""
    fake.options(cursor_words=words)
    gone, other = fake.add("customer"), fake.add("customer", email="a@example.com")
    fake.delete(gone)
    expected = tuple(cursor if word == "{}" else word for word in said)
    for params in ({cursor: gone}, {cursor: "cus_no"}, {cursor: other, "email": "b@example.com"}):
        answer = call(fake, "GET", "/v1/customers", params)
        assert refusal(answer) == expected
        assert ("no longer available" in answer.text) is (words == "gone")
    assert listed(fake, **{cursor: other}) == ([], False)


@pytest.mark.parametrize("cursor", CURSORS)
def test_a_cursor_that_is_gone_can_be_answered_with_an_empty_list(
    fake: FakeStripe, cursor: str
) -> None:
    """As if nothing were there."""
    fake.options(cursor_words="empty")
    ids = fake.add_many("customer", 3)
    fake.delete(ids[1])
    assert listed(fake, **{cursor: ids[1]}) == ([], False)
    assert listed(fake)[0] == [ids[2], ids[0]]
    fake.deleted_cursors = True
    assert listed(fake, **{cursor: ids[1]})[0] == [ids[0 if cursor == "starting_after" else 2]]


@pytest.mark.parametrize(
    ("words", "said"),
    [*WORDS[1:], ("missing", (400, "invalid_request_error", None, None))],
)
def test_a_cursor_at_an_event_goes_after_thirty_days(
    fake: FakeStripe, clock: Clock, words: Any, said: tuple[Any, ...]
) -> None:
    """Stripe's own words for it name neither code nor parameter."""
    fake.options(cursor_words=words)
    old, young = fake.add("event"), fake.add("event", created=NOW + DAY)
    clock.now += 30 * DAY + 1
    answer = call(fake, "GET", "/v1/events", {"ending_before": old})
    assert refusal(answer) == said
    assert ("aged out" in answer.text) is (words == "missing")
    assert listed(fake, "/v1/events") == ([young], False)
    assert fake.ids("event") == [young]
    fake.options(cursor_words="empty")
    assert listed(fake, "/v1/events", ending_before=old) == ([], False)


# --- Lists that are not in the order of their objects' times


def test_a_future_object_can_stand_in_the_middle_of_a_list(fake: FakeStripe) -> None:
    """Cursors go by its place, `created` by its time, and so does what it shows."""
    old, new = fake.add("charge", created=NOW - 9), fake.add("charge", created=NOW - 1)
    odd = fake.add("charge", created=NOW + DAY, listed_at=NOW - 5)
    path = "/v1/charges"
    assert listed(fake, path)[0] == [new, odd, old]
    assert listed(fake, path, ending_before=old, limit=1) == ([odd], True)
    assert listed(fake, path, starting_after=odd)[0] == [old]
    assert listed(fake, path, **{"created[gte]": NOW - 1}) == ([new, odd], False)
    assert listed(fake, path, **{"created[lt]": NOW, "limit": 1}) == ([new], True)
    assert [one["created"] for one in fake.objects("charge")] == [NOW - 9, NOW + DAY, NOW - 1]
    fake.delete(odd)
    assert listed(fake, path)[0] == [new, old]


def test_two_neighbours_can_be_swapped(fake: FakeStripe) -> None:
    """A list that is not newest first; late ones keep the place that they are given."""
    early = fake.add("charge", created=NOW - 8, listed_at=NOW - 7, visible_at=NOW + 5)
    later = fake.add("charge", created=NOW - 7, listed_at=NOW - 8)
    assert fake.ids("charge") == [later]
    fake.advance(5)
    assert listed(fake, "/v1/charges")[0] == [early, later]


@pytest.mark.parametrize(("kind", "field"), [("account", "created"), ("invoiceitem", "date")])
def test_an_object_can_lack_its_time(fake: FakeStripe, kind: FeedName, field: str) -> None:
    """It stands in its place, and the filter still knows when it was created."""
    ids = [fake.add(kind, created=NOW - 9 + at, undated=at == 1) for at in range(3)]
    path = {"account": "/v1/accounts", "invoiceitem": "/v1/invoiceitems"}[kind]
    assert [field in one for one in fake.objects(kind)] == [True, False, True]
    assert listed(fake, path)[0] == ids[::-1]
    assert listed(fake, path, created=NOW - 8)[0] == [ids[1]]
    assert field not in call(fake, "GET", f"{path}/{ids[1]}").json()
