"""What the fake makes of a request's key, version, account and idempotency key."""

from __future__ import annotations

import pytest

from airflow_provider_stripe_lite.testing import FakeStripe, Request
from tests.contract.calls import call
from tests.helpers import Clock

pytestmark = pytest.mark.contract


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
