"""Answers that are too large, packed, or of a wrong shape: each is an error with a sentence."""

from __future__ import annotations

import gzip
import json
import socket
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_stripe_lite.core.arguments import (
    CREATE_CUSTOMER,
    GET_CUSTOMER,
    UPDATE_CUSTOMER,
)
from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.keys import ApiKey
from airflow_provider_stripe_lite.errors import (
    StripeConnectionError,
    StripeError,
    StripeNotFoundError,
    StripePermissionError,
    StripeServerError,
)
from tests.core.hostile import Hostile, answer, refusal, replies, request
from tests.helpers import client_for

MIB = 1024 * 1024
VERSION = "2025-02-24.acacia"
LIST = {"object": "list", "has_more": False, "data": [{"id": "cus_1"}]}


@pytest.fixture
def bounded() -> Iterator[None]:
    """Hold what is allocated meanwhile to 250 MB."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 250 * MIB
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    """Return what unpacks to 1.5 GB of zeros, packed in both ways, and ends too early."""
    packer = zlib.compressobj(9, wbits=-15)
    # Behind a full flush, what is packed means the same wherever it stands.
    piece = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return {
        "gzip": gzip.compress(b"", mtime=0)[:10] + 1536 * piece,
        "deflate": b"\x78\xda" + 1536 * piece,
    }


@pytest.fixture(scope="module")
def largest() -> bytes:
    """Return a packed answer of just 64 MB."""
    body = b'{"id": "%s"}' % bytes(64 * MIB - 10).replace(b"\0", b"x")
    return answer(gzip.compress(body, 1, mtime=0), "Content-Encoding: gzip")


# --- Too much


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("status", [200, 502])
def test_a_body_that_unpacks_without_end_is_an_error(
    bombs: dict[str, bytes], encoding: str, status: int
) -> None:
    """At 64 MB it is one, whatever the status."""
    sent = answer(bombs[encoding], f"Content-Encoding: {encoding}", status=status)
    assert len(sent) < 2 * MIB
    with Hostile(replies(sent)) as url:
        error = refusal(url, tries=1, timeout=5.0)
    assert f"answered {status} with a body of more than 64 MB" in str(error)
    assert (type(error), error.status) == (StripeConnectionError, status)
    assert (error.retryable, error.incomplete) == (True, True)


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize(
    "head", ["", "Transfer-Encoding: chunked\r\n", "Content-Length: 1" + 12 * "0" + "\r\n"]
)
def test_a_body_without_end_is_an_error(head: str) -> None:
    """As it comes, in chunks, or with a length that says so."""
    piece = b"1" * MIB
    if "chunked" in head:
        piece = b"100000\r\n" + piece + b"\r\n"

    def script(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(f"HTTP/1.1 200 OK\r\n{head}\r\n".encode())
        while True:
            connection.sendall(piece)

    with Hostile(script) as url:
        error = refusal(url, tries=1, timeout=5.0)
    assert "of more than 64 MB" in str(error)


@pytest.mark.usefixtures("bounded")
def test_a_body_of_64_mb_is_an_answer(largest: bytes) -> None:
    """The bound is a bound, and not less."""
    with Hostile(replies(largest)) as url:
        assert len(client_for(url, tries=1).get("/v1/customers").body["id"]) == 64 * MIB - 10


# --- Packed


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", " GZIP", "deflate", "identity", ""])
def test_a_packed_answer_is_unpacked(encoding: str) -> None:
    """By gzip, which is what the client asks for, or by zlib; each is the same value."""
    body = json.dumps(LIST).encode()
    pack = {"deflate": zlib.compress, "identity": bytes, "": bytes}.get(encoding, gzip.compress)
    with Hostile(replies(answer(pack(body), f"Content-Encoding: {encoding}"))) as url:
        assert client_for(url, tries=1).get("/v1/customers").body == LIST


@pytest.mark.parametrize(
    ("encoding", "body", "words"),
    [
        ("br", b"{}", "packed in a way (br) that was not asked for"),
        ("gzip, gzip", b"{}", "packed in a way (gzip, gzip)"),
        ("gzip", b"{}", "that cannot be unpacked"),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-9], "that ends too early"),
        ("gzip", gzip.compress(b"{}", mtime=0) + b" ", "that goes on behind its end"),
    ],
)
def test_an_answer_that_cannot_be_unpacked_is_an_error(
    encoding: str, body: bytes, words: str
) -> None:
    with Hostile(replies(answer(body, f"Content-Encoding: {encoding}"))) as url:
        error = refusal(url, tries=1)
    assert words in str(error)
    assert error.retryable
    assert error.incomplete is (words == "that ends too early")


# --- Shapes


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"5",
        b"null",
        b'"text"',
        b"<html>",
        b'{"id": "cus_1"',
        b'{"id": "\xff"}',
        b'{"id": NaN}',
        b'{"id": -Infinity}',
        b'{"id": 1e400}',
        b'{"id": ' + b"9" * 5_000 + b"}",
        b"[" * 100_000,
        b'{"id":' * 100_000,
        '{"id": "cus_1"}'.encode("utf-16"),
    ],
    ids=range(15),
)
def test_a_success_that_is_not_a_json_object_is_an_error(body: bytes) -> None:
    """Something answers in Stripe's place, and the sentence says so."""
    server = Hostile(replies(answer(body, "Request-Id: req_1")))
    with server as url:
        error = refusal(url, tries=2)
    assert str(error) == (
        f"{url} answered 200 with a body that is not a JSON object: if this stays, something "
        "between here and Stripe (a proxy?) answers in its place. (request req_1)"
    )
    assert (error.status, error.retryable, server.connections) == (200, True, 2)


