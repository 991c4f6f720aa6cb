"""Stripe's own Python library against the fake: what it expects of Stripe, it finds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_stripe_lite.testing import FakeStripe

stripe = pytest.importorskip("stripe", reason="The official library is not installed.")

pytestmark = pytest.mark.contract

KEY = "sk_test_123456789"
Connect = Callable[..., Any]


@pytest.fixture
def connect(fake: FakeStripe) -> Connect:
    """The library's client for a key; it does not retry unless the test says so."""

    def client(key: str = KEY, **options: Any) -> Any:
        options = {"max_network_retries": 0} | options
        return stripe.StripeClient(key, base_addresses={"api": fake.url}, **options)

    return client


LISTS = {
    "customer": lambda client: client.v1.customers,
    "product": lambda client: client.v1.products,
    "charge": lambda client: client.v1.charges,
    "invoiceitem": lambda client: client.v1.invoice_items,
    "checkout.session": lambda client: client.v1.checkout.sessions,
}


@pytest.mark.parametrize("kind", LISTS)
def test_the_library_pages_through_a_list_in_both_directions(
    fake: FakeStripe, connect: Connect, kind: str
) -> None:
    """Newest to oldest without a cursor, and oldest to newest from one on, each object once."""
    ids = fake.add_many(kind, 25, spread=9)
    service = LISTS[kind](connect())
    older = service.list({"limit": 10}).auto_paging_iter()
    assert [item.id for item in older] == ids[::-1]
    newer = service.list({"limit": 7, "ending_before": ids[3]}).auto_paging_iter()
    assert [item.id for item in newer] == ids[4:]


def test_the_library_keeps_its_filters_from_page_to_page(
    fake: FakeStripe, connect: Connect
) -> None:
    """A bounded list ends at its bounds, in both directions."""
    ids = fake.add_many("charge", 40, created=1_000, spread=40)
    bounds = {"gte": 1_010, "lt": 1_030}
    service = connect().v1.charges
    older = service.list({"limit": 6, "created": bounds}).auto_paging_iter()
    assert [item.id for item in older] == ids[10:30][::-1]
    newer = service.list(
        {"limit": 6, "created": bounds, "ending_before": ids[12]}
    ).auto_paging_iter()
    assert [item.id for item in newer] == ids[13:30]


def test_an_old_version_lists_orders_and_a_new_one_does_not(
    fake: FakeStripe, connect: Connect
) -> None:
    """The library's raw requests reach the legacy Orders API only with a version that had it."""
    ids = fake.add_many("order", 2)
    answer = connect(stripe_version="2020-08-27").raw_request("get", "/v1/orders")
    assert [order["id"] for order in answer.data["data"]] == ids[::-1]
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL") as caught:
        connect().raw_request("get", "/v1/orders")
    assert caught.value.http_status == 404


def test_a_product_is_created_read_and_updated(connect: Connect) -> None:
    """Lists, booleans and hashes arrive as they were meant; metadata is merged, not replaced."""
    products = connect().v1.products
    images = ["https://example.com/a.png", "https://example.com/b.png"]
    made = products.create(
        {"name": "Shirt", "images": images, "shippable": True, "metadata": {"a": "1", "b": "2"}}
    )
    assert products.retrieve(made.id) == made
    assert (made.images, made.shippable, made.active) == (images, True, True)
    changed = products.update(
        made.id, {"active": False, "metadata": {"b": "", "c": "3"}, "url": "https://x.y"}
    )
    assert (changed.active, changed.url, changed.name) == (False, "https://x.y", "Shirt")
    assert changed.metadata.to_dict() == {"a": "1", "c": "3"}


def test_an_empty_string_unsets_what_can_be_unset(connect: Connect) -> None:
    """Descriptions, e-mail, images and metadata can go; a product's name cannot."""
    client = connect()
    customer = client.v1.customers.create(
        {"email": "a@example.com", "description": "d", "metadata": {"a": "1"}}
    )
    bare = client.v1.customers.update(customer.id, {"email": "", "description": "", "metadata": ""})
    assert (bare.email, bare.description, bare.metadata.to_dict()) == (None, None, {})
    product = client.v1.products.create(
        {"name": "x", "images": ["u"], "description": "d", "url": "v"}
    )
    bare = client.v1.products.update(product.id, {"images": "", "description": "", "url": ""})
    assert (bare.images, bare.description, bare.url) == ([], None, None)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.products.update(product.id, {"name": ""})
    assert (caught.value.code, caught.value.param) == ("parameter_invalid_empty", "name")


