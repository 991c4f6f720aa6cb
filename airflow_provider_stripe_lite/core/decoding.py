"""Turn the bytes of an answer into values that every database can store."""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

__all__ = ["MAX_BYTES", "BodyError", "IncompleteError", "decode", "unpack"]

MAX_BYTES = 64 * 1024 * 1024
_CHUNK = 1_048_576
# A page of Stripe holds some ten thousand values; each takes far more room than its text.
_MOST_VALUES = 1_000_000
# orjson takes twelve times the room of what it reads; a page of Stripe is far below this.
_FAST_BYTES = 8 * 1024 * 1024
# No column of PostgreSQL takes U+0000, and UTF-8 has no form for half of a surrogate pair.
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
# All escapes in turn, so that the second backslash of two begins none; what is to be replaced is
# the group.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u0000|u[dD][89a-fA-F]..)|.)", re.DOTALL
)


class BodyError(ValueError):
    """The body of an answer is of no use; the text says what it is, and follows "a body"."""


class IncompleteError(BodyError):
    """It was not received, or not accepted, whole; that of a smaller answer may be of use."""


def unpack(read: Callable[[int], bytes], encoding: str | None) -> bytes:
    """Return a whole body, unpacked.

    :param read: returns at most so many of its next bytes, and none at its end.
    :param encoding: its ``Content-Encoding``.
    :raises BodyError: it cannot be unpacked, or holds more than 64 MB.
    """
    packing = (encoding or "identity").strip().lower()
    if packing not in ("identity", "gzip", "x-gzip", "deflate"):
        raise BodyError(f"packed in a way ({packing}) that was not asked for")
    # 32 more than the largest window tells gzip and zlib apart by the first bytes.
    unpacker = None if packing == "identity" else zlib.decompressobj(32 + zlib.MAX_WBITS)
    pieces, room = list[bytes](), MAX_BYTES
    while piece := read(_CHUNK):
        if unpacker:
            piece = _unpacked(unpacker, piece, room + 1)
        pieces.append(piece)
        room -= len(piece)
        if room < 0:
            raise IncompleteError("of more than 64 MB")
    if unpacker and not unpacker.eof:
        raise IncompleteError("that ends too early")
    return b"".join(pieces)


def decode(body: bytes) -> Any:
    """Return the value that a JSON text stands for, the same with orjson and without.

    U+0000 and half of a surrogate pair become U+FFFD, in texts and in names. Only an integer of
    more than 64 bits differs: orjson makes it a float.

    :raises BodyError: it is no JSON in UTF-8, or holds a number that JSON does not have, or more
        than a million values.
    """
    if body.count(b",") > _MOST_VALUES:
        raise IncompleteError("of more than a million values")
    # The search for one byte costs nothing, and most answers hold no backslash.
    if b"\\" in body and _SUSPECT.search(body):
        body = _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], body)
    try:
        return (_loads() if len(body) <= _FAST_BYTES else _standard)(body)
    except (ValueError, RecursionError):
        # Brackets without end are a RecursionError.
        pass
    raise BodyError("that is not JSON")


@cache
def _loads() -> Callable[[bytes], Any]:
    """Return orjson's decoder, from the extra ``[speed]``, else the standard library's."""
    try:
        import orjson
    except ImportError:
        return _standard
    loads: Callable[[bytes], Any] = orjson.loads
    return loads


def _standard(body: bytes) -> Any:
    """Decode as orjson does, which takes UTF-8 and finite numbers alone."""
    return _DECODER.decode(body.decode())


def _finite(text: str) -> float:
    """Refuse what no database stores: NaN, Infinity, 1e400."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


_DECODER = json.JSONDecoder(parse_constant=_finite, parse_float=_finite)


def _unpacked(unpacker: Any, piece: bytes, most: int) -> bytes:
    try:
        unpacked: bytes = unpacker.decompress(piece, most)
    except zlib.error:
        raise BodyError("that cannot be unpacked") from None
    if unpacker.unused_data:
        raise BodyError("that goes on behind its end")
    return unpacked
