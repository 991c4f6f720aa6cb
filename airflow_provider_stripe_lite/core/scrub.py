"""Keep keys, personal data and endless texts out of what is said."""

from __future__ import annotations

import re

__all__ = ["scrub", "show"]

_MOST = 2_000
_KEY = re.compile(r"\b(pk|sk|rk|rkcs|ek|whsec)_(test_|live_)?\w{6,}", re.ASCII)
# It begins where a word does, and not inside of one: a long word without "@" is read once.
_EMAIL = re.compile(r"(?<![^\s@<>'\":\[\]])[^\s@<>'\":\[\]]++@[^\s@<>'\":\[\]]+\.\w+")


def scrub(text: str) -> str:
    """Remove each text that looks like an API key or an e-mail address, and cut what is too long.

    A key that Stripe itself has masked with asterisks stays.

    :return: at most 2,000 characters of ``text``, without a word that the cut went through.
    """
    if len(text) > _MOST:
        text = f"{text[:_MOST].rpartition(' ')[0] or text[:_MOST]} …"
    return _EMAIL.sub("<e-mail>", _KEY.sub(r"\1_\2***", text))


def show(value: object, most: int = 60) -> str:
    """Name a bad value without repeating much of it: it may be long, or personal."""
    try:
        text = scrub(repr(value))
    except ValueError:
        # A whole number of over 4,300 digits has no text.
        text = f"an unprintable {type(value).__name__}"
    return text if len(text) <= most else f"{text[: most - 3]}..."
