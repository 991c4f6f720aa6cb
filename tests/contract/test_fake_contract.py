"""The fake is held to Stripe's own documents, and to the list rules that the sensors rely on."""

from __future__ import annotations

import json
import random
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_provider_stripe_lite.core.resources import RESOURCES
from airflow_provider_stripe_lite.testing import DAY, FakeStripe, Request
from airflow_provider_stripe_lite.testing.shapes import SHAPES, is_alive
from tests.contract import openapi
from tests.helpers import Clock

pytestmark = pytest.mark.contract
needs_documents = pytest.mark.skipif(not openapi.AT_HAND, reason=openapi.MISSING)

NOW = 1_800_000_000
KEY = "sk_test_123456789"


VERSIONS = {
    "seed_shape.json": "2019-10-08",
    "legacy.json": "2020-08-27",
    "current.json": "2026-05-27.dahlia",
}
# Stripe sent these after they had left the public document (they answered old accounts for years).
HIDDEN = {
    "2019-10-08": {"price"},  # came in April 2020, in every version
    "2020-08-27": {"caption", "attributes", "deactivate_on", "type", "plan"},
}


@pytest.fixture
def clock() -> Clock:
    """The time of the fake."""
    return Clock(NOW)


@pytest.fixture
def fake(clock: Clock) -> Iterator[FakeStripe]:
    """A fake of its own for each test."""
    with FakeStripe(clock=clock) as running:
        yield running


