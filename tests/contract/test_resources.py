"""The table of lists is held to the classes of Stripe's own Python library, and to its documents.

This never skips: the library is a dependency of the tests.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import stripe
from stripe import RequestOptions
from stripe._object_classes import OBJECT_CLASSES

from airflow_provider_stripe_lite.core.fields import projection
from airflow_provider_stripe_lite.core.resources import RESOURCES, FeedName, Resource
from airflow_provider_stripe_lite.testing import filters
from airflow_provider_stripe_lite.testing.shapes import SHAPES
from tests.contract import openapi

pytestmark = pytest.mark.contract

# The Orders API is in no library any more.
LEGACY = {"order"}
# An account whose details are not known to the platform has no `created`: the library says so.
OPTIONAL_TIMES = {"account"}
# What every list takes besides its filters.
PAGING = {"created", "ending_before", "expand", "limit", "starting_after"}
DOCUMENTS = ("current.json", "legacy.json")


@cache
def lists() -> dict[str, tuple[type, str]]:
    """Return, for each path that a service of the library lists, the parameters and the object."""
    found = {}
    for file in sorted(Path(stripe.__file__).parent.rglob("*_service.py")):
        text = file.read_text()
        for method in re.split(r"(?m)^    (?=(?:async )?def )", text):
            call = re.match(
                r'def list\(\s*self,\s*params: (?:Optional\[)?"(?P<params>\w+)".*?'
                r'-> "ListObject\[(?P<object>\w+)\]":.*?"get",\s*"(?P<path>/v1/[^"{]+)"',
                method,
                re.DOTALL,
            )
            if call:
                params = _imported(text, call["params"])
                found[call["path"]] = params, _imported(text, call["object"]).OBJECT_NAME
    return found


def _imported(text: str, name: str) -> Any:
    """Return a class that a module of the library imports, also where only for type checking."""
    source = re.search(rf"from (stripe[\w.]+) import (?:\(\s*)?{name}\b", text)
    assert source, name
    return getattr(importlib.import_module(source[1]), name)


def annotated(kind: str) -> dict[str, Any]:
    """Return the annotated fields of an object's class."""
    module, name = OBJECT_CLASSES[kind]
    return inspect.get_annotations(getattr(importlib.import_module(module), name))


def differences(resource: Resource) -> Iterator[str]:
    """Say what the library knows otherwise."""
    if resource.path not in lists():
        yield f"no service lists {resource.path}"
        return
    params, listed = lists()[resource.path]
    names = set(inspect.get_annotations(params))
    if listed != resource.object:
        yield f"{resource.path} lists objects of the kind {listed!r}"
    for name in ("created", "ending_before", *dict(resource.always)):
        if name not in names:
            yield f"{params.__name__} has no parameter {name!r}: it has {sorted(names)}"
    fields = annotated(resource.object)
    if resource.time_field not in fields:
        yield f"the object has no field {resource.time_field!r}"
    elif "Optional" in str(fields[resource.time_field]) and resource.object not in OPTIONAL_TIMES:
        yield f"the object's {resource.time_field!r} may be null"


@pytest.mark.parametrize("name", sorted(set(RESOURCES) - LEGACY))
def test_a_record_is_what_the_library_knows(name: str) -> None:
    """Path, object, time field and parameters are those of the library's classes."""
    found = list(differences(RESOURCES[name]))
    assert not found, f"RESOURCES[{name!r}] and stripe {stripe.VERSION}: {'; '.join(found)}"


@pytest.mark.parametrize("name", sorted(set(RESOURCES) - LEGACY))
def test_the_fake_filters_by_what_the_library_knows(name: str) -> None:
    """It refuses no parameter of Stripe's list, and takes no other."""
    params = lists()[RESOURCES[name].path][0]
    known = set(inspect.get_annotations(params)) - set(inspect.get_annotations(RequestOptions))
    ours, theirs = SHAPES[name].filters, known - PAGING
    assert not ours - theirs, f"the list of {name!r} has no filter {sorted(ours - theirs)}"
    assert not theirs - ours, f"SHAPES[{name!r}] lacks the filters {sorted(theirs - ours)}"


@pytest.mark.parametrize("name", sorted(set(RESOURCES) - LEGACY))
def test_the_fake_knows_the_form_of_a_filter(name: str) -> None:
    """Which filters are lists, truth values, numbers with bounds, and hashes of which names."""
    params = lists()[RESOURCES[name].path][0]
    module = vars(importlib.import_module(params.__module__))
    for filter_, annotation in inspect.get_annotations(params).items():
        if filter_ not in SHAPES[name].filters:
            continue
        inner = re.search(r"\w+ListParams\w+", str(annotation))
        names = set(inspect.get_annotations(module[inner[0]])) if inner else set()
        is_range = bool(names) and names == {"gt", "gte", "lt", "lte"}
        assert (filter_ in filters.RANGES) is is_range, filter_
        assert filters.HASHES.get(filter_, set()) == (set() if is_range else names), filter_
        assert (filter_ in filters.LISTS) is ("List[str]" in str(annotation)), filter_
        assert (filter_ in filters.BOOLEANS) is ("[bool]" in str(annotation)), filter_


