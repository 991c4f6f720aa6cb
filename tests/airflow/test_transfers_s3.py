"""StripeToObjectStorageOperator on an object store, here S3 as moto serves it."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite.testing import FakeStripe
from airflow_provider_stripe_lite.transfers import StripeToObjectStorageOperator
from tests.harness import Run, ids
from tests.helpers import NOW

# The environments of older Airflows do without both.
boto3 = pytest.importorskip("boto3")
moto_server = pytest.importorskip("moto.server")

# What boto3 and moto do with dates is deprecated, and not this package's.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

BOUNDS = {"created_gte": NOW - 86_400, "created_lt": NOW - 100}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Serve S3."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Any:
    """Return a client, and make a bucket and a connection for the test."""
    login = {"login": "key", "password": "secret"}
    extra = {"endpoint_url": endpoint, "region_name": "us-east-1"}
    connection = {"conn_type": "aws", **login, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection))
    client = boto3.client("s3", aws_access_key_id="key", aws_secret_access_key="secret", **extra)
    client.create_bucket(Bucket="lake")
    yield client
    for found in client.list_objects_v2(Bucket="lake").get("Contents", []):
        client.delete_object(Bucket="lake", Key=found["Key"])


def export(dag: DAG, **options: Any) -> DAG:
    """Give the DAG an export to S3."""
    given = {"path": "s3://lake/a/x.jsonl.gz", "dest_conn_id": "lake", "feed": "charge"}
    with dag:
        StripeToObjectStorageOperator(task_id="export", **{**given, **BOUNDS, **options})
    return dag


def content(s3: Any, key: str = "a/x.jsonl.gz") -> bytes:
    """Return the bytes of an object."""
    found: bytes = s3.get_object(Bucket="lake", Key=key)["Body"].read()
    return found


def left(s3: Any) -> list[str]:
    """Return the uploads that have not been completed."""
    return [one["Key"] for one in s3.list_multipart_uploads(Bucket="lake").get("Uploads", [])]


@pytest.mark.parametrize("many", [0, 3, 250])
def test_a_file_in_s3(dag: DAG, stripe: FakeStripe, s3: Any, many: int) -> None:
    """It is whole, and a cleared run replaces it by the same bytes."""
    made = stripe.add_many("charge", many, created=NOW - 500, spread=99) if many else []
    run = Run(export(dag), NOW).go()
    assert run.state() == "success", run.errors
    before = content(s3)
    assert ids(map(json.loads, gzip.decompress(before).splitlines())) == made
    assert run.xcom("export")["bytes"] == len(before)
    assert run.xcom("export")["path"] == "s3://lake/a/x.jsonl.gz"
    assert run.clear("export").go().state() == "success"
    assert content(s3) == before
    assert left(s3) == []


@pytest.mark.parametrize("size", [1_000, 60_000], ids=["in one part", "in several parts"])
def test_nothing_is_published_of_a_read_that_fails(
    dag: DAG, stripe: FakeStripe, s3: Any, size: int
) -> None:
    """The earlier object stays as it is, also where parts were sent; a retry writes it whole."""
    made = stripe.add_many("charge", 350, created=NOW - 500, spread=99, description="x" * size)
    s3.put_object(Bucket="lake", Key="a/x.jsonl", Body=b"of an earlier run")
    stripe.fault(status=500, skip=2, times=5)
    run = Run(export(dag, path="s3://lake/a/x.jsonl", retries=1, retry_delay=0), NOW)
    run.again("export")
    assert run.state("export") == "up_for_retry"
    assert content(s3, "a/x.jsonl") == b"of an earlier run"
    assert left(s3) == []
    assert run.go().state() == "success", run.errors
    assert ids(map(json.loads, content(s3, "a/x.jsonl").splitlines())) == made
    assert left(s3) == []


@pytest.mark.parametrize(
    "options",
    [{"dest_conn_id": "lakes"}, {"path": "s3://lakes@lake/x.jsonl", "dest_conn_id": None}],
    ids=["argument", "path"],
)
def test_a_connection_that_is_not_there(
    dag: DAG,
    stripe: FakeStripe,
    s3: Any,
    endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
) -> None:
    """Nothing is written with the credentials that the machine happens to have."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    run = Run(export(dag, **options), NOW).go()
    assert run.state("export") == "failed"
    assert "lakes" in str(run.errors[-1])
    assert "Contents" not in s3.list_objects_v2(Bucket="lake")
    assert stripe.calls == []


def test_an_empty_day_is_skipped(dag: DAG, stripe: FakeStripe, s3: Any) -> None:
    """The object of an earlier try goes."""
    s3.put_object(Bucket="lake", Key="a/x.jsonl.gz", Body=b"of an earlier try")
    run = Run(export(dag, if_empty="skip"), NOW).go()
    assert run.state("export") == "skipped", run.errors
    assert "Contents" not in s3.list_objects_v2(Bucket="lake")
    assert left(s3) == []


def test_an_empty_day_takes_only_its_own_file_away(dag: DAG, stripe: FakeStripe, s3: Any) -> None:
    """Brackets in a key are no pattern."""
    for key in ("a.jsonl", "b.jsonl", "[ab].jsonl"):
        s3.put_object(Bucket="lake", Key=key, Body=b"old")
    run = Run(export(dag, path="s3://lake/[ab].jsonl", if_empty="skip"), NOW).go()
    assert run.state("export") == "skipped"
    left = {found["Key"] for found in s3.list_objects_v2(Bucket="lake")["Contents"]}
    assert left == {"a.jsonl", "b.jsonl"}


def test_a_store_that_cannot_be_reached_is_not_an_unknown_scheme(
    dag: DAG, stripe: FakeStripe, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong with the connection is said as the provider says it."""
    broken = {"conn_type": "aws", "extra": {"service_config": {"s3": {"signer": "nope"}}}}
    # Airflow keeps what it has made of a connection, under the connection's name.
    monkeypatch.setenv("AIRFLOW_CONN_SUNKEN", json.dumps(broken))
    (error,) = Run(export(dag, dest_conn_id="sunken"), NOW).go().errors
    assert "nope" in str(error)
    assert "install" not in str(error)
