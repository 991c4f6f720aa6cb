"""The fake's faults, its log, and how it is controlled."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from typing import Any

import pytest
import requests

from airflow_provider_stripe_lite.testing import FakeStripe
from tests.contract.calls import KEY, call

pytestmark = pytest.mark.contract


def test_faults_strike_when_and_where_they_are_told(fake: FakeStripe) -> None:
    """Method and path choose the requests; skip, every and times choose among them."""
    fake.fault(method="GET", path="/v1/charges", status=429, skip=1, every=2, times=2)
    statuses = [call(fake, "GET", "/v1/charges").status_code for _ in range(7)]
    assert statuses == [200, 200, 429, 200, 429, 200, 200]
    assert call(fake, "GET", "/v1/customers").status_code == 200


@pytest.mark.parametrize("script", [{"reset": True}, {"drop": True}, {"truncate": "length"}])
def test_a_broken_connection_breaks_before_or_after_the_execution(
    fake: FakeStripe, script: Any
) -> None:
    """Only a reset leaves nothing done."""
    fake.fault(**script)
    with pytest.raises(requests.RequestException):
        call(fake, "POST", "/v1/customers", form={"name": "x"})
    assert len(fake.ids("customer")) == (0 if "reset" in script else 1)


def test_the_other_faults_are_what_they_say(fake: FakeStripe) -> None:
    """Half a document, a redirect, a body of the test's own, and a pause."""
    fake.fault(truncate="json")
    with pytest.raises(requests.JSONDecodeError):
        call(fake, "GET", "/v1/customers").json()
    fake.fault(redirect="http://127.0.0.1:9/")
    assert call(fake, "GET", "/v1/customers").headers["Location"] == "http://127.0.0.1:9/"
    fake.fault(status=502, body="<b>bad</b>", headers={"Retry-After": "7"})
    answer = call(fake, "GET", "/v1/customers")
    assert (answer.status_code, answer.text, answer.headers["Retry-After"]) == (
        502,
        "<b>bad</b>",
        "7",
    )
    fake.fault(delay=0.2)
    start = time.perf_counter()
    call(fake, "GET", "/v1/customers")
    assert time.perf_counter() - start >= 0.2


def test_the_log_counts_connections_and_never_holds_a_key(fake: FakeStripe) -> None:
    """A kept connection is one peer; of the key only a marker is left."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {KEY}"
        for _ in range(3):
            session.get(fake.url + "/v1/customers", params={"limit": 1}, timeout=10)
    call(fake, "POST", "/v1/products", form={"name": "x", "images[0]": "y"})
    assert len({request.peer for request in fake.calls}) == 2
    assert fake.calls[0].query == [("limit", "1")]
    assert fake.calls[-1].form == [("name", "x"), ("images[0]", "y")]
    assert fake.calls[-1].status == 200
    assert fake.calls[-1].key == "sk_test_****6789"
    assert KEY not in repr(fake.calls)


def test_a_stopped_fake_answers_nobody() -> None:
    """Also a connection that a client kept alive ends with it."""
    with requests.Session() as session:
        session.auth = (KEY, "")
        with FakeStripe() as fake:
            assert session.get(fake.url + "/v1/balance", timeout=10).status_code == 200
        with pytest.raises(requests.ConnectionError):
            session.get(fake.url + "/v1/balance", timeout=10)


def test_a_process_of_its_own_is_driven_over_http() -> None:
    """Objects, faults, options, calls and ledger are below /_fake/; new objects flow in."""
    options = ["--port", "0", "--inflow", "charge:50", "--lateness", "0.2"]
    command = [sys.executable, "-m", "airflow_provider_stripe_lite.testing", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            drive(process.stdout.readline().strip())
        finally:
            process.kill()


def drive(url: str) -> None:
    """What the end-to-end tests do."""
    with requests.Session() as http:
        http.auth = (KEY, "")
        one = http.post(
            f"{url}/_fake/add", json={"kind": "customer", "email": "a@example.com"}
        ).json()
        more = http.post(f"{url}/_fake/add_many", json={"kind": "customer", "n": 3}).json()
        assert http.get(f"{url}/_fake/ids", params={"kind": "customer"}).json() == [one, *more]
        http.post(f"{url}/_fake/delete", json={"id": one})
        http.post(f"{url}/_fake/fault", json={"status": 429})
        assert [http.get(f"{url}/v1/customers").status_code for _ in range(2)] == [429, 200]
        http.post(f"{url}/_fake/fault", json={"status": 429, "times": None})
        http.delete(f"{url}/_fake/faults")
        http.post(f"{url}/_fake/options", json={"accepted_keys": ["sk_test_other"]})
        assert http.get(f"{url}/v1/customers").status_code == 401
        assert [entry["status"] for entry in http.get(f"{url}/_fake/calls").json()] == [
            429,
            200,
            401,
        ]
        http.delete(f"{url}/_fake/calls")
        assert http.get(f"{url}/_fake/calls").json() == []
        for entry in ({"rows": [1]}, [2]):
            http.post(f"{url}/_fake/ledger", json=entry)
        assert http.get(f"{url}/_fake/ledger").json() == [{"rows": [1]}, [2]]
        assert http.post(f"{url}/_fake/add", json={"kind": "unicorn"}).status_code == 400
        deadline = time.monotonic() + 5
        while len(http.get(f"{url}/_fake/ids", params={"kind": "charge"}).json()) < 5:
            assert time.monotonic() < deadline, "nothing flows in"
            time.sleep(0.05)


def test_a_pause_ends_with_the_fake() -> None:
    """A test that leaves a client waiting does not wait itself."""
    start = time.perf_counter()
    with FakeStripe() as fake:
        fake.fault(delay=30)
        with socket.create_connection(("127.0.0.1", int(fake.url.rpartition(":")[2]))) as client:
            client.sendall(
                b"GET /v1/balance HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk_test_123\r\n\r\n"
            )
            while not fake.calls:
                time.sleep(0.01)
    assert time.perf_counter() - start < 5
