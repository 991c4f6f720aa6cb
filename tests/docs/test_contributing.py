"""The steps of CONTRIBUTING.md, done exactly as they are written there."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path
from typing import Any, get_args

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite import operators
from airflow_provider_stripe_lite.core import resources
from airflow_provider_stripe_lite.core.resources import RESOURCES
from airflow_provider_stripe_lite.sensors import StripeNewObjectSensor
from airflow_provider_stripe_lite.testing import FakeStripe, api, shapes
from tests.docs.blocks import placed
from tests.harness import ONCE, Run, ids
from tests.helpers import NOW, Clock

FRAGMENTS = placed("CONTRIBUTING.md")


def edited(module: types.ModuleType, *edits: tuple[str, str]) -> dict[str, Any]:
    """Return what a module defines when each fragment is put behind its line."""
    source = Path(str(module.__file__)).read_text()
    for after, fragment in edits:
        assert source.count(after) == 1, f"{after!r} is not in {module.__name__} once"
        source = source.replace(after, after + fragment)
    name = f"{module.__name__}_edited"
    copy = types.ModuleType(name)
    # A dataclass looks its module up.
    sys.modules[name] = copy
    try:
        exec(compile(source, f"{name}.py", "exec"), copy.__dict__)
    finally:
        del sys.modules[name]
    return copy.__dict__


def test_every_fragment_is_tried() -> None:
    """No step is left out here."""
    assert set(FRAGMENTS) == {"core/resources.RESOURCES", "core/resources.FeedName", "operators"}


def test_a_feed_is_a_table_entry(
    dag: DAG, stripe: FakeStripe, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the two steps a sensor delivers gift cards, once, and the fake serves them."""
    new = edited(
        resources,
        ("    for resource in (\n", FRAGMENTS["core/resources.RESOURCES"]),
        ("FeedName = Literal[\n", FRAGMENTS["core/resources.FeedName"]),
    )
    assert set(get_args(new["FeedName"])) == set(new["RESOURCES"]) == {*RESOURCES, "gift_card"}
    record = new["RESOURCES"]["gift_card"]
    monkeypatch.setitem(RESOURCES, "gift_card", record)
    # The fake makes both of the table when it is imported.
    monkeypatch.setitem(shapes.SHAPES, "gift_card", shapes._shape("gift_card"))
    monkeypatch.setitem(api._KINDS, record.path, "gift_card")
    # Type checkers know the names of the table only.
    kind: Any = "gift_card"
    with dag:
        StripeNewObjectSensor(task_id="new", feed=kind, **ONCE)
    delivered: list[str] = []
    made: list[str] = []
    for number in range(2):
        made += stripe.add_many(kind, 120, created=int(clock.now), spread=30)
        clock.now += 200
        run = Run(dag, NOW + number).go()
        rows = run.xcom("new")
        delivered += ids(rows)
    assert delivered == made
    assert rows[0]["object"] == "gift_card"
    assert "/gift_cards?" in (run.link("new", "Open in Stripe") or "")


def test_an_action_is_a_class(dag: DAG, stripe: FakeStripe) -> None:
    """After the one step an operator reads a product, with row and link, and refuses a bad id."""
    scope = dict(vars(operators))
    exec(FRAGMENTS["operators"], scope)
    product = stripe.add("product", name="Mug")
    with dag:
        for task_id, product_id in (("get", product), ("bad", "..")):
            scope["StripeGetProductOperator"](task_id=task_id, product_id=product_id)
    run = Run(dag, NOW).go()
    assert run.xcom("get")["name"] == "Mug"
    assert set(run.xcom("get")) == {field.name for field in RESOURCES["product"].fields}
    assert f"/products/{product}" in (run.link("get", "Open in Stripe") or "")
    assert run.state("bad") == "failed"
    assert re.search("product_id must be an id", str(run.errors[0]))
