"""Values of arguments that come out of templates and tables, and what is made of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_stripe_lite.core.encoding import encode
from airflow_provider_stripe_lite.core.values import CHECKS, refuse_missing
from airflow_provider_stripe_lite.errors import StripeInputError


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("https://a.com/1.png,\r\n", ["https://a.com/1.png"]),
        (
            "https://a.com/1.png,\r\nhttps://a.com/2.png,\r\n",
            ["https://a.com/1.png", "https://a.com/2.png"],
        ),
        (
            "HTTPS://a.com/1.png,HTTPS://b.com/2.png",
            ["HTTPS://a.com/1.png", "HTTPS://b.com/2.png"],
        ),
    ],
)
def test_urls_are_parted_whoever_has_written_them(text: str, urls: list[str]) -> None:
    """With the line ends of Windows, or in capitals."""
    assert CHECKS["urls"]("images", 8, text) == urls


class NaT(datetime):
    """What pandas has in a column of times where one is missing."""

    def replace(self, *_: Any, **__: Any) -> Any:
        return self

    def timestamp(self) -> float:
        return float("nan")

    def isoformat(self, *_: Any, **__: Any) -> str:
        return "NaT"


@pytest.mark.parametrize(
    ("read", "place"),
    [
        (lambda time: encode({"created": {"gte": time}}), "created[gte]"),
        (lambda time: CHECKS["metadata"]("metadata", 50, {"at": time}), "metadata[at]"),
    ],
    ids=["a parameter", "metadata"],
)
def test_a_time_without_a_value_is_refused(read: Any, place: str) -> None:
    """The text "NaT" would be kept for ever."""
    with pytest.raises(StripeInputError) as caught:
        read(NaT(2026, 2, 1, tzinfo=UTC))
    assert str(caught.value) == (
        f"{place} is a time without a value (NaT): give one, or leave it out."
    )
    assert CHECKS["metadata"]("metadata", 50, {"at": "NaT"}) == {"at": "NaT"}


def test_a_file_is_never_called_none_and_a_folder_may_have_the_text_in_its_name() -> None:
    """The name of a file is often joined with underscores, and so is that of a test's folder."""
    refuse_missing("path", "/lake/no_None_0/charges.jsonl", of_file=True)
    for path in ("/lake/charges_None.jsonl", "/lake/None/charges.jsonl", "/lake/day=None/c.jsonl"):
        with pytest.raises(StripeInputError, match="path holds the text 'None'"):
            refuse_missing("path", path, of_file=True)
