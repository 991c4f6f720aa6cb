"""What the package sends is what Stripe's OpenAPI documents take; its rows are as documented."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

# Airflow's home is set before the hook imports Airflow.
from tests import airflow_home  # noqa: F401
from tests.contract import openapi

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(not openapi.AT_HAND, reason=openapi.MISSING),
    pytest.mark.filterwarnings("ignore", "error:::airflow_provider_stripe_lite"),
]

from airflow_provider_stripe_lite.core.fields import projection  # noqa: E402
from airflow_provider_stripe_lite.core.reading import (  # noqa: E402
    newest_before,
    poll,
    poll_window,
    read,
)
from airflow_provider_stripe_lite.core.resources import RESOURCES  # noqa: E402
from airflow_provider_stripe_lite.core.window import Position, Source, stretch  # noqa: E402
from airflow_provider_stripe_lite.hooks import StripeHook  # noqa: E402
from airflow_provider_stripe_lite.testing import FakeStripe, Request  # noqa: E402
from tests.contract.calls import NOW  # noqa: E402

# The feeds that one of the documents holds.
LISTED = (
    "customer", "order", "charge", "invoiceitem", "product", "event", "checkout.session",
)  # fmt: skip
DOCUMENTS = {"2020-08-27": "legacy.json", "2026-05-27.dahlia": "current.json"}
IMAGES = [f"https://example.com/{number}.png" for number in range(8)]
EVERYTHING: dict[str, Any] = {
    "name": "T-shirt", "active": False, "description": "Cotton", "images": IMAGES,
    "shippable": True, "url": "https://example.com/shirt", "metadata": {"sku": "A-1"},
}  # fmt: skip


@pytest.fixture(params=DOCUMENTS)
def version(request: pytest.FixtureRequest) -> str:
    """The API versions for which there is a document."""
    return str(request.param)


@pytest.fixture
def hook(
    fake: FakeStripe, version: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> StripeHook:
    """A hook that speaks the version."""
    extra = {
        "api_version": version,
        "rate_limit_url": f"file://{tmp_path}/calls",
        "rate_limit_calls": 10_000,
    }
    connection = {
        "conn_type": "stripe",
        "password": "sk_test_0123456789",
        "host": fake.url,
        "extra": extra,
    }
    monkeypatch.setenv("AIRFLOW_CONN_STRIPE_DEFAULT", json.dumps(connection))
    return StripeHook()


def check(requests: list[Request], version: str) -> None:
    """Every request is in the document of the version it says, with each of its parameters."""
    assert requests
    spec = openapi.load(DOCUMENTS[version])
    for request in requests:
        assert request.headers["stripe-version"] == version
        form = request.form
        if version <= "2020-08-27" and request.path.startswith("/v1/products"):
            # The public document of 2022 for 2020-08-27 hides `caption`, which that version takes:
            # Stripe marked it as deprecated and removed it from the documents before it removed it
            # from the API.
            form = [(name, value) for name, value in form if name != "caption"]
        openapi.check_request(spec, request.method, request.path, request.query, form)


def test_the_five_actions(fake: FakeStripe, hook: StripeHook, version: str) -> None:
    """With all their parameters, with none, and with every one that can be unset unset."""
    hook.create_product(**EVERYTHING, product_id="shirt-1", caption="Grey")
    hook.create_product("Mug")
    hook.update_product("shirt-1", **EVERYTHING, caption="Blue")
    # Whether an empty native caption unsets it was never documented; as metadata it does.
    unset = {"caption": ""} if version > "2020-08-27" else {}
    hook.update_product("shirt-1", name="Shirt", description="", images=[], url="", **unset)
    hook.update_product("shirt-1", name="Shirt", metadata="")
    hook.update_product("shirt-1", name="Shirt", metadata={"sku": ""})
    customer = hook.create_customer(
        description="Jenny", customer_email="jenny@example.com", metadata={"a": "1"}
    )["id"]
    hook.create_customer(description="d")
    hook.update_customer(
        customer, description="Rosen", customer_email="rosen@example.com", metadata={"b": "2"}
    )
    hook.update_customer(customer, description="", customer_email="", metadata={"a": ""})
    hook.update_customer(customer, metadata="")
    hook.get_customer(customer)
    assert len(fake.calls) == 12
    check(fake.calls, version)
    sent = {name.partition("[")[0] for request in fake.calls for name, _ in request.form}
    caption = {"caption"} if version <= "2020-08-27" else set()
    assert sent == {"id", *EVERYTHING, "email"} | caption


def test_the_test_button(fake: FakeStripe, hook: StripeHook, version: str) -> None:
    """The read behind it."""
    assert hook.test_connection()[0]
    assert [(request.method, request.path, request.params) for request in fake.calls] == [
        ("GET", "/v1/balance", [])
    ]


@pytest.mark.parametrize("feed", LISTED)
def test_the_lists(fake: FakeStripe, hook: StripeHook, version: str, feed: str) -> None:
    """Every query of a read: newest page, both cursors, bisection, a range, one look."""
    if RESOURCES[feed].path not in openapi.load(DOCUMENTS[version])["paths"]:
        pytest.skip(f"{DOCUMENTS[version]} does not hold {RESOURCES[feed].path}.")
    fake.add_many(feed, 250, created=NOW - 5000, spread=1000)
    # These are of one second, so that only a cursor tells them apart.
    ids = fake.add_many(feed, 350, created=NOW - 2000)
    client, resource = hook.get_conn(), RESOURCES[feed]
    poll(client, resource, Position(NOW - 100))
    poll(client, resource, Position(NOW - 4500))
    poll(client, resource, Position(NOW - 2000, ids[0]))
    fake.delete(ids[0])
    poll(client, resource, Position(NOW - 2000, ids[0]))
    poll(client, resource, Position(0), max_items=10)
    for oldest in fake.ids(feed)[:250]:
        fake.delete(oldest)
    poll(client, resource, Position(0))
    newest_before(client, resource, NOW)
    source = Source(feed, "stripe_default", None, False)
    list(read(client, stretch(source, Position(NOW - 4500), Position(NOW), None)))
    poll_window(client, resource, Position(NOW - 4500))
    list(hook.list(feed, created_gte=NOW - 4500, created_lt=NOW - 100))
    list(hook.list(feed, created_gte=NOW - 1500, created_lt=NOW - 100))
    check(fake.calls, version)
    queries = {frozenset(name for name, _ in request.query) for request in fake.calls}
    beside_the_limit = (
        "", "created[lt]", "created[gte]", "created[gte] created[lt]",
        "ending_before", "ending_before created[gte] created[lt]",
        "starting_after", "starting_after created[gte]",
        "starting_after created[gte] created[lt]",
    )  # fmt: skip
    assert queries == {frozenset(["limit", *names.split()]) for names in beside_the_limit}


def test_the_types_of_events(fake: FakeStripe, hook: StripeHook, version: str) -> None:
    """Names and a wildcard, which are two parameters."""
    if RESOURCES["event"].path not in openapi.load(DOCUMENTS[version])["paths"]:
        pytest.skip(f"{DOCUMENTS[version]} does not hold events.")
    for types in (["charge.failed", "payout.paid"], ["charge.*"]):
        list(hook.list("event", parameters={"types": types}))
    check(fake.calls, version)
    sent = [{name.partition("[")[0] for name, _ in call.query} for call in fake.calls]
    assert sent == [{"limit", "types"}, {"limit", "type"}]


def test_a_wrong_request_would_be_seen(version: str) -> None:
    """The check itself: an unknown parameter, a wrong type and an unknown path do not pass."""
    spec = openapi.load(DOCUMENTS[version])
    for method, path, query, form in (
        ("GET", "/v1/customers", [("size", "1")], []),
        ("GET", "/v1/customers", [("limit", "many")], []),
        ("POST", "/v1/customers", [], [("mail", "a@b.example")]),
        ("POST", "/v1/products", [], [("images", "https://example.com/1.png")]),
        ("GET", "/v1/clients", [], []),
    ):
        with pytest.raises(AssertionError):
            openapi.check_request(spec, method, path, query, form)


# --- Rows

FIXTURES = {
    "2019-10-08": "fixtures_seed_shape.json",
    "2020-08-27": "fixtures_legacy.json",
    "2026-05-27.dahlia": "fixtures_current.json",
}
KINDS = ("customer", "order", "charge", "invoiceitem", "product")


def documented(kind: str) -> dict[str, Any]:
    """What the field map says of an object: dotted name to its paths and type."""
    whole = json.loads((openapi.CONTRACT / "field_map.json").read_text())["objects"]
    return dict(whole[kind])


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row by its dotted names; only `outcome` is nested."""
    outcome = {f"outcome.{name}": value for name, value in row.get("outcome", {}).items()}
    return {name: value for name, value in row.items() if name != "outcome"} | outcome


