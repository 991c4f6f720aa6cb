"""Keep keys and personal data out of what is said."""

from __future__ import annotations

import re

__all__ = ["scrub"]

_KEY = re.compile(r"\b(pk|sk|rk|rkcs)_(test_|live_)?\w{6,}", re.ASCII)
_EMAIL = re.compile(r"[^\s@<>'\":]+@[^\s@<>'\":]+\.\w+")


def scrub(text: str) -> str:
    """Remove each text that looks like an API key or an e-mail address.

    A key that Stripe itself has masked with asterisks stays.
    """
    return _EMAIL.sub("<e-mail>", _KEY.sub(r"\1_\2***", text))
