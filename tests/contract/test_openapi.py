"""The helper that holds requests and answers against Stripe's documents finds what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract import openapi

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(not openapi.AT_HAND, reason=openapi.MISSING),
]


@pytest.mark.parametrize(
    ("method", "path", "query", "form"),
    [
        (
            "GET",
            "/v1/customers",
            [("created[lt]", "5"), ("limit", "100"), ("expand[0]", "data.customer")],
            [],
        ),
        ("GET", "/v1/charges", [("created", "5"), ("ending_before", "ch_1")], []),
        (
            "POST",
            "/v1/products",
            [],
            [("name", "x"), ("images[0]", "u"), ("images[1]", "v"), ("active", "true")],
        ),
        ("POST", "/v1/products/a%2Fb", [], [("images", ""), ("metadata", ""), ("url", "")]),
        ("POST", "/v1/customers/cus_1", [], [("metadata[a]", ""), ("description", "")]),
    ],
)
def test_a_request_that_stripe_knows_passes(method: str, path: str, query: Any, form: Any) -> None:
    """Bracketed names, indexed arrays and emptied values are understood."""
    openapi.check_request(openapi.load("current.json"), method, path, query, form)


@pytest.mark.parametrize(
    ("method", "path", "query", "form", "problem"),
    [
        ("GET", "/v1/orders", [], [], "the path is not"),
        ("PUT", "/v1/customers", [], [], "the method is not"),
        ("GET", "/v1/customers", [("created[foo]", "5")], [], r"created\[foo\]: unknown"),
        ("GET", "/v1/customers", [("created", "today")], [], "created: not a valid integer"),
        ("GET", "/v1/customers", [("order", "asc")], [], "order: unknown"),
        ("POST", "/v1/products", [], [("active", "true")], "name: required"),
        ("POST", "/v1/products", [], [("name", "x"), ("caption", "y")], "caption: unknown"),
        ("POST", "/v1/products", [], [("name", "x"), ("images", "y")], "images: not an array"),
        (
            "POST",
            "/v1/products",
            [],
            [("name", "x"), ("images[1]", "y")],
            "images: not the indexes",
        ),
        ("POST", "/v1/products/x", [], [("active", "True")], "active: not a valid boolean"),
        (
            "POST",
            "/v1/customers",
            [],
            [("metadata[a][b]", "x")],
            r"metadata\[a\]: not a single string",
        ),
        ("POST", "/v1/customers", [], [("metadata[a", "x")], "brackets do not match"),
        ("POST", "/v1/customers", [], [("email", "x"), ("email", "y")], "email: given twice"),
        ("POST", "/v1/customers", [], [("email", "x" * 513)], "email: longer than 512"),
    ],
)
def test_a_request_that_stripe_does_not_know_is_named(
    method: str, path: str, query: Any, form: Any, problem: str
) -> None:
    """The refusal names the parameter and says what is wrong with it."""
    with pytest.raises(AssertionError, match=problem):
        openapi.check_request(openapi.load("current.json"), method, path, query, form)


def test_an_answer_that_breaks_the_document_is_named() -> None:
    """A wrong type, a missing field and a null where none may be are found."""
    spec = openapi.load("current.json")
    good = {
        "id": "prod_1",
        "object": "product",
        "active": True,
        "created": 1,
        "images": [],
        "livemode": False,
    }
    good |= {"marketing_features": [], "metadata": {}, "name": "x", "updated": 1, "url": None}
    openapi.check_response(spec, "GET", "/v1/products/prod_1", 200, good)
    for change in ({"active": "yes"}, {"name": None}, {"images": [1]}, {"url": 5}):
        with pytest.raises(AssertionError, match=next(iter(change))):
            openapi.check_object(spec, good | change)
