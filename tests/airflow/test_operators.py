"""The five actions as tasks: what they send and return, and that a create is done once."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, task

from airflow_provider_stripe_lite.core.resources import RESOURCES
from airflow_provider_stripe_lite.errors import StripeInputError, StripeNotFoundError
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.operators import (
    StripeCreateCustomerOperator,
    StripeCreateProductOperator,
    StripeGetCustomerOperator,
    StripeUpdateCustomerOperator,
    StripeUpdateProductOperator,
)
from airflow_provider_stripe_lite.testing import DAY, FakeStripe, Request
from tests.conftest import SetConnection
from tests.harness import Run
from tests.helpers import KEY, NOW, Clock

CUSTOMER = {
    "id",
    "account_balance",
    "created",
    "currency",
    "delinquent",
    "description",
    "discount",
    "email",
}
PRODUCT = {
    "id",
    "active",
    "caption",
    "created",
    "description",
    "images",
    "name",
    "shippable",
    "updated",
    "url",
}


def posts(fake: FakeStripe) -> list[Request]:
    """Return the writes that the fake has received."""
    return [request for request in fake.calls if request.method == "POST"]


def keys(fake: FakeStripe) -> list[str]:
    """Return the idempotency keys of the writes."""
    return [request.headers["idempotency-key"] for request in posts(fake)]


# --- What goes out and comes back


def test_create_product_sends_every_parameter(dag: DAG, stripe: FakeStripe) -> None:
    """All parameters reach Stripe under its names; the row has exactly the documented fields."""
    images = [f"https://example.com/{number}.png" for number in range(8)]
    with dag:
        StripeCreateProductOperator(
            task_id="act",
            name="T-shirt",
            product_id="shirt-1",
            active=False,
            caption="Grey",
            description="Cotton",
            images=images,
            shippable=True,
            url="https://example.com/shirt",
            metadata={"sku": "A-1", "n": 3, "new": True},
        )
    row = Run.whole(dag, NOW).xcom("act")
    assert dict(posts(stripe)[0].form) == {
        "id": "shirt-1",
        "name": "T-shirt",
        "active": "false",
        "description": "Cotton",
        "shippable": "true",
        "url": "https://example.com/shirt",
        "metadata[sku]": "A-1",
        "metadata[n]": "3",
        "metadata[new]": "true",
        "metadata[caption]": "Grey",
        **{f"images[{index}]": url for index, url in enumerate(images)},
    }
    assert row.pop("created") == row.pop("updated") == "2026-02-02T02:40:00+00:00"
    assert row == {
        "id": "shirt-1",
        "active": False,
        "caption": "Grey",
        "description": "Cotton",
        "images": images,
        "name": "T-shirt",
        "shippable": True,
        "url": "https://example.com/shirt",
    }


def test_nothing_is_sent_for_what_was_not_given(dag: DAG, stripe: FakeStripe) -> None:
    """Of a product only the name, of a customer nothing; and every row has all its fields."""
    with dag:
        StripeCreateProductOperator(task_id="product", name="Mug")
        StripeCreateCustomerOperator(task_id="customer")
    run = Run(dag, NOW).go()
    assert {request.path: request.form for request in posts(stripe)} == {
        "/v1/products": [("name", "Mug")],
        "/v1/customers": [],
    }
    assert (
        set(run.xcom("product")) == PRODUCT == {field.name for field in RESOURCES["product"].fields}
    )
    assert (
        set(run.xcom("customer"))
        == CUSTOMER
        == {field.name for field in RESOURCES["customer"].fields}
    )


def test_an_update_unsets_by_an_empty_text(dag: DAG, stripe: FakeStripe) -> None:
    """An empty text (or list of images) unsets on an update; what is not given stays."""
    customer = stripe.add(
        "customer", description="Old", email="old@example.com", metadata={"a": "1", "b": "2"}
    )
    product = stripe.add(
        "product",
        description="Old",
        images=["https://example.com/1.png"],
        metadata={"caption": "Old"},
    )
    with dag:
        StripeUpdateCustomerOperator(
            task_id="customer", customer_id=customer, description="", metadata={"a": ""}, fields="*"
        )
        StripeUpdateProductOperator(
            task_id="product", product_id=product, name="New", description="", images=[], caption=""
        )
    run = Run(dag, NOW).go()
    row = run.xcom("customer")
    assert (row["description"], row["email"], row["metadata"]) == (
        None,
        "old@example.com",
        {"b": "2"},
    )
    row = run.xcom("product")
    assert (row["name"], row["description"], row["images"], row["caption"]) == (
        "New",
        None,
        [],
        None,
    )


def test_a_create_leaves_empty_texts_out(dag: DAG, stripe: FakeStripe) -> None:
    """A create has nothing to unset: an empty description or e-mail is as good as none."""
    with dag:
        StripeCreateCustomerOperator(task_id="act", description="", customer_email="", metadata={})
    assert Run(dag, NOW).go().state() == "success"
    assert posts(stripe)[0].form == []


@pytest.mark.parametrize(
    "images",
    [
        ["https://a.example/1.png", "https://a.example/2.png"],
        "https://a.example/1.png,https://a.example/2.png",
        "https://a.example/1.png\nhttps://a.example/2.png\n",
    ],
)
def test_images_are_a_list_or_a_text(dag: DAG, stripe: FakeStripe, images: Any) -> None:
    """Commas or line ends may stand between the URLs of a text."""
    with dag:
        StripeCreateProductOperator(task_id="act", name="Mug", images=images)
    assert Run(dag, NOW).go().xcom("act")["images"] == [
        "https://a.example/1.png",
        "https://a.example/2.png",
    ]


@pytest.mark.parametrize(
    ("version", "sent"),
    [
        ("2019-10-08", {"caption": "Grey", "type": "good"}),
        ("2020-08-27", {"caption": "Grey"}),
        ("2022-08-01", {"metadata[caption]": "Grey"}),
        ("2026-05-27.dahlia", {"metadata[caption]": "Grey"}),
    ],
)
def test_the_caption_travels_as_the_api_version_allows(
    dag: DAG, fake: FakeStripe, set_connection: SetConnection, version: str, sent: dict[str, str]
) -> None:
    """Natively up to 2020-08-27, in the metadata after it; rows and updates have it in any case."""
    set_connection(extra={"api_version": version})
    with dag:
        create = StripeCreateProductOperator(task_id="create", name="Shirt", caption="Grey")
        StripeUpdateProductOperator(
            task_id="update", product_id=create.output["id"], name="Shirt", caption="Blue"
        )
    run = Run(dag, NOW).go()
    assert dict(posts(fake)[0].form) == {"name": "Shirt"} | sent
    assert run.xcom("create")["caption"] == "Grey"
    assert run.xcom("update")["caption"] == "Blue"
    assert posts(fake)[0].headers["stripe-version"] == version


def test_a_deleted_customer_is_an_error(dag: DAG, stripe: FakeStripe) -> None:
    """Stripe answers 200 for it; the task says what it is, names it, and is not retried."""
    gone = stripe.add("customer")
    stripe.delete(gone)
    with dag:
        StripeGetCustomerOperator(task_id="act", customer_id=gone, retries=2)
    run = Run(dag, NOW).go()
    assert run.state("act") == "failed"
    (error,) = run.errors
    assert isinstance(error, StripeNotFoundError)
    assert f"{gone} has been deleted" in str(error)


def test_a_customer_that_never_was_is_an_error(dag: DAG, stripe: FakeStripe) -> None:
    """Stripe's own words and the request's number are passed on."""
    with dag:
        StripeGetCustomerOperator(task_id="act", customer_id="cus_none")
    (error,) = Run(dag, NOW).go().errors
    assert isinstance(error, StripeNotFoundError)
    assert "No such customer: 'cus_none'" in str(error)
    assert error.request_id in str(error)


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        (None, CUSTOMER),
        (["id", "metadata.order_ref"], {"id", "metadata"}),
        (("email",), {"email"}),
    ],
)
def test_fields_choose_what_the_row_has(
    dag: DAG, stripe: FakeStripe, fields: Any, keys: set[str]
) -> None:
    """The documented fields, or those that are named."""
    made = stripe.add("customer", metadata={"order_ref": "A-1"})
    with dag:
        StripeGetCustomerOperator(task_id="act", customer_id=made, fields=fields)
    row = Run(dag, NOW).go().xcom("act")
    assert set(row) == keys
    assert row.get("metadata", {"order_ref": "A-1"}) == {"order_ref": "A-1"}


def test_a_value_can_be_unset_in_every_template_engine(dag: DAG, stripe: FakeStripe) -> None:
    """A template that renders to an empty text unsets, too."""
    made = stripe.add("customer", description="Old", email="old@example.com")
    with dag:
        StripeUpdateCustomerOperator(
            task_id="act", customer_id=made, description="{{ '' }}", customer_email="{{ '' }}"
        )
    row = Run(dag, NOW).go().xcom("act")
    assert (row["description"], row["email"]) == (None, None)


def test_everything_is_templated(dag: DAG, stripe: FakeStripe) -> None:
    """Every argument can be a template, also inside lists and mappings."""
    made = stripe.add("product")
    with dag:
        StripeUpdateProductOperator(
            task_id="act",
            stripe_conn_id="{{ 'stripe' }}_default",
            product_id="{{ dag_run.conf.id }}",
            name="{{ dag_run.conf.name }}",
            active="{{ dag_run.conf.active }}",
            shippable="{{ 1 == 2 }}",
            caption="{{ run_id }}",
            description="{{ 2 * 3 }}",
            images=["{{ dag_run.conf.image }}"],
            url="https://example.com/{{ task.task_id }}",
            metadata={"run": "{{ run_id }}"},
            fields=["{{ 'name' }}", "active", "shippable"],
            idempotency_key="key-{{ run_id }}",
        )
    conf = {"id": made, "name": "Mug", "active": True, "image": "https://example.com/mug.png"}
    run = Run(dag, NOW, conf=conf).go()
    assert run.xcom("act") == {"name": "Mug", "active": True, "shippable": False}
    assert keys(stripe) == [f"key-{run.run_id}"]
    form = dict(posts(stripe)[0].form)
    assert form["metadata[run]"] == form["metadata[caption]"] == run.run_id
    assert (form["description"], form["images[0]"], form["url"]) == (
        "6",
        conf["image"],
        "https://example.com/act",
    )


@pytest.mark.parametrize(
    ("operator", "arguments"),
    [
        (StripeCreateProductOperator, {"name": "Mug"}),
        (StripeUpdateProductOperator, {"product_id": "prod_1", "name": "Mug"}),
        (StripeGetCustomerOperator, {"customer_id": "cus_1"}),
        (StripeCreateCustomerOperator, {"description": "Jenny"}),
        (StripeUpdateCustomerOperator, {"customer_id": "cus_1", "description": "Jenny"}),
    ],
)
def test_an_operator_acts_for_a_connected_account(
    dag: DAG,
    fake: FakeStripe,
    set_connection: SetConnection,
    operator: type[Any],
    arguments: dict[str, Any],
) -> None:
    """stripe_account, which may be a template, wins over the connection's in every request."""
    set_connection(extra={"stripe_account": "acct_1"})
    fake.add("product", id="prod_1", account="acct_2")
    fake.add("customer", id="cus_1", account="acct_2")
    with dag:
        operator(task_id="act", stripe_account="{{ dag_run.conf.account }}", **arguments)
    run = Run(dag, NOW, conf={"account": "acct_2"}).go()
    assert run.state("act") == "success"
    assert run.rendered("act")["stripe_account"] == "acct_2"
    assert [call.headers["stripe-account"] for call in fake.calls] == ["acct_2"]
    assert "/acct_2/" in str(run.link("act", "Open in Stripe"))