def test_a_product_of_ones_own_id_is_made_once(connect: Connect) -> None:
    """An id may hold a slash, and is taken from then on."""
    products = connect().v1.products
    products.create({"name": "x", "id": "shirts/red"})
    assert products.retrieve("shirts/red").id == "shirts/red"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        products.create({"name": "x", "id": "shirts/red"})
    assert (caught.value.code, caught.value.http_status) == ("resource_already_exists", 400)


def test_a_deleted_customer_is_read_as_deleted(fake: FakeStripe, connect: Connect) -> None:
    """A read says so with 200, an update with 404; as a cursor it is a 400 with its parameter."""
    customers = connect().v1.customers
    first, second = fake.add_many("customer", 2)
    assert customers.delete(first).deleted
    assert customers.retrieve(first).deleted
    assert [customer.id for customer in customers.list()] == [second]
    with pytest.raises(stripe.InvalidRequestError) as caught:
        customers.update(first, {"description": "x"})
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        customers.list({"ending_before": first})
    assert (caught.value.http_status, caught.value.code) == (400, "resource_missing")
    assert caught.value.param == "ending_before"


def test_an_object_deleted_between_two_pages_breaks_the_librarys_walk(
    fake: FakeStripe, connect: Connect
) -> None:
    """The library loses its place when its cursor's object goes: what the provider must survive."""
    ids = fake.add_many("customer", 20)
    fake.fault(path="/v1/customers", skip=1, times=1, hook=lambda request: fake.delete(ids[10]))
    walk = connect().v1.customers.list({"limit": 10}).auto_paging_iter()
    with pytest.raises(stripe.InvalidRequestError, match="No such customer"):
        list(walk)


def test_a_repeated_create_is_replayed(fake: FakeStripe, connect: Connect) -> None:
    """The same key gives the same object and says so; other parameters under it are refused."""
    customers = connect().v1.customers
    first, again = (customers.create({"name": "x"}, {"idempotency_key": "k"}) for _ in range(2))
    assert first.id == again.id
    assert fake.ids("customer") == [first.id]
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert again.last_response.headers["Original-Request"] == first.last_response.request_id
    with pytest.raises(stripe.IdempotencyError) as caught:
        customers.create({"name": "y"}, {"idempotency_key": "k"})
    assert caught.value.http_status == 400


def test_an_answer_that_is_lost_makes_no_second_object(fake: FakeStripe, connect: Connect) -> None:
    """The library's own retry carries the same key, so what was executed is replayed."""
    fake.fault(method="POST", drop=True)
    made = connect(max_network_retries=2).v1.customers.create({"name": "x"})
    assert fake.ids("customer") == [made.id]
    assert [request.status for request in fake.calls] == [0, 200]
    assert len({request.headers["idempotency-key"] for request in fake.calls}) == 1


@pytest.mark.parametrize(
    ("key", "message"),
    [("sk_test", "Invalid API Key provided"), ("pk_test_123456789", "publishable API key")],
)
def test_a_bad_key_is_an_authentication_error(connect: Connect, key: str, message: str) -> None:
    """Both wrong and publishable keys are 401."""
    with pytest.raises(stripe.AuthenticationError, match=message) as caught:
        connect(key).v1.balance.retrieve()
    assert caught.value.http_status == 401


def test_a_missing_permission_is_a_permission_error(fake: FakeStripe, connect: Connect) -> None:
    """A restricted key may do one thing and not another, and the message names the permission."""
    fake.missing_permissions = {"rk_test_123456789": ["rak_customer_write"]}
    client = connect("rk_test_123456789")
    assert client.v1.customers.list().data == []
    with pytest.raises(stripe.PermissionError, match="'rak_customer_write' permission") as caught:
        client.v1.customers.create({})
    assert caught.value.http_status == 403
    assert "rk_test_123456789" not in str(caught.value)


