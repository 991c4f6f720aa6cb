"""S3 in a process of its own, and what a reader of its bucket finds from time to time."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections import Counter, defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import requests

from dev.airflow_api import wait_for
from dev.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET = "lake"
ACCESS = {
    "region_name": "us-east-1",
    "aws_access_key_id": "fake",
    "aws_secret_access_key": "fake",
}


class Lake:
    """A bucket that keeps every version of a file, and what was seen there.

    :ivar contents: those of each path, oldest first.
    """

    def __init__(self, url: str) -> None:
        boto3 = pytest.importorskip("boto3")
        self._s3: Any = boto3.client("s3", endpoint_url=url, **ACCESS)
        self._s3.create_bucket(Bucket=BUCKET)
        versions = {"Status": "Enabled"}
        self._s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration=versions)
        self.connection = {"conn_type": "aws", "extra": {"endpoint_url": url, **ACCESS}}
        self.contents: defaultdict[str, list[bytes]] = defaultdict(list)
        self._seen: set[str] = set()

    def look(self) -> None:
        """Read all that has appeared since the last look: each is whole, and none goes away."""
        listed = self._s3.list_object_versions(Bucket=BUCKET)
        assert not listed["IsTruncated"]
        assert "DeleteMarkers" not in listed
        for version in reversed(listed.get("Versions", [])):
            path, number = version["Key"], version["VersionId"]
            if number not in self._seen:
                self._seen.add(number)
                content = self.read(path, VersionId=number)
                ids(content)
                self.contents[path].append(content)

    def read(self, path: str, **version: str) -> bytes:
        """Return the bytes of a file."""
        return bytes(self._s3.get_object(Bucket=BUCKET, Key=path, **version)["Body"].read())

    def left(self) -> Counter[str]:
        """Count for each path the uploads in parts that nobody has ended."""
        listed = self._s3.list_multipart_uploads(Bucket=BUCKET)
        return Counter(upload["Key"] for upload in listed.get("Uploads", []))


def ids(content: bytes) -> list[str]:
    """Return the ids in a file of JSON lines; a file that is not whole is an error."""
    text = gzip.decompress(content)
    assert text.endswith(b"\n")
    return [json.loads(line)["id"] for line in text.splitlines()]


@contextmanager
def serve_lake() -> Iterator[Lake]:
    """Serve S3, with one bucket."""
    port = free_port()
    url, quiet = f"http://127.0.0.1:{port}", subprocess.DEVNULL
    command = [sys.executable, "-m", "moto.server", "--port", str(port)]
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as process:
        try:
            wait_for("S3", lambda: requests.get(url, timeout=10).ok, every=0.2)
            yield Lake(url)
        finally:
            process.kill()