def test_without_an_account_the_connection_s_counts(
    dag: DAG, fake: FakeStripe, set_connection: SetConnection
) -> None:
    """stripe_account=None leaves the connection's as it is."""
    set_connection(extra={"stripe_account": "acct_1"})
    with dag:
        StripeCreateCustomerOperator(task_id="act")
    assert Run(dag, NOW).go().xcom("act")["id"] in fake.ids("customer", account="acct_1")


def test_rows_of_other_tasks_are_arguments(dag: DAG, stripe: FakeStripe) -> None:
    """XComArgs keep their types: numbers, flags, lists and mappings arrive as what they are."""
    dag.render_template_as_native_obj = True
    with dag:

        @task
        def row() -> dict[str, Any]:
            return {
                "active": False,
                "images": ["https://example.com/1.png"],
                "metadata": {"n": 7, "yes": True},
            }

        made = row()
        StripeCreateProductOperator(
            task_id="act",
            name="Mug",
            active=made["active"],
            images=made["images"],
            metadata=made["metadata"],
            shippable="{{ ti.xcom_pull(task_ids='row')['active'] }}",
        )
    run = Run(dag, NOW).go()
    assert run.state() == "success"
    assert dict(posts(stripe)[0].form) == {
        "name": "Mug",
        "active": "false",
        "images[0]": "https://example.com/1.png",
        "shippable": "false",
        "metadata[n]": "7",
        "metadata[yes]": "true",
    }


