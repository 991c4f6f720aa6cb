"""The arguments of an action become Stripe's parameters; what is not given is not sent."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_stripe_lite.core.arguments import (
    CREATE_CUSTOMER,
    CREATE_PRODUCT,
    GET_CUSTOMER,
    UPDATE_CUSTOMER,
    UPDATE_PRODUCT,
    Action,
    object_id,
)

ACACIA = "2025-02-24.acacia"
CREATE = {"customer": CREATE_CUSTOMER, "product": CREATE_PRODUCT}
UPDATE = {"customer": UPDATE_CUSTOMER, "product": UPDATE_PRODUCT}


def sent(action: Action, version: str, usual: dict[str, Any], given: dict[str, Any]) -> Any:
    """Return the parameters of a request, without those that only the action itself requires."""
    parameters = action.request(usual | given, version).parameters
    return {name: value for name, value in parameters.items() if name in given or name != "name"}


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
        (CREATE_CUSTOMER, {}, "POST", "/v1/customers"),
        (
            UPDATE_CUSTOMER,
            {"customer_id": "cus_1", "description": "d"},
            "POST",
            "/v1/customers/cus_1",
        ),
    ],
)
def test_an_action_knows_its_request(
    action: Action, given: dict[str, Any], method: str, path: str
) -> None:
    """The method, the path with the id as one segment, and what the answer is."""
    request = action.request(given, ACACIA)
    assert (request.method, request.path) == (method, path)
    assert (request.verb, request.resource) == (action.verb, action.resource)
    if method == "GET":
        assert request.parameters == {}


def test_the_arguments_of_an_action_are_those_of_its_records() -> None:
    """The id first, where there is one."""
    assert {action.arguments for action in (GET_CUSTOMER, CREATE_CUSTOMER, UPDATE_CUSTOMER)} == {
        ("customer_id",),
        ("description", "customer_email", "metadata"),
        ("customer_id", "description", "customer_email", "metadata"),
    }
    product = ("product_id", "name", "active", "caption", "description", "images", "shippable")
    assert CREATE_PRODUCT.arguments == UPDATE_PRODUCT.arguments == (*product, "url", "metadata")


def test_what_was_created_can_be_read() -> None:
    """By the id that Stripe answered."""
    request = CREATE_PRODUCT.read("prod/1")
    assert (request.method, request.path) == ("GET", "/v1/products/prod%2F1")
    assert request.parameters == {}


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
        "https://a\r\nhttps://b\r\n",
    ],
)
def test_images_are_a_list_or_a_text(images: Any) -> None:
    """One URL for each line or comma; a template often renders to text."""
    assert created("product", images=images) == {"images": ["https://a", "https://b"]}


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
    ("value", "text"), [(5, "5"), (1.5, "1.5"), (True, "true"), (False, "false"), ("x", "x")]
)
def test_metadata_values_are_text(value: Any, text: str) -> None:
    """Numbers and flags are turned into it as Stripe would show them."""
    assert created("customer", metadata={"a": value}) == {"metadata": {"a": text}}


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


@pytest.mark.parametrize("value", ["cus_1", "my product", "a" * 255, "100%", "a?b#c&d", "..."])
def test_an_id_that_stays_one_segment_is_accepted(value: str) -> None:
    """Product ids are chosen by people."""
    assert object_id("product_id", value) == value
