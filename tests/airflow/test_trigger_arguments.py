"""What triggers are made of: arguments that survive the database and tell triggers apart."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
from airflow.triggers.base import BaseEventTrigger

from airflow_provider_stripe_lite.assets import stripe_asset
from airflow_provider_stripe_lite.sensors import StripeEventSensor, StripeNewObjectSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from airflow_provider_stripe_lite.triggers import StripeEventTrigger, StripeSensorTrigger
from tests.airflow.triggering import ALARM, BELL
from tests.helpers import Clock


@pytest.mark.parametrize(
    ("trigger", "kwargs"),
    [
        (StripeSensorTrigger, ALARM),
        (StripeSensorTrigger, ALARM | {"feed": "event", "types": ["a.b"], "deadline": 1.5}),
        (StripeEventTrigger, BELL),
        (StripeEventTrigger, BELL | {"feed": "event", "types": ["a.b"]}),
    ],
)
def test_a_trigger_survives_the_database(trigger: Any, kwargs: dict[str, Any]) -> None:
    """Path and arguments are JSON and make the same trigger again; no other argument is taken."""
    path, arguments = trigger(**kwargs).serialize()
    assert path == f"{trigger.__module__}.{trigger.__qualname__}"
    assert arguments == kwargs == json.loads(json.dumps(arguments))
    assert trigger(**arguments).serialize() == (path, arguments)
    with pytest.raises(TypeError):
        trigger(**kwargs, unknown=1)


def test_what_matters_to_the_look_is_the_sensor_s(stripe: FakeStripe) -> None:
    """Every other argument is one of a sensor's, so the two cannot drift apart."""
    sensors = (StripeNewObjectSensor, StripeEventSensor)
    sensor = {name for each in sensors for name in inspect.signature(each).parameters}
    # The sensors call it poke_interval.
    sensor.add("poll_interval")
    assert set(StripeSensorTrigger(**ALARM).serialize()[1]) - {"since", "deadline"} <= sensor


def test_what_matters_to_a_bell_is_the_asset_s() -> None:
    """Every argument is one of `stripe_asset`, with the same default."""
    asset = inspect.signature(stripe_asset).parameters
    bell = inspect.signature(StripeEventTrigger).parameters
    assert set(asset) - set(bell) == {"name", "allow_fast_polling"}
    assert {name for name in bell if bell[name].default != asset[name].default} == {"feed"}


def test_a_bell_is_one_trigger_at_every_parse(clock: Clock) -> None:
    """Airflow compares triggers by these: neither the time nor the order of types is in them."""
    hashes = set()
    for types in (["a.b", "c.d"], ["c.d", "a.b", "c.d"]):
        (watcher,) = stripe_asset("changes", types=types).watchers
        hashes.add(BaseEventTrigger.hash(*watcher.trigger.serialize()))
        clock.now += 1000
    assert len(hashes) == 1


def test_a_bell_is_on_no_shared_stream() -> None:
    """Airflow runs it by itself, in every version alike: its own run() is what rings."""
    own = set(vars(StripeEventTrigger))
    assert {"run", "serialize"} <= own
    assert not {name for name in own if "shared" in name}
    assert inspect.isasyncgenfunction(StripeEventTrigger.run)
    assert getattr(StripeEventTrigger(**BELL), "shared_stream_key", lambda: None)() is None
