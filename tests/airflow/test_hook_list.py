"""`hook.list`: a feed's range oldest first, any other list as Stripe gives it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_stripe_lite.errors import StripeInputError
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.harness import ids
from tests.helpers import NOW, gets

# 2026-02-01T00:00:00Z
MIDNIGHT = NOW - 96_000


def listed(*arguments: Any, **options: Any) -> list[str]:
    """Return the ids of all that the hook lists."""
    return ids(StripeHook().list(*arguments, **options))


# --- A feed


@pytest.mark.parametrize(
    "midnight",
    [
        datetime(2026, 2, 1, tzinfo=UTC),
        datetime(2026, 2, 1, tzinfo=UTC).replace(tzinfo=None),
        datetime(2026, 2, 1, 2, tzinfo=timezone(timedelta(hours=2))),
        date(2026, 2, 1),
        "2026-02-01",
        "2026-02-01T00:00:00Z",
        "2026-02-01T02:00:00+02:00",
        MIDNIGHT,
        float(MIDNIGHT),
        str(MIDNIGHT),
    ],
    ids=repr,
)
def test_a_feed_is_listed_between_two_times_of_any_kind(stripe: FakeStripe, midnight: Any) -> None:
    """From the first one on, and before the other one, which is not in it."""
    made = [stripe.add("charge", created=MIDNIGHT + second) for second in (-1, 0, 1)]
    assert listed("charge", created_gte=midnight) == made[1:]
    assert listed("charge", created_lt=midnight) == made[:1]
    assert listed("charge", created_gte=MIDNIGHT - 1, created_lt=midnight) == made[:1]
    assert listed("charge", created_gte=midnight, created_lt=MIDNIGHT + 1) == made[1:2]


def test_a_feed_is_listed_oldest_first_with_one_page_in_memory(stripe: FakeStripe) -> None:
    """Over a day of three pages it makes four calls, and only as they are needed."""
    stripe.add_many("charge", 4, created=MIDNIGHT - 1)
    made = stripe.add_many("charge", 250, created=MIDNIGHT, spread=80_000)
    stripe.add("charge", created=MIDNIGHT + 86_400)
    day = StripeHook().list("charge", created_gte=MIDNIGHT, created_lt=MIDNIGHT + 86_400)
    assert stripe.calls == []
    first = [next(day)["id"] for _ in range(100)]
    assert len(stripe.calls) == 2
    assert first + ids(day) == made
    assert len(stripe.calls) == 4


def test_a_feed_without_bounds_is_listed_whole(stripe: FakeStripe) -> None:
    """By its name as by its path: what is new and what is young are in it, too."""
    made = stripe.add_many("subscription", 130, created=NOW - 9_000, spread=9_000)
    made.append(stripe.add("subscription", created=NOW, status="canceled"))
    assert listed("subscription") == listed("/v1/subscriptions") == made


# --- Any other list


def test_any_other_list_is_listed_newest_first(stripe: FakeStripe) -> None:
    """By its path, as Stripe gives it: one call a page, bounds where the list has them."""
    made = stripe.add_many("price", 150, created=NOW - 3_000, spread=3_000)[::-1]
    assert listed("/v1/prices") == made
    assert len(stripe.calls) == 2
    bounds = {"created_gte": NOW - 2_000, "created_lt": NOW - 1_000}
    assert listed("/v1/prices", **bounds) == made[50:100]


def test_a_list_that_has_a_parent_needs_no_dates(stripe: FakeStripe) -> None:
    """The lines of an invoice have none."""
    lines = [{"id": f"il_{number}", "object": "line_item"} for number in range(120)]
    stripe.add_list("/v1/invoices/in_1/lines", lines)
    assert list(StripeHook().list("/v1/invoices/in_1/lines")) == lines


# --- Parameters and fields


def test_parameters_are_stripe_s_own(stripe: FakeStripe) -> None:
    """They go with every request, nested ones as well, beside those of the range."""
    stripe.add_many("charge", 130, created=MIDNIGHT, customer="cus_2")
    made = stripe.add_many("charge", 130, created=MIDNIGHT, customer="cus_1")
    assert listed("charge", created_gte=MIDNIGHT, parameters={"customer": "cus_1"}) == made
    assert {query["customer"] for query in gets(stripe)} == {"cus_1"}
    stripe.add("price", created=MIDNIGHT)
    archived = stripe.add("price", created=MIDNIGHT, active=False)
    assert listed("/v1/prices", parameters={"active": False}) == [archived]


def test_fields_say_what_a_row_has(stripe: FakeStripe) -> None:
    """The object as Stripe sent it, the documented fields, or paths into it."""
    made = stripe.add("customer", created=NOW, email="a@example.com", metadata={"ref": "A-1"})
    (whole,) = stripe.objects("customer")
    assert list(StripeHook().list("customer")) == [whole]
    assert list(StripeHook().list("customer", fields="*")) == [whole]
    (documented,) = StripeHook().list("customer", fields=None)
    assert documented["created"] == "2026-02-02T02:40:00+00:00"
    assert "metadata" not in documented
    (row,) = StripeHook().list("customer", fields=["id", "metadata.ref"])
    assert row == {"id": made, "metadata": {"ref": "A-1"}}


@pytest.mark.parametrize("name", ["charge", "/v1/charges"])
def test_what_is_expanded_has_no_secret(stripe: FakeStripe, name: str) -> None:
    """Stripe sends the client secret of a charge's payment; no row has it unless it is named."""
    intent = stripe.add("payment_intent", created=NOW)
    stripe.add("charge", created=NOW, payment_intent=intent)
    hook, parameters = StripeHook(), {"expand": ["payment_intent"]}
    sent = hook.get_conn().get("/v1/charges", {"expand": ["data.payment_intent"]}).body["data"][0]
    assert sent["payment_intent"].pop("client_secret")
    assert list(hook.list(name, parameters=parameters)) == [sent]
    named = hook.list(name, parameters=parameters, fields=["payment_intent.client_secret"])
    assert "_secret_" in next(named)["payment_intent"]["client_secret"]


