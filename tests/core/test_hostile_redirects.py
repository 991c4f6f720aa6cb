"""A redirect is not followed, and neither its body nor where it leads matters."""

from __future__ import annotations

import pytest

from airflow_provider_stripe_lite.errors import StripeConnectionError
from tests.core.hostile import Hostile, Script, answer, dripping, refusal, replies

LOGIN = "Location: https://login.example/"
ENDLESS = f"HTTP/1.1 302 Found\r\n{LOGIN}\r\nContent-Length: 1000000\r\n\r\n".encode()
SCRIPTS = {
    "a body without end": dripping(ENDLESS, b" "),
    "a body that cannot be unpacked": replies(
        answer(b"<html>", LOGIN, "Content-Encoding: gzip", status=302)
    ),
    "a host that is none": replies(answer(b"", "Location: http://[bad/x", status=302)),
    "no host": replies(answer(b"", "Location: http://", status=302)),
    "letters that are not ASCII": replies(answer(b"", "Location: /caf\xe9", status=302)),
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_a_redirect_is_one_sentence_whatever_comes_with_it(script: Script) -> None:
    """The body may be of any size: nobody reads it, and no time is spent on it."""
    with Hostile(script) as url:
        error = refusal(url, tries=1)
    assert type(error) is StripeConnectionError
    assert str(error) == (
        "The server answered 302, a redirect, and redirects are not followed: check the base URL."
    )
    assert (error.status, error.retryable, error.timed_out) == (302, True, False)