def test_an_error_with_the_status_of_a_success_is_an_error() -> None:
    """With what it says; Stripe's own have another status."""
    server = Hostile(
        replies(answer(b'{"error": {"type": "api_error", "message": "Not at this moment."}}'))
    )
    with server as url:
        error = refusal(url, tries=2)
    assert "Not at this moment." in str(error)
    assert (error.retryable, server.connections) == (True, 2)


def test_an_object_with_a_field_error_is_an_object() -> None:
    """Reports and queries have one."""
    body = {"id": "frr_1", "object": "reporting.report_run", "error": None}
    with Hostile(replies(answer(json.dumps(body).encode()))) as url:
        assert client_for(url, tries=1).get("/v1/reporting/report_runs/frr_1").body == body


@pytest.mark.parametrize("body", [b"{}", b'{"id": null}', b'{"id": 5}', b'{"object": "customer"}'])
def test_an_action_whose_answer_has_no_id_can_be_repeated_safely(body: bytes) -> None:
    """The sentence gives the idempotency key with which that is so."""
    given = {"description": "d", "customer_id": "cus_1"}
    create, update, get = (
        action.call(given, None, VERSION)
        for action in (CREATE_CUSTOMER, UPDATE_CUSTOMER, GET_CUSTOMER)
    )
    safe = "can be repeated safely with the same idempotency key, k."

    def send(made: Any, key: str | None) -> Any:
        return lambda client: StripeClient.send(client, made, key)

    with Hostile(replies(answer(body))) as url:
        for made in (create, update):
            error = refusal(url, send(made, "k"))
            assert "with an object without an id" in str(error)
            assert str(error).endswith(f"; it {safe}")
            assert error.retryable
        assert "idempotency" not in str(refusal(url, send(get, None)))
        assert len(str(refusal(url, send(create, None))).rpartition("key, ")[2]) == len(
            f"{'-' * 36}."
        )


# --- Pages that are not Stripe's


@pytest.mark.parametrize("status", [300, 302, 400, 401, 402, 403, 404, 407, 408, 418, 424, 425])
def test_a_page_that_is_not_stripes_is_never_final(status: int) -> None:
    """A 404 of a gateway is no object that is missing, and its 403 no permission."""
    page = answer(b"<html>no</html>", "Content-Type: text/html", "Location: /", status=status)
    server = Hostile(replies(page))
    with server as url:
        error = refusal(url, tries=2)
    assert type(error) is StripeConnectionError
    assert (error.status, error.retryable, server.connections) == (status, True, 2)
    assert f"The server answered {status}" in str(error)


@pytest.mark.parametrize(
    ("status", "kind"), [(404, StripeNotFoundError), (403, StripePermissionError)]
)
def test_a_refusal_of_stripes_own_is_final(status: int, kind: type) -> None:
    """It has a type."""
    body = b'{"error": {"type": "invalid_request_error", "message": "Not for this key."}}'
    server = Hostile(replies(answer(body, status=status)))
    with server as url:
        error = refusal(url)
    assert type(error) is kind
    assert (error.retryable, server.connections) == (False, 1)


def test_a_read_is_tried_again_whatever_a_header_says() -> None:
    """`Stripe-Should-Retry: false` protects what would be done twice; a read does nothing."""
    body = b'{"error": {"type": "api_error", "message": "Not for this key."}}'
    server = Hostile(replies(answer(body, "Stripe-Should-Retry: false", status=500)))
    with server as url:
        error = refusal(url, tries=2)
        assert (type(error), error.retryable, server.connections) == (StripeServerError, True, 2)
        assert not refusal(url, lambda client: client.post("/v1/customers", {})).retryable
    assert server.connections == 3


@pytest.mark.parametrize("status", [200, 400, 502])
def test_a_key_of_no_known_shape_that_comes_back_is_not_shown(status: int) -> None:
    """It is found by itself."""
    key = "a-key-of-a-gateway-0123456789"
    error = {"type": "invalid_request_error", "message": f"Bad key {key}", "code": key}
    with Hostile(replies(answer(json.dumps({"error": error}).encode(), status=status))) as url:
        client = client_for(url, api_key=ApiKey(key), tries=1)
        with pytest.raises(StripeError) as caught:
            client.get("/v1/balance")
    assert "Bad key ***" in str(caught.value)
    assert key not in repr(vars(caught.value))


def test_an_endless_message_is_cut_before_it_is_searched() -> None:
    """60,000 characters took 12 seconds of CPU, quadratic as the search for e-mails was."""
    body = {"error": {"type": "api_error", "message": "a." * 30_000}}
    with Hostile(replies(answer(json.dumps(body).encode(), status=500))) as url:
        error = refusal(url, tries=1)
    assert 1_900 < len(str(error)) < 2_010


# --- What an answer tells of itself


def test_an_answer_tells_whether_it_may_hold_inner_lists() -> None:
    """An inner one may end at ten; a list of words is none."""
    inner = {**LIST, "data": [{"id": "ch_1", "refunds": LIST}]}
    words = {**LIST, "data": [{"id": "prod_1", "images": ["a"]}]}
    for sent, held in ((inner, True), (words, False), (LIST, False), ({"id": "ch_1"}, False)):
        with Hostile(replies(answer(json.dumps(sent).encode()))) as url:
            assert client_for(url).get("/v1/charges").inner_lists is held
