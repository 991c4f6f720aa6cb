"""The hook's methods, and the Test button."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_stripe_lite.core.reading import poll
from airflow_provider_stripe_lite.core.resources import RESOURCES
from airflow_provider_stripe_lite.core.window import Position, Source, Window, refuse_foreign
from airflow_provider_stripe_lite.errors import StripeInputError
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.airflow.older import since_3_2
from tests.conftest import SetConnection
from tests.helpers import KEY, NOW, Clock, window

# --- Windows, of the connection and of something else

HERE = window("customer", Position(NOW), NOW + 40)


def source(feed: str = "customer") -> Source:
    """Return what stripe_default stands for."""
    client = StripeHook().get_conn()
    return Source(feed, "stripe_default", client.account, client.livemode)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"feed": "charge"}, ("feed 'charge'", "feed 'customer'")),
        ({"livemode": True}, ("livemode True", "livemode False")),
        ({"stripe_account": "acct_other"}, ("account 'acct_other'", "account '")),
    ],
)
def test_what_was_made_for_something_else_is_refused(
    stripe: FakeStripe, made: Any, words: tuple[str, ...]
) -> None:
    """Both values are named, and what to do."""
    foreign: Window = {**HERE, **made}
    with pytest.raises(StripeInputError) as refused:
        refuse_foreign(foreign, source(), "cursor", "Do this.")
    said = str(refused.value)
    assert all(word in said for word in (*words, "This cursor", "stripe_default", "Do this."))


@pytest.mark.parametrize("made", [{"livemode": True}, {"stripe_account": "acct_other"}])
def test_the_hook_reads_no_window_of_something_else(stripe: FakeStripe, made: Any) -> None:
    """The refusal comes before any request, also where nobody asks for the first object."""
    with pytest.raises(StripeInputError, match=r"This window was made for (livemode|stripe_acc)"):
        StripeHook().read({**HERE, **made})
    assert stripe.calls == []


@pytest.mark.parametrize(
    "made",
    [
        {},
        {"livemode": None},
        {"livemode": False, "stripe_account": None},
        {"livemode": None, "stripe_account": None},
    ],
)
def test_what_is_not_known_is_not_compared(stripe: FakeStripe, made: Any) -> None:
    """An older key shows no account: that is no reason to refuse."""
    own = source()
    known = {"livemode": own.livemode, "stripe_account": own.stripe_account}
    refuse_foreign({**HERE, **known, **made}, own, "cursor")
    assert list(StripeHook().read({**HERE, **known, **made})) == []


@pytest.mark.parametrize(
    "nonsense",
    [
        None,
        "window",
        5,
        [],
        {},
        {"created_lt": "2026-02-02T02:40:00+00:00"},
        {"created_gte": NOW, "created_lt": NOW + 40},
        {**HERE, "created_lt": True},
        {**HERE, "created_gte": {}},
        {**HERE, "created_lt": "tomorrow"},
        {**HERE, "after": 7},
    ],
)
def test_what_is_no_window_is_refused(stripe: FakeStripe, nonsense: Any) -> None:
    """Before any request."""
    with pytest.raises(StripeInputError):
        StripeHook().read(nonsense)
    assert stripe.calls == []


def test_a_window_can_be_read_again_and_again(stripe: FakeStripe, clock: Clock) -> None:
    """A window gives its objects as Stripe sent them, oldest first, and those after it never."""
    made = stripe.add_many("customer", 130, created=NOW, spread=30)
    stripe.add_many("customer", 3, created=NOW + 40)
    clock.now += 100
    for _ in range(2):
        read = StripeHook().read(HERE)
        assert [customer["id"] for customer in read] == made
    assert next(StripeHook().read(HERE)) == StripeHook().get_customer(made[0])


def test_a_hook_s_client_can_poll(stripe: FakeStripe, clock: Clock) -> None:
    """Without a sensor: from a position to a batch and the next position."""
    made = stripe.add_many("customer", 3, created=NOW)
    clock.now += 100
    customers = RESOURCES["customer"]
    batch = poll(StripeHook().get_conn(), customers, Position(NOW))
    assert [item["id"] for item in batch.items] == made
    assert not batch.more
    again = poll(StripeHook().get_conn(), customers, batch.position)
    assert (again.items, again.position) == ([], batch.position)


# --- The five methods


def test_a_product_is_created_and_updated(stripe: FakeStripe) -> None:
    """Both give the product as Stripe sent it."""
    hook = StripeHook()
    made = hook.create_product("Mug", product_id="mug", active=False, metadata={"sku": "A-1"})
    assert made == stripe.objects("product")[0]
    assert (made["id"], made["active"], made["metadata"]) == ("mug", False, {"sku": "A-1"})
    changed = hook.update_product("mug", name="Cup", active=True)
    assert changed == stripe.objects("product")[0]
    assert (changed["name"], changed["active"]) == ("Cup", True)


def test_a_customer_is_created_read_and_updated(stripe: FakeStripe) -> None:
    """All three give the customer as Stripe sent it."""
    hook = StripeHook()
    made = hook.create_customer(description="Jenny", customer_email="jenny@example.com")
    assert made == stripe.objects("customer")[0] == hook.get_customer(made["id"])
    assert (made["description"], made["email"]) == ("Jenny", "jenny@example.com")
    changed = hook.update_customer(made["id"], description="", metadata={"vip": True})
    assert changed == stripe.objects("customer")[0]
    assert (changed["description"], changed["metadata"]) == (None, {"vip": "true"})


def test_an_idempotency_key_makes_a_create_safe_to_repeat(stripe: FakeStripe) -> None:
    """The same key with the same arguments is one object; without a key, each call makes one."""
    hook = StripeHook()
    keyed = [hook.create_customer(description="J", idempotency_key="order-42") for _ in range(2)]
    assert keyed[0] == keyed[1]
    hook.create_customer(description="J")
    hook.create_customer(description="J")
    assert len(stripe.ids("customer")) == 3
    keys = [call.headers["idempotency-key"] for call in stripe.calls]
    assert keys[:2] == ["order-42"] * 2
    assert len(set(keys)) == 3


# --- The Test button


@pytest.mark.parametrize("mode", ["test", "live"])
def test_the_test_button_names_the_mode(
    fake: FakeStripe, set_connection: SetConnection, mode: str
) -> None:
    """200: connected, in test or live mode, by one small read."""
    set_connection(password=KEY.replace("test", mode))
    assert StripeHook().test_connection() == (True, f"Connected to Stripe in {mode} mode.")
    assert [(request.method, request.path) for request in fake.calls] == [("GET", "/v1/balance")]


def test_the_test_button_tells_a_restricted_key(
    fake: FakeStripe, set_connection: SetConnection
) -> None:
    """403: the key is real, and which permission it lacks is said."""
    set_connection(password="rk_test_0123456789")
    fake.missing_permissions = {"rk_test_0123456789": ["rak_balance_read"]}
    good, message = StripeHook().test_connection()
    assert good
    assert "restricted key" in message
    assert "rak_balance_read" in message
    assert "0123456789" not in message


def test_the_test_button_acts_as_the_hook_does(
    fake: FakeStripe, set_connection: SetConnection
) -> None:
    """The account and the API version of the hook go with the test, too."""
    set_connection()
    assert StripeHook(stripe_account="acct_2", api_version="2024-06-20").test_connection()[0]
    (call,) = fake.calls
    assert call.headers["stripe-account"] == "acct_2"
    assert call.headers["stripe-version"] == "2024-06-20"


def test_the_test_button_tells_a_bad_key(fake: FakeStripe, set_connection: SetConnection) -> None:
    """401: not accepted; the message shows no more of the key than Stripe does."""
    set_connection()
    fake.accepted_keys = set()
    good, message = StripeHook().test_connection()
    assert not good
    assert "does not accept this API key" in message
    assert KEY[:-4] not in message


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"password": "pk_test_0123456789"}, "publishable key"),
        ({"password": ""}, "has no API key"),
        ({"host": "http://api.stripe.com"}, "http://"),
        ({"host": "http://127.0.0.1:1"}, "No answer from http://127.0.0.1:1"),
        # Airflow 3.1 takes no connection that is JSON in JSON.
        pytest.param({"extra": "nonsense"}, "extra", marks=since_3_2),
    ],
)
def test_the_test_button_says_what_is_wrong(
    set_connection: SetConnection, fields: dict[str, Any], words: str
) -> None:
    """No network, no key, the wrong key, the wrong host: a sentence, no traceback and no key."""
    set_connection(**fields)
    good, message = StripeHook().test_connection()
    assert not good
    assert words in message
    assert KEY not in message
    assert "0123456789" not in message


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 503},
        {"reset": True},
        {"truncate": "json"},
        {"truncate": "length"},
        {"status": 200, "body": "<html>Welcome to the hotel</html>", "saved": False},
        {"redirect": "http://127.0.0.1:1/v1/balance"},
        {"status": 429},
    ],
)
def test_the_test_button_survives_a_bad_answer(stripe: FakeStripe, fault: dict[str, Any]) -> None:
    """Whatever answers: no retry, no exception, a sentence."""
    stripe.fault(path="/v1/balance", **fault)
    good, message = StripeHook().test_connection()
    assert not good
    assert len(message) > 20
    assert KEY not in message
    assert len(stripe.calls) == 1


def test_the_test_button_does_not_follow_redirects(stripe: FakeStripe) -> None:
    """The key goes nowhere but to the connection's host."""
    with FakeStripe() as elsewhere:
        stripe.fault(path="/v1/balance", redirect=f"{elsewhere.url}/v1/balance")
        good, message = StripeHook().test_connection()
        assert not good
        assert "redirects are not followed" in message
        assert elsewhere.calls == []
