"""The fake's answers are those that Stripe's own documents describe."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import requests

from airflow_provider_stripe_lite.core.resources import RESOURCES
from airflow_provider_stripe_lite.testing import FakeStripe
from airflow_provider_stripe_lite.testing.shapes import DAY, SERVED, SHAPES, is_alive
from tests.contract import openapi
from tests.contract.calls import NOW, call
from tests.helpers import Clock

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(not openapi.AT_HAND, reason=openapi.MISSING),
]

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


def populate(fake: FakeStripe) -> None:
    """Every kind twice: bare, and with everything that a version shows in its own way."""
    for kind in RESOURCES:
        fake.add(kind)
    fake.add("event", type="customer.created", object=fake.objects("customer")[0])
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


@pytest.mark.parametrize(("document", "version"), VERSIONS.items())
def test_the_fake_takes_the_parameters_that_stripe_knows(document: str, version: str) -> None:
    """Form fields are, for each version, the documented ones: all of them, and no other."""
    spec, hidden = openapi.load(document), HIDDEN.get(version, set())
    for kind, shape in SHAPES.items():
        path = SERVED[kind].path
        if path in spec["paths"]:
            alive = {name for name in shape.params if is_alive(kind, name, version)}
            for one, elsewhere in ((path, "-"), (f"{path}/x", "+")):
                takes = {name for name in alive if not shape.params[name].endswith(elsewhere)}
                if takes:
                    documented = openapi.parameters(spec, "POST", one)
                    assert takes - hidden == documented - hidden - {"expand"}, one


def test_a_list_is_filtered_by_all_that_the_documents_have() -> None:
    """Stripe's lists have gained and lost filters; the fake has those of every version."""
    specs = [openapi.load(document) for document in VERSIONS]
    paging = {"created", "ending_before", "expand", "limit", "starting_after"}
    for kind, resource in RESOURCES.items():
        documented = set[str]().union(
            *(
                openapi.parameters(spec, "GET", resource.path)
                for spec in specs
                if resource.path in spec["paths"]
            )
        )
        assert not documented or SHAPES[kind].filters == documented - paging, kind


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