def call(
    fake: FakeStripe, method: str, path: str, params: Any = None, form: Any = None, **headers: str
) -> requests.Response:
    """One request on a connection of its own, without retries or redirects."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named.setdefault("Authorization", f"Bearer {KEY}")
    with requests.Session() as session:
        session.trust_env = False
        return session.request(
            method,
            fake.url + path,
            params=params,
            data=form,
            headers=named,
            timeout=10,
            allow_redirects=False,
        )


def listed(fake: FakeStripe, path: str = "/v1/customers", **params: Any) -> tuple[list[str], bool]:
    """The ids of one page and whether there is more."""
    page = call(fake, "GET", path, params).json()
    return [item["id"] for item in page["data"]], page["has_more"]


def populate(fake: FakeStripe) -> None:
    """Every kind twice: bare, and with everything that a version shows in its own way."""
    for kind in RESOURCES:
        fake.add(kind)
    fake.add("event", type="customer.created", data={"object": fake.objects("customer")[0]})
    fake.add("customer", discount="SUMMER", balance=-500, currency="usd", email="a@example.com")
    fake.add(
        "product",
        description="x",
        images=["https://example.com/a.png"],
        shippable=True,
        caption="c",
    )
    fake.add("charge", customer=fake.ids("customer")[0], invoice="in_1", order="or_1", outcome=None)
    fake.add("invoiceitem", plan="price_1", subscription="sub_1", invoice="in_1", quantity=3)
    fake.add("order", charge="ch_1", customer="cus_1", email="a@example.com", amount_returned=5)
    fake.add(
        "checkout.session",
        status="complete",
        payment_status="paid",
        amount_total=900,
        currency="eur",
    )


# --- Stripe's documents


@needs_documents
@pytest.mark.parametrize(("document", "version"), VERSIONS.items())
def test_every_answer_has_the_shape_that_stripe_documents(
    fake: FakeStripe, document: str, version: str
) -> None:
    """Lists and objects of every kind validate, without fields that the version has not."""
    spec = openapi.load(document)
    populate(fake)
    for path in (resource.path for resource in RESOURCES.values()):
        if path not in spec["paths"]:
            continue
        page = call(fake, "GET", path, Stripe_Version=version)
        openapi.check_response(spec, "GET", path, page.status_code, page.json())
        assert len(page.json()["data"]) == 2
        for listed_object in page.json()["data"]:
            one = call(fake, "GET", f"{path}/{listed_object['id']}", Stripe_Version=version).json()
            assert one == listed_object
            openapi.check_object(spec, one)
            assert openapi.surplus(spec, one) <= HIDDEN.get(version, set())


@needs_documents
@pytest.mark.parametrize(("document", "version"), VERSIONS.items())
def test_every_write_is_answered_as_stripe_documents(
    fake: FakeStripe, document: str, version: str
) -> None:
    """Create, update, delete and the read of a deleted customer validate."""
    spec = openapi.load(document)
    product = {"name": "x", "metadata[a]": "b"} | ({"type": "good"} if version < "2020" else {})
    for path, first in (("/v1/customers", {"email": "a@example.com"}), ("/v1/products", product)):
        made = call(fake, "POST", path, form=first, Stripe_Version=version)
        openapi.check_response(spec, "POST", path, made.status_code, made.json())
        one = f"{path}/{made.json()['id']}"
        for method in ("POST", "DELETE", "GET"):
            form = {"description": "d"} if method == "POST" else None
            answer = call(fake, method, one, form=form, Stripe_Version=version)
            openapi.check_response(spec, method, one, answer.status_code, answer.json())
            assert answer.status_code == 200 or (method, path) == ("GET", "/v1/products")


@needs_documents
@pytest.mark.parametrize(("document", "version"), VERSIONS.items())
def test_the_fake_takes_no_parameter_that_stripe_does_not_know(document: str, version: str) -> None:
    """Filters and form fields are, for each version, among the documented ones."""
    spec, hidden = openapi.load(document), HIDDEN.get(version, set())
    for kind, shape in SHAPES.items():
        path = RESOURCES[kind].path
        if path in spec["paths"]:
            assert shape.filters <= openapi.parameters(spec, "GET", path)
            alive = {name for name in shape.params if is_alive(kind, name, version)}
            updates = {name for name in alive if not shape.params[name].endswith("+")}
            assert not alive or alive - hidden <= openapi.parameters(spec, "POST", path)
            assert not alive or updates - hidden <= openapi.parameters(spec, "POST", f"{path}/x")


@needs_documents
def test_the_balance_is_answered_as_stripe_documents(fake: FakeStripe) -> None:
    """The call behind the Test button validates, and its mode is that of the key."""
    spec = openapi.load("current.json")
    for key, livemode in (("sk_test_12345678", False), ("rk_live_12345678", True)):
        answer = call(fake, "GET", "/v1/balance", Authorization=f"Bearer {key}")
        openapi.check_response(spec, "GET", "/v1/balance", 200, answer.json())
        assert answer.json()["livemode"] is livemode


RESTRICTED = "rk_live_12345678abcd"
# How the fake is brought to each case of Stripe's error catalogue by its own rules: method, path,
# query, form, headers. `{}` is a customer, a product or an event that exists.
CASES: dict[str, tuple[str, str, Any, Any, dict[str, str]]] = {
    "cursor object deleted": ("GET", "/v1/customers", {"starting_after": "{}"}, None, {}),
    "event cursor aged out": ("GET", "/v1/events", {"ending_before": "{}"}, None, {}),
    "object not found": ("GET", "/v1/customers/cus_PD6LSQd0tEf6Dh", None, None, {}),
    "both cursors": ("GET", "/v1/charges", {"starting_after": "a", "ending_before": "b"}, None, {}),
    "unknown parameter": ("POST", "/v1/products", None, {"name": "x", "caption": "y"}, {}),
    "id taken": ("POST", "/v1/products", None, {"name": "x", "id": "{}"}, {}),
    "bad key": ("GET", "/v1/balance", None, None, {"Authorization": "Bearer sk_wrong"}),
    "publishable key used": (
        "GET", "/v1/balance", None, None, {"Authorization": "Bearer pk_test_12345678"}),
    "restricted key lacks a permission (old wording)": (
        "GET", "/v1/customers", None, None,
        {"Authorization": f"Bearer {RESTRICTED}", "Stripe_Account": "acct_123"}),
    "idempotency key in use": ("POST", "/v1/customers", None, None, {}),
    "idempotency parameters differ": (
        "POST", "/v1/customers", None, {"name": "b"}, {"Idempotency_Key": "abc"}),
    "rate limited": ("GET", "/v1/customers", None, None, {}),
    "server error, replayed": (
        "POST", "/v1/customers", None, {"name": "a"}, {"Idempotency_Key": "abc"}),
    "gateway, not JSON": ("GET", "/v1/customers", None, None, {}),
}  # fmt: skip
SCRIPTED = {"idempotency key in use": 409, "rate limited": 429, "gateway, not JSON": 503}


def provoke(fake: FakeStripe, case: str) -> requests.Response:
    """Bring the fake to a case of the catalogue."""
    method, path, params, form, headers = CASES[case]
    kind = {"/v1/products": "product", "/v1/events": "event"}.get(path, "customer")
    aged = {"id": "evt_1", "created": NOW - 31 * DAY} if kind == "event" else {}
    known = fake.add(kind, **aged)
    fake.missing_permissions = {RESTRICTED: ["rak_customer_read"]}
    if case == "server error, replayed":
        fake.fault(status=500)
    if "Idempotency_Key" in headers:
        call(fake, "POST", path, form={"name": "a"}, **headers)
    if case == "cursor object deleted":
        fake.delete(known)
    if case in SCRIPTED:
        fake.fault(status=SCRIPTED[case])
    params, form = (
        {k: v.format(known) for k, v in pairs.items()} if pairs else None
        for pairs in (params, form)
    )
    return call(fake, method, path, params, form, **headers)


# What the fake cannot be brought to say: it has one wording for permissions, and no locks between
# requests.
NOT_MADE = {"restricted key lacks a permission (new wording)", "lock timeout"}


@needs_documents
def test_errors_are_those_of_the_catalogue(clock: Clock) -> None:
    """Status, headers and telling fields of each known error are the same; bodies validate."""
    spec = openapi.load("current.json")
    for case in json.loads((openapi.CONTRACT / "errors.json").read_text())["cases"]:
        if case["name"] in NOT_MADE:
            continue
        with FakeStripe(clock=clock) as fake:
            answer = provoke(fake, case["name"])
        assert answer.status_code == case["status"], case["name"]
        assert set(case["headers"]) <= set(answer.headers), case["name"]
        if "text" in case:
            assert answer.text.startswith("<html>")
            continue
        openapi.check_response(spec, "GET", "/v1/customers", answer.status_code, answer.json())
        error, documented = answer.json()["error"], case["body"]["error"]
        telling = ["type", "code", "param"] + ["doc_url"] * ("doc_url" in documented)
        assert [error.get(name) for name in telling] == [documented.get(name) for name in telling]
        assert wording(error["message"]) == wording(documented["message"])


def wording(message: str) -> str:
    """A message without the ids and keys in it."""
    return re.sub(r"'[^']*'|(?<=No such )\w+|(?<=: ).*", "…", message)


@needs_documents
@pytest.mark.parametrize(
    "version", [*VERSIONS.values(), "2025-02-24.acacia", "2025-03-31.basil", "2025-09-30.clover"]
)
def test_a_documented_field_has_one_value_in_every_version(fake: FakeStripe, version: str) -> None:
    """What each version shows elsewhere is found there, and what it lacks is null."""
    fake.add("customer", discount="SUMMER", balance=-500)
    fake.add("charge", customer="cus_1", invoice="in_1", order="or_1")
    fake.add("invoiceitem", customer="cus_1", plan="price_1", subscription="sub_1", quantity=3)
    expected: dict[str, dict[str, Any]] = {
        "customer": {"account_balance": -500, "discount": "SUMMER", "created": NOW},
        "charge": {
            "customer": "cus_1",
            "invoice": "in_1" if version < "2025-03-31" else None,
            "order": "or_1" if version <= "2020-08-27" else None,
        },
        "invoiceitem": {"plan": "price_1", "subscription": "sub_1", "quantity": 3, "date": NOW},
    }
    paths = json.loads((openapi.CONTRACT / "field_map.json").read_text())["objects"]
    for kind, fields in expected.items():
        shown = call(fake, "GET", RESOURCES[kind].path, Stripe_Version=version).json()["data"][0]
        for name, value in fields.items():
            assert find(shown, paths[kind][name]["paths"]) == value, (name, shown)


def find(shown: dict[str, Any], paths: list[str]) -> Any:
    """The first path that leads to something."""
    for path in paths:
        node: Any = shown
        for part in path.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        if node is not None:
            return node
    return None


# --- The helper that holds requests against the documents


@needs_documents
@pytest.mark.parametrize(
    ("method", "path", "query", "form"),
    [
        (
            "GET",
            "/v1/customers",
            [("created[lt]", "5"), ("limit", "100"), ("expand[0]", "data.customer")],
            [],
        ),
        ("GET", "/v1/charges", [("created", "5"), ("ending_before", "ch_1")], []),
        (
            "POST",
            "/v1/products",
            [],
            [("name", "x"), ("images[0]", "u"), ("images[1]", "v"), ("active", "true")],
        ),
        ("POST", "/v1/products/a%2Fb", [], [("images", ""), ("metadata", ""), ("url", "")]),
        ("POST", "/v1/customers/cus_1", [], [("metadata[a]", ""), ("description", "")]),
    ],
)
def test_a_request_that_stripe_knows_passes(method: str, path: str, query: Any, form: Any) -> None:
    """Bracketed names, indexed arrays and emptied values are understood."""
    openapi.check_request(openapi.load("current.json"), method, path, query, form)


@needs_documents
@pytest.mark.parametrize(
    ("method", "path", "query", "form", "problem"),
    [
        ("GET", "/v1/orders", [], [], "the path is not"),
        ("PUT", "/v1/customers", [], [], "the method is not"),
        ("GET", "/v1/customers", [("created[foo]", "5")], [], r"created\[foo\]: unknown"),
        ("GET", "/v1/customers", [("created", "today")], [], "created: not a valid integer"),
        ("GET", "/v1/customers", [("order", "asc")], [], "order: unknown"),
        ("POST", "/v1/products", [], [("active", "true")], "name: required"),
        ("POST", "/v1/products", [], [("name", "x"), ("caption", "y")], "caption: unknown"),
        ("POST", "/v1/products", [], [("name", "x"), ("images", "y")], "images: not an array"),
        (
            "POST",
            "/v1/products",
            [],
            [("name", "x"), ("images[1]", "y")],
            "images: not the indexes",
        ),
        ("POST", "/v1/products/x", [], [("active", "True")], "active: not a valid boolean"),
        (
            "POST",
            "/v1/customers",
            [],
            [("metadata[a][b]", "x")],
            r"metadata\[a\]: not a single string",
        ),
        ("POST", "/v1/customers", [], [("metadata[a", "x")], "brackets do not match"),
        ("POST", "/v1/customers", [], [("email", "x"), ("email", "y")], "email: given twice"),
        ("POST", "/v1/customers", [], [("email", "x" * 513)], "email: longer than 512"),
    ],
)
def test_a_request_that_stripe_does_not_know_is_named(
    method: str, path: str, query: Any, form: Any, problem: str
) -> None:
    """The refusal names the parameter and says what is wrong with it."""
    with pytest.raises(AssertionError, match=problem):
        openapi.check_request(openapi.load("current.json"), method, path, query, form)


@needs_documents
def test_an_answer_that_breaks_the_document_is_named() -> None:
    """A wrong type, a missing field and a null where none may be are found."""
    spec = openapi.load("current.json")
    good = {
        "id": "prod_1",
        "object": "product",
        "active": True,
        "created": 1,
        "images": [],
        "livemode": False,
    }
    good |= {"marketing_features": [], "metadata": {}, "name": "x", "updated": 1, "url": None}
    openapi.check_response(spec, "GET", "/v1/products/prod_1", 200, good)
    for change in ({"active": "yes"}, {"name": None}, {"images": [1]}, {"url": 5}):
        with pytest.raises(AssertionError, match=next(iter(change))):
            openapi.check_object(spec, good | change)


# --- The rules of lists


@pytest.mark.parametrize("scrambled", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_both_cursors_walk_the_whole_list(clock: Clock, scrambled: bool, seed: int) -> None:
    """Older or newer: every object comes once, in one order, those of one second included."""
    chance = random.Random(seed)
    with FakeStripe(clock=clock, scrambled=scrambled) as fake:
        made = {}
        for _ in range(60):
            second = NOW - chance.randrange(12)
            made[fake.add("customer", created=second)] = second
        size = chance.randint(1, 20)
        newest_first = walk(fake, "starting_after", size)
        oldest = newest_first[-1]
        assert [oldest, *walk(fake, "ending_before", size, oldest)] == newest_first[::-1]
    assert sorted(newest_first) == sorted(made)
    assert [made[one] for one in newest_first] == sorted(made.values(), reverse=True)
    by_creation = sorted(made, key=lambda one: made[one])[
        ::-1
    ]  # stable: later ones of a second come first
    assert (newest_first == by_creation) is not scrambled


def walk(fake: FakeStripe, cursor: str, size: int, start: str | None = None) -> list[str]:
    """Every id beyond the cursor, in the direction of the walk."""
    ids: list[str] = []
    more = True
    while more:
        at: dict[str, Any] = {cursor: ids[-1] if ids else start} if ids or start else {}
        page, more = listed(fake, limit=size, **at)
        ids += page if cursor == "starting_after" else page[::-1]
    return ids


def test_a_page_before_a_cursor_is_the_one_next_to_it(fake: FakeStripe) -> None:
    """Of 13 objects, the 4 before the sixth are the tenth to the seventh, and there is more."""
    ids = fake.add_many("customer", 13)
    assert listed(fake, limit=4, ending_before=ids[5]) == (ids[9:5:-1], True)
    assert listed(fake, limit=4, ending_before=ids[8]) == (ids[12:8:-1], False)
    assert listed(fake, limit=4, ending_before=ids[12]) == ([], False)
    assert listed(fake, limit=4, starting_after=ids[4]) == (ids[3::-1], False)
    assert listed(fake, limit=3, starting_after=ids[4]) == (ids[3:0:-1], True)


def test_created_bounds_are_exact_to_the_second(fake: FakeStripe) -> None:
    """gt and lt leave their second out, gte and lte keep it, and a bare number is one second."""
    ids = [fake.add("invoiceitem", created=second) for second in range(5)]
    path = "/v1/invoiceitems"
    for bound, expected in {"gt": ids[3:], "gte": ids[2:], "lt": ids[:2], "lte": ids[:3]}.items():
        assert listed(fake, path, **{f"created[{bound}]": 2}) == (expected[::-1], False)
    assert listed(fake, path, created=2) == ([ids[2]], False)
    assert listed(fake, path, **{"created[gte]": 1, "created[lt]": 4, "limit": 2}) == (
        [ids[3], ids[2]],
        True,
    )


def test_other_filters_are_applied_and_hold_for_the_cursor_too(fake: FakeStripe) -> None:
    """A filtered list skips the rest, and a cursor outside it is a 400."""
    mine = [fake.add("charge", customer="cus_1"), fake.add("charge", customer="cus_1")]
    other = fake.add("charge", customer="cus_2")
    assert listed(fake, "/v1/charges", customer="cus_1", limit=1) == ([mine[1]], True)
    refused = call(fake, "GET", "/v1/charges", {"customer": "cus_1", "starting_after": other})
    assert refused.json()["error"]["code"] == "resource_missing"


def test_a_late_object_stands_at_its_created_place(fake: FakeStripe, clock: Clock) -> None:
    """Until its time it is nowhere; afterwards it stands between older and younger ones."""
    first, last = fake.add("charge", created=NOW - 10), fake.add("charge", created=NOW)
    late = fake.add("charge", created=NOW - 5, visible_at=NOW + 30)
    assert listed(fake, "/v1/charges")[0] == [last, first]
    assert call(fake, "GET", f"/v1/charges/{late}").status_code == 404
    clock.now += 30
    assert listed(fake, "/v1/charges")[0] == [last, late, first]
    assert call(fake, "GET", f"/v1/charges/{late}").status_code == 200


def test_a_deleted_object_leaves_the_lists_and_is_no_cursor(fake: FakeStripe) -> None:
    """Its neighbours stay reachable; as a cursor it is a 400, unless a test wants it otherwise."""
    ids = fake.add_many("customer", 3)
    assert call(fake, "DELETE", f"/v1/customers/{ids[1]}").json() == {
        "id": ids[1], "object": "customer", "deleted": True}  # fmt: skip
    assert listed(fake)[0] == [ids[2], ids[0]]
    refused = call(fake, "GET", "/v1/customers", {"ending_before": ids[1]})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "ending_before")
    assert call(fake, "POST", f"/v1/customers/{ids[1]}", form={"name": "x"}).status_code == 404
    fake.deleted_cursors = True
    assert listed(fake, ending_before=ids[1])[0] == [ids[2]]


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("limit", 0), ("limit", 101), ("limit", "x"), ("created", "x"), ("created[foo]", 1),
        ("foo", 1), ("starting_after", "cus_no"), ("ending_before", "cus_no"),
    ],
)  # fmt: skip
def test_a_wrong_list_parameter_is_a_400_that_names_it(
    fake: FakeStripe, param: str, value: Any
) -> None:
    """Nothing is guessed or ignored."""
    refused = call(fake, "GET", "/v1/customers", {param: value})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


def test_a_hundred_thousand_objects_are_answered_at_once(fake: FakeStripe) -> None:
    """A page in the middle of a large list costs no walk over it."""
    ids = fake.add_many("customer", 100_000, spread=50_000)
    start = time.perf_counter()
    for place in range(0, 100_000, 5_000):
        assert listed(fake, limit=10, ending_before=ids[place])[0] == ids[place + 10 : place : -1]
    assert time.perf_counter() - start < 2, "20 requests"


# --- Keys, versions, accounts


def test_orders_exist_up_to_2020_08_27(fake: FakeStripe) -> None:
    """A newer version gets Stripe's word for a URL that is not there."""
    assert call(fake, "GET", "/v1/orders", Stripe_Version="2020-08-27").status_code == 200
    gone = call(fake, "GET", "/v1/orders", Stripe_Version="2022-11-15")
    assert gone.status_code == 404
    assert gone.json()["error"]["message"].startswith("Unrecognized request URL (GET: /v1/orders).")


