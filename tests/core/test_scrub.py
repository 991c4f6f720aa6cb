"""What is said holds no key, no e-mail address, and is not endless."""

from __future__ import annotations

import time

import pytest

from airflow_provider_stripe_lite.core.scrub import scrub


def test_what_stripe_itself_has_masked_stays() -> None:
    """Its last four characters tell which key it was; ordinary words are not keys."""
    text = "Invalid API Key provided: sk_test_****1234 for risk_assessment and task_instance"
    assert scrub(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("No customer jenny@example.com.", "No customer <e-mail>."),
        ("'a.b+c@mail.example.com'", "'<e-mail>'"),
        ("<jenny@example.com>, mailto:x@y.example", "<<e-mail>>, mailto:<e-mail>"),
        ("a@b@example.com", "a@<e-mail>"),
        ("email=jürgen@münchen.example;", "<e-mail>;"),
        ("at 5 @ noon, @handle, user@host", "at 5 @ noon, @handle, user@host"),
    ],
)
def test_an_e_mail_address_is_made_unreadable(text: str, shown: str) -> None:
    """What is none stays."""
    assert scrub(text) == shown


def test_what_is_too_long_is_cut_where_a_word_ends() -> None:
    """Half of a key, or of an address, would not be known for one."""
    assert scrub("x" * 2_000) == "x" * 2_000
    assert scrub("word " * 400 + "x") == "word " * 399 + "word …"
    assert scrub("a " * 995 + "jenny@example.com") == "a " * 994 + "a …"
    assert scrub("x" * 60_000) == "x" * 2_000 + " …"


@pytest.mark.parametrize(
    "piece", ["a", "a.", "a@", "a@b.", "@", "sk_", "sk_test_", "pk_live_a", "a@b.c ", ".\u0301"]
)
def test_the_time_is_that_of_the_text_and_not_its_square(piece: str) -> None:
    """A patient server can send any text as its message."""

    def cost(length: int) -> float:
        text = piece * (length // len(piece))
        started = time.process_time()
        for _ in range(100):
            scrub(text)
        return time.process_time() - started

    # Eight times the text: a quadratic search takes 64 times as long.
    assert min(cost(2_000) for _ in range(5)) < 24 * min(cost(250) for _ in range(5))


@pytest.mark.parametrize(
    "secret", ["ek_test_YWNjdF8xSFdtbndLT", "whsec_3f2a9c1b7d", "sk_org_live_1a2b"]
)
def test_keys_of_other_kinds_are_made_unreadable(secret: str) -> None:
    """Ephemeral keys, secrets of webhook endpoints and keys of organisations."""
    assert secret[-6:] not in scrub(f"It was {secret}.")
