"""The arguments of an action become Stripe's parameters; what is not given is not sent."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID

import pytest

from airflow_provider_stripe_lite.core.arguments import (
    CREATE_CUSTOMER,
    CREATE_PRODUCT,
    GET_CUSTOMER,
    UPDATE_CUSTOMER,
    UPDATE_PRODUCT,
    Action,
    update_of,
)
from airflow_provider_stripe_lite.core.values import object_id

ACACIA = "2025-02-24.acacia"
CREATE = {"customer": CREATE_CUSTOMER, "product": CREATE_PRODUCT}
UPDATE = {"customer": UPDATE_CUSTOMER, "product": UPDATE_PRODUCT}


class Tier(StrEnum):
    """As people write them."""

    GOLD = "gold"


class Year(IntEnum):
    """Numbers, too."""

    NOW = 2024


def sent(action: Action, version: str, usual: dict[str, Any], given: dict[str, Any]) -> Any:
    """Return what the arguments set, without what only the action itself requires."""
    parameters = action.call(usual | given, {"a": "b"}, version).parameters
    own = {name: value for name, value in parameters.items() if name in given or name != "name"}
    return {name: value for name, value in own.items() if name != "a"}


def created(kind: str, version: str = ACACIA, **given: Any) -> dict[str, Any]:
    usual = {"name": "Cup"} if kind == "product" else {}
    return sent(CREATE[kind], version, usual, given)


def updated(kind: str, version: str = ACACIA, **given: Any) -> dict[str, Any]:
    usual = {f"{kind}_id": "x_1"} | ({"name": "Cup"} if kind == "product" else {})
    return sent(UPDATE[kind], version, usual, given)


@pytest.mark.parametrize(
    ("action", "given", "method", "path"),
    [
        (CREATE_PRODUCT, {"name": "Cup"}, "POST", "/v1/products"),
        (
            UPDATE_PRODUCT,
            {"name": "Cup", "product_id": "a b?#%"},
            "POST",
            "/v1/products/a%20b%3F%23%25",
        ),
        (GET_CUSTOMER, {"customer_id": "cus_1"}, "GET", "/v1/customers/cus_1"),
        (CREATE_CUSTOMER, {"description": "d"}, "POST", "/v1/customers"),
        (
            UPDATE_CUSTOMER,
            {"customer_id": "cus_1", "description": "d"},
            "POST",
            "/v1/customers/cus_1",
        ),
    ],
)
def test_an_action_knows_its_call(
    action: Action, given: dict[str, Any], method: str, path: str
) -> None:
    """The method, and the path with the id as one segment."""
    call = action.call(given, None, ACACIA)
    assert (call.method, call.path) == (method, path)
    assert call.is_update == (action.verb == "update")
    if method == "GET":
        assert call.parameters == {}


def test_the_arguments_of_an_action_are_those_of_its_records() -> None:
    """The id first, where there is one."""
    assert {action.arguments for action in (GET_CUSTOMER, CREATE_CUSTOMER, UPDATE_CUSTOMER)} == {
        ("customer_id",),
        ("description", "customer_email", "metadata"),
        ("customer_id", "description", "customer_email", "metadata"),
    }
    product = ("product_id", "name", "active", "caption", "description", "images", "shippable")
    assert CREATE_PRODUCT.arguments == UPDATE_PRODUCT.arguments == (*product, "url", "metadata")


def test_nothing_is_sent_for_what_was_not_given() -> None:
    """`None` leaves a value as it is, and an argument of another action is not ours."""
    assert created("customer", description=None, customer_email=None, metadata=None) == {}
    assert created("product", name="Cup", active=None, size="XL") == {"name": "Cup"}


def test_every_parameter_goes_out_under_stripes_name() -> None:
    """All of a customer's and all of a product's."""
    assert created(
        "customer", description="d", customer_email="a@example.com", metadata={"a": "b"}
    ) == {
        "description": "d",
        "email": "a@example.com",
        "metadata": {"a": "b"},
    }
    given = {
        "name": "Cup",
        "active": True,
        "description": "d",
        "shippable": False,
        "url": "https://example.com",
        "images": ["https://example.com/1.png"],
        "metadata": {"a": "b"},
    }
    assert updated("product", **given) == given
    assert created("product", product_id="cup", **given) == {"id": "cup"} | given


@pytest.mark.parametrize(
    ("kind", "name", "stripe_name"),
    [
        ("customer", "description", "description"),
        ("customer", "customer_email", "email"),
        ("customer", "metadata", "metadata"),
        ("product", "description", "description"),
        ("product", "images", "images"),
        ("product", "url", "url"),
        ("product", "metadata", "metadata"),
    ],
)
def test_an_empty_string_unsets_on_an_update_and_is_left_out_on_a_create(
    kind: str, name: str, stripe_name: str
) -> None:
    """Stripe refuses an empty string on a create, and clears the value for it on an update."""
    assert updated(kind, **{name: ""}) == {stripe_name: ""}
    assert created(kind, **{name: ""}) == {}


@pytest.mark.parametrize("nothing", ["", [], (), " ", "\n", ",", " , \n"])
def test_an_empty_list_of_images_clears_them(nothing: Any) -> None:
    """However empty it is, it clears on an update and is left out on a create."""
    assert updated("product", images=nothing) == {"images": ""}
    assert created("product", images=nothing) == {}


def test_an_empty_mapping_changes_no_metadata() -> None:
    """Only an empty string clears all of it; an empty value clears one key."""
    assert updated("customer", description="d", metadata={}) == {"description": "d"}
    assert updated("customer", metadata={"a": ""}) == {"metadata": {"a": ""}}


@pytest.mark.parametrize(
    "images",
    [
        ["https://a", "https://b"],
        ("https://a", "https://b"),
        "https://a,https://b",
        "https://a\nhttps://b",
        " https://a , https://b ",
        "https://a https://b",
        "['https://a', 'https://b']",
        '["https://a", "https://b"]',
        "https://a\r\nhttps://b\r\n",
    ],
)
def test_images_are_a_list_or_a_text(images: Any) -> None:
    """A template often renders to text: of one URL for each line or comma, or of a list."""
    assert created("product", images=images) == {"images": ["https://a", "https://b"]}


def test_a_comma_in_a_url_parts_nothing() -> None:
    """Only where a new one begins."""
    urls = "https://a/w=1,h=2.png,https://b/x,y"
    assert created("product", images=urls) == {"images": ["https://a/w=1,h=2.png", "https://b/x,y"]}


def test_eight_images_are_allowed() -> None:
    """As many as Stripe takes."""
    assert len(created("product", images=[f"https://a/{i}" for i in range(8)])["images"]) == 8


@pytest.mark.parametrize(
    ("value", "flag"),
    [(True, True), (False, False), ("true", True), ("False", False), (" TRUE ", True)],
)
def test_a_flag_may_be_what_a_template_renders(value: Any, flag: bool) -> None:
    """`{{ true }}` renders to `True`."""
    assert updated("product", active=value) == {"active": flag}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[(5, "5"), (1.5, "1.5"), (True, "true"), (False, "false"), ("x", "x"), ("1.10", "1.10")],
        *[(1e16, "10000000000000000"), (Decimal("1E-7"), "0.0000001"), (Tier.GOLD, "gold")],
        *[(date(2026, 2, 1), "2026-02-01"), (UUID(int=5), f"{UUID(int=5)}"), (10**9, "1000000000")],
        (datetime(2026, 2, 1, 3, tzinfo=UTC), "2026-02-01T03:00:00+00:00"),
    ],
)
def test_metadata_values_are_text(value: Any, text: str) -> None:
    """Numbers, flags, dates and members of an Enum are turned into it."""
    assert created("customer", metadata={"a": value}) == {"metadata": {"a": text}}


@pytest.mark.parametrize("text", ["{'a': 'b'}", '{"a": "b"}', ' {"a": "b"}\n'])
def test_metadata_may_be_a_mapping_in_text(text: str) -> None:
    """So a template renders one."""
    assert created("customer", metadata=text) == {"metadata": {"a": "b"}}
    assert updated("customer", description="d", metadata="{}") == {"description": "d"}


@pytest.mark.parametrize("value", [2024, Decimal(2024), Year.NOW])
def test_a_number_may_stand_for_its_text(value: Any) -> None:
    """A native template renders one."""
    assert created("product", name=value, product_id=value) == {"name": "2024", "id": "2024"}


@pytest.mark.parametrize("name", ["product_id", "active", "shippable", "caption", "images", "url"])
def test_an_empty_text_is_not_given(name: str) -> None:
    """So a template leaves an argument out."""
    assert created("product", **{name: ""}) == {}
    if name in ("active", "shippable"):
        assert updated("product", **{name: ""}) == {}


def test_parameters_are_added_to_what_the_arguments_say() -> None:
    """Nested as Stripe documents them."""
    more = {"address": {"city": "Bern"}, "preferred_locales": ["de"]}
    call = CREATE_CUSTOMER.call({"description": "d"}, more, ACACIA)
    assert call.parameters == {"description": "d"} | more
    call = CREATE_CUSTOMER.call({}, str(more), ACACIA)
    assert call.parameters == more


def test_an_update_of_a_create_leaves_out_what_no_update_takes() -> None:
    """And names it."""
    price = {"currency": "eur", "unit_amount": 1900}
    more = {"default_price_data": price, "unit_label": "seat", "default_price_data[recurring]": "x"}
    call, left_out = update_of({"product_id": "mug", "name": "Mug"}, more, ACACIA)
    assert (call.path, call.parameters) == (
        "/v1/products/mug",
        {"name": "Mug", "unit_label": "seat"},
    )
    assert left_out == ["default_price_data", "default_price_data[recurring]"]


@pytest.mark.parametrize("version", ["2017-02-14", "2019-10-08", "2020-08-27"])
def test_an_old_version_takes_a_caption(version: str) -> None:
    """Up to 2020-08-27 it is a parameter of its own."""
    assert updated("product", version, caption="Nice") == {"caption": "Nice"}


def test_a_newer_version_keeps_the_caption_in_metadata() -> None:
    """It refuses the parameter, so it travels beside the user's own metadata."""
    assert updated("product", caption="Nice") == {"metadata": {"caption": "Nice"}}
    assert updated("product", caption="Nice", metadata={"a": "b"}) == {
        "metadata": {"a": "b", "caption": "Nice"}
    }
    assert updated("product", caption="") == {"metadata": {"caption": ""}}
    assert created("product", caption="") == {}


@pytest.mark.parametrize(
    ("version", "sent"),
    [
        ("2017-08-15", {}),
        ("2018-02-05", {"type": "good"}),
        ("2019-10-17", {"type": "good"}),
        ("2019-11-05", {}),
        (ACACIA, {}),
    ],
)
def test_a_product_has_a_type_where_stripe_requires_one(version: str, sent: dict[str, str]) -> None:
    """Only on a create, and only in those versions: goods have captions and can be shipped."""
    assert created("product", version, name="Cup") == {"name": "Cup"} | sent
    assert updated("product", version, name="Cup") == {"name": "Cup"}


@pytest.mark.parametrize("text", ["a" * 5_000, "Zürich 🎩", "two\nlines\tand a tab", " padded "])
def test_text_goes_out_as_it_is(text: str) -> None:
    """Any language, up to the limit, untouched."""
    assert created("customer", description=text) == {"description": text}


@pytest.mark.parametrize(
    "value",
    ["cus_1", "my product", "a" * 255, "100%", "a?b#c&d", "...", "SKU/2024/01", "prod_ü", "a\\b"],
)
def test_an_id_that_stays_one_segment_is_accepted(value: str) -> None:
    """Product ids are chosen by people."""
    assert object_id("product_id", value) == value