def test_a_missing_connection_is_named(dag: DAG, stripe: FakeStripe) -> None:
    """The error says which connection is not there."""
    with dag:
        StripeGetCustomerOperator(task_id="act", customer_id="cus_1", stripe_conn_id="nowhere")
    (error,) = Run(dag, NOW).go().errors
    assert "nowhere" in str(error)
    assert stripe.calls == []


# --- A create is done once


@pytest.mark.parametrize("operator", [StripeCreateProductOperator, StripeCreateCustomerOperator])
def test_a_worker_that_dies_after_the_answer_makes_one_object(
    dag: DAG, stripe: FakeStripe, operator: type[Any], tmp_path: Any
) -> None:
    """A task dies when Stripe has the object and Airflow does not know: the retry returns it."""
    died = []

    def post_execute(context: Any, result: Any = None) -> None:
        died.append(result["id"])
        if len(died) == 1:
            raise RuntimeError("killed")

    name = {"name": "Mug"} if operator is StripeCreateProductOperator else {"description": "Jenny"}
    with dag:
        operator(task_id="act", retries=1, post_execute=post_execute, **name)
    run = Run(dag, NOW).go()
    assert run.state("act") == "success"
    assert died == [run.xcom("act")["id"]] * 2
    assert len(stripe.ids(operator.action.resource)) == 1


