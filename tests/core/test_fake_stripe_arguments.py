"""What the fake Stripe takes from a test, what it refuses, and that nothing leaks from it."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from typing import Any

import pytest

from airflow_provider_stripe_lite.testing import KEY, FakeStripe
from tests.helpers import NOW


def test_what_a_test_changes_stays_its_own(fake: FakeStripe) -> None:
    """Neither other objects nor later fakes see what is done to what `objects` returns."""
    fake.add_many("charge", 2)
    plain = fake.objects("charge")
    for mine in (fake.objects("charge")[-1], fake.objects("charge")[0]):
        mine["metadata"]["colour"] = "red"
        mine["billing_details"]["address"]["city"] = "Oslo"
        mine["fraud_details"]["user_report"] = "safe"
    assert fake.objects("charge") == plain
    other = FakeStripe()
    other.add("charge")
    assert other.objects("charge")[0]["metadata"] == {}
    assert other.objects("charge")[0]["billing_details"]["address"]["city"] is None


def test_what_a_test_gave_can_be_changed_afterwards(fake: FakeStripe) -> None:
    """Fields are copied when they are given, nested ones too."""
    fields: dict[str, Any] = {"metadata": {"tags": ["a"]}}
    fake.add("charge", **fields)
    fake.add_many("refund", 2, **fields)
    fake.generate("payout", 1, created=lambda number: NOW, **fields)
    fields["metadata"]["tags"].append("b")
    for kind in ("charge", "refund", "payout"):
        shown = fake.objects(kind)
        assert {str(one["metadata"]) for one in shown} == {"{'tags': ['a']}"}
        shown[0]["metadata"]["tags"].append("c")
        assert fake.objects(kind)[0]["metadata"] == {"tags": ["a"]}


def test_a_kind_says_which_of_two_objects_is_deleted(fake: FakeStripe) -> None:
    """Two objects with one id need a kind; the one that is left does not."""
    fake.add("coupon", id="SUMMER")
    fake.add("plan", id="SUMMER")
    with pytest.raises(ValueError, match='kinds "coupon" and "plan" have the id "SUMMER": say'):
        fake.delete("SUMMER")
    assert (fake.ids("coupon"), fake.ids("plan")) == (["SUMMER"], ["SUMMER"])
    fake.delete("SUMMER", kind="plan")
    assert (fake.ids("coupon"), fake.ids("plan")) == (["SUMMER"], [])
    with pytest.raises(LookupError, match='no "plan" with the id "SUMMER" in test mode'):
        fake.delete("SUMMER", kind="plan")
    fake.delete("SUMMER")
    assert fake.ids("coupon") == []


def test_an_object_is_deleted_once(fake: FakeStripe) -> None:
    """The second time it is as unknown as one that never was; so is one of another account."""
    charge = fake.add("charge", account="acct_1")
    with pytest.raises(LookupError, match=f'no object "{charge}" in test mode'):
        fake.delete(charge)
    with pytest.raises(LookupError, match='in live mode of account "acct_1"'):
        fake.delete(charge, livemode=True, account="acct_1")
    fake.delete(charge, account="acct_1")
    with pytest.raises(LookupError, match=f'no object "{charge}" in test mode of account "acct_1"'):
        fake.delete(charge, account="acct_1")
    with pytest.raises(ValueError, match='no kind "chrage": did you mean "charge"'):
        fake.delete(charge, kind="chrage")  # type: ignore[arg-type]


def test_the_id_of_a_deleted_object_can_be_deleted_again_once_it_is_in_use(
    fake: FakeStripe,
) -> None:
    """A new object with the id of a deleted one is an object like any other."""
    for _ in range(2):
        fake.delete(fake.add("coupon", id="WINTER"))
    with pytest.raises(LookupError):
        fake.delete("WINTER")


def test_an_expanded_id_is_that_of_the_field_where_it_is_ambiguous(fake: FakeStripe) -> None:
    """A coupon's id that is a product's, too, is expanded to what the field is named after."""
    fake.add("coupon", id="SUMMER")
    fake.add("product", id="SUMMER")
    fake.add("plan", product="SUMMER")
    target, key = "/v1/plans?expand[]=data.product", {"authorization": f"Bearer {KEY}"}
    plan = json.loads(fake.respond("GET", target, key, b"", 0).body)["data"][0]
    assert plan["product"]["object"] == "product"


def test_an_events_object_may_be_named(fake: FakeStripe) -> None:
    """It stands in the event as it was when the event was added, deleted or not."""
    charge = fake.add("charge", amount=7, invoice="in_1")
    whole = fake.objects("charge")[0]
    fake.add("event", type="charge.failed", object=charge)
    fake.delete(charge)
    fake.add("event", type="charge.failed", object=charge)
    for event in fake.objects("event"):
        assert event["data"] == {"object": whole}
    new = "2026-05-27.dahlia"
    fake.generate("event", 1, created=lambda number: NOW, object=charge, api_version=new)
    assert "invoice" not in fake.objects("event")[0]["data"]["object"]
    theirs = fake.add("customer", account="acct_1", livemode=True)
    where: dict[str, Any] = {"account": "acct_1", "livemode": True}
    fake.add("event", type="customer.created", object=theirs, **where)
    inner = fake.objects("event", **where)[0]["data"]["object"]
    assert (inner["object"], inner["id"], inner["livemode"]) == ("customer", theirs, True)


def test_an_events_object_that_is_not_there_is_refused(fake: FakeStripe) -> None:
    """An unknown id, another account's, and one of several objects."""
    theirs = fake.add("charge", account="acct_1")
    for id in ("ch_no", theirs):
        with pytest.raises(LookupError, match=f'no object "{id}" in test mode: add it first'):
            fake.add("event", type="charge.failed", object=id)
    fake.add("coupon", id="SUMMER")
    fake.add("plan", id="SUMMER")
    with pytest.raises(ValueError, match=r'"coupon" and "plan" have the id .*: give the object in'):
        fake.add("event", object="SUMMER")
    assert fake.ids("event") == []


