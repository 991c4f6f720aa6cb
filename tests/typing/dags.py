"""DAGs as a user writes them: a type checker must have nothing to say about this file."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, chain, dag, task

from airflow_provider_stripe_lite.assets import stripe_asset
from airflow_provider_stripe_lite.core.resources import FeedName
from airflow_provider_stripe_lite.core.window import Window
from airflow_provider_stripe_lite.errors import StripeError, StripeInputError, StripeNotFoundError
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.operators import (
    StripeCreateCustomerOperator,
    StripeCreateProductOperator,
    StripeGetCustomerOperator,
    StripeUpdateCustomerOperator,
    StripeUpdateProductOperator,
)
from airflow_provider_stripe_lite.retry_policy import StripeRetryPolicy
from airflow_provider_stripe_lite.sensors import (
    StripeEventSensor,
    StripeNewChargeSensor,
    StripeNewCustomerSensor,
    StripeNewInvoiceItemSensor,
    StripeNewObjectSensor,
    StripeNewOrderSensor,
)
from airflow_provider_stripe_lite.testing import FakeStripe
from airflow_provider_stripe_lite.transfers import StripeToObjectStorageOperator

FEEDS: tuple[FeedName, ...] = ("invoice", "subscription", "refund")


def load(window: Window) -> int:
    """Read the objects of a window, one page in memory."""
    rows = 0
    for charge in StripeHook("stripe_eu", stripe_account="acct_1").read(window):
        print(charge["id"], charge["amount"])
        rows += 1
    print(f"{rows} of {window['count']} from {window['created_gte']} to {window['created_lt']}")
    return rows


def report(day: date) -> list[str]:
    """List a range of a feed, and a list that is no feed."""
    hook = StripeHook()
    charges = hook.list(
        "charge",
        created_gte=day,
        created_lt=datetime(2026, 2, 1, tzinfo=UTC),
        parameters={"customer": "cus_1", "expand": ["customer"]},
    )
    total = sum(charge["amount"] for charge in charges)
    refunds = hook.list("refund", created_gte="2026-01-01", created_lt=1_767_312_000, fields=None)
    lines = hook.list("/v1/invoices/in_1/lines", fields=["id", "amount"])
    return [f"{total}", *(refund["id"] for refund in refunds), *(line["id"] for line in lines)]


def look_up(customer_id: str) -> str | None:
    """Use the hook for what no operator does."""
    hook = StripeHook()
    try:
        customer: dict[str, Any] = hook.get_customer(customer_id)
    except StripeNotFoundError as exc:
        print(exc.status, exc.code, exc.request_id)
        return None
    except (StripeError, StripeInputError) as exc:
        raise RuntimeError(str(exc)) from exc
    hook.update_customer(customer_id, metadata={"seen": datetime.now(UTC).isoformat()})
    product = hook.create_product("Tea", active=True, images=["https://example.com/tea.png"])
    hook.update_product(product["id"], name="Green tea", description="")
    made = hook.create_customer(customer_email="a@example.com", idempotency_key="signup-1")
    works, sentence = hook.test_connection()
    print(works, sentence, made["id"])
    body = hook.get_conn().get("/v1/balance").body
    return str(customer["email"] or body["livemode"])


with DAG(
    "charges",
    schedule=timedelta(minutes=10),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
) as charges:
    new = StripeNewChargeSensor(
        task_id="new",
        returns="window",
        start_from="beginning",
        mode="reschedule",
        timeout=3600,
        soft_fail=True,
        retries=3,
    )

    @task(retries=3)
    def store(window: Window) -> int:
        """Store the charges of the window."""
        return load(window)

    store(new.output)
    StripeToObjectStorageOperator(
        task_id="copy", window=new.output, path="s3://lake/{{ run_id }}.jsonl", dest_conn_id="lake"
    )
    for feed in FEEDS:
        StripeToObjectStorageOperator(
            task_id=feed,
            feed=feed,
            path=f"/data/{feed}/{{{{ dag_run.data_interval_start | ds }}}}.jsonl.gz",
            if_empty="skip",
        )
    StripeToObjectStorageOperator.partial(task_id="days", feed="charge").expand_kwargs(
        [{"created_gte": day, "path": f"/data/{day}.jsonl"} for day in ("2026-01-01",)]
    )


with DAG("customers", schedule=None) as customers:
    StripeNewCustomerSensor(
        task_id="customers",
        fields=["id", "email", "metadata.order_ref"],
        start_from=datetime(2026, 1, 1, tzinfo=UTC),
        deferrable=True,
        max_active_tis_per_dag=None,
        cursor_variable="stripe_customers",
    )
    StripeNewOrderSensor(task_id="orders", stripe_conn_id="stripe_old", poke_interval=300)
    StripeNewInvoiceItemSensor(
        task_id="items", poke_interval=timedelta(minutes=5), min_age=120, fields="*"
    )
    StripeNewObjectSensor(
        task_id="payouts",
        feed="payout",
        allow_fast_polling=True,
        poke_interval=30,
        max_active_tis_per_dag=4,
    )
    StripeNewCustomerSensor.partial(task_id="shops", mode="poke").expand(
        stripe_conn_id=["shop_a", "shop_b"]
    )
    StripeNewObjectSensor.partial(task_id="topups", feed="topup").expand(
        stripe_account=["acct_1", "acct_2"]
    )
    StripeNewObjectSensor(task_id="sessions", feed="checkout.session", retry_policy=None)
    StripeNewObjectSensor(task_id="disputes", feed="dispute", start_from=date(2026, 1, 1))
    StripeNewObjectSensor(task_id="refunds", feed="refund", start_from=1_767_225_600)
    StripeEventSensor(task_id="failed", types=["charge.failed", "invoice.payment_failed"])
    changed = StripeEventSensor(
        task_id="changed",
        types=("customer.subscription.*",),
        returns="window",
        deferrable=True,
        poke_interval=timedelta(minutes=5),
    )

    @task
    def renew(window: Window) -> list[str]:
        """Read the events as rows."""
        return [row["object_id"] for row in StripeHook().read(window, fields=None)]

    renew(changed.output)

    create = StripeCreateCustomerOperator(
        task_id="create",
        customer_email="{{ params.email }}",
        metadata={"order_ref": "{{ params.order }}"},
        retries=5,
    )
    get = StripeGetCustomerOperator(task_id="get", customer_id="cus_1", fields="*")
    update = StripeUpdateCustomerOperator(
        task_id="update",
        customer_id=create.output["id"],
        description="",
        stripe_account="acct_1",
        retry_policy=StripeRetryPolicy(),
    )
    chain(create, get, update)
    StripeCreateProductOperator(
        task_id="tea",
        name="Tea",
        product_id="tea",
        active="{{ params.active }}",
        images="https://example.com/1.png, https://example.com/2.png",
        idempotency_key="tea-1",
    )
    StripeUpdateProductOperator(task_id="tea_again", product_id="tea", name="Tea", shippable=True)


SIGNUPS = stripe_asset("signups", feed="customer", poll_interval=300, at_least_every=600)
FAILURES = stripe_asset("failures", types=["charge.failed", "invoice.payment_failed"])


@dag(schedule=[SIGNUPS], catchup=False)
def signups() -> None:
    """Greet each batch of new customers."""

    @task
    def greet(rows: list[dict[str, Any]]) -> list[str]:
        return [row["id"] for row in rows]

    greet(
        StripeNewCustomerSensor(task_id="new", timeout=0, soft_fail=True, outlets=[SIGNUPS]).output
    )


signups()


@dag(schedule=(SIGNUPS | FAILURES), catchup=False)
def failures() -> None:
    """Read what has failed, whoever rings."""

    @task
    def read(window: Window) -> int:
        return sum(1 for _ in StripeHook().read(window))

    read(
        StripeEventSensor(
            task_id="new",
            types=["charge.failed", "invoice.payment_failed"],
            returns="window",
            timeout=0,
            soft_fail=True,
        ).output
    )


failures()


def rehearse() -> None:
    """Try a DAG against the fake."""
    with FakeStripe() as stripe:
        first: str = stripe.add("customer", email="a@example.com", created="2026-01-01T00:00:00Z")
        stripe.delete(first, kind="customer")
        stripe.advance(60)
        print(first, stripe.url, stripe.connection)
