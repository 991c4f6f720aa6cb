"""What triggers are made of: arguments that survive the database and tell streams apart."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest

from airflow_provider_stripe_lite.sensors import StripeEventSensor, StripeNewObjectSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from airflow_provider_stripe_lite.triggers import StripeEventTrigger, StripeSensorTrigger
from tests.airflow.triggering import ALARM, WATCHER


@pytest.mark.parametrize(
    ("trigger", "kwargs"), [(StripeSensorTrigger, ALARM), (StripeEventTrigger, WATCHER)]
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
    """Every argument but `since` is one of a sensor's, so the two cannot drift apart."""
    sensors = (StripeNewObjectSensor, StripeEventSensor)
    sensor = {name for each in sensors for name in inspect.signature(each).parameters}
    # The sensors call it poke_interval.
    sensor.add("poll_interval")
    assert set(StripeSensorTrigger(**ALARM).serialize()[1]) - {"since"} <= sensor


def test_watchers_with_the_same_arguments_share_a_stream() -> None:
    """The stream's key is that of the arguments: another asset, feed or account has its own."""
    key = StripeEventTrigger(**WATCHER).shared_stream_key()
    assert key == StripeEventTrigger(**WATCHER).shared_stream_key()
    for name, value in (
        ("name", "b"),
        ("feed", "charge"),
        ("stripe_conn_id", "b"),
        ("stripe_account", "acct_2"),
        ("start_from", "beginning"),
    ):
        assert StripeEventTrigger(**(WATCHER | {name: value})).shared_stream_key() != key