# --- What is refused

BEFORE = "^created_gte must be before created_lt, got"
SECONDS = "^created_gte must be a time between 2010 and 2100, got .* seconds since 1970"
KNOWN: list[tuple[str, dict[str, Any], str]] = [
    ("charges", {}, "^feed must be one of .* such as charge, "),
    (5, {}, "^feed must be one of"),  # type: ignore[list-item]
    ("prices", {}, "^feed must be one of"),
    ("/prices", {}, '^A list by its path must begin with "/v1/"'),
    ("/v1/prices?active=true", {}, "give the query as parameters"),
    ("charge", {"created_gte": NOW, "created_lt": NOW - 1}, BEFORE),
    ("charge", {"created_gte": NOW, "created_lt": NOW}, BEFORE),
    ("/v1/prices", {"created_gte": "2026-02-02", "created_lt": date(2026, 2, 1)}, BEFORE),
    ("charge", {"created_gte": "yesterday"}, "^created_gte must be a date-time such as"),
    ("charge", {"created_gte": True}, "^created_gte must be a date-time such as"),
    ("charge", {"created_lt": ""}, "^created_lt must be a date-time such as"),
    ("charge", {"created_gte": NOW * 1000}, SECONDS),
    ("charge", {"created_gte": "2009-12-31"}, SECONDS),
    ("charge", {"parameters": {"created": {"gte": 1}}}, "use created_gte and created_lt"),
    ("charge", {"parameters": {"created[gte]": 1}}, "use created_gte and created_lt"),
    ("charge", {"parameters": {"limit": 10}}, "^parameters holds 'limit'"),
    ("/v1/prices", {"parameters": {"starting_after": "price_1"}}, "^parameters holds 'starting_"),
    ("charge", {"parameters": "customer=cus_1"}, "^parameters must be a mapping"),
    ("charge", {"parameters": {"expand": ["a.b.c.d"]}}, "^expand goes at most 4 levels deep"),
    ("event", {"parameters": {"types": ["a.b", "c.*"]}}, "^types with a wildcard"),
    ("charge", {"fields": "id"}, "^fields must be None"),
    ("charge", {"fields": []}, "^fields is an empty list"),
    ("/v1/prices", {"fields": ["a", "a.b"]}, "^fields holds 'a' and a path below it"),
]


@pytest.mark.parametrize(("name", "options", "words"), KNOWN, ids=map(repr, range(len(KNOWN))))
def test_what_cannot_be_listed_is_refused_before_any_request(
    stripe: FakeStripe, name: str, options: dict[str, Any], words: str
) -> None:
    """At the call, not when somebody asks for the first object; one sentence names the fault."""
    with pytest.raises(StripeInputError, match=words) as refused:
        StripeHook().list(name, **options)
    assert "\n" not in str(refused.value)
    assert stripe.calls == []


@pytest.mark.parametrize("name", ["event", "/v1/events"])
def test_events_that_stripe_has_dropped_are_not_listed_in_part(
    stripe: FakeStripe, name: str
) -> None:
    """Events live for 30 days: a range that begins before is refused by its own name."""
    made = stripe.add("event", created=NOW - 29 * 86_400, type="charge.failed")
    with pytest.raises(StripeInputError, match=r"^created_gte must not lie more than 30 days"):
        listed(name, created_gte=NOW - 31 * 86_400)
    assert len(stripe.calls) == 1
    assert listed(name, created_gte=NOW - 30 * 86_400 + 60) == listed(name) == [made]


def test_nothing_is_an_empty_list(stripe: FakeStripe) -> None:
    """A day without charges, and an account without any."""
    assert listed("charge", created_gte=MIDNIGHT) == []
    stripe.add("charge", created=MIDNIGHT - 1)
    assert listed("charge", created_gte=MIDNIGHT, created_lt=NOW) == []
