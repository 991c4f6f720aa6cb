"""The fake Stripe, as a user's own tests use it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from airflow_provider_stripe_lite import testing
from airflow_provider_stripe_lite.core.resources import DEFAULT_API_VERSION, RESOURCES
from airflow_provider_stripe_lite.testing import KEY, FakeStripe
from airflow_provider_stripe_lite.testing.shapes import DAY, SERVED, SHAPES

NOW = 1_800_000_000
# An API version that has the list, for those that came or went.
VERSIONS = {"order": "2020-08-27"}


@pytest.fixture
def stripe() -> Iterator[FakeStripe]:
    """A fake whose clock moves only when it is told to."""
    with FakeStripe(clock=lambda: NOW) as running:
        yield running


def get(stripe: FakeStripe, path: str, version: str | None = None, **params: Any) -> Any:
    """Return what a GET is answered."""
    headers = {"Authorization": f"Bearer {KEY}"} | ({"Stripe-Version": version} if version else {})
    with requests.Session() as session:
        session.trust_env = False
        return session.get(stripe.url + path, params=params, headers=headers, timeout=10)


def listed(stripe: FakeStripe, path: str, **params: Any) -> list[str]:
    """Return the ids of one page."""
    return [one["id"] for one in get(stripe, path, **params).json()["data"]]


def test_the_package_gives_what_a_test_needs() -> None:
    """`FakeStripe`, what it is scripted with and what it keeps are importable from one place."""
    assert testing.__all__ == ["KEY", "FakeStripe", "Fault", "Request"]


def test_what_is_added_is_listed_and_what_is_deleted_is_not(stripe: FakeStripe) -> None:
    """The kind of a deleted object is found by its id; an id that is not there is named."""
    first, second = stripe.add("customer", email="jenny@example.com"), stripe.add("charge")
    more = stripe.add_many("customer", 2)
    assert stripe.ids("customer") == [first, *more] == listed(stripe, "/v1/customers")[::-1]
    stripe.delete(first)
    stripe.delete(second)
    assert (stripe.ids("customer"), stripe.ids("charge")) == (more, [])
    with pytest.raises(LookupError, match='no object "cus_no" in test mode'):
        stripe.delete("cus_no")


def test_an_id_is_given_once(stripe: FakeStripe) -> None:
    """An id in use, and one id for two objects, are refused."""
    assert stripe.add("coupon", id="SUMMER") == "SUMMER"
    with pytest.raises(ValueError, match='a "coupon" with the id "SUMMER" already'):
        stripe.add("coupon", id="SUMMER")
    with pytest.raises(ValueError, match="cannot be given to 2 objects"):
        stripe.add_many("coupon", 2, id="WINTER")


def test_created_is_now_or_what_is_said(stripe: FakeStripe) -> None:
    """Epoch seconds and date-times are taken, and order the list."""
    stripe.add("payout")
    stripe.add("payout", created=NOW - 60)
    stripe.add("payout", created=datetime(2026, 1, 1, tzinfo=UTC))
    assert [one["created"] for one in stripe.objects("payout")] == [1_767_225_600, NOW - 60, NOW]


def test_objects_are_what_the_provider_would_read(stripe: FakeStripe) -> None:
    """Oldest first, in the provider's API version, of the account and mode that is named."""
    stripe.add_many("charge", 2, customer="cus_1", invoice="in_1", spread=9)
    stripe.add("charge", account="acct_1")
    read = get(stripe, "/v1/charges", version=DEFAULT_API_VERSION).json()["data"]
    assert stripe.objects("charge") == read[::-1]
    assert read[0]["invoice"] == "in_1"
    assert len(stripe.objects("charge", account="acct_1")) == 1
    assert stripe.objects("charge", livemode=True) == []


def test_its_clock_moves_when_it_is_told(stripe: FakeStripe) -> None:
    """The Date header, new objects, late objects and idempotency keys go by that clock."""
    late = stripe.add("charge", visible_at=NOW + 30)
    auth = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": "k"}
    made = [requests.post(stripe.url + "/v1/customers", headers=auth, timeout=10).json()["id"]]
    assert stripe.ids("charge") == []
    stripe.advance(DAY)
    assert stripe.now == NOW + DAY
    assert stripe.ids("charge") == [late]
    made += [requests.post(stripe.url + "/v1/customers", headers=auth, timeout=10).json()["id"]]
    assert stripe.ids("customer") == made
    assert stripe.objects("customer")[1]["created"] == NOW + DAY
    assert get(stripe, "/v1/balance").headers["Date"] == "Sat, 16 Jan 2027 08:00:00 GMT"
    assert stripe.calls[-1].time == NOW + DAY