def test_the_names_of_feeds_are_those_of_the_table() -> None:
    """`FeedName`, which editors complete from, names every record and nothing else."""
    names, table = set(get_args(FeedName)), set(RESOURCES)
    assert names == table, f"only FeedName: {names - table}; only RESOURCES: {table - names}"
    wrong = {key for key, resource in RESOURCES.items() if key != resource.object}
    assert not wrong, f"records that do not stand under their own name: {wrong}"


def test_every_list_that_can_be_polled_is_a_feed() -> None:
    """No list that can be polled is left out but for a reason, which stands here."""
    left_out = {
        "price": "it is two lists",
        "product_catalog.trial_offer": "its objects have no time",
        "review": "each one leaves the list when it is closed",
        # Lists that are not there without a parameter.
        "issuing.token": "card",
        "radar.value_list_item": "value_list",
        "setup_attempt": "setup_intent",
        "treasury.outbound_payment": "financial_account",
        "treasury.transaction": "financial_account",
        "treasury.transaction_entry": "financial_account",
    }
    able = {
        listed
        for params, listed in lists().values()
        if {"created", "ending_before"} <= set(inspect.get_annotations(params))
    }
    assert able - set(RESOURCES) == set(left_out)
    assert set(RESOURCES) - able == LEGACY


def held_in_full(owner: type, annotation: Any) -> set[str]:
    """Return the classes of the objects that a field holds in full, without any expand."""
    text = str(annotation)
    # What can be expanded may be an id in its place, which is a text.
    if "[str, " in text:
        return set()
    found = set(re.findall(r"ForwardRef\('(\w+)'", text))
    for name, inner in vars(owner).items():
        own = inspect.isclass(inner) and inner.__qualname__ == f"{owner.__qualname__}.{name}"
        if own and re.search(rf"\b{name}\b", text):
            for held in inspect.get_annotations(inner).values():
                found |= held_in_full(inner, held)
    return found


@pytest.mark.parametrize("name", sorted(set(RESOURCES) - LEGACY))
def test_no_feed_hands_on_a_secret_that_its_objects_hold(name: str) -> None:
    """Those of the objects that Stripe puts into it, and its own."""
    secret = {kind for kind in OBJECT_CLASSES if "client_secret" in annotated(kind)}
    module, owner = OBJECT_CLASSES[name]
    rows = projection(name, "*")
    for field, annotation in annotated(name).items():
        held = held_in_full(getattr(importlib.import_module(module), owner), annotation)
        for kind in ("file_link", *secret):
            if OBJECT_CLASSES[kind][1] in held:
                open_ = {"object": kind, "url" if kind == "file_link" else "client_secret": "KEY"}
                raw = {"object": name, field: {"inner": [open_]}}
                assert "KEY" not in str(rows(raw)), f"{name}.{field} holds a {kind}"
    if name in secret:
        assert rows({"object": name, "client_secret": "KEY"}) == {"object": name}


def test_a_wrong_record_would_be_seen() -> None:
    """The check itself: each kind of mistake is found, and said."""
    for wrong, words in (
        (Resource("charge", "/v1/chrages"), "no service lists /v1/chrages"),
        (Resource("charge", "/v1/refunds"), "lists objects of the kind 'refund'"),
        (Resource("charge", "/v1/charges", time_field="date"), "no field 'date'"),
        (Resource("charge", "/v1/charges", always=(("status", "all"),)), "no parameter 'status'"),
        (Resource("payment_link", "/v1/payment_links"), "no parameter 'created'"),
    ):
        assert words in "; ".join(differences(wrong))


@pytest.mark.skipif(not openapi.AT_HAND, reason=openapi.MISSING)
@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_documents_agree(document: str) -> None:
    """Of the lists that a document holds, paths, parameters and objects are those of the table."""
    spec, seen = openapi.load(document), 0
    for resource in RESOURCES.values():
        if resource.path not in spec["paths"]:
            continue
        seen += 1
        names = openapi.parameters(spec, "GET", resource.path)
        missing = {"created", "ending_before", *dict(resource.always)} - names
        assert not missing, f"{document}: GET {resource.path} does not take {sorted(missing)}"
        fields = spec["components"]["schemas"][resource.object]["properties"]
        assert resource.time_field in fields, f"{document}: {resource.object} has no such time"
    assert seen >= 5