def test_caption_is_a_parameter_up_to_2020_08_27(fake: FakeStripe) -> None:
    """It is read back where it was taken."""
    form = {"name": "x", "caption": "y"}
    assert (
        call(fake, "POST", "/v1/products", form=form, Stripe_Version="2020-08-27").json()["caption"]
        == "y"
    )
    refused = call(fake, "POST", "/v1/products", form=form, Stripe_Version="2020-09-01")
    assert refused.json()["error"]["code"] == "parameter_unknown"


def test_modes_and_accounts_do_not_see_each_other(fake: FakeStripe) -> None:
    """Test and live data, and those of a connected account, are separate."""
    ids = {mode: fake.add("customer", livemode=mode == "live") for mode in ("test", "live")}
    ids["acct_1"] = fake.add("customer", account="acct_1")
    for headers, own in (
        ({}, ids["test"]),
        ({"Authorization": "Bearer sk_live_12345678"}, ids["live"]),
        ({"Stripe_Account": "acct_1"}, ids["acct_1"]),
    ):
        page = call(fake, "GET", "/v1/customers", **headers).json()["data"]
        assert [item["id"] for item in page] == [own]


# --- Idempotency


def test_a_replay_makes_nothing_new_for_a_day(fake: FakeStripe, clock: Clock) -> None:
    """The same key gives the same answer with its marks, and is free again after 24 hours."""
    made = [
        call(fake, "POST", "/v1/customers", form={"name": "x"}, Idempotency_Key="k")
        for _ in range(2)
    ]
    assert made[0].content == made[1].content
    assert made[1].headers["Idempotent-Replayed"] == "true"
    assert made[1].headers["Original-Request"] == made[0].headers["Request-Id"]
    assert len(fake.ids("customer")) == 1
    other = call(
        fake,
        "POST",
        "/v1/customers",
        form={"name": "x"},
        Idempotency_Key="k",
        Stripe_Account="acct_1",
    )
    assert "Idempotent-Replayed" not in other.headers
    clock.now += 24 * 3600
    again = call(fake, "POST", "/v1/customers", form={"name": "x"}, Idempotency_Key="k")
    assert again.json()["id"] != made[0].json()["id"]


