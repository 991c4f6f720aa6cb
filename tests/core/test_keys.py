"""What an API key shows without a request."""

from __future__ import annotations

import re

import pytest

from airflow_provider_stripe_lite.core.keys import ApiKey
from airflow_provider_stripe_lite.errors import StripeError
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.helpers import KEY, client_for


def told(key: str) -> tuple[bool | None, str | None]:
    """Return mode and account, as the key shows them."""
    return ApiKey(key).livemode, ApiKey(key).account


@pytest.mark.parametrize(
    "key", [KEY, "rk_live_0123456789", "rkcs_test_0123456789", "my-proxy-token", f"  {KEY}\n"]
)
def test_a_usable_key_is_accepted(key: str) -> None:
    """Without the white space that copying brings; a shape that is not known is for the caller to
    warn of.
    """
    assert ApiKey(key).value == key.strip()


@pytest.mark.parametrize(
    ("key", "known"),
    [(KEY, True), ("rk_live_0123456789", True), ("my-proxy-token", False), ("sk_short", False)],
)
def test_a_familiar_key_is_told_from_others(key: str, known: bool) -> None:
    """Only to warn: Stripe promises no shape."""
    assert ApiKey(key).familiar is known


def test_mode_and_account_are_told_from_the_key() -> None:
    """Two keys of one account agree, and neither shows in what is told."""
    key = "sk_test_51AbCdEfGhIjKlMnaaaaaaaaaaaa"
    livemode, account = told(key)
    assert told("rk_test_51AbCdEfGhIjKlMnbbbbbbbbbbbb") == (livemode, account)
    assert told("sk_live_51AbCdEfGhIjKlMnaaaaaaaaaaaa") == (True, account)
    assert told("sk_live_51XbCdEfGhIjKlMnaaaaaaaaaaaa")[1] != account
    assert livemode is False
    assert re.fullmatch("[0-9a-f]{12}", str(account))
    acting = client_for("http://127.0.0.1", api_key=key, stripe_account="acct_1")
    assert (acting.livemode, acting.account) == (False, "acct_1")
    assert key[8:] not in repr(ApiKey(key))


@pytest.mark.parametrize(
    ("key", "masked"),
    [
        ("sk_test_0123456789", "sk_test_***"),
        ("rkcs_live_0123456789", "rk_live_***"),
        ("sk_4eC39HqLyjWDarjtT1zdp7dc", "***"),
        ("my-proxy-token", "***"),
    ],
)
@pytest.mark.parametrize("before", ["x_", "key: "])
def test_a_key_that_an_answer_repeats_is_masked(
    fake: FakeStripe, key: str, masked: str, before: str
) -> None:
    """Wherever it stands: behind a letter, it does not look like a key."""
    assert ApiKey(key).masked == masked
    error = {"type": "invalid_request_error", "message": f"bad header {before}{key} sent"}
    fake.fault(status=400, body={"error": error})
    with pytest.raises(StripeError) as caught:
        client_for(fake.url, api_key=ApiKey(key)).get("/v1/balance")
    assert f"bad header {before}{masked} sent" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("sk_test_4eC39HqLyjWDarjtT1zdp7dc", (False, None)),
        ("sk_4eC39HqLyjWDarjtT1zdp7dc", (None, None)),
        ("my-proxy-token", (None, None)),
        ("sk_test_51short", (False, None)),
    ],
)
def test_what_a_key_does_not_show_is_not_guessed(
    key: str, shown: tuple[bool | None, str | None]
) -> None:
    """Older keys carry no account, and some no mode."""
    assert told(key) == shown
