"""JSON becomes values that every database can store, the same with orjson and without."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_stripe_lite.core import decoding
from airflow_provider_stripe_lite.core.decoding import BodyError, decode

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@pytest.fixture(params=["json", "orjson"], autouse=True)
def library(request: pytest.FixtureRequest) -> Iterator[None]:
    """Decode by one library, and then by the other."""
    decoding._loads.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "json":
            patch.setitem(sys.modules, "orjson", None)
        else:
            pytest.importorskip("orjson", reason="needs orjson, the extra [speed]")
        yield
    decoding._loads.cache_clear()


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (rb'{"a": "x\u0000y"}', {"a": "x\ufffdy"}),
        (rb'{"a\u0000": 1}', {"a\ufffd": 1}),
        (rb'["\ud83d"]', ["\ufffd"]),
        (rb'["\uD83D rest"]', ["\ufffd rest"]),
        (rb'["\udE00\ud83d"]', ["\ufffd\ufffd"]),
        (rb'{"\ud83d": {"\ude00": []}}', {"\ufffd": {"\ufffd": []}}),
        (rb'["\ud83d\ude00"]', ["\U0001f600"]),
        (rb'["\uD83D\uDE00\uDE00"]', ["\U0001f600\ufffd"]),
        (rb'["\ud83d\ud83d\ude00"]', ["\ufffd\U0001f600"]),
        (rb'["\ud83d\u0041"]', ["\ufffdA"]),
        # Here a backslash is text, and what follows is text, too.
        (rb'["\\u0000", "\\\u0000", "\\\\ud83d"]', ["\\u0000", "\\\ufffd", "\\\\ud83d"]),
        (rb'["\"\u0000\"", "\n\t\/\ud7ff\ue000"]', ['"\ufffd"', "\n\t/\ud7ff\ue000"]),
        ('["\U0001f600 é"]'.encode(), ["\U0001f600 é"]),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b"[9223372036854775807, 18446744073709551615]", [2**63 - 1, 2**64 - 1]),
        (b"[-0, 1.5, 1E5, 123456789012345678901234567890.5]", [0, 1.5, 1e5, 1.2345678901234568e29]),
    ],
)
def test_what_no_database_stores_is_replaced(body: bytes, value: Any) -> None:
    """U+0000 and halves of surrogate pairs, in texts and names; the rest stays letter by letter."""
    found = decode(body)
    assert found == value
    assert json.dumps(found, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"NaN",
        b"[Infinity]",
        b'{"a": -Infinity}',
        b"1e400",
        b"[-1e999]",
        b"9" * 5_000,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"",
        b"{",
        b'["\x00"]',
        b'["\xff"]',
        b'["\xed\xa0\xbd"]',
        b'\xef\xbb\xbf["a byte order mark"]',
        '["a"]'.encode("utf-16"),
        rb'["\ud83d',
        rb'["\u00"]',
        b"[1] 2",
    ],
    ids=range(18),
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    """By both libraries alike."""
    with pytest.raises(BodyError, match="is not JSON"):
        decode(body)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | TEXT | st.floats(-1, 1),
        lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    ),
    st.booleans(),
)
def test_what_can_be_stored_is_decoded_as_it_was_sent(value: Any, escaped: bool) -> None:
    """Whether Stripe escapes what is not ASCII or not."""
    assert decode(json.dumps(value, ensure_ascii=escaped).encode()) == value


@given(st.text(st.characters(categories=["Cs", "Cc", "Po", "Lu", "Nd"]), max_size=20))
def test_any_text_becomes_one_that_can_be_stored(text: str) -> None:
    """As Python's own decoder reads it, with U+FFFD for each half and each U+0000."""
    whole = json.loads(json.dumps(text))
    [found] = decode(json.dumps([text]).encode())
    assert found == "".join(
        "\ufffd" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in whole
    )
    found.encode()


def test_the_faster_library_is_used_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra `speed` is optional."""
    faster = types.ModuleType("orjson")
    faster.loads = lambda _: "faster"  # type: ignore[attr-defined]
    decoding._loads.cache_clear()
    monkeypatch.setitem(sys.modules, "orjson", faster)
    assert decode(b"[]") == "faster"


def test_a_body_of_too_many_values_is_refused_before_it_is_decoded() -> None:
    """64 MB of the smallest objects would take more than a gigabyte."""
    with pytest.raises(BodyError, match="million"):
        decode(b"[" + b"{}," * 1_000_001 + b"{}]")