def test_a_key_keeps_what_was_executed_and_nothing_else(fake: FakeStripe) -> None:
    """A 404 and a 500 replay; a 429 and a refused parameter leave the key free."""
    for status, path in ((404, "/v1/customers/cus_no"), (500, "/v1/customers")):
        if status == 500:
            fake.fault(status=500)
        form = {"name": "x"}
        for replayed in (None, "true"):
            answer = call(fake, "POST", path, form=form, Idempotency_Key=f"kept-{status}")
            assert (answer.status_code, answer.headers.get("Idempotent-Replayed")) == (
                status,
                replayed,
            )
    fake.fault(status=429)
    forms = [{"name": "x"}, {"nam": "x"}, {"name": "x"}]
    answers = [
        call(fake, "POST", "/v1/customers", form=form, Idempotency_Key="free") for form in forms
    ]
    assert [answer.status_code for answer in answers] == [429, 400, 200]


def test_a_key_in_use_is_a_409(fake: FakeStripe) -> None:
    """While the first request is being executed, a second one with its key is refused."""
    seen: list[int] = []

    def ask_again(request: Request) -> None:
        answer = call(fake, "POST", "/v1/customers", form={"name": "x"}, Idempotency_Key="k")
        seen.append(answer.status_code)

    fake.fault(hook=ask_again)
    first = call(fake, "POST", "/v1/customers", form={"name": "x"}, Idempotency_Key="k")
    assert (seen, first.status_code) == ([409], 200)


