"""More than one run can take: rows too large for an XCom, and a backlog that grows."""

from __future__ import annotations

import re
from typing import Any, cast

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite.core import fields
from airflow_provider_stripe_lite.core.window import Window
from airflow_provider_stripe_lite.errors import StripeInputError
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.airflow.streams import new_customers, remade, stream
from tests.harness import Run, dies_once, ids, set_variable, variable
from tests.helpers import NOW, Clock


def delivered(run: Run) -> list[str]:
    """Return the ids that a run has delivered, as rows or by a window."""
    result = run.xcom("new")
    if isinstance(result, dict):
        result = StripeHook().read(cast("Window", result))
    return ids(result)


# --- Too large


@pytest.mark.parametrize(
    ("change", "returned"),
    [
        ({"fields": "*", "returns": "rows", "max_items": 5}, 5),
        ({"fields": ["id"]}, 20),
        ({"fields": None, "returns": "window"}, 20),
    ],
    ids=["smaller max_items", "fewer fields", "a window"],
)
def test_rows_that_are_too_large_are_refused_before_they_are_claimed(
    dag: DAG,
    stripe: FakeStripe,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    returned: int,
) -> None:
    """Nothing is claimed, so each remedy of the sentence helps the same task, cleared."""
    monkeypatch.setattr(fields, "_MOST_BYTES", 10_000)
    new_customers(dag, fields="*", retries=2)
    made = [stripe.add("customer", created=NOW + at, description="x" * 1000) for at in range(20)]
    clock.now += 100
    run = Run(dag, NOW).go()
    (error,) = run.errors
    assert isinstance(error, StripeInputError)
    assert re.search(
        r"The 20 rows are 0\.0 MB, and an XCom should hold at most 0\.01 MB", str(error)
    )
    assert 'Use returns="window" and StripeHook.read, fewer fields, or a smaller max_items' in (
        str(error)
    )
    cursor = variable(stream(dag))
    assert (cursor["claims"], cursor["position"]["after"]) == ([], None)
    run.dag = remade(dag, **change)
    assert delivered(run.clear("new").go()) == made[:returned]


def test_a_window_whose_rows_have_grown_is_read_by_reference(
    dag: DAG, stripe: FakeStripe, clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """It was claimed as rows, which are too large at the retry; as a window it stays readable."""
    new_customers(dag, fields="*", post_execute=dies_once(tmp_path))
    made = stripe.add_many("customer", 20, created=NOW)
    clock.now += 100
    run = Run(dag, NOW).go()
    monkeypatch.setattr(fields, "_MOST_BYTES", 1_000)
    assert run.clear("new").go().state("new") == "failed"
    assert isinstance(run.errors[-1], StripeInputError)
    run.dag = remade(dag, returns="window")
    window = run.clear("new").go().xcom("new")
    assert ids(StripeHook().read(window)) == made


# --- A backlog


WARNING = r"it was (\d+) s behind, and now is (\d+) s"


def backlogs(log: str) -> list[tuple[int, int]]:
    """Return the figures of each warning."""
    return [(int(before), int(now)) for before, now in re.findall(WARNING, log)]


@pytest.mark.parametrize("remedy", [{"max_items": 1000}, {"returns": "window"}], ids=str)
def test_a_backlog_that_grows_is_a_warning_with_both_figures(
    dag: DAG,
    stripe: FakeStripe,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    remedy: dict[str, Any],
) -> None:
    """Each run leaves more than the one before; what the warning names catches up."""
    new_customers(dag, max_items=5)
    made: list[str] = []
    got: list[str] = []
    warned = []
    for number in range(3):
        made += stripe.add_many("customer", 20, created=int(clock.now), spread=90)
        clock.now += 200
        got += delivered(Run(dag, NOW + number).go())
        warned.append(backlogs(caplog.text))
        caplog.clear()
    assert warned[0] == []
    (second,), (third,) = warned[1:]
    assert second[0] < second[1] == third[0] < third[1]
    got += delivered(Run(remade(dag, **remedy), NOW + 9).go())
    assert got == made


def test_a_backlog_that_shrinks_is_no_warning(
    dag: DAG, stripe: FakeStripe, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Catching up takes some runs, and that is in order; the cursor tells how far it is."""
    new_customers(dag, max_items=5, start_from="beginning")
    stripe.add_many("customer", 20, created=NOW - 5000, spread=4000)
    left = []
    for number in range(4):
        clock.now += 60
        run = Run(dag, NOW + number).go()
        left.append(run.xcom("new", "cursor")["backlog_seconds"])
    assert left[-1] is None
    assert left[:-1] == sorted(left[:-1], reverse=True)
    assert backlogs(caplog.text) == []


def test_a_start_that_is_written_begins_without_a_backlog(
    dag: DAG, stripe: FakeStripe, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing was left before it, so no figure is compared with one of another stretch."""
    new_customers(dag, max_items=5)
    stripe.add_many("customer", 20, created=NOW, spread=90)
    clock.now += 200
    Run(dag, NOW).go()
    set_variable(stream(dag), {"start_from": NOW - 5000})
    stripe.add_many("customer", 20, created=NOW - 4000, spread=3000)
    Run(dag, NOW + 1).go()
    assert backlogs(caplog.text) == []
