"""Any list by its path: newest first, as Stripe gives it, over pages, with one page in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.lists import list_named
from airflow_provider_stripe_lite.core.reading import read_list
from airflow_provider_stripe_lite.errors import StripeInvalidRequestError
from airflow_provider_stripe_lite.testing import FakeStripe, Request
from tests.core.polls import WORDS, names
from tests.helpers import NOW, Connect, FakeLimiter, gets

LINES = "/v1/invoices/in_1/lines"


def listed(
    client: StripeClient,
    name: str,
    parameters: dict[str, Any] | None = None,
    *,
    first: int | None = None,
    end: int | None = None,
) -> Iterator[dict[str, Any]]:
    """Read a list as `hook.list` does."""
    resource, is_feed = list_named(name, parameters)
    return read_list(client, resource, is_feed=is_feed, first=first, end=end)


def lines(fake: FakeStripe, size: int) -> list[str]:
    """Give the invoice so many lines, and return their ids, newest first; none has a date."""
    made = [{"id": f"il_{at:05}", "object": "line_item", "amount": at} for at in range(size)]
    fake.add_list(LINES, made)
    return names(made)


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 250, 1_000])
def test_a_list_is_read_newest_first_over_all_its_pages(
    fake: FakeStripe, client: StripeClient, size: int
) -> None:
    """For one call each, and nothing is asked that the list may not know."""
    made = lines(fake, size)
    assert names(listed(client, LINES)) == made
    assert len(fake.calls) == max(1, -(-size // 100))
    assert {name for query in gets(fake) for name in query} <= {"limit", "starting_after"}
    assert {query["limit"] for query in gets(fake)} == {"100"}


@pytest.mark.parametrize("path", ["/v1/reporting/report_types", "/v1/accounts/acct_1/capabilities"])
def test_a_list_that_comes_whole_is_asked_for_without_a_limit(
    fake: FakeStripe, client: StripeClient, path: str
) -> None:
    """Stripe's pages of these two name no parameter but expand, and it refuses what it knows not.

    https://docs.stripe.com/api/reporting/report_type/list
    """
    fake.add_list(path, [{"id": "balance.summary.1"}, {"id": "payouts.summary.1"}])
    read = listed(client, path, {"expand": ["default_columns"]})
    assert names(read) == ["balance.summary.1", "payouts.summary.1"]
    assert gets(fake) == [{"expand[0]": "data.default_columns"}]


def test_a_list_takes_stripes_own_parameters(fake: FakeStripe, client: StripeClient) -> None:
    """Archived prices, which the list hides, on every page."""
    fake.add_many("price", 5, created=NOW - 900)
    archived = fake.add_many("price", 130, created=NOW - 800, spread=100, active=False)
    assert names(listed(client, "/v1/prices", {"active": False})) == archived[::-1]
    assert [query["active"] for query in gets(fake)] == ["false", "false"]
    assert len(names(listed(client, "/v1/prices"))) == 5


def test_a_list_takes_bounds(fake: FakeStripe, client: StripeClient) -> None:
    """From one second on, before another one."""
    made = fake.add_many("price", 4, created=NOW - 900, spread=400)
    assert names(listed(client, "/v1/prices", first=NOW - 800, end=NOW - 600)) == made[2:0:-1]
    assert names(listed(client, "/v1/prices", first=NOW - 700)) == made[:1:-1]
    assert names(listed(client, "/v1/prices", end=NOW - 800)) == made[:1]


def test_a_feed_by_its_path_is_read_as_a_feed(fake: FakeStripe, client: StripeClient) -> None:
    """Oldest first, with what the table asks always."""
    made = fake.add_many("subscription", 150, created=NOW - 900, spread=100, status="canceled")
    assert names(listed(client, "/v1/subscriptions", first=NOW - 900)) == made
    assert names(listed(client, "subscription")) == made


def test_a_feed_takes_parameters_of_every_page(fake: FakeStripe, client: StripeClient) -> None:
    """Finding the object before the range goes by them, too."""
    fake.add_many("charge", 300, created=NOW - 950, spread=600, customer="cus_2")
    made = fake.add_many("charge", 250, created=NOW - 900, spread=500, customer="cus_1")
    read = listed(client, "charge", {"customer": "cus_1"}, first=NOW - 900, end=NOW - 500)
    assert names(read) == made[:200]
    assert {query["customer"] for query in gets(fake)} == {"cus_1"}


def test_what_a_list_expands_is_put_below_data(fake: FakeStripe, client: StripeClient) -> None:
    """Stripe takes no other words in a list."""
    customer = fake.add("customer", created=NOW - 999, email="a@example.com")
    fake.add("charge", created=NOW - 900, customer=customer)
    [charge] = listed(client, "charge", {"expand": ["customer"]})
    assert charge["customer"]["email"] == "a@example.com"
    assert gets(fake)[0]["expand[0]"] == "data.customer"


# --- Objects that go while a list is read


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("gone", [1, 5])
def test_a_cursor_that_is_deleted_in_between_loses_nothing(
    fake: FakeStripe, client: StripeClient, words: str, gone: int
) -> None:
    """The next object of the page leads on, once each."""
    made = fake.add_many("price", 250, created=NOW - 900, spread=500)[::-1]
    fake.options(cursor_words=words)
    read = []
    for price in listed(client, "/v1/prices"):
        read.append(price["id"])
        if len(read) in (100, 200):
            for id in read[-gone:]:
                fake.delete(id)
    assert len(set(read)) == len(read)
    assert read == made


def test_a_list_that_knows_none_of_a_pages_objects_is_an_error(
    fake: FakeStripe, connect: Connect
) -> None:
    """Stripe's own, after as many calls as the page has objects at most."""
    limiter = FakeLimiter()
    fake.add_many("price", 250, created=NOW - 900, spread=500)

    def forget(request: Request) -> None:
        request.query[:] = [
            (name, "price_no" if name == "starting_after" else value)
            for name, value in request.query
        ]

    fake.fault(hook=forget, every=1)
    limiter.open(most=101)
    with pytest.raises(StripeInvalidRequestError, match="price_no"):
        list(listed(connect(limiter=limiter), "/v1/prices"))


def test_the_rest_of_a_list_that_is_deleted_while_it_is_read_gives_nothing_twice(
    fake: FakeStripe, client: StripeClient
) -> None:
    """The page that was announced is empty, and so the end has come."""
    made = fake.add_many("price", 102, created=NOW - 900, spread=300)[::-1]
    read = []
    for price in listed(client, "/v1/prices"):
        read.append(price["id"])
        if len(read) == 100:
            for id in made[100:]:
                fake.delete(id)
    assert read == made[:100]
