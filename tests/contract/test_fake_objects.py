"""Events, prices, lists of any path, secrets, inner lists and expansion in the fake."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from stripe import RequestOptions
from stripe.params import PriceListParams

from airflow_provider_stripe_lite.core.resources import FeedName
from airflow_provider_stripe_lite.testing import FakeStripe
from airflow_provider_stripe_lite.testing.shapes import SERVED, SHAPES
from tests.contract.calls import NOW, call, listed

pytestmark = pytest.mark.contract


def one(fake: FakeStripe, path: str, params: Any = None, **headers: str) -> dict[str, Any]:
    """Return the newest object of a list."""
    newest: dict[str, Any] = call(fake, "GET", path, params, **headers).json()["data"][0]
    return newest


def said(fake: FakeStripe, path: str, params: dict[str, Any]) -> tuple[int, str, str]:
    """Return what a request is refused with: the status, the parameter and the sentence."""
    answer = call(fake, "GET", path, params)
    error = answer.json()["error"]
    return answer.status_code, error["param"], error["message"]


# --- Events


def test_an_event_has_what_happened_in_its_data(fake: FakeStripe) -> None:
    """The object as it was then, also one without an id, and what has changed in it."""
    upcoming = {"object": "invoice", "customer": "cus_1"}
    fake.add("event", type="invoice.upcoming", object=upcoming)
    shown = one(fake, "/v1/events")
    assert (shown["object"], shown["type"], shown["created"]) == ("event", "invoice.upcoming", NOW)
    assert shown["id"].startswith("evt_")
    assert shown["data"] == {"object": upcoming}
    assert "account" not in shown
    assert shown["api_version"]
    paid = {"id": "in_1", "object": "invoice", "status": "paid"}
    before = {"status": "open"}
    fake.add("event", object=paid, previous_attributes=before, api_version="2019-10-08")
    shown = one(fake, "/v1/events")
    assert shown["data"] == {"object": paid, "previous_attributes": before}
    assert shown["api_version"] == "2019-10-08"


def test_an_event_of_a_connected_account_names_it(fake: FakeStripe) -> None:
    fake.add("event", account="acct_1")
    assert one(fake, "/v1/events", Stripe_Account="acct_1")["account"] == "acct_1"


def test_events_are_found_by_types_or_by_one_wildcard(fake: FakeStripe) -> None:
    """Twenty whole names, or one name that may have a wildcard."""
    failed, made, paid = (
        fake.add("event", type=name)
        for name in ("charge.failed", "customer.created", "invoice.paid")
    )
    names = {f"types[{at}]": f"a.b{at}" for at in range(19)}
    path = "/v1/events"
    assert listed(fake, path, **names, **{"types[19]": "charge.failed"}) == ([failed], False)
    assert listed(fake, path, **{"types[]": ["charge.failed", "invoice.paid"]})[0] == [paid, failed]
    assert listed(fake, path, type="customer.*") == ([made], False)
    assert listed(fake, path, type="invoice.paid", **{"created[gt]": NOW}) == ([], False)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({f"types[{at}]": f"a.b{at}" for at in range(21)}, "up to 20"),
        ({"types[0]": "a.b", "type": "a.b"}, "only pass one of"),
        ({"types[0]": "a.b", "types[1]": "charge.*"}, "wildcard"),
    ],
)
def test_types_that_are_none_are_refused(
    fake: FakeStripe, params: dict[str, str], words: str
) -> None:
    status, param, message = said(fake, "/v1/events", params)
    assert (status, param, words in message) == (400, "types", True)


# --- Lists that no sensor polls


def test_archived_prices_are_a_list_of_their_own(fake: FakeStripe) -> None:
    """Active ones alone unless `active` says otherwise; no value shows both."""
    sold = fake.add("price", lookup_key="basic", unit_amount=500)
    old, new = fake.add("price", active=False), fake.add("price", active=True, type="recurring")
    path = "/v1/prices"
    assert listed(fake, path) == listed(fake, path, active="true") == ([new, sold], False)
    assert listed(fake, path, active="false") == ([old], False)
    assert listed(fake, path, limit=1, starting_after=new) == ([sold], False)
    assert listed(fake, path, limit=1, ending_before=sold) == ([new], False)
    assert listed(fake, path, **{"lookup_keys[]": "basic"}) == ([sold], False)
    assert call(fake, "GET", path).json()["url"] == path
    assert call(fake, "GET", f"{path}/{sold}").json()["unit_amount"] == 500
    assert fake.ids("price") == [sold, old, new]


def test_prices_are_filtered_by_all_that_stripe_python_has() -> None:
    params, options = (inspect.get_annotations(one) for one in (PriceListParams, RequestOptions))
    paging = {"created", "ending_before", "expand", "limit", "starting_after"}
    assert SHAPES["price"].filters == set(params) - set(options) - paging


LINES = [
    {"id": f"il_{at}", "object": "line_item", "created": NOW - at, "amount": at % 2}
    for at in range(5, 0, -1)
]
PATH = "/v1/invoices/in_1/lines"


def test_a_list_of_any_path_is_paged_as_it_was_given(fake: FakeStripe) -> None:
    """In its own order, whatever the times say; its objects are sent as they are."""
    fake.add_list(PATH, LINES)
    page = call(fake, "GET", PATH, {"limit": 2}).json()
    assert page == {"object": "list", "url": PATH, "has_more": True, "data": LINES[:2]}
    assert listed(fake, PATH, limit=2, starting_after="il_2") == (["il_1"], False)
    assert listed(fake, PATH, limit=2, ending_before="il_2") == (["il_4", "il_3"], True)
    assert listed(fake, PATH, **{"created[gt]": NOW - 3}) == (["il_2", "il_1"], False)
    assert listed(fake, PATH, amount=1, **{"expand[0]": "data.price"})[0] == [
        "il_5",
        "il_3",
        "il_1",
    ]
    assert call(fake, "GET", PATH, {"ending_before": "il_9"}).status_code == 400
    assert call(fake, "GET", PATH, Stripe_Account="acct_1").status_code == 404
    assert call(fake, "POST", PATH).status_code == 404


def test_a_list_of_any_path_is_replaced_and_is_the_tests_own(fake: FakeStripe) -> None:
    """Objects may lack id and time; what a test changes afterwards changes nothing."""
    mine: list[dict[str, Any]] = [{"object": "line_item"}]
    fake.add_list(PATH, LINES, account="acct_1")
    fake.add_list(PATH, mine, account="acct_1")
    mine[0]["object"] = "other"
    page = call(fake, "GET", PATH, Stripe_Account="acct_1").json()
    assert page["data"] == [{"object": "line_item"}]
    fake.add_list(PATH, [], account="acct_1")
    assert call(fake, "GET", PATH, Stripe_Account="acct_1").json()["data"] == []


def test_the_list_of_a_kind_cannot_be_given(fake: FakeStripe) -> None:
    with pytest.raises(ValueError, match=r'/v1/charges lists what is added: add\("charge", …\)'):
        fake.add_list("/v1/charges", [])


def test_a_list_is_given_over_http(fake: FakeStripe) -> None:
    """With the other things that another process says below /_fake/."""
    target, body = "/_fake/add_list", b'{"path": "/v1/x", "objects": [{"id": "x_1"}]}'
    assert fake.respond("POST", target, {}, body, 0).status == 200
    assert listed(fake, "/v1/x") == (["x_1"], False)


# --- What is inside an object


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("checkout.session", {"client_secret", "url"}),
        ("file_link", {"url"}),
        ("identity.verification_session", {"client_secret", "url"}),
        ("payment_intent", {"client_secret"}),
        ("setup_intent", {"client_secret"}),
    ],
)
def test_objects_are_served_with_their_secrets(
    fake: FakeStripe, kind: FeedName, names: set[str]
) -> None:
    """Each object has its own, in lists and alone, unless a test says otherwise."""
    ids = fake.add_many(kind, 2)
    path = SERVED[kind].path
    for id in ids:
        shown = call(fake, "GET", f"{path}/{id}").json()
        assert {name for name in names if id in shown[name]} == names
        assert shown in call(fake, "GET", path).json()["data"]
    fake.add(kind, **dict.fromkeys(names))
    assert [one(fake, path)[name] for name in names] == [None for _ in names]


def refunds(charge: str) -> dict[str, Any]:
    """Return an inner list that ends at ten of twelve."""
    data = [{"id": f"re_{at}", "object": "refund"} for at in range(12, 2, -1)]
    url = f"/v1/charges/{charge}/refunds"
    return {"object": "list", "data": data, "has_more": True, "total_count": 12, "url": url}


def test_an_inner_list_ends_at_ten_and_goes_on_behind_its_url(fake: FakeStripe) -> None:
    """From 2022-11-15 on a charge shows its refunds only where they are expanded."""
    inner = refunds("ch_1")
    fake.add("charge", id="ch_1", refunds=inner)
    fake.add_list(inner["url"], [*inner["data"], {"id": "re_2"}, {"id": "re_1"}])
    assert one(fake, "/v1/charges", Stripe_Version="2020-08-27")["refunds"] == inner
    assert "refunds" not in one(fake, "/v1/charges")
    assert one(fake, "/v1/charges", {"expand[0]": "data.refunds"})["refunds"] == inner
    alone = call(fake, "GET", "/v1/charges/ch_1", {"expand[0]": "refunds"}).json()
    assert alone["refunds"] == inner
    assert listed(fake, inner["url"], starting_after="re_3") == (["re_2", "re_1"], False)


@pytest.mark.parametrize(
    ("path", "expand", "words"),
    [
        ("charges", "invoice.customer", "cannot be expanded (invoice.customer)"),
        ("charges", "data", "cannot be expanded (data)"),
        ("charges", "data.invoice.subscription.customer.address", "more than 4 levels"),
        ("events", "data.data", "cannot be expanded (data.data)"),
        ("invoices/in_1/lines", "price", "cannot be expanded (price)"),
    ],
)
def test_what_cannot_be_expanded_is_refused_even_where_nothing_is_listed(
    fake: FakeStripe, path: str, expand: str, words: str
) -> None:
    """Four levels, which begin with `data` in a list, and nothing of an event."""
    fake.add_list(PATH, [])
    status, param, message = said(fake, f"/v1/{path}", {"expand[0]": expand})
    assert (status, param, words in message) == (400, "expand", True)


def test_four_levels_are_expanded(fake: FakeStripe) -> None:
    customer = fake.add("customer", default_source="src_1")
    fake.add("charge", invoice=fake.add("invoice", customer=customer))
    old = "2020-08-27"
    params = {"expand[0]": "data.invoice.customer.default_source"}
    shown = one(fake, "/v1/charges", params, Stripe_Version=old)
    assert shown["invoice"]["customer"]["id"] == customer


def test_an_expansion_that_is_no_array_is_refused(fake: FakeStripe) -> None:
    assert said(fake, "/v1/charges", {"expand": "data.customer"})[:2] == (400, "expand")