def test_an_answer_that_is_lost_makes_one_object(dag: DAG, stripe: FakeStripe) -> None:
    """The connection drops after Stripe has executed: the client gets it under the same key."""
    with dag:
        StripeCreateCustomerOperator(task_id="act", description="Jenny", retries=1)
    stripe.fault(method="POST", drop=True)
    run = Run(dag, NOW).go()
    assert run.state("act") == "success"
    assert len(set(keys(stripe))) == 1
    # The client has tried again by itself.
    assert len(posts(stripe)) == 2
    assert stripe.ids("customer") == [run.xcom("act")["id"]]


def test_a_retry_and_a_clear_have_the_same_key(
    dag: DAG, fake: FakeStripe, set_connection: SetConnection
) -> None:
    """The key knows nothing of tries, so a task without an answer makes one object in the end."""
    set_connection(extra={"timeout": 1})
    with dag:
        StripeCreateCustomerOperator(task_id="act", description="Jenny")
    run = Run(dag, NOW)
    # The server error is not kept by the key (nothing was executed), and Stripe says that a retry
    # is of no use.
    fake.fault(method="POST", status=503, headers={"Stripe-Should-Retry": "false"})
    assert run.go().state("act") == "failed"
    fake.fault(method="POST", drop=True)
    assert run.clear("act").go().state("act") == "success"
    assert len(posts(fake)) == 3
    assert len(set(keys(fake))) == 1
    assert len(fake.ids("customer")) == 1


