"""What an API key shows without a request: whether it can be one, its mode, its account."""

from __future__ import annotations

import hashlib
import re

from airflow_provider_stripe_lite.errors import StripeInputError

__all__ = ["ApiKey"]

_SHAPE = r"(?:sk|rk|rkcs)_(?:(live|test)_)?(?:51([A-Za-z0-9]{14})[A-Za-z0-9]{8,}|.*)"


class ApiKey:
    """A secret or restricted key; neither its repr nor the sentence that refuses one repeats it.

    Newer keys carry the account's id after ``51``; a hash of that part is the same for every key of
    the account, and holds no piece of the key.

    :param value: as somebody has typed it; the blanks around it are dropped.
    :raises StripeInputError: no key, a publishable key, or characters that no key has.
    :ivar livemode: whether the key is a live one; None where it does not tell.
    :ivar account: a short hash of the account; None where the key does not tell.
    :ivar familiar: whether the key has a shape that Stripe is known to give out.
    """

    __slots__ = ("account", "familiar", "livemode", "value")

    def __init__(self, value: object) -> None:
        key = value.strip() if isinstance(value, str) else ""
        if not key:
            raise StripeInputError(
                "The connection has no API key: put a secret or restricted key there (its "
                "password)."
            )
        if key.startswith("pk_"):
            raise StripeInputError(
                "The connection holds a publishable key (pk_), which Stripe accepts only in "
                "browsers: put a secret (sk_) or restricted (rk_) key in its place."
            )
        if not re.fullmatch(r"[\x21-\x7e]+", key):
            raise StripeInputError(
                "The API key holds a space or a character that no key has: copy it again."
            )
        match = re.fullmatch(_SHAPE, key)
        mode, account = match.groups() if match else (None, None)
        self.value = key
        self.livemode = mode == "live" if mode else None
        self.account = hashlib.sha256(account.encode()).hexdigest()[:12] if account else None
        self.familiar = re.fullmatch(r"(sk|rk|rkcs)_[A-Za-z0-9_]{8,}", key) is not None

    def __repr__(self) -> str:
        return f"<ApiKey livemode={self.livemode}>"