# --- Faults, log and control


def test_faults_strike_when_and_where_they_are_told(fake: FakeStripe) -> None:
    """Method and path choose the requests; skip, every and times choose among them."""
    fake.fault(method="GET", path="/v1/charges", status=429, skip=1, every=2, times=2)
    statuses = [call(fake, "GET", "/v1/charges").status_code for _ in range(7)]
    assert statuses == [200, 200, 429, 200, 429, 200, 200]
    assert call(fake, "GET", "/v1/customers").status_code == 200


@pytest.mark.parametrize("script", [{"reset": True}, {"drop": True}, {"truncate": "length"}])
def test_a_broken_connection_breaks_before_or_after_the_execution(
    fake: FakeStripe, script: Any
) -> None:
    """Only a reset leaves nothing done."""
    fake.fault(**script)
    with pytest.raises(requests.RequestException):
        call(fake, "POST", "/v1/customers", form={"name": "x"})
    assert len(fake.ids("customer")) == (0 if "reset" in script else 1)


def test_the_other_faults_are_what_they_say(fake: FakeStripe) -> None:
    """Half a document, a redirect, a body of the test's own, and a pause."""
    fake.fault(truncate="json")
    with pytest.raises(requests.JSONDecodeError):
        call(fake, "GET", "/v1/customers").json()
    fake.fault(redirect="http://127.0.0.1:9/")
    assert call(fake, "GET", "/v1/customers").headers["Location"] == "http://127.0.0.1:9/"
    fake.fault(status=502, body="<b>bad</b>", headers={"Retry-After": "7"})
    answer = call(fake, "GET", "/v1/customers")
    assert (answer.status_code, answer.text, answer.headers["Retry-After"]) == (
        502,
        "<b>bad</b>",
        "7",
    )
    fake.fault(delay=0.2)
    start = time.perf_counter()
    call(fake, "GET", "/v1/customers")
    assert time.perf_counter() - start >= 0.2


