"""The steps of CONTRIBUTING.md, done exactly as they are written there."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite import catalog, hooks, operators
from airflow_provider_stripe_lite.sensors import StripeNewObjectSensor
from tests import fake_stripe
from tests.airflow.conftest import NOW, Clock
from tests.airflow.harness import Run
from tests.airflow.test_sensors import ONCE, ids
from tests.docs.blocks import blocks
from tests.fake_stripe import FakeStripe

FRAGMENTS = {block.place: block.text for block in blocks() if block.page == "CONTRIBUTING.md" and block.place}


def edited(module: types.ModuleType, after: str, fragment: str) -> dict[str, Any]:
    """The module with a fragment put behind a line, run."""
    source = Path(str(module.__file__)).read_text()
    assert source.count(after) == 1, f"{after!r} is not in {module.__name__} once"
    name = f"{module.__name__}_edited"
    copy = types.ModuleType(name)
    sys.modules[name] = copy  # dataclasses look their module up
    try:
        exec(compile(source.replace(after, after + fragment), f"{name}.py", "exec"), copy.__dict__)
    finally:
        del sys.modules[name]
    return copy.__dict__


def test_every_fragment_is_tried() -> None:
    """No step is left out here."""
    assert set(FRAGMENTS) == {
        "catalog.FIELDS", "catalog.FEEDS", "fake_stripe.RESOURCES", "hooks.StripeHook", "operators",
    }  # fmt: skip


def test_a_feed_is_a_table_entry(dag: DAG, stripe: FakeStripe, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the three steps a sensor hands refunds over, in the new fields, once."""
    fields = edited(catalog, "FIELDS: dict[str, tuple[Field, ...]] = {\n", FRAGMENTS["catalog.FIELDS"])["FIELDS"]
    feeds = edited(catalog, "    for feed in (\n", FRAGMENTS["catalog.FEEDS"])["FEEDS"]
    resources = edited(fake_stripe, "RESOURCES = {\n", FRAGMENTS["fake_stripe.RESOURCES"])["RESOURCES"]
    monkeypatch.setitem(catalog.FIELDS, "refund", fields["refund"])
    monkeypatch.setitem(catalog.FEEDS, "refund", feeds["refund"])
    monkeypatch.setitem(fake_stripe.RESOURCES, "refund", resources["refund"])
    with dag:
        StripeNewObjectSensor(task_id="new", feed="refund", **ONCE)
    handed: list[str] = []
    made: list[str] = []
    for number in range(2):
        made += stripe.create_many("refund", 120, created=int(clock.now), spread=30)
        clock.now += 200
        run = Run(dag, NOW + number).go()
        rows = run.xcom("new")
        handed += ids(rows)
    assert handed == made
    assert set(rows[0]) == {field.name for field in fields["refund"]}
    assert rows[0]["amount"] == 100
    assert "/payments?" in (run.link("new", "Open in Stripe") or "")


def test_an_action_is_a_method_and_a_class(dag: DAG, stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the two steps an operator reads a product, with row, link and the refusal of a bad id."""
    scope = dict(vars(hooks))
    exec(f"class Edited(StripeHook):\n{FRAGMENTS['hooks.StripeHook']}", scope)
    shell = dict(vars(operators))
    exec(FRAGMENTS["operators"], shell)
    monkeypatch.setattr(operators, "StripeHook", scope["Edited"])  # the base's execute makes one
    product = stripe.create("product", name="Mug")
    with dag:
        for task_id, product_id in (("get", product), ("bad", "../charges")):
            shell["StripeGetProductOperator"](task_id=task_id, product_id=product_id)
    run = Run(dag, NOW).go()
    assert run.xcom("get")["name"] == "Mug"
    assert set(run.xcom("get")) == {field.name for field in catalog.FIELDS["product"]}
    assert f"/products/{product}" in (run.link("get", "Open in Stripe") or "")
    assert run.state("bad") == "failed"
    assert re.search("product_id must be an id", str(run.errors[0]))
