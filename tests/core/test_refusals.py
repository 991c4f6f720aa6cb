"""A bad argument of an action is refused in one sentence that names it, before any request."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_stripe_lite.core.arguments import (
    CREATE_CUSTOMER,
    CREATE_PRODUCT,
    GET_CUSTOMER,
    UPDATE_CUSTOMER,
    UPDATE_PRODUCT,
    Action,
)
from airflow_provider_stripe_lite.errors import StripeInputError

ACACIA = "2025-02-24.acacia"
NINE = [f"https://example.com/{number}.png" for number in range(9)]
ENDLESS: dict[str, Any] = {}
ENDLESS["a"] = ENDLESS
LONG_URL = "https://" + "a" * 4_993


def _get(customer_id: Any) -> tuple[Action, dict[str, Any]]:
    return GET_CUSTOMER, {"customer_id": customer_id}


def _product(**given: Any) -> tuple[Action, dict[str, Any]]:
    return CREATE_PRODUCT, {"name": "Mug"} | given


def _update_product(**given: Any) -> tuple[Action, dict[str, Any]]:
    return UPDATE_PRODUCT, {"product_id": "prod_1", "name": "Mug"} | given


def _customer(**given: Any) -> tuple[Action, dict[str, Any]]:
    return CREATE_CUSTOMER, given


def _update_customer(**given: Any) -> tuple[Action, dict[str, Any]]:
    return UPDATE_CUSTOMER, {"customer_id": "cus_1"} | given


# The action with its arguments, and the words of the sentence.
REFUSED: list[tuple[tuple[Action, dict[str, Any]], str]] = [
    # Ids
    (_get(None), "customer_id must be the id of a Stripe object, got None"),
    (_get(""), "customer_id must be the id of a Stripe object, got ''"),
    (_get("   "), "customer_id must be the id of a Stripe object"),
    (_get(True), "customer_id must be the id of a Stripe object, got True"),
    (_get("cus_\ud800"), "control character"),
    (_get(["cus_1"]), "customer_id must be the id of a Stripe object"),
    (_get(".."), "customer_id must be an id as Stripe gives it"),
    (_get("."), "customer_id must be an id as Stripe gives it"),
    (_get(" cus_1"), "no space or control"),
    (_get("cus_1\n"), "no space or control"),
    (_get("cus_1\r\nX-Evil: 1"), "control character"),
    (_get("cus_\x001"), "control character"),
    (_get("c" * 256), "at most 255"),
    # Names
    (_product(name=""), "name is required"),
    (_product(name=None), "name is required"),
    (_product(name="   "), "name must not be empty"),
    (_product(name="x" * 5_001), "name must have at most 5000 characters, got 5001"),
    (_product(name="a\x00b"), "name holds a control character"),
    (_product(name="a\x1b[31mb"), "name holds a control character"),
    (_product(name="\ud800"), "name holds a control character"),
    (_update_product(name=""), "name is required"),
    (_update_product(name=None), "name is required"),
    # Texts
    (_customer(customer_email="x" * 600), "customer_email must have at most 512 characters"),
    (_customer(customer_email="a" * 588 + "@example.com"), "at most 512 characters, got 600"),
    (_customer(customer_email=["a@b.example"]), "customer_email must be text"),
    (_customer(customer_email=" "), "customer_email must not be empty"),
    (_customer(customer_email="a@b.example\x07"), "customer_email holds a control character"),
    (_customer(customer_email="a\x7f@example.com"), "customer_email holds a control character"),
    (_customer(description=b"text"), "description must be text"),
    (_customer(description=["text"]), "description must be text"),
    (_customer(description="x" * 5_001), "description must have at most 5000"),
    (_customer(description="bell\x07"), "description holds a control character"),
    (_customer(description="\ud83c"), "description holds a control character"),
    (_update_customer(description=False), "description must be text"),
    (_product(description="x" * 40_001), "description must have at most 40000"),
    (_update_product(url="h" * 5_001), "url must have at most 5000"),
    (_product(caption=b"Grey"), "caption must be text"),
    (_product(caption="x" * 501), "caption must have at most 500"),
    # Flags
    (_product(active="maybe"), "active must be true or false"),
    (_product(active=1), "active must be true or false"),
    (_product(shippable=[]), "shippable must be true or false"),
    (_product(shippable=[True]), "shippable must be true or false"),
    # Images
    (_product(images=NINE), "images takes at most 8 URLs, got 9"),
    (_product(images=",".join(NINE)), "images takes at most 8 URLs, got 9"),
    (_product(images=", ".join(NINE)), "images takes at most 8 URLs, got 9"),
    (_product(images={"a": "b"}), "images must be a list of URLs"),
    (_product(images=5), "images must be a list of URLs"),
    (_product(images=[5]), "images must be a list of URLs"),
    (_product(images=[""]), "images[0] must not be empty"),
    (_product(images=["https://example.com", " "]), "images[1] must not be empty"),
    (_product(images=[LONG_URL]), "images[0] must have at most 5000 characters, got 5001"),
    (_product(images=["cup.png"]), "images[0] must be a URL that begins with https://"),
    (_product(images="cup.png"), "images[0] must be a URL"),
    (_product(images=["https://a.example/a b"]), "images[0] must be a URL"),
    (_product(images="https://a.example, cup.png"), "images[0] must be a URL"),
    (_product(images=["ftp://a.example/cup.png"]), "images[0] must be a URL"),
    (_product(images=["javascript:alert(1)"]), "images[0] must be a URL"),
    (_product(images=["https://a.example/\x00"]), "images[0] holds a control character"),
    (_product(images=["https://a.example/\x1b[31m"]), "images[0] holds a control character"),
    # Metadata
    (_customer(metadata="a=b"), "metadata must be a mapping"),
    (_customer(metadata=[("a", "b")]), "metadata must be a mapping"),
    (
        _customer(metadata={f"k{n}": "v" for n in range(51)}),
        "metadata takes at most 50 keys, got 51",
    ),
    (_customer(metadata={"k" * 41: "v"}), "metadata keys must be text of 1 to 40 characters"),
    (_customer(metadata={"": "v"}), "metadata keys"),
    (_customer(metadata={5: "v"}), "metadata keys"),
    (_customer(metadata={"a[b]": "v"}), "square brackets"),
    (_customer(metadata={"a][b": "v"}), "square brackets"),
    (_customer(metadata={"a\x01": "v"}), "metadata key holds a control character"),
    (_customer(metadata={"a": "v" * 501}), "metadata[a] must have at most 500"),
    (_customer(metadata={"a": ["v"]}), "metadata[a] must be text"),
    (_customer(metadata={"a": None}), "metadata[a] must be text"),
    (_customer(metadata={"a": "b\x00"}), "metadata[a] holds a control character"),
    (_product(caption="Grey", metadata={"caption": "Blue"}), "caption is kept in metadata"),
    (_update_product(caption="Grey", metadata=""), "caption is kept in metadata"),
    (_customer(metadata={None: "v"}), "metadata keys"),
    (_customer(metadata={("a", "b"): "v"}), "metadata keys"),
    (_customer(metadata={1: "a", "b": "c"}), "metadata keys"),
    (_customer(metadata={"a": float("nan")}), "metadata[a] must be text"),
    (_customer(metadata={"a": float("inf")}), "metadata[a] must be text"),
    (_customer(metadata={"a": {"b": "c"}}), "metadata[a] must be text"),
    (_customer(metadata={"a": b"c"}), "metadata[a] must be text"),
    (_customer(metadata="['a']"), "metadata must be a mapping"),
    # Parameters
    (_customer(parameters=5), "parameters must be a mapping of Stripe's own, got int"),
    (_customer(parameters=["a"]), "parameters must be a mapping"),
    (_customer(parameters="a=b"), "parameters must be a mapping"),
    (_customer(parameters=[("a", "b")]), "parameters must be a mapping"),
    (
        _customer(customer_email="a@b.example", parameters={"email": "c"}),
        "which customer_email has",
    ),
    (_customer(metadata={"a": "b"}, parameters={"metadata": {}}), "which metadata has set"),
    (_customer(metadata={"a": "b"}, parameters={"metadata[c]": "d"}), "which metadata has set"),
    (
        _product(caption="x", parameters={"metadata": {"a": "b"}}),
        "'metadata', which metadata or caption has set",
    ),
    (_product(parameters={"name": "Cup"}), "which name has set"),
    (_product(product_id="mug", parameters={"id": "cup"}), "which product_id has set"),
    (_customer(parameters={"a": {1: 2}}), "a holds the key 1: a key must be text"),
    (_customer(parameters={"a": {None: 2}}), "a holds the key None"),
    (_customer(parameters={"a": {True: 2}}), "a holds the key True"),
    (_customer(parameters={"a": {"b[c]": 2}}), "a holds the key 'b[c]'"),
    (_customer(parameters={"a": {"": 2}}), "a holds the key ''"),
    (_customer(parameters={"a[b": 2}), "parameters holds the key 'a[b'"),
    (_customer(parameters={"": 2}), "parameters holds the key ''"),
    (_customer(parameters={5: 2}), "parameters holds the key 5"),
    (_customer(parameters={"items": [None, {"price": "p"}]}), "items[0] is empty"),
    (_customer(parameters={"items": [{"price": "p"}, {}]}), "items[1] is empty"),
    (_customer(parameters={"items": [{"price": None}]}), "items[0] is empty"),
    (_customer(parameters={"items": [[]]}), "items[0] is empty"),
    (_customer(parameters={"a": {"b": [{"c": "d"}, None]}}), "a[b][1] is empty"),
    (_customer(parameters={"a": float("nan")}), "a cannot be sent"),
    (_customer(parameters={"a": [1, float("-inf")]}), "a[1] cannot be sent"),
    (_customer(parameters={"a": Decimal("NaN")}), "a cannot be sent"),
    (_customer(parameters={"a": Decimal("Infinity")}), "a cannot be sent"),
    (_customer(parameters={"a": Decimal("sNaN")}), "a cannot be sent"),
    (_customer(parameters={"a": Decimal("1e5000")}), "a cannot be sent"),
    (_customer(metadata={"jenny@example.com": b"x"}), "metadata[<e-mail>] must be text"),
    (_customer(parameters={"a": {1, 2}}), "a cannot be sent"),
    (_customer(parameters={"a": {"b": b"c"}}), "a[b] cannot be sent"),
    (_customer(parameters={"a": object()}), "a cannot be sent"),
    (_customer(parameters={"a": timedelta(1)}), "a cannot be sent"),
    (_customer(parameters={"a": iter([1])}), "a cannot be sent"),
    (_customer(parameters={"a": range(3)}), "a cannot be sent"),
    (_customer(parameters={"a": 1j}), "a cannot be sent"),
    (_customer(parameters={"a": "\ud800"}), "half of a character"),
    (_customer(parameters={"a": {"\udfff": "b"}}), "half of a character"),
    (_customer(parameters=ENDLESS), "nested too deep"),
    # Creates and updates of nothing
    (_customer(), "The customer would be empty: give at least one of description"),
    (_customer(description="", metadata={}), "would be empty"),
    (_customer(parameters={}), "would be empty"),
    (_customer(parameters={"email": None}), "would be empty"),
    (_customer(parameters={"metadata": {}, "description": ""}), "would be empty"),
    (_customer(parameters={"expand": ["tax"]}), "would be empty"),
    (_update_customer(parameters={"expand[]": "tax"}), "would change nothing"),
    (_update_customer(), "would change nothing"),
    (_update_customer(), "at least one of description, customer_email, metadata"),
    (_update_customer(metadata={}), "would change nothing"),
]


@pytest.mark.parametrize(("call", "words"), REFUSED, ids=range(len(REFUSED)))
def test_a_bad_argument_is_refused(call: tuple[Action, dict[str, Any]], words: str) -> None:
    """One sentence of bearable length, with the argument and the fix; there is no request."""
    action, given = call
    with pytest.raises(StripeInputError) as refused:
        action.call(given, given.get("parameters"), ACACIA)
    sentence = str(refused.value)
    assert words in sentence
    assert sentence.endswith(".")
    assert ". " not in sentence.rstrip(".")
    assert "\n" not in sentence
    assert len(sentence) < 300


def test_no_case_stands_twice() -> None:
    """The same action with the same arguments and words."""
    shown = [
        (action.verb, action.resource, repr(given), words) for (action, given), words in REFUSED
    ]
    assert len(set(shown)) == len(shown)
