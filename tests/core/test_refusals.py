"""A bad argument of an action is refused in one sentence that names it, before any request."""

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
)
from airflow_provider_stripe_lite.errors import StripeInputError

ACACIA = "2025-02-24.acacia"
NINE = [f"https://example.com/{number}.png" for number in range(9)]
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
    (_get(5), "customer_id must be the id of a Stripe object, got 5"),
    (_get(["cus_1"]), "customer_id must be the id of a Stripe object"),
    (_get("../charges"), "customer_id must be an id as Stripe gives it"),
    (_get("cus_1/../../balance"), "no slash"),
    (_get("cus_1/sources"), "no slash"),
    (_get("cus_1\\sources"), "no slash"),
    (_get("..\\charges"), "no slash"),
    (_get(".."), "customer_id must be an id as Stripe gives it"),
    (_get("."), "customer_id must be an id as Stripe gives it"),
    (_get(" cus_1"), "no space around"),
    (_get("cus_1\n"), "no space around"),
    (_get("cus_1\r\nX-Evil: 1"), "printable"),
    (_get("cus_\x001"), "printable"),
    (_get("cus_é"), "printable"),
    (_get("cus_ä"), "printable"),
    (_get("c" * 256), "at most 255"),
    (_update_customer(customer_id="../products/prod_1", description="x"), "customer_id must be"),
    (_update_product(product_id="a/b"), "product_id must be an id as Stripe gives it"),
    (_update_product(product_id="../customers/cus_1"), "product_id must be an id"),
    (_update_product(product_id=""), "product_id must be the id of a Stripe object"),
    (_product(product_id="../customers"), "product_id must be an id as Stripe gives it"),
    (_product(product_id=""), "product_id must be the id of a Stripe object"),
    (_product(product_id=7), "product_id must be the id of a Stripe object"),
    # Names
    (_product(name=""), "name is required"),
    (_product(name=None), "name is required"),
    (_product(name="   "), "name must not be empty"),
    (_product(name=5), "name must be text"),
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
    (_customer(description=5), "description must be text"),
    (_customer(description=b"text"), "description must be text"),
    (_customer(description=["text"]), "description must be text"),
    (_customer(description="x" * 5_001), "description must have at most 5000"),
    (_customer(description="bell\x07"), "description holds a control character"),
    (_customer(description="\ud83c"), "description holds a control character"),
    (_update_customer(description=False), "description must be text"),
    (_product(description="x" * 40_001), "description must have at most 40000"),
    (_product(url=5), "url must be text"),
    (_update_product(url="h" * 5_001), "url must have at most 5000"),
    (_product(caption=b"Grey"), "caption must be text"),
    (_product(caption="x" * 501), "caption must have at most 500"),
    # Flags
    (_product(active="maybe"), "active must be true or false"),
    (_product(active=1), "active must be true or false"),
    (_product(active=""), "active must be true or false"),
    (_product(shippable=""), "shippable must be true or false"),
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
    # Updates of nothing
    (_update_customer(), "would change nothing"),
    (_update_customer(), "at least one of description, customer_email, metadata"),
    (_update_customer(metadata={}), "would change nothing"),
]


@pytest.mark.parametrize(("call", "words"), REFUSED, ids=range(len(REFUSED)))
def test_a_bad_argument_is_refused(call: tuple[Action, dict[str, Any]], words: str) -> None:
    """One sentence of bearable length, with the argument and the fix; there is no request."""
    action, given = call
    with pytest.raises(StripeInputError) as refused:
        action.request(given, ACACIA)
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