def test_an_unknown_object_is_an_invalid_request(connect: Connect) -> None:
    """404, with the code and the parameter that Stripe documents."""
    with pytest.raises(stripe.InvalidRequestError, match="No such customer: 'cus_no'") as caught:
        connect().v1.customers.retrieve("cus_no")
    error = caught.value
    assert (error.http_status, error.code, error.param) == (404, "resource_missing", "id")
    assert error.request_id.startswith("req_")
    assert error.error.request_log_url.startswith(
        "https://dashboard.stripe.com/test/logs/" + error.request_id
    )


def test_the_limit_is_a_rate_limit_error(fake: FakeStripe, connect: Connect) -> None:
    """429 has a class of its own and says which limiter it was."""
    fake.fault(status=429)
    with pytest.raises(stripe.RateLimitError) as caught:
        connect().v1.charges.list()
    assert (caught.value.http_status, caught.value.error.code) == (429, "rate_limit")
    assert caught.value.headers["Stripe-Rate-Limited-Reason"] == "endpoint-rate"


def test_a_key_in_use_is_a_conflict(fake: FakeStripe, connect: Connect) -> None:
    """Of two creates at once under one key, one has to wait; its retry gets the other's object."""
    fake.fault(method="POST", delay=0.5)
    first = threading.Thread(
        target=connect().v1.customers.create, args=({"name": "x"}, {"idempotency_key": "k"})
    )
    first.start()
    while not fake.calls:
        time.sleep(0.01)
    with pytest.raises(stripe.StripeError) as caught:
        connect().v1.customers.create({"name": "x"}, {"idempotency_key": "k"})
    assert (caught.value.http_status, caught.value.error.code) == (409, "idempotency_key_in_use")
    made = connect(max_network_retries=5).v1.customers.create(
        {"name": "x"}, {"idempotency_key": "k"}
    )
    first.join()
    assert fake.ids("customer") == [made.id]


@pytest.mark.parametrize(("status", "calls"), [(409, 2), (503, 2), (429, 1)])
def test_the_library_retries_what_stripe_tells_it_to(
    fake: FakeStripe, connect: Connect, status: int, calls: int
) -> None:
    """A conflict and a gateway's error are tried again at once; a plain 429 is not."""
    fake.fault(status=status)
    client = connect(max_network_retries=1)
    if calls == 1:
        with pytest.raises(stripe.RateLimitError):
            client.v1.customers.list()
    else:
        assert client.v1.customers.list().data == []
    assert len(fake.calls) == calls


def test_a_500_that_was_executed_is_replayed_and_not_retried(
    fake: FakeStripe, connect: Connect
) -> None:
    """The replay forbids a further try, so the library stops after two calls of the six allowed."""
    fake.fault(method="POST", status=500)
    with pytest.raises(stripe.APIError) as caught:
        connect(max_network_retries=5).v1.customers.create({"name": "x"})
    assert caught.value.headers["Idempotent-Replayed"] == "true"
    assert len(fake.calls) == 2


@pytest.mark.parametrize("script", [{"truncate": "json"}, {"status": 503}, {"reset": True}])
def test_a_broken_answer_is_an_error_of_the_library(
    fake: FakeStripe, connect: Connect, script: Any
) -> None:
    """Half a document, a gateway's page and a dead connection are errors, never an empty list."""
    fake.fault(**script)
    with pytest.raises((stripe.APIError, stripe.APIConnectionError)):
        connect().v1.customers.list()


def test_accounts_and_modes_are_apart(fake: FakeStripe, connect: Connect) -> None:
    """A connected account, and live mode, show their own objects."""
    here, there = fake.add("customer"), fake.add("customer", account="acct_1")
    live = fake.add("customer", livemode=True)
    for client, id_ in (
        (connect(), here),
        (connect(stripe_account="acct_1"), there),
        (connect("sk_live_123456789"), live),
    ):
        assert [customer.id for customer in client.v1.customers.list()] == [id_]
