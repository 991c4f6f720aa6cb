"""An operator's arguments from templates and from rows of other tasks."""

from __future__ import annotations

from collections import OrderedDict
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import pytest
from airflow.sdk import DAG, task

from airflow_provider_stripe_lite.operators import (
    StripeApiOperator,
    StripeCreateCustomerOperator,
    StripeCreateProductOperator,
    StripeUpdateCustomerOperator,
    StripeUpdateProductOperator,
)
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.harness import Run
from tests.helpers import NOW, idempotency_keys, posts


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
    assert idempotency_keys(stripe) == [f"key-{run.run_id}"]
    form = dict(posts(stripe)[0].form)
    assert form["metadata[run]"] == form["metadata[caption]"] == run.run_id
    assert (form["description"], form["images[0]"], form["url"]) == (
        "6",
        conf["image"],
        "https://example.com/act",
    )


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


class Tier(StrEnum):
    """A value that has another name."""

    GOLD = "gold"


@pytest.mark.parametrize("native", [False, True])
def test_members_of_enums_and_odd_mappings_are_sent_by_value(
    dag: DAG, stripe: FakeStripe, native: bool
) -> None:
    """Their keys and texts are templates, too."""
    dag.render_template_as_native_obj = native
    metadata = MappingProxyType({"{{ 'k' }}": "{{ 1 + 1 }}", "tier": Tier.GOLD})
    more = OrderedDict({"{{ 'unit' }}_label": Tier.GOLD})
    with dag:
        StripeCreateProductOperator(
            task_id="act", name=Tier.GOLD, metadata=metadata, parameters=more
        )
    assert Run(dag, NOW).go().state() == "success"
    form = dict(posts(stripe)[0].form)
    assert form == {
        "name": "gold",
        "metadata[k]": "2",
        "metadata[tier]": "gold",
        "unit_label": "gold",
    }


@pytest.mark.parametrize("name", ["parameters", "metadata"])
def test_a_missing_value_in_a_text_that_holds_a_mapping_is_refused(
    dag: DAG, stripe: FakeStripe, name: str
) -> None:
    """The whole argument may be one text, which is read as the mapping that it holds."""
    text: Any = '{"order": "{{ none }}"}'
    with dag:
        StripeCreateCustomerOperator(task_id="act", **{name: text})
    (error,) = Run(dag, NOW).go().errors
    assert str(error).startswith(f"{name}[order] is the text 'None'")
    assert stripe.calls == []


def test_results_of_mapped_tasks_are_lists(dag: DAG, stripe: FakeStripe) -> None:
    """This is how Airflow collects them."""
    with dag:

        @task
        def url(number: int) -> str:
            return f"https://a.example/{number}"

        urls = url.expand(number=[1, 2])
        StripeCreateProductOperator(task_id="act", name="Mug", images=urls)
        StripeApiOperator(
            task_id="more",
            method="POST",
            path="/v1/customers",
            parameters={"preferred_locales": urls.map(lambda it: it[-1])},
        )
    assert Run(dag, NOW).go().state() == "success"
    forms = [dict(call.form) for call in posts(stripe)]
    assert {
        "name": "Mug",
        "images[0]": "https://a.example/1",
        "images[1]": "https://a.example/2",
    } in forms
    assert {"preferred_locales[0]": "1", "preferred_locales[1]": "2"} in forms


def test_a_long_name_names_a_mapped_task_as_far_as_airflow_s_column_goes(
    dag: DAG, stripe: FakeStripe
) -> None:
    """250 characters."""
    with dag:
        StripeCreateProductOperator.partial(task_id="act").expand(name=["x" * 300])
    assert Run(dag, NOW).go().names("act") == ["x" * 250]


def test_half_of_a_character_is_refused(dag: DAG, stripe: FakeStripe) -> None:
    """Airflow itself could not keep the rendered field."""
    with dag:
        StripeCreateCustomerOperator(task_id="act", parameters={"email": "{{ '\ud800' }}"})
    (error,) = Run(dag, NOW).go().errors
    assert "half of a character" in str(error)
    assert stripe.calls == []