def test_its_connection_is_one_that_airflow_reads(stripe: FakeStripe) -> None:
    """JSON with type, key and host, the fake takes the key, and no call limit holds a test back."""
    limit = json.loads(stripe.connection)["extra"]["rate_limit_url"]
    assert limit.startswith("file:///")
    assert json.loads(stripe.connection) == {
        "conn_type": "stripe",
        "password": KEY,
        "host": stripe.url,
        "extra": {"rate_limit_calls": 100_000, "rate_limit_url": limit},
    }
    assert get(stripe, "/v1/balance").status_code == 200


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("custmer", 'no kind "custmer": did you mean "customer"'),
        ("invoice_item", 'did you mean "invoiceitem"'),
        ("unicorn", 'no kind "unicorn": it takes'),
    ],
)
def test_an_unknown_kind_is_named(stripe: FakeStripe, kind: str, words: str) -> None:
    """With the kind that was perhaps meant, wherever a kind is said."""
    for call in (stripe.add, stripe.objects, stripe.ids):
        with pytest.raises(ValueError, match=words):
            call(kind)
    with pytest.raises(ValueError, match=words):
        stripe.inflow(kind, 1)


@pytest.mark.parametrize("kind", SERVED)
def test_every_list_of_the_table_is_served_and_paged(stripe: FakeStripe, kind: str) -> None:
    """Both cursors and `created` work, objects are read by id, ids have their own prefix."""
    resource, version = SERVED[kind], VERSIONS.get(kind, "2026-05-27.dahlia")
    ids = stripe.add_many(kind, 5, created=NOW - 100, spread=50)

    def page(**params: Any) -> list[str]:
        return listed(stripe, resource.path, version=version, **params)

    assert page(limit=2) == [ids[4], ids[3]]
    assert page(limit=2, starting_after=ids[3]) == [ids[2], ids[1]]
    assert page(limit=2, ending_before=ids[0]) == [ids[2], ids[1]]
    assert page(**{"created[gte]": NOW - 90, "created[lt]": NOW - 70}) == [ids[2], ids[1]]
    one = get(stripe, f"{resource.path}/{ids[1]}", version=version).json()
    assert (one["object"], one[resource.time_field], one["livemode"]) == (kind, NOW - 90, False)
    assert one["id"].startswith(SHAPES[kind].prefix)
    assert [shape.prefix for shape in SHAPES.values()].count(SHAPES[kind].prefix) == 1
    stripe.delete(ids[1])
    assert get(stripe, resource.path, version, starting_after=ids[1]).status_code == 400


def test_a_list_shows_what_it_hides_when_it_is_asked_to(stripe: FakeStripe) -> None:
    """Canceled subscriptions come with `status=all`, or alone with `status=canceled`."""
    running, over = stripe.add("subscription"), stripe.add("subscription", status="canceled")
    path = "/v1/subscriptions"
    assert listed(stripe, path) == [running]
    assert listed(stripe, path, status="all") == [over, running]
    assert listed(stripe, path, status="canceled") == [over]
    assert stripe.ids("subscription") == [running, over]
    hiding = {kind for kind, shape in SHAPES.items() if shape.hides and kind in RESOURCES}
    assert hiding == {kind for kind, resource in RESOURCES.items() if resource.always}


def test_a_list_is_there_from_its_version_on(stripe: FakeStripe) -> None:
    """Invoice payments came with basil."""
    answers = [
        get(stripe, "/v1/invoice_payments", version).status_code
        for version in (DEFAULT_API_VERSION, "2025-03-31.basil")
    ]
    assert answers == [404, 200]


def test_a_filter_that_stripe_does_not_have_is_refused(stripe: FakeStripe) -> None:
    """Kinds without a shape of their own are filtered by their fields, and by nothing else."""
    mine = stripe.add("payment_intent", customer="cus_1")
    stripe.add("payment_intent", customer="cus_2")
    assert listed(stripe, "/v1/payment_intents", customer="cus_1") == [mine]
    refused = get(stripe, "/v1/payment_intents", color="red")
    assert refused.json()["error"]["code"] == "parameter_unknown"


