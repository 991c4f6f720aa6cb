"""What a DAG file may say of a sensor, and what is refused as soon as it is read."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite._sensor import StripeFeedSensor
from airflow_provider_stripe_lite.core.resources import RESOURCES
from airflow_provider_stripe_lite.errors import StripeInputError
from airflow_provider_stripe_lite.sensors import (
    StripeEventSensor,
    StripeNewChargeSensor,
    StripeNewCustomerSensor,
    StripeNewInvoiceItemSensor,
    StripeNewObjectSensor,
    StripeNewOrderSensor,
)
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.airflow.streams import new_customers
from tests.harness import Run, register
from tests.helpers import NOW


@pytest.mark.parametrize(
    "sensor",
    [
        StripeNewCustomerSensor,
        StripeNewOrderSensor,
        StripeNewChargeSensor,
        StripeNewInvoiceItemSensor,
    ],
)
def test_a_named_sensor_takes_no_feed(dag: DAG, sensor: type[StripeFeedSensor]) -> None:
    """Its name says the feed: another one is an error of the DAG file, in Airflow's own words."""
    with dag, pytest.raises(TypeError, match=rf"(?s){sensor.__name__}.*feed"):
        sensor(task_id="new", feed="payout")
    with dag, pytest.raises(TypeError, match="feed"):
        sensor.partial(task_id="new", feed="payout")


@pytest.mark.parametrize("feed", ["customers", "invoice_item", "price", "", None, 5, ["charge"]])
def test_an_unknown_feed_is_refused_in_the_dag_file(dag: DAG, feed: Any) -> None:
    """The sentence says what a feed is, and names those that are meant most likely."""
    with dag, pytest.raises(StripeInputError, match=r"^feed must be one of the \d+ names") as no:
        StripeNewObjectSensor(task_id="new", feed=feed)
    named = set(re.findall(r"[\w.]+", str(no.value).split("such as ")[1].split(", got")[0]))
    assert named
    assert named <= set(RESOURCES)
    assert repr(feed) in str(no.value)


@pytest.mark.parametrize(
    ("feed", "meant"),
    [("customers", "customer"), ("invoice_item", "invoiceitem"), ("payouts", "payout")],
)
def test_a_feed_that_is_nearly_one_is_named(feed: Any, meant: str) -> None:
    """Whoever writes a feed as 0.1 did, or as a plural, reads the right name."""
    with pytest.raises(StripeInputError, match=rf"such as [\w., ]*\b{meant}\b"):
        StripeNewObjectSensor(task_id="new", feed=feed)


def test_polls_are_two_minutes_apart_unless_told_otherwise() -> None:
    """120 s is the default and the least, as every poll is one of the reads that Stripe allots."""
    assert StripeNewCustomerSensor(task_id="new").poke_interval == 120
    assert (
        StripeNewCustomerSensor(task_id="new", poke_interval=timedelta(minutes=5)).poke_interval
        == 300
    )
    with pytest.raises(StripeInputError, match="allow_fast_polling=True"):
        StripeNewCustomerSensor(task_id="new", poke_interval=119)
    with pytest.raises(StripeInputError, match="poke_interval is 60 s, less than 120"):
        StripeNewCustomerSensor(task_id="new", poke_interval=timedelta(minutes=1))
    fast = StripeNewCustomerSensor(task_id="new", poke_interval=1, allow_fast_polling=True)
    assert fast.poke_interval == 1


def test_a_sensor_gives_its_worker_back_unless_told_otherwise() -> None:
    """mode="reschedule" is the default; a deferrable one ends its process, too."""
    assert StripeNewCustomerSensor(task_id="new").mode == "reschedule"
    assert StripeNewCustomerSensor(task_id="new", mode="poke").mode == "poke"
    assert StripeNewCustomerSensor(task_id="new", mode="poke", deferrable=True).mode == "reschedule"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cursor_variable": "cursor_{{ none }}"}, "cursor_variable holds"),
        ({"stripe_account": "{{ none }}"}, "stripe_account is"),
        ({"fields": ["id", "{{ none }}"]}, "fields[1] is"),
    ],
)
def test_a_template_without_a_value_is_refused(
    dag: DAG, stripe: FakeStripe, options: dict[str, Any], words: str
) -> None:
    """Another cursor would be meant, or another account; nothing is asked."""
    (error,) = Run(new_customers(dag, **options), NOW).go().errors
    assert str(error).startswith(f"{words} the text 'None', which a template makes")
    assert stripe.calls == []


# --- How many runs look at the same time


SENSORS: list[tuple[Any, dict[str, Any]]] = [
    (StripeNewCustomerSensor, {}),
    (StripeNewObjectSensor, {"feed": "payout"}),
    (StripeEventSensor, {"types": ["charge.failed"]}),
]


@pytest.mark.parametrize(("sensor", "options"), SENSORS)
def test_one_run_looks_at_a_time_unless_its_author_says_another_number(
    database: None, sensor: Any, options: dict[str, Any]
) -> None:
    """The scheduler sees it in the serialized DAG; None is no limit, default_args count."""
    with DAG("limits", schedule=None) as dag:
        sensor(task_id="usual", **options)
        sensor(task_id="four", max_active_tis_per_dag=4, **options)
        sensor(task_id="free", max_active_tis_per_dag=None, **options)
    assert limits(dag) == {"usual": 1, "four": 4, "free": None}
    with DAG("limits", schedule=None, default_args={"max_active_tis_per_dag": 8}) as dag:
        sensor(task_id="usual", **options)
        sensor(task_id="four", max_active_tis_per_dag=4, **options)
    assert limits(dag) == {"usual": 8, "four": 4}


@pytest.mark.parametrize(("sensor", "options"), SENSORS)
def test_the_indexes_of_a_mapped_sensor_look_side_by_side(
    database: None, sensor: Any, options: dict[str, Any]
) -> None:
    """Each of them counts for Airflow, and each is a stream of its own: there is no limit."""
    with DAG("mapped_limits", schedule=None) as dag:
        shops = {"stripe_conn_id": ["shop_a", "shop_b"]}
        sensor.partial(task_id="usual", **options).expand(**shops)
        sensor.partial(task_id="four", max_active_tis_per_dag=4, **options).expand(**shops)
    assert limits(dag) == {"usual": None, "four": 4}


def limits(dag: DAG) -> dict[str, int | None]:
    """Return the limit of each task, as the scheduler knows it."""
    return {name: task.max_active_tis_per_dag for name, task in register(dag).task_dict.items()}
