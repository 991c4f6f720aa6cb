"""What an API key shows without a request: whether it can be one, its mode, its account."""

from __future__ import annotations

import hashlib
import re

from airflow_provider_stripe_lite.errors import StripeInputError

__all__ = ["ApiKey"]

_SHAPE = r"(?:sk|rk|rkcs)_(?:org_)?(?:(live|test)_)?(?:51([A-Za-z0-9]{14})[A-Za-z0-9]{8,}|.*)"


class ApiKey:
    """A secret or restricted key; neither its repr nor the sentence that refuses one repeats it.

    Newer keys carry the account's id after ``51``; a hash of that part is the same for every key of
    the account, and holds no piece of the key.

    :param value: as somebody has typed it; the blanks around it are dropped.
    :ivar livemode: whether the key is a live one; None where it does not tell.
    :ivar account: a short hash of the account; None where the key does not tell.
    :ivar is_of_organization: whether it acts for the accounts of an organization.
    :ivar familiar: whether the key has a shape that Stripe is known to give out.
    :ivar masked: what may be shown in its place.
    """

    __slots__ = ("account", "familiar", "is_of_organization", "livemode", "masked", "value")

    def __init__(self, value: object) -> None:
        self.value = value.strip() if isinstance(value, str) else ""
        match = re.fullmatch(_SHAPE, self.value)
        mode, account = match.groups() if match else (None, None)
        self.livemode = mode == "live" if mode else None
        self.account = hashlib.sha256(account.encode()).hexdigest()[:12] if account else None
        self.is_of_organization = self.value.startswith(("sk_org_", "rk_org_"))
        shape = r"(sk|rk|rkcs)_[A-Za-z0-9_]{8,}"
        self.familiar = re.fullmatch(shape, self.value) is not None
        self.masked = f"{self.value[:2]}_{mode}_***" if mode else "***"

    def __repr__(self) -> str:
        return f"<ApiKey livemode={self.livemode}>"

    def refuse_unusable(self) -> None:
        """Refuse no key, a publishable key, or characters that no key has.

        This is no part of ``__init__``, which has the key as a local: error trackers store the
        locals of the frames that an error passes.

        :raises StripeInputError: it is one of them.
        """
        if refusal := _refusal(self.value):
            raise StripeInputError(refusal)


def _refusal(key: str) -> str | None:
    """Return why it cannot be a key."""
    if not key:
        return "The connection has no API key: put a secret or restricted key there (its password)."
    if key.startswith("pk_"):
        return (
            "The connection holds a publishable key (pk_), which Stripe accepts only in browsers: "
            "put a secret (sk_) or restricted (rk_) key in its place."
        )
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        return "The API key holds a space or a character that no key has: copy it again."
    return None