def test_ids_are_expanded_to_their_objects(stripe: FakeStripe) -> None:
    """In a list and in one object; what is not there cannot be expanded."""
    customer = stripe.add("customer")
    charge = stripe.add("charge", customer=customer)
    page = get(stripe, "/v1/charges", **{"expand[0]": "data.customer"}).json()["data"]
    assert page[0]["customer"]["id"] == customer
    one = get(stripe, f"/v1/charges/{charge}", **{"expand[]": "customer.address"}).json()
    assert one["customer"]["object"] == "customer"
    assert get(stripe, "/v1/charges", **{"expand[0]": "data.color"}).status_code == 400


def test_a_generated_list_is_paged_like_any_other(stripe: FakeStripe) -> None:
    """A million charges cost nothing until they are read; nothing can be added or deleted."""
    stripe.generate("charge", 1_000_000, created=lambda number: NOW - 999_999 + number, amount=7)
    ids = [f"ch_{number:024}" for number in range(999_990, 1_000_000)]
    assert listed(stripe, "/v1/charges") == ids[::-1]
    assert listed(stripe, "/v1/charges", limit=3, ending_before=ids[2]) == ids[5:2:-1]
    assert listed(stripe, "/v1/charges", **{"created[gte]": NOW - 1}) == ids[:-3:-1]
    shown = get(stripe, "/v1/charges", limit=1).json()["data"][0]
    assert shown == get(stripe, f"/v1/charges/{ids[-1]}").json()
    assert (shown["created"], shown["amount"]) == (NOW, 7)
    with pytest.raises(ValueError, match="nothing can be added"):
        stripe.add("charge")
    with pytest.raises(ValueError, match="nothing can be deleted"):
        stripe.delete(ids[0])
    stripe.generate("charge", 0, created=lambda number: number)
    assert stripe.ids("charge") == []


@pytest.mark.parametrize("kind", ["customer", "invoiceitem", "checkout.session", "refund"])
def test_generated_objects_look_like_others(stripe: FakeStripe, kind: str) -> None:
    """Each time and each id in them is that of the object."""
    fields = {"discount": "SUMMER"} if kind == "customer" else {}
    stripe.generate(kind, 3, created=lambda number: NOW + number, **fields)
    page = get(stripe, RESOURCES[kind].path, version=DEFAULT_API_VERSION).json()["data"]
    assert page[::-1] == stripe.objects(kind)


def test_it_is_told_what_to_do_over_http(stripe: FakeStripe) -> None:
    """Below /_fake/ another process does what a test in this one does."""
    control = stripe.url + "/_fake/"
    with requests.Session() as http:
        http.trust_env = False
        made = http.post(control + "add", json={"kind": "refund", "livemode": True}).json()
        assert http.post(control + "advance", json={"seconds": 60}).status_code == 200
        assert stripe.now == NOW + 60
        where = {"kind": "refund", "livemode": True}
        assert http.get(control + "ids", params=where).json() == [made]
        assert http.get(control + "objects", params=where).json()[0]["id"] == made
        assert http.get(control + "ids", params={"kind": "refund"}).json() == []
        stripe.fault(hook=print)
        assert http.get(control + "faults").json()[0]["times"] == 1
        refused = http.post(control + "add", json={"kind": "refnd"})
        assert (refused.status_code, "did you mean" in refused.text) == (400, True)
        assert http.post(control + "options", json={"color": "red"}).status_code == 400


def test_a_refund_is_made_of_a_charge_that_is_there(stripe: FakeStripe) -> None:
    """It needs the permission for charges, as refunds have none of their own."""
    charge = stripe.add("charge", amount=900)
    key = {"Authorization": f"Bearer {KEY}"}

    def refund(of: str) -> Any:
        with requests.Session() as session:
            session.trust_env = False
            sent = {"charge": of, "amount": "300"}
            return session.post(f"{stripe.url}/v1/refunds", data=sent, headers=key, timeout=10)

    made = refund(charge).json()
    assert (made["object"], made["charge"], made["amount"]) == ("refund", charge, 300)
    assert stripe.ids("refund") == [made["id"]]
    unknown = refund("ch_none")
    assert unknown.status_code == 400
    assert unknown.json()["error"]["message"] == "No such charge: 'ch_none'"
    stripe.options(missing_permissions={KEY: ["rak_charge_write"]})
    assert refund(charge).status_code == 403