def test_before_it_is_started_it_has_no_address() -> None:
    """A free port is known once the fake listens; a chosen one is known before."""
    fake = FakeStripe()
    for name in ("url", "connection"):
        with pytest.raises(RuntimeError, match="use it as a context manager: with FakeStripe"):
            getattr(fake, name)
    assert FakeStripe(port=12111).url == "http://127.0.0.1:12111"
    with fake as running:
        assert running is fake
        assert not fake.url.endswith(":0")


@pytest.mark.parametrize("host", ["0.0.0.0", ""])
def test_whoever_listens_everywhere_is_reached_on_this_machine(host: str) -> None:
    """The provider refuses plain http to any other address than this machine's."""
    fake = FakeStripe(host=host, port=12111)
    assert fake.url == "http://127.0.0.1:12111"
    assert '"host": "http://127.0.0.1:12111"' in fake.connection


def test_an_objects_time_is_said_once(fake: FakeStripe) -> None:
    """An invoice item's `date` is its `created`: either may be given, and both if they agree."""
    fake.add("invoiceitem", date=5)
    fake.add("invoiceitem", created=7, date=None)
    fake.add("invoiceitem", created=6, date=datetime(1970, 1, 1, 0, 0, 6, tzinfo=UTC))
    assert [one["date"] for one in fake.objects("invoiceitem")] == [5, 6, 7]
    fake.add_many("invoiceitem", 2, date="1970-01-01T00:00:10Z", spread=20)
    assert [one["date"] for one in fake.objects("invoiceitem")][3:] == [10, 20]
    with pytest.raises(ValueError, match="created=1000 and date=5 contradict each other"):
        fake.add("invoiceitem", created=1000, date=5)
    with pytest.raises(ValueError, match="date='soon' is no time"):
        fake.add("invoiceitem", date="soon")
    with pytest.raises(ValueError, match="date=5 contradicts"):
        fake.generate("invoiceitem", 2, created=lambda number: NOW, date=5)
    assert len(fake.ids("invoiceitem")) == 5


@pytest.mark.parametrize(
    "text", ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "2026-01-01 00:00:00.9+00:00"]
)
def test_created_may_be_iso_text_with_a_zone(fake: FakeStripe, text: str) -> None:
    """As it stands in JSON, for instance."""
    fake.add("charge", created=text)
    assert fake.objects("charge")[0]["created"] == 1_767_225_600


def test_visible_at_is_said_like_created(fake: FakeStripe) -> None:
    """Both are moments."""
    late = fake.add("charge", visible_at=datetime.fromtimestamp(NOW + 30, UTC))
    assert fake.ids("charge") == []
    fake.advance(30)
    assert fake.ids("charge") == [late]
    with pytest.raises(ValueError, match="visible_at='later' is no time: it takes"):
        fake.add("charge", visible_at="later")


@pytest.mark.parametrize(
    ("created", "words"),
    [
        ("2026-01-01", "created='2026-01-01' has no time zone: say which"),
        (datetime(2026, 1, 1), "has no time zone: say which"),  # noqa: DTZ001
        ("yesterday", "created='yesterday' is no time: it takes epoch seconds, or"),
        ("1700000000", "is no time"),
        (True, "created=True is no time"),
        (math.nan, "created=nan is no time"),
        (math.inf, "created=inf is no time"),
        (date(2026, 1, 1), "is no time"),
        ([5], r"created=\[5\] is no time"),
    ],
)
def test_a_time_that_is_none_is_one_sentence(fake: FakeStripe, created: Any, words: str) -> None:
    """Nothing is added then."""
    with pytest.raises(ValueError, match=words):
        fake.add("charge", created=created)
    assert fake.ids("charge") == []


@pytest.mark.parametrize("seconds", [-1, -0.5, math.nan, math.inf, "60", True, None])
def test_its_clock_is_moved_forward_only(fake: FakeStripe, seconds: Any) -> None:
    """An advance that is none is refused in a sentence, and the clock stays as it is."""
    with pytest.raises(ValueError, match=r"advance\(.*\): the clock moves forward, by a number"):
        fake.advance(seconds)
    assert fake.now == NOW