def found(raw: Any, path: str) -> Any:
    """What is at the end of a dotted path."""
    for part in path.split("."):
        raw = raw.get(part) if isinstance(raw, dict) else None
    return raw


def expected(raw: dict[str, Any], entry: dict[str, Any]) -> Any:
    """What the field map says that a field is: the first path that is not null, as its type."""
    value = next((one for path in entry["paths"] if (one := found(raw, path)) is not None), None)
    kind = entry.get("type")
    if value is not None and kind == "datetime":
        return datetime.fromtimestamp(value, UTC).isoformat()
    return str(value) if value is not None and kind == "str" else value


@pytest.mark.parametrize("kind", KINDS)
def test_the_fields_are_the_documented_ones(kind: str) -> None:
    """The catalogue has exactly the fields of the field map."""
    assert {field.name for field in RESOURCES[kind].fields} == set(documented(kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", FIXTURES)
def test_rows_of_stripe_s_own_objects(shape: str, kind: str) -> None:
    """Stripe's fixtures of three versions become rows of the documented fields and values."""
    raw = json.loads((openapi.CONTRACT / FIXTURES[shape]).read_text())["resources"].get(kind)
    if raw is None or (kind == "order" and shape > "2020-08-27"):
        pytest.skip("This version has no such object.")
    row = flat(projection(kind, None)(raw))
    assert row == {name: expected(raw, entry) for name, entry in documented(kind).items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [*FIXTURES, "2025-02-24.acacia"])
def test_rows_are_the_same_from_every_version(fake: FakeStripe, shape: str, kind: str) -> None:
    """One object, read in four versions, is one row, but for what Stripe does not send any more."""
    if kind == "order" and shape > "2020-08-27":
        pytest.skip("This version has no such object.")
    filled: dict[str, dict[str, Any]] = {
        "customer": {
            "account_balance": -5,
            "discount": "25OFF",
            "email": "jenny@example.com",
            "currency": "usd",
        },
        "order": {"customer": "cus_1", "charge": "ch_1", "email": "jenny@example.com"},
        "charge": {
            "customer": "cus_1",
            "invoice": "in_1",
            "order": "or_1",
            "receipt_number": "1-2",
        },
        "invoiceitem": {"plan": "gold", "subscription": "sub_1", "quantity": 3, "invoice": "in_1"},
        "product": {
            "caption": "Grey",
            "metadata": {"caption": "Grey"},
            "images": ["https://example.com/1.png"],
        },
    }
    made = fake.add(kind, created=NOW, **filled[kind])
    headers = {"Authorization": "Bearer sk_test_0123456789", "Stripe-Version": shape}
    raw = requests.get(
        f"{fake.url}{RESOURCES[kind].path}/{made}", headers=headers, timeout=5
    ).json()
    row = flat(projection(kind, None)(raw))
    assert set(row) == set(documented(kind))
    gone = {"charge": {"order"} if shape > "2020-08-27" else set()}
    if shape > "2025-03-31":
        gone["charge"].add("invoice")
    wanted = {name: value for name, value in filled[kind].items() if name != "metadata"}
    wanted |= dict.fromkeys(gone.get(kind, ())) | (
        {"quantity": "3"} if kind == "invoiceitem" else {}
    )
    assert {name: row[name] for name in wanted} == wanted