def test_a_clear_days_later_makes_no_second_object(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Stripe forgets a key after 24 hours, the task's own state does not: a clear reads it."""
    with dag:
        StripeCreateCustomerOperator(task_id="act", description="Jenny")
    run = Run(dag, NOW).go()
    clock.now += 3 * DAY
    before = run.xcom("act")
    assert run.clear("act").go().xcom("act") == before
    assert len(posts(stripe)) == 1
    assert stripe.ids("customer") == [before["id"]]


def test_a_clear_after_the_object_was_deleted_says_so(dag: DAG, stripe: FakeStripe) -> None:
    """The object is not made again behind one's back; the error says how to make another one."""
    with dag:
        StripeCreateCustomerOperator(task_id="act", description="Jenny")
    run = Run(dag, NOW).go()
    stripe.delete(run.xcom("act")["id"])
    assert run.clear("act").go().state("act") == "failed"
    assert "pass a new idempotency_key" in str(run.errors[-1])


def test_other_parameters_are_another_object(dag: DAG, stripe: FakeStripe) -> None:
    """A cleared task whose parameters have changed creates what they now say."""
    description = ["Jenny"]
    dag.user_defined_macros = {"description": lambda: description[-1]}
    with dag:
        StripeCreateCustomerOperator(task_id="act", description="{{ description() }}")
    run = Run(dag, NOW).go()
    description.append("Rosen")
    run.clear("act").go()
    assert len(set(keys(stripe))) == 2
    assert len(stripe.ids("customer")) == 2
    description.append("Jenny")
    assert run.clear("act").go().state("act") == "success"
    # This is the first one again: Stripe has kept its key.
    assert len(stripe.ids("customer")) == 2


def test_every_run_task_index_and_account_has_its_own_key(
    dag: DAG, fake: FakeStripe, set_connection: SetConnection
) -> None:
    """Two runs, two tasks, two map indexes and two accounts are eight objects, not one."""
    set_connection()
    set_connection("second", extra={"stripe_account": "acct_2"})
    with dag:
        for number in range(2):
            StripeCreateCustomerOperator.partial(
                task_id=f"act_{number}", description="Jenny"
            ).expand(stripe_conn_id=["stripe_default", "second"])
        StripeCreateCustomerOperator.partial(task_id="mapped").expand(
            customer_email=["a@b.example", "a@b.example"]
        )
    for number in range(2):
        assert Run(dag, NOW + number).go().state() == "success"
    assert len(set(keys(fake))) == len(keys(fake)) == 12
    assert len(fake.ids("customer")) == 8
    assert len(fake.ids("customer", account="acct_2")) == 4


def test_a_key_of_one_s_own(dag: DAG, stripe: FakeStripe) -> None:
    """idempotency_key replaces the made one: two runs with the same one make one object."""
    with dag:
        StripeCreateCustomerOperator(
            task_id="act", description="Jenny", idempotency_key="order-{{ 6 * 7 }}"
        )
    for number in range(2):
        assert Run(dag, NOW + number).go().state() == "success"
    assert keys(stripe) == ["order-42"] * 2
    assert len(stripe.ids("customer")) == 1


def test_an_update_is_applied_every_time(dag: DAG, stripe: FakeStripe) -> None:
    """A cleared update has a fresh key, or Stripe would repeat its answer and change nothing."""
    made = stripe.add("customer")
    with dag:
        StripeUpdateCustomerOperator(task_id="act", customer_id=made, description="Jenny")
    run = Run(dag, NOW).go()
    StripeHook().update_customer(made, description="Changed by hand")
    assert run.clear("act").go().xcom("act")["description"] == "Jenny"
    assert len(set(keys(stripe))) == 3


def test_an_update_s_own_retries_share_a_key(dag: DAG, stripe: FakeStripe) -> None:
    """In one execution the key stays: a lost answer is repeated, and the update applied once."""
    made = stripe.add("customer")
    stripe.fault(method="POST", drop=True)
    with dag:
        StripeUpdateCustomerOperator(task_id="act", customer_id=made, description="Jenny")
    assert Run(dag, NOW).go().state("act") == "success"
    assert len(keys(stripe)) == 2
    assert len(set(keys(stripe))) == 1


def test_the_key_does_not_depend_on_the_order_of_metadata(dag: DAG, stripe: FakeStripe) -> None:
    """The same mapping in another order is the same create."""
    metadata = [{"a": "1", "b": "2"}, {"b": "2", "a": "1"}]
    with dag:
        act = StripeCreateCustomerOperator(task_id="act", metadata=metadata[0], retries=0)
    run = Run(dag, NOW)
    stripe.fault(method="POST", status=503, headers={"Stripe-Should-Retry": "false"})
    run.go()
    act.metadata = metadata[1]
    assert run.clear("act").go().state("act") == "success"
    assert len(set(keys(stripe))) == 1


# --- Links


@pytest.mark.parametrize(
    ("fields", "page"),
    [
        ({"password": KEY}, "https://dashboard.stripe.com/test/"),
        ({"password": KEY.replace("test", "live")}, "https://dashboard.stripe.com/"),
        (
            {"extra": {"stripe_account": "acct_1A2b"}},
            "https://dashboard.stripe.com/acct_1A2b/test/",
        ),
    ],
)
def test_links_open_the_object_and_the_request(
    dag: DAG, fake: FakeStripe, set_connection: SetConnection, fields: dict[str, Any], page: str
) -> None:
    """The customer or product, and the task's request, in the connection's mode and account."""
    set_connection(**fields)
    with dag:
        StripeCreateCustomerOperator(task_id="customer")
        StripeCreateProductOperator(task_id="product", name="Mug", product_id="mug 1")
    run = Run(dag, NOW).go()
    assert run.link("customer", "Open in Stripe") == f"{page}customers/{run.xcom('customer')['id']}"
    assert run.link("product", "Open in Stripe") == f"{page}products/mug%201"
    request = next(request for request in fake.calls if request.path == "/v1/customers")
    assert run.link("customer", "Stripe request log") == f"{page}logs/{request.request_id}"


def test_a_failed_task_links_to_its_request(dag: DAG, stripe: FakeStripe) -> None:
    """Where Stripe has refused, the log link shows the request; there is no object to open."""
    with dag:
        StripeGetCustomerOperator(task_id="act", customer_id="cus_none")
    run = Run(dag, NOW).go()
    assert stripe.calls[0].request_id in run.link("act", "Stripe request log")
    assert not run.link("act", "Open in Stripe")


def test_bad_input_is_not_retried(dag: DAG, stripe: FakeStripe) -> None:
    """What cannot succeed fails at once, whatever `retries` says, and nothing is sent."""
    with dag:
        StripeCreateProductOperator(task_id="act", name="", retries=3)
    run = Run(dag, NOW).go()
    assert run.state("act") == "failed"
    assert [type(error) for error in run.errors] == [StripeInputError]
    assert stripe.calls == []
