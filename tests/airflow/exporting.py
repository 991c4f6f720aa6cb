"""What tests of exports share."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from airflow_provider_stripe_lite.transfers import StripeToObjectStorageOperator
from tests.helpers import NOW

__all__ = ["BOUNDS", "DAY", "export", "lines"]

DAY = 86_400
BOUNDS = {"created_gte": NOW - DAY, "created_lt": NOW - 100}


def export(dag: DAG, path: Path | str, **options: Any) -> DAG:
    """Give the DAG an export of charges."""
    with dag:
        StripeToObjectStorageOperator(
            **{"task_id": "export", "path": str(path), "feed": "charge", **options}
        )
    return dag


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a file."""
    content = path.read_bytes()
    text = gzip.decompress(content) if path.suffix == ".gz" else content
    return [json.loads(line) for line in text.splitlines()]