def test_the_log_counts_connections_and_never_holds_a_key(fake: FakeStripe) -> None:
    """A kept connection is one peer; of the key only a marker is left."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {KEY}"
        for _ in range(3):
            session.get(fake.url + "/v1/customers", params={"limit": 1}, timeout=10)
    call(fake, "POST", "/v1/products", form={"name": "x", "images[0]": "y"})
    assert len({request.peer for request in fake.calls}) == 2
    assert fake.calls[0].query == [("limit", "1")]
    assert fake.calls[-1].form == [("name", "x"), ("images[0]", "y")]
    assert fake.calls[-1].status == 200
    assert fake.calls[-1].key == "sk_test_****6789"
    assert KEY not in repr(fake.calls)


def test_a_stopped_fake_answers_nobody() -> None:
    """Also a connection that a client kept alive ends with it."""
    with requests.Session() as session:
        session.auth = (KEY, "")
        with FakeStripe() as fake:
            assert session.get(fake.url + "/v1/balance", timeout=10).status_code == 200
        with pytest.raises(requests.ConnectionError):
            session.get(fake.url + "/v1/balance", timeout=10)


def test_a_process_of_its_own_is_driven_over_http() -> None:
    """Objects, faults, options, calls and ledger are below /_fake/; new objects flow in."""
    options = ["--port", "0", "--inflow", "charge:50", "--lateness", "0.2"]
    command = [sys.executable, "-m", "airflow_provider_stripe_lite.testing", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            drive(process.stdout.readline().strip())
        finally:
            process.kill()


def drive(url: str) -> None:
    """What the end-to-end tests do."""
    with requests.Session() as http:
        http.auth = (KEY, "")
        one = http.post(
            f"{url}/_fake/add", json={"kind": "customer", "email": "a@example.com"}
        ).json()
        more = http.post(f"{url}/_fake/add_many", json={"kind": "customer", "n": 3}).json()
        assert http.get(f"{url}/_fake/ids", params={"kind": "customer"}).json() == [one, *more]
        http.post(f"{url}/_fake/delete", json={"id": one})
        http.post(f"{url}/_fake/fault", json={"status": 429})
        assert [http.get(f"{url}/v1/customers").status_code for _ in range(2)] == [429, 200]
        http.post(f"{url}/_fake/fault", json={"status": 429, "times": None})
        http.delete(f"{url}/_fake/faults")
        http.post(f"{url}/_fake/options", json={"accepted_keys": ["sk_test_other"]})
        assert http.get(f"{url}/v1/customers").status_code == 401
        assert [entry["status"] for entry in http.get(f"{url}/_fake/calls").json()] == [
            429,
            200,
            401,
        ]
        http.delete(f"{url}/_fake/calls")
        assert http.get(f"{url}/_fake/calls").json() == []
        for entry in ({"rows": [1]}, [2]):
            http.post(f"{url}/_fake/ledger", json=entry)
        assert http.get(f"{url}/_fake/ledger").json() == [{"rows": [1]}, [2]]
        assert http.post(f"{url}/_fake/add", json={"kind": "unicorn"}).status_code == 400
        deadline = time.monotonic() + 5
        while len(http.get(f"{url}/_fake/ids", params={"kind": "charge"}).json()) < 5:
            assert time.monotonic() < deadline, "nothing flows in"
            time.sleep(0.05)


def test_a_pause_ends_with_the_fake() -> None:
    """A test that leaves a client waiting does not wait itself."""
    start = time.perf_counter()
    with FakeStripe() as fake:
        fake.fault(delay=30)
        with socket.create_connection(("127.0.0.1", int(fake.url.rpartition(":")[2]))) as client:
            client.sendall(
                b"GET /v1/balance HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk_test_123\r\n\r\n"
            )
            while not fake.calls:
                time.sleep(0.01)
    assert time.perf_counter() - start < 5
