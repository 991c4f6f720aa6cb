"""Mistakes as a user makes them, one in each marked line; everything else is correct."""

from __future__ import annotations

from airflow.sdk import DAG, task

from airflow_provider_stripe_lite.assets import stripe_asset
from airflow_provider_stripe_lite.core.window import Window
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.operators import (
    StripeCreateCustomerOperator,
    StripeCreateProductOperator,
    StripeGetCustomerOperator,
    StripeUpdateProductOperator,
)
from airflow_provider_stripe_lite.sensors import (
    StripeEventSensor,
    StripeNewChargeSensor,
    StripeNewCustomerSensor,
    StripeNewObjectSensor,
)
from airflow_provider_stripe_lite.testing import FakeStripe
from airflow_provider_stripe_lite.transfers import StripeToObjectStorageOperator

hook = StripeHook()


def end_of(window: Window) -> str:
    """Tell where a window ends."""
    return window["until"]  # mistake: Window has no such key


with DAG("sensors", schedule=None) as sensors:
    StripeNewObjectSensor(task_id="m1", feed="custommer")  # mistake: a feed's name misspelt
    StripeNewObjectSensor(task_id="m2")  # mistake: no feed
    StripeNewObjectSensor(task_id="m3", feed="charge", returns="row")  # mistake: "rows"
    StripeNewObjectSensor(task_id="m4", feed="charge", max_items="10")  # mistake: a text
    StripeNewObjectSensor(task_id="m5", feed="charge", min_age="60")  # mistake: a text
    StripeNewObjectSensor(task_id="m6", feed="charge", mode="poll")  # mistake: "poke"
    StripeNewChargeSensor(task_id="m7", returns="row")  # mistake: "rows"
    StripeNewChargeSensor(task_id="m8", max_items="10")  # mistake: a text
    StripeNewChargeSensor(task_id="m9", start_from=None)  # mistake: no time
    StripeNewCustomerSensor(task_id="m10", deferrable="yes")  # mistake: a text
    StripeNewCustomerSensor(task_id="m11", stripe_conn_id=None)  # mistake: None
    StripeNewCustomerSensor(task_id="m12", fields=5)  # mistake: a number
    StripeNewCustomerSensor(task_id="m13", max_active_tis_per_dag="1")  # mistake: a text
    StripeEventSensor(task_id="m15")  # mistake: no types
    StripeEventSensor(task_id="m16", types=5)  # mistake: a number
    StripeEventSensor(task_id="m17", types=[5])  # mistake: numbers
    StripeEventSensor(task_id="m18", types=["charge.failed"], returns="row")  # mistake: "rows"
    # No type checker finds this one: whatever else is given goes to Airflow's own class, which
    # refuses it when the file is parsed.
    StripeNewCustomerSensor(task_id="m14", feed="charge")  # mistake: the sensor has its feed

with DAG("files", schedule=None) as files:
    StripeToObjectStorageOperator(task_id="m1", feed="charge")  # mistake: no path
    StripeToObjectStorageOperator(task_id="m2", path="/x.jsonl", feed="bill")  # mistake: no feed
    StripeToObjectStorageOperator(task_id="m3", path="/x.jsonl", window="w")  # mistake: a text

with DAG("operators", schedule=None) as operators:
    StripeGetCustomerOperator(task_id="m1")  # mistake: no customer_id
    StripeGetCustomerOperator(task_id="m2", customer_id=5)  # mistake: a number
    StripeCreateProductOperator(task_id="m3")  # mistake: no name
    StripeCreateProductOperator(task_id="m4", name="Tea", images=5)  # mistake: a number
    StripeUpdateProductOperator(task_id="m5", name="Tea")  # mistake: no product_id
    StripeCreateCustomerOperator(task_id="m6", metadata=["a"])  # mistake: a list
    # Nor this one, for the same reason.
    StripeCreateCustomerOperator(task_id="m7", customer_mail="a@b.c")  # mistake: a name misspelt

stripe_asset("a", types=[5])  # mistake: numbers
stripe_asset("b", feed="charge", at_least_every="1h")  # mistake: a text

with DAG("asset", schedule=[stripe_asset("c", feed="custommer")]) as asset:  # mistake: misspelt

    @task
    def read() -> None:
        """Use the hook."""
        hook.read("window")  # mistake: a text
        hook.list()  # mistake: no feed
        hook.list("charge", created="2026-01-01")  # mistake: created_gte
        hook.list("charge", created_gte=["2026-01-01"])  # mistake: a list
        hook.list("charge", parameters="customer=cus_1")  # mistake: a text
        hook.list("charge", fields=5)  # mistake: a number
        hook.list("charge")[0]  # mistake: an iterator
        hook.get_customer(5)  # mistake: a number
        hook.create_product()  # mistake: no name
        hook.create_customer(email="a@example.com")  # mistake: customer_email

    read()


def rehearse() -> None:
    """Try a DAG against the fake."""
    with FakeStripe() as stripe:
        stripe.add("custmer")  # mistake: a kind misspelt
        stripe.add_many("invoice_item", 3)  # mistake: "invoiceitem"
        stripe.add("charge", created=None, account="acct_1")
        print(stripe.ids("chrage"))  # mistake: a kind misspelt
        print(stripe.objects("orders"))  # mistake: "order"
        stripe.delete("SUMMER", kind="coupons")  # mistake: "coupon"
        stripe.advance("60")  # mistake: a text
