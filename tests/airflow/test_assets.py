"""An asset and its bell, and what a sensor takes from the events that started its run."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.asset import AssetModel
from airflow.models.dagwarning import DagWarning
from airflow.sdk import DAG
from airflow.sdk.execution_time.comms import AssetEventDagRunReferenceResult
from airflow.sdk.execution_time.context import TriggeringAssetEventsAccessor
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_provider_stripe_lite._asset_event import payload, since_of_events
from airflow_provider_stripe_lite.assets import stripe_asset
from airflow_provider_stripe_lite.errors import StripeInputError
from airflow_provider_stripe_lite.triggers import StripeEventTrigger
from tests.airflow.triggering import BELL
from tests.harness import arguments_of, register
from tests.helpers import NOW

STREAM: dict[str, Any] = {
    "feed": "event",
    "types": ["charge.failed", "charge.refunded"],
    "stripe_conn_id": "stripe_default",
    "stripe_account": None,
}


# --- The asset


def test_an_asset_and_its_bell_are_made_together() -> None:
    """stripe_asset names the asset, puts it in a group, and says what is watched."""
    asset = stripe_asset("customers", feed="customer")
    (watcher,) = asset.watchers
    assert (asset.name, asset.group) == ("customers", "stripe")
    stream = {"feed": "customer", "stripe_conn_id": "stripe_default", "stripe_account": None}
    assert asset.extra == stream
    assert arguments_of(watcher) == BELL | {"poll_interval": 120}


def test_an_asset_of_types_is_one_of_events() -> None:
    """As StripeEventSensor is; the order in which they are given says nothing."""
    asset = stripe_asset("changes", types=["charge.refunded", "charge.failed"])
    assert asset.extra == STREAM
    assert arguments_of(asset.watchers[0]).items() >= STREAM.items()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "either a feed, .* or types, .* got feed=None and types=None"),
        ({"feed": "event", "types": ["charge.failed"]}, "either a feed, .* or types"),
        ({"feed": "customers"}, r"feed must be one of the \d+ names .*\bcustomer\b"),
        ({"types": []}, "types must be a list of 1 to 20"),
        ({"types": "charge.failed"}, "types must be a list of 1 to 20"),
        ({"feed": "customer", "min_age": -1}, "min_age must be a whole number"),
        ({"feed": "customer", "poll_interval": 119}, "119 s, less than 120: .*allow_fast_polling"),
        (
            {"feed": "customer", "poll_interval": 600, "at_least_every": 599},
            "at_least_every must be no less than poll_interval, 600 s, .* got 599",
        ),
        *(
            ({"feed": "customer", "allow_fast_polling": True, name: value}, f"{name} must be a pos")
            for name in ("poll_interval", "at_least_every")
            for value in (0, -1, True, float("nan"), float("inf"), "120", None)
        ),
    ],
)
def test_a_bad_asset_is_refused_where_it_is_made(arguments: dict[str, Any], words: str) -> None:
    """In the DAG file, not in the triggerer, where nobody looks."""
    with pytest.raises(StripeInputError, match=words):
        stripe_asset("customers", **arguments)


def test_a_bell_may_look_fast_where_that_is_meant() -> None:
    """allow_fast_polling lets a short interval through."""
    asset = stripe_asset("customers", feed="customer", poll_interval=0.5, allow_fast_polling=True)
    assert arguments_of(asset.watchers[0])["poll_interval"] == 0.5


def test_airflow_warns_of_two_bells_of_one_name(database: None) -> None:
    """One of them is activated, and the warning of the other names both."""
    first = stripe_asset("rivals", feed="customer")
    other = stripe_asset("rivals", feed="charge")
    for number, asset in enumerate((first, first, other)):
        register(DAG(f"rivals_{number}", schedule=[asset]))
    with create_session() as session:
        SchedulerJobRunner.__new__(SchedulerJobRunner)._update_asset_orphanage(session=session)
        session.flush()
        known = session.scalars(select(AssetModel).where(AssetModel.name == "rivals"))
        active = {asset.uri: asset.active is not None for asset in known}
        warnings = {
            warning.dag_id: warning.message
            for warning in session.scalars(select(DagWarning))
            if warning.dag_id.startswith("rivals")
        }
    assert active == {first.uri: True, other.uri: False}
    assert set(warnings) == {"rivals_2"}
    assert "stripe://customer/" in warnings["rivals_2"]
    assert "stripe://charge/" in warnings["rivals_2"]


def test_two_names_are_two_bells_whatever_they_share(database: None) -> None:
    """Airflow wants names and addresses to be unique, so that the address has the name in it."""
    both = [stripe_asset(f"twins of {team}", feed="customer") for team in ("a", "b/ü")]
    for number, asset in enumerate(both):
        register(DAG(f"twins_{number}", schedule=[asset]))
    with create_session() as session:
        SchedulerJobRunner.__new__(SchedulerJobRunner)._update_asset_orphanage(session=session)
        session.flush()
        known = session.scalars(select(AssetModel).where(AssetModel.name.startswith("twins")))
        assert {asset.uri: asset.active is not None for asset in known} == {
            asset.uri: True for asset in both
        }


# --- What a sensor takes from events


def said(since: int, **stream: Any) -> dict[str, Any]:
    """Return what a bell says, as JSON brings it back."""
    bell = StripeEventTrigger(**STREAM | stream)
    back: dict[str, Any] = json.loads(json.dumps(payload(bell, since, "evt_1", None)))
    return back


def since_of(*extras: Any, **stream: Any) -> int | None:
    """Return what a sensor takes from events with these extras."""
    events = [SimpleNamespace(extra=extra) for extra in extras]
    context: Any = {"triggering_asset_events": {"a": events[:1], "b": events[1:]}}
    return since_of_events(context, **STREAM | stream)


def test_the_latest_event_counts() -> None:
    """Airflow gives the first run of a DAG all events of the time when it was paused."""
    extras = [{"payload": said(second)} for second in (NOW, NOW + 7, NOW + 3)]
    assert since_of(*extras) == NOW + 7
    assert since_of(extras[0]) == NOW


@pytest.mark.parametrize(
    "other",
    [
        {"feed": "charge", "types": None},
        {"types": ["charge.failed"]},
        {"types": None},
        {"stripe_conn_id": "other"},
        {"stripe_account": "acct_1"},
    ],
)
def test_an_event_of_another_stream_does_not_count(other: dict[str, Any]) -> None:
    """Feed, types, connection and account of sensor and bell must agree."""
    later = {"payload": said(NOW + 9, **other)}
    assert since_of(later) is None
    assert since_of(later, {"payload": said(NOW)}) == NOW
    assert since_of(later, {"payload": said(NOW)}, **other) == NOW + 9


def test_types_agree_in_any_order_and_no_account_is_an_empty_one() -> None:
    """A template gives an empty text where there is no account."""
    types = ["charge.refunded", "charge.failed", "charge.failed"]
    assert since_of({"payload": said(NOW)}, types=types, stripe_account="") == NOW
    assert since_of({"payload": said(NOW, types=types, stripe_account="")}) == NOW


@pytest.mark.parametrize(
    "extra",
    [
        None,
        [],
        {},
        {"payload": None},
        {"payload": "text"},
        {"payload": [1]},
        {"payload": STREAM},
        {"payload": {"since": NOW}},
        *({"payload": {**STREAM, "since": since}} for since in (None, "soon", -1, [], {})),
        *({"payload": {**said(NOW), "types": types}} for types in (7, "charge.failed", [{}], {})),
    ],
)
def test_what_another_event_says_disturbs_nobody(extra: Any) -> None:
    """Events of other assets, and those made by hand, may say anything."""
    assert since_of(extra) is None
    assert since_of(extra, {"payload": said(NOW)}) == NOW


@pytest.mark.parametrize("events", [{}, {"triggering_asset_events": None}])
def test_a_run_that_no_event_has_started(events: dict[str, Any]) -> None:
    """It has none, or Airflow says nothing of them."""
    assert since_of_events(cast("Any", events), **STREAM) is None


def test_an_event_comes_as_airflow_gives_it() -> None:
    """The payload stands in the extra of what the context of a task holds."""
    asset = stripe_asset("changes", types=STREAM["types"])
    event = AssetEventDagRunReferenceResult.model_validate(
        {
            "asset": {"name": asset.name, "uri": asset.uri, "extra": asset.extra},
            "extra": {"from_trigger": True, "payload": said(NOW)},
            "source_task_id": None,
            "source_dag_id": None,
            "source_run_id": None,
            "source_map_index": None,
            "source_aliases": [],
            "timestamp": datetime.now(UTC),
        }
    )
    context: Any = {"triggering_asset_events": TriggeringAssetEventsAccessor.build([event])}
    assert since_of_events(context, **STREAM) == NOW
    assert context["triggering_asset_events"][asset] == [event]
