"""The calls that docs/operators.md shows are made as they stand there, each once for its run."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite.operators import StripeApiOperator
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.harness import Run
from tests.helpers import NOW, idempotency_keys, posts

PAGE = Path(__file__).parents[2] / "docs" / "operators.md"
ROWS = re.findall(r"^\| [^|]+ \| `(/v1/[^`]+)` \| `(\{[^`]+)`", PAGE.read_text(), re.MULTILINE)
SENT = {
    "/v1/charges/ch_1/capture": ("ch_1", [("amount", "900")]),
    "/v1/refunds": ("re_1", [("charge", "ch_1"), ("amount", "900")]),
    "/v1/transfers/tr_1/reversals": ("trr_1", [("amount", "900")]),
    "/v1/prices": ("price_1", [("product", "mug"), ("currency", "eur"), ("unit_amount", "900")]),
    "/v1/webhook_endpoints": (
        "we_1",
        [("url", "https://example.com/hook"), ("enabled_events[0]", "*")],
    ),
}


def test_the_table_has_five_calls() -> None:
    """Each of them is known to this test."""
    assert [path for path, _ in ROWS] == list(SENT)


@pytest.mark.parametrize(("path", "parameters"), ROWS, ids=[path for path, _ in ROWS])
def test_a_call_of_the_table(dag: DAG, stripe: FakeStripe, path: str, parameters: str) -> None:
    """It goes out as Stripe reads it; a cleared run reads what it has made."""
    made, form = SENT[path]
    answer: dict[str, Any] = {"id": made, "object": "x", "secret": "whsec_never_shown"}
    stripe.fault(method="POST", status=200, body=answer, every=1)
    stripe.fault(method="GET", status=200, body=answer, every=1)
    with dag:
        StripeApiOperator(
            task_id="act", method="POST", path=path, parameters=ast.literal_eval(parameters)
        )
    run = Run(dag, NOW).go()
    assert run.xcom("act")["id"] == made
    assert run.clear("act").go().xcom("act")["id"] == made
    [sent, *again] = posts(stripe)
    assert (sent.path, sent.form) == (path, form)
    if path == "/v1/webhook_endpoints":
        # Its secret is in no other answer than the saved one.
        assert [one.headers["idempotency-key"] for one in again] == idempotency_keys(stripe)[:1]
        return
    assert again == []
    read = stripe.calls[-1]
    known = path.removesuffix("/capture")
    assert (read.method, read.path) == ("GET", known if known != path else f"{path}/{made}")


def test_the_secret_of_a_webhook_endpoint_is_returned_where_it_is_named(
    dag: DAG, stripe: FakeStripe, capfd: pytest.CaptureFixture[str]
) -> None:
    """And nowhere else."""
    answer = {"id": "we_1", "object": "webhook_endpoint", "secret": "whsec_never_shown"}
    stripe.fault(method="POST", status=200, body=answer, every=1)
    call: Any = {"method": "POST", "path": "/v1/webhook_endpoints", "parameters": {"url": "u"}}
    with dag:
        StripeApiOperator(task_id="named", fields=["id", "secret"], **call)
        StripeApiOperator(task_id="usual", **call)
    run = Run(dag, NOW).go()
    assert run.xcom("named") == {"id": "we_1", "secret": "whsec_never_shown"}
    assert "secret" not in run.xcom("usual")
    assert "whsec_never_shown" not in "".join(capfd.readouterr())
