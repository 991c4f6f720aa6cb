"""A stateful double of the Stripe API on a real socket, for tests; standard library only.

    with FakeStripe() as fake:                       # or: python -m tests.fake_stripe --port 0
        fake.create_many("customer", 250, spread=60)
        fake.fault(path="/v1/customers", status=429, skip=1)
        requests.get(fake.url + "/v1/customers", auth=("sk_test_123", ""))
        assert fake.requests[-1].params == []

Other processes drive it with JSON below /_fake/: POST create, create_many, delete, fault, options, ledger;
GET requests, objects?kind=..., ledger; DELETE requests, faults, ledger.

An object keeps only what differs from its default shape and is rendered when it is read, in the shape of the
`Stripe-Version` asked for. What the double refuses, and in which words, follows Stripe's documented errors.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import re
import socket
import string
import struct
import sys
import threading
import time
import zlib
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from heapq import heappop, heappush
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from socketserver import TCPServer
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

DEFAULT_VERSION = "2026-05-27.dahlia"  # deliberately not the provider's: a forgotten header must show
DAY = 24 * 3600


# --- The resources: what each is called, takes and looks like


def _words(text: str) -> dict[str, str]:
    return dict(word.split(":") for word in text.split())


def _nulls(text: str) -> dict[str, Any]:
    return dict.fromkeys(text.split())


def _empty_list(url: str) -> dict[str, Any]:
    return {"object": "list", "data": [], "has_more": False, "url": url}


@dataclass(frozen=True)
class Resource:
    """One row of the API. Parameters are `name:type`; a mark says what may happen to it:
    `?` an empty string unsets it, `~` only on updates, `+` it exists on creates only."""

    path: str
    object: str
    prefix: str
    permission: str
    filters: frozenset[str]
    shape: dict[str, Any]
    params: dict[str, str] = field(default_factory=dict)
    id_size: int = 24
    deletable: bool = False
    time_field: str = "created"
    times: dict[str, int] = field(default_factory=dict)  # further times: seconds after `created`
    required: tuple[str, ...] = ()
    last_version: str = "9999"


_NO_ADDRESS = _nulls("city country line1 line2 postal_code state")

RESOURCES = {
    "customer": Resource(
        "customers", "customer", "cus_", "rak_customer", frozenset({"email"}),
        _nulls("address currency default_source description discount email name phone shipping test_clock")
        | {"balance": 0, "delinquent": False, "metadata": {}, "preferred_locales": [], "tax_exempt": "none",
           "invoice_prefix": "7FE1103", "next_invoice_sequence": 1,
           "invoice_settings": _nulls("custom_fields default_payment_method footer rendering_options"),
           "sources": _empty_list("/v1/customers/sources")},
        _words("name:str? email:str? description:str? phone:str? metadata:hash? address:hash? shipping:hash?"
               " balance:int account_balance:int preferred_locales:list tax_exempt:str?"),
        id_size=14, deletable=True,
    ),
    "product": Resource(
        "products", "product", "prod_", "rak_product", frozenset({"active", "ids", "shippable", "url"}),
        _nulls("caption default_price description package_dimensions shippable statement_descriptor tax_code"
               " unit_label url")
        | {"active": True, "attributes": [], "deactivate_on": [], "images": [], "marketing_features": [],
           "metadata": {}, "name": "T-shirt", "type": "service"},
        _words("id:str+ name:str active:bool description:str~ images:list~ metadata:hash~ shippable:bool"
               " url:str~ statement_descriptor:str unit_label:str~ caption:str type:str+ attributes:list~"),
        id_size=14, deletable=True, times={"updated": 0}, required=("name", "type"),
    ),
    "charge": Resource(
        "charges", "charge", "ch_", "rak_charge",
        frozenset({"customer", "payment_intent", "transfer_group"}),
        _nulls("application application_fee application_fee_amount balance_transaction customer description"
               " calculated_statement_descriptor failure_balance_transaction failure_code failure_message"
               " invoice on_behalf_of order payment_intent payment_method payment_method_details"
               " receipt_email receipt_number review shipping source_transfer statement_descriptor transfer_data"
               " statement_descriptor_suffix transfer_group")
        | {"amount": 100, "amount_captured": 100, "amount_refunded": 0, "captured": True, "currency": "usd",
           "disputed": False, "fraud_details": {}, "metadata": {}, "paid": True, "refunded": False,
           "status": "succeeded", "receipt_url": "https://pay.stripe.com/receipts/fake",
           "refunds": _empty_list("/v1/charges/refunds"),
           "billing_details": _nulls("email name phone tax_id") | {"address": _NO_ADDRESS},
           "outcome": {"network_status": "approved_by_network", "reason": None, "risk_level": "normal",
                       "seller_message": "Payment complete.", "type": "authorized"}},
    ),
    "invoice_item": Resource(
        "invoiceitems", "invoiceitem", "ii_", "rak_invoice", frozenset({"customer", "invoice"}),
        _nulls("customer_account description invoice parent plan price pricing subscription test_clock")
        | {"amount": 1000, "currency": "usd", "customer": "cus_QXg1o8vcGmoR32", "discountable": True,
           "discounts": [], "metadata": {}, "proration": False, "quantity": 1, "tax_rates": [],
           "net_amount": 1000, "unit_amount": 1000, "unit_amount_decimal": "1000"},
        deletable=True, time_field="date",
    ),
    "order": Resource(
        "orders", "order", "or_", "rak_order", frozenset({"customer", "ids", "status"}),
        _nulls("amount_returned application application_fee charge customer email selected_shipping_method"
               " shipping shipping_methods")
        | {"amount": 1500, "currency": "usd", "items": [], "metadata": {}, "status": "created",
           "status_transitions": _nulls("canceled fulfiled paid returned"),
           "returns": _empty_list("/v1/order_returns")},
        times={"updated": 0}, last_version="2020-08-27",
    ),
    "checkout_session": Resource(
        "checkout/sessions", "checkout.session", "cs_", "rak_checkout_session",
        frozenset({"customer", "payment_intent", "payment_link", "status", "subscription"}),
        _nulls("amount_subtotal amount_total client_reference_id currency customer customer_details locale"
               " customer_email invoice payment_intent payment_link setup_intent shipping_cost submit_type"
               " subscription total_details url")
        | {"automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
           "custom_fields": [], "metadata": {}, "mode": "payment", "payment_method_types": ["card"],
           "custom_text": _nulls("after_submit shipping_address submit terms_of_service_acceptance"),
           "payment_status": "unpaid", "shipping_options": [], "status": "open"},
        id_size=58, times={"expires_at": DAY},
    ),
}  # fmt: skip

# Fields and parameters that came and went: the first version with them, and the first without.
ADDED = {
    "customer": _words("next_invoice_sequence:2019-12-03 test_clock:2020-08-27"),
    "product": _words("default_price:2020-08-27 tax_code:2020-08-27 marketing_features:2024-04-10"),
    "charge": _words("amount_captured:2020-08-27 calculated_statement_descriptor:2020-08-27"
                     " disputed:2020-08-27 failure_balance_transaction:2020-08-27"),
    "invoice_item": _words("discounts:2020-08-27 test_clock:2020-08-27 parent:2025-03-31 pricing:2025-03-31"
                           " net_amount:2025-09-30 customer_account:2025-09-30 quantity_decimal:2026-03-25"),
}  # fmt: skip
REMOVED = {
    "customer": _words("account_balance:2019-10-17 sources:2020-08-27"),
    "product": _words("caption:2020-08-28 attributes:2020-08-28 deactivate_on:2020-08-28 type:2020-08-28"),
    "charge": _words("order:2020-08-28 refunds:2022-11-15 invoice:2025-03-31"),
    "invoice_item": _words("plan:2025-03-31 price:2025-03-31 subscription:2025-03-31"
                           " unit_amount:2025-03-31 unit_amount_decimal:2025-03-31"),
}  # fmt: skip


def is_alive(kind: str, name: str, version: str) -> bool:
    """Whether an API version has a field or parameter."""
    return ADDED.get(kind, {}).get(name, "") <= version[:10] < REMOVED.get(kind, {}).get(name, "9999")


# --- Objects and their shapes


@dataclass(slots=True)
class Item:
    """One object: its place in the list, and the fields in which it differs from the default shape."""

    id: str
    created: int
    tie: int  # its place among those of the same second
    visible_at: float = 0
    fields: dict[str, Any] = field(default_factory=dict)  # shared, so replaced, never changed
    deleted: bool = False

    @property
    def place(self) -> tuple[int, int]:
        return self.created, self.tie


def render(kind: str, item: Item, version: str, livemode: bool) -> dict[str, Any]:
    """The object in full, as the API version shows it."""
    resource = RESOURCES[kind]
    head = {"id": item.id, "object": resource.object, resource.time_field: item.created, "livemode": livemode}
    times = {name: item.created + later for name, later in resource.times.items()}
    whole = head | resource.shape | times | item.fields
    if kind == "customer":
        _shape_customer(whole, item, version)
    elif kind == "invoice_item":
        _shape_invoice_item(whole, item)
    return {name: value for name, value in whole.items() if is_alive(kind, name, version)}


def _shape_customer(customer: dict[str, Any], item: Item, version: str) -> None:
    """A test gives a discount as its coupon's id; where that stands has moved."""
    customer["account_balance"] = customer["balance"]
    if isinstance(coupon := customer["discount"], str):
        body = {"id": coupon, "object": "coupon", "duration": "forever", "percent_off": 25.5, "valid": True}
        new = version >= "2025-09-30"
        customer["discount"] = (
            {"id": "di_" + item.id[4:], "object": "discount", "customer": item.id, "start": item.created}
            | _nulls("checkout_session end invoice invoice_item promotion_code subscription")
            | ({"source": {"type": "coupon", "coupon": coupon}} if new else {"coupon": body})
        )


def _shape_invoice_item(line: dict[str, Any], item: Item) -> None:
    """A test gives a plan as its id: up to acacia it is an object beside a price, from basil on an id."""
    line["period"] = {"start": item.created, "end": item.created}
    line["quantity_decimal"] = str(line["quantity"])
    if isinstance(plan := line["plan"], str):
        common = {"id": plan, "active": True, "created": item.created, "currency": line["currency"]}
        common |= {"livemode": line["livemode"], "metadata": {}, "nickname": None, "product": "prod_1"}
        recurring = {"interval": "month", "interval_count": 1, "usage_type": "licensed"}
        amount = {"billing_scheme": "per_unit", "unit_amount": line["unit_amount"]}
        line["plan"] = common | recurring | {"object": "plan", "amount": line["unit_amount"]}
        line["price"] = common | amount | {"object": "price", "type": "recurring", "recurring": recurring}
        line["pricing"] = {"type": "price_details", "price_details": {"price": plan, "product": "prod_1"}}
    if line["subscription"]:
        details = {"subscription": line["subscription"]}
        line["parent"] = {"type": "subscription_details", "subscription_details": details}


# --- Errors


class ApiError(Exception):
    """An answer that is not 200. `began`: execution had begun, so an idempotency key keeps it."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        param: str | None = None,
        *,
        type: str = "invalid_request_error",
        began: bool = False,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.began, self.headers = status, began, headers or {}
        page = code and "https://stripe.com/docs/error-codes/" + code.replace("_", "-")
        self.error = {"type": type, "code": code, "message": message, "param": param, "doc_url": page}

    def body(self, request_id: str, livemode: bool, now: float) -> dict[str, Any]:
        log = f"https://dashboard.stripe.com/{'' if livemode else 'test/'}logs/{request_id}?t={int(now)}"
        full = self.error | {"request_log_url": log}
        return {"error": {name: value for name, value in full.items() if value is not None}}


def _unknown(name: str) -> ApiError:
    return ApiError(400, f"Received unknown parameter: {name}", "parameter_unknown", name)


def _missing(kind: str, id: str, param: str = "id", status: int = 404) -> ApiError:
    message = f"No such {RESOURCES[kind].object}: '{id}'"
    return ApiError(status, message, "resource_missing", param, began=True)


# What a status says when a test gives no body: message, code, type, headers.
USUAL: dict[int, tuple[str, str | None, str, dict[str, str]]] = {
    402: ("Your card was declined.", "card_declined", "card_error", {}),
    409: ("There is currently another in-progress request using this Idempotency-Key.",
          "idempotency_key_in_use", "idempotency_error", {"Stripe-Should-Retry": "true"}),
    429: ("Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
          "rate_limit", "invalid_request_error", {"Stripe-Rate-Limited-Reason": "endpoint-rate"}),
    500: ("An unknown error occurred", None, "api_error", {}),
}  # fmt: skip


def _usual(status: int, began: bool, headers: dict[str, str]) -> ApiError:
    message, code, kind, own = USUAL.get(status, USUAL[500])
    return ApiError(status, message, code, type=kind, began=began, headers=own | headers)


# --- Parameters


def unflatten(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """`a[b]=1`, `a[0]=1` and `a[]=1` as nested dicts; a list is a dict until its parameter says it is one."""
    tree: dict[str, Any] = {}
    for name, value in pairs:
        head, *rest = name.replace("]", "").split("[")
        node, key = tree, head
        for part in rest:
            node = node.setdefault(key, {})
            if not isinstance(node, dict):
                raise ApiError(400, f"Invalid hash: {name}", None, head)
            key = part or str(len(node))
        node[key] = value
    return tree


def _convert(name: str, value: Any, kind: str) -> Any:
    """One parameter as its type, or Stripe's refusal."""
    if isinstance(value, dict) and kind in ("list", "hash"):
        return value if kind == "hash" else list(value.values())
    if isinstance(value, str) and kind == "str":
        return value
    if kind == "bool" and value in ("true", "false"):
        return value == "true"
    if kind == "int":
        return _integer(name, value)
    word = {"list": "array", "hash": "hash", "bool": "boolean", "str": "string"}[kind]
    raise ApiError(400, f"Invalid {word}: {value}", None, name)


def _integer(name: str, value: Any) -> int:
    if not isinstance(value, str) or not re.fullmatch(r"-?\d+", value):
        raise ApiError(400, f"Invalid integer: {value}", "parameter_invalid_integer", name)
    return int(value)


def changes(kind: str, form: dict[str, Any], version: str, old: dict[str, Any] | None) -> dict[str, Any]:
    """The fields that a form sets on a new object (`old` is None) or on an existing one."""
    asked: dict[str, Any] = {}
    for name, value in form.items():
        if name == "expand":
            continue
        rule = RESOURCES[kind].params.get(name, "")
        if not rule or not is_alive(kind, name, version) or (rule[-1] == "+" and old is not None):
            raise _unknown(name)
        if value != "":
            asked[name] = _convert(name, value, rule.rstrip("?~+"))
        elif rule[-1] == "?" or (rule[-1] == "~" and old is not None):
            asked[name] = {"list": [], "hash": {} if name == "metadata" else None}.get(rule[:-1])
        else:
            unset = "We assume empty values are an attempt to unset a parameter; however"
            message = f"You passed an empty string for '{name}'. {unset} '{name}' cannot be unset."
            raise ApiError(400, message, "parameter_invalid_empty", name)
    if asked.get("metadata"):
        merged = ((old or {}).get("metadata") or {}) | asked["metadata"]
        asked["metadata"] = {name: value for name, value in merged.items() if value != ""}
    return asked


# --- Lists


class Store:
    """One account in one mode: every object by id, and those now visible in list order, oldest first."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Item]] = {kind: {} for kind in RESOURCES}
        self.order: dict[str, list[Item]] = {kind: [] for kind in RESOURCES}
        self.late: list[tuple[float, int, str, Item]] = []

    def add(self, kind: str, items: list[Item], now: float) -> None:
        for item in items:
            self.items[kind][item.id] = item
            if item.visible_at > now:
                heappush(self.late, (item.visible_at, id(item), kind, item))
        seen = [item for item in items if item.visible_at <= now]
        if len(seen) == 1:
            insort(self.order[kind], seen[0], key=lambda item: item.place)
        elif seen:
            self.order[kind] = sorted(self.order[kind] + seen, key=lambda item: item.place)

    def reveal(self, now: float) -> None:
        """Late objects whose time has come take the place that their `created` gives them."""
        while self.late and self.late[0][0] <= now:
            *_, kind, item = heappop(self.late)
            if not item.deleted:
                insort(self.order[kind], item, key=lambda item: item.place)

    def find(self, kind: str, id: str, now: float) -> Item | None:
        """The object, deleted or not, unless its time has not come."""
        item = self.items[kind].get(id)
        return item if item and item.visible_at <= now else None

    def delete(self, kind: str, id: str) -> None:
        item, order = self.items[kind][id], self.order[kind]
        place = bisect_left(order, item.place, key=lambda item: item.place)
        if not item.deleted and place < len(order) and order[place] is item:
            del order[place]
        item.deleted = True

    def page(
        self,
        kind: str,
        limit: int,
        created: dict[str, int],
        after: Item | None,
        before: Item | None,
        matches: Callable[[Item], bool] | None,
    ) -> tuple[list[Item], bool]:
        """One page, newest first, and whether more follow in the direction of the cursor."""
        order, low, high = self.order[kind], 0, len(self.order[kind])
        for bound, second in created.items():
            side = bisect_left if bound in ("gte", "lt") else bisect_right
            edge = side(order, second, key=lambda item: item.created)
            low, high = (max(low, edge), high) if bound[0] == "g" else (low, min(high, edge))
        if after:
            high = min(high, bisect_left(order, after.place, key=lambda item: item.place))
        if before:
            low = max(low, bisect_right(order, before.place, key=lambda item: item.place))
        # Before a cursor, the page next to it is wanted: walk from the oldest, and turn it round at the end.
        walk = range(low, high) if before else range(high - 1, low - 1, -1)
        found: Iterable[Item] = (order[index] for index in walk)
        some = list(islice(filter(matches, found) if matches else found, limit + 1))
        page = some[:limit]
        return page[::-1] if before else page, len(some) > limit


def _created(given: Any) -> dict[str, int]:
    if not isinstance(given, dict):
        second = _integer("created", given)
        return {"gte": second, "lte": second}
    for bound in given:
        if bound not in ("gt", "gte", "lt", "lte"):
            raise _unknown(f"created[{bound}]")
    return {bound: _integer(f"created[{bound}]", value) for bound, value in given.items()}


def _limit(given: str) -> int:
    limit = _integer("limit", given)
    if 1 <= limit <= 100:
        return limit
    side = "less than or equal to 100" if limit > 100 else "greater than or equal to 1"
    message = f"This value must be {side} (it currently is '{limit}')."
    raise ApiError(400, message, "parameter_invalid_integer", "limit")


def _matcher(kind: str, wanted: dict[str, Any]) -> Callable[[Item], bool] | None:
    """The filters beside `created`, as one test of an object."""
    if not wanted:
        return None
    ids = set(wanted["ids"].values()) if isinstance(wanted.get("ids"), dict) else None
    plain = {name: value for name, value in wanted.items() if name != "ids"}

    def matches(item: Item) -> bool:
        whole = RESOURCES[kind].shape | item.fields
        same = all(str(whole.get(name)).lower() == value.lower() for name, value in plain.items())
        return same and (ids is None or item.id in ids)

    return matches


# --- Requests, faults and keys


@dataclass(slots=True)
class Request:
    """One request as the log keeps it; header names in lower case, of the key only a marker."""

    time: float
    method: str
    path: str
    query: list[tuple[str, str]]
    form: list[tuple[str, str]]
    headers: dict[str, str]
    key: str
    peer: int
    request_id: str
    status: int = 0  # 0: no answer was sent

    @property
    def params(self) -> list[tuple[str, str]]:
        return self.query + self.form


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Fault:
    """What goes wrong with the requests that match: after `skip` of them, every `every`-th, `times` in all.

    status, body, headers: this instead of Stripe's answer (429, 409, 500 and 503 know their own body);
    a 500 or 402 counts as executed, so an idempotency key keeps it unless `saved` says otherwise;
    delay: seconds before execution; reset: the connection dies before execution; drop: it dies after it;
    truncate: "length" (the body ends too early) or "json" (half a document, correctly framed);
    redirect: 302 to this URL; hook: called with the Request before it is executed (in-process only).
    """

    method: str | None = None
    path: str = "/v1/"
    times: int | None = None
    every: int = 1
    skip: int = 0
    status: int | None = None
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    saved: bool | None = None
    delay: float = 0
    reset: bool = False
    drop: bool = False
    truncate: str | None = None
    redirect: str | None = None
    hook: Callable[[Request], Any] | None = None
    seen: int = 0
    hits: int = 0

    def strikes(self, request: Request) -> bool:
        if self.method not in (None, request.method) or not request.path.startswith(self.path):
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        self.seen += 1
        strike = self.seen > self.skip and (self.seen - self.skip) % self.every == 0
        self.hits += strike
        return strike

    @property
    def executed(self) -> bool:
        return self.status in (402, 500) if self.saved is None else self.saved

    @property
    def refuses(self) -> bool:
        return self.status is not None and not self.executed

    def answer(self) -> Answer:
        """The scripted answer: the test's own body, or the usual one of its status."""
        status = self.status or 500
        if self.body is not None:
            text = self.body if isinstance(self.body, str) else json.dumps(self.body)
            return Answer(status, self.headers, text.encode())
        if status > 500:
            page = f"<html>{status} service unavailable</html>".encode()
            return Answer(status, {"Content-Type": "text/html"} | self.headers, page)
        raise _usual(status, self.executed, self.headers)


class Caller(NamedTuple):
    """Who asks: the key's marker, its mode, the account and the API version."""

    key: str
    livemode: bool
    account: str
    version: str


@dataclass
class Saved:
    """What an idempotency key keeps; no answer yet means that the first request is still being executed."""

    at: float
    asked: tuple[str, list[tuple[str, str]]]
    request_id: str
    answer: Answer | None = None

    def replay(self, again: Saved, key: str) -> Answer:
        """The saved answer to the same request; a different one is refused."""
        (path, form), (old_path, old_form) = again.asked, self.asked
        only = "Keys for idempotent requests can only be used"
        other = f"Try using a key other than '{key}' if you meant to execute a different request."
        for same, how in (
            (path == old_path, f"for the same endpoint they were first used for ('{path}' vs '{old_path}')"),
            (form == old_form, "with the same parameters they were first used with"),
        ):
            if not same:
                raise ApiError(400, f"{only} {how}. {other}", type="idempotency_error")
        if self.answer is None:
            raise _usual(409, False, {})
        marks = {"Idempotent-Replayed": "true", "Original-Request": self.request_id}
        stop = {"Stripe-Should-Retry": "false"} if self.answer.status >= 500 else {}
        return self.answer._replace(headers=self.answer.headers | marks | stop)


Verb = Callable[[str, str, Request, Caller], dict[str, Any]]


def secret(headers: dict[str, str]) -> str:
    """The API key, from Bearer or Basic."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return value.strip()
    with suppress(ValueError):
        return base64.b64decode(value).decode().split(":")[0]
    return ""


def mask(key: str) -> str:
    """A key as Stripe shows it: mode and last four characters."""
    head = re.match(r"(?:[a-z]+_)?(?:(?:test|live)_)?", key)
    return f"{head.group() if head else ''}****{key[-4:]}" if key else ""


# --- The API


class FakeStripe:
    """Stripe, as far as this provider needs it. A context manager: inside, `url` answers.

    clock: seconds since the epoch; rules `created`, `Date`, late objects and the life of idempotency keys.
    scrambled: objects of one second stand in an order of their own, stable but not that of creation.
    deleted_cursors: the id of a deleted object still works as a cursor.
    accepted_keys: only these keys are good (None: any of good shape).
    missing_permissions: key -> permissions it lacks, as {"rk_test_1": ["rak_customer_read"]}.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Callable[[], float] = time.time,
        scrambled: bool = False,
        seed: int | None = 0,
    ) -> None:
        self.clock, self.scrambled, self.deleted_cursors = clock, scrambled, False
        self.default_version = DEFAULT_VERSION
        self.accepted_keys: set[str] | None = None
        self.missing_permissions: dict[str, list[str]] = {}
        self.requests: list[Request] = []
        self.ledger: list[Any] = []
        self.faults: list[Fault] = []
        self._address = (host, port)
        self._random = random.Random(seed)
        self._lock = threading.RLock()
        self._stores: defaultdict[tuple[bool, str], Store] = defaultdict(Store)
        self._saved: dict[tuple[bool, str, str], Saved] = {}
        self._made = 0
        self._stopping = threading.Event()
        self._server: _Server | None = None

    # Starting and stopping

    def __enter__(self) -> FakeStripe:
        self._stopping.clear()
        self._server = _Server(self._address, self)
        self._address = (self._address[0], self._server.server_port)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        if self._server:
            self._server.stop()

    @property
    def url(self) -> str:
        return f"http://{self._address[0]}:{self._address[1]}"

    # Control: what a test does to it

    def create(self, kind: str, *, created: int | None = None, **fields: Any) -> str:
        """Make one object and return its id."""
        return self.create_many(kind, 1, created=created, **fields)[0]

    def create_many(
        self,
        kind: str,
        n: int,
        *,
        created: int | None = None,
        spread: int = 0,
        visible_at: float | None = None,
        id: str | None = None,
        livemode: bool = False,
        account: str = "",
        **fields: Any,
    ) -> list[str]:
        """Make `n` objects, evenly over `spread` seconds (by default up to now); their ids, oldest first."""
        now = self.clock()
        first = int(now) - spread if created is None else created
        if "account_balance" in fields:
            fields["balance"] = fields.pop("account_balance")
        with self._lock:
            items = [self._item(kind, first + i * spread // n, id, livemode) for i in range(n)]
            for item in items:
                item.visible_at, item.fields = visible_at or 0, fields
            self._stores[livemode, account].add(kind, items, now)
        return [item.id for item in items]

    def _item(self, kind: str, created: int, id: str | None, livemode: bool) -> Item:
        """A new object, its id made up unless one is given."""
        mode = ("live_" if livemode else "test_") if kind == "checkout_session" else ""
        name = id or RESOURCES[kind].prefix + mode + self._letters(RESOURCES[kind].id_size)
        self._made += 1
        return Item(name, created, zlib.crc32(name.encode()) if self.scrambled else self._made)

    def _letters(self, size: int) -> str:
        return "".join(self._random.choices(string.ascii_letters + string.digits, k=size))

    def delete(self, kind: str, id: str, *, livemode: bool = False, account: str = "") -> None:
        """Delete an object, also of a kind that the API cannot delete."""
        with self._lock:
            self._stores[livemode, account].delete(kind, id)

    def ids(self, kind: str, *, livemode: bool = False, account: str = "") -> list[str]:
        """The ids now listed, oldest first."""
        with self._lock:
            store = self._stores[livemode, account]
            store.reveal(self.clock())
            return [item.id for item in store.order[kind]]

    def fault(self, **script: Any) -> Fault:
        """Script a fault (see Fault); once, unless `times` or `every` is given."""
        if "times" not in script and "every" not in script:
            script["times"] = 1
        self.faults.append(fault := Fault(**script))
        return fault

    def options(self, **values: Any) -> None:
        """Set options by name: scrambled, deleted_cursors, accepted_keys, missing_permissions, …"""
        for name, value in values.items():
            if name.startswith("_") or name not in vars(self):
                raise AttributeError(name)
            setattr(self, name, value)

    def inflow(self, kind: str, per_second: float, lateness: float = 0) -> None:
        """Make new objects steadily until the end, each visible up to `lateness` seconds late."""

        def run() -> None:
            start, made = time.monotonic(), 0
            while not self._stopping.wait(min(1, max(0.05, 1 / per_second))):
                due = int((time.monotonic() - start) * per_second)
                for _ in range(due - made):
                    self.create(kind, visible_at=self.clock() + self._random.random() * lateness)
                made = due

        threading.Thread(target=run, daemon=True).start()

    # Answering

    def received(self, method: str, target: str, headers: dict[str, str], body: bytes, peer: int) -> Request:
        """Log a request and give it its number."""
        url = urlsplit(target)
        query, form = (parse_qsl(text, keep_blank_values=True) for text in (url.query, body.decode()))
        shown = {name: value for name, value in headers.items() if name != "authorization"}
        with self._lock:
            number = "req_" + self._letters(14)
        key = mask(secret(headers))
        request = Request(time.time(), method, url.path, query, form, shown, key, peer, number)
        self.requests.append(request)
        return request

    def due(self, request: Request) -> Fault:
        """The fault that strikes this request; mostly one that does nothing."""
        with self._lock:
            return next((fault for fault in self.faults if fault.strikes(request)), Fault())

    def answer(self, request: Request, key: str, fault: Fault) -> Answer:
        """What Stripe answers, numbered and dated."""
        headers = request.headers
        account = headers.get("stripe-account") or headers.get("stripe-context", "")
        version = headers.get("stripe-version", self.default_version)
        caller = Caller(key, key.split("_")[1:2] == ["live"], account, version)
        try:
            if fault.redirect:
                answer = Answer(302, {"Location": fault.redirect}, b"")
            elif fault.refuses:
                self._stopping.wait(fault.delay)
                answer = fault.answer()
            else:
                self._check(caller)
                answer = self._once(request, caller, fault)
        except ApiError as error:
            answer = self._refusal(error, request, caller)
        head = {"Content-Type": "application/json", "Request-Id": request.request_id}
        return answer._replace(headers=head | {"Stripe-Version": version} | answer.headers)

    def _refusal(self, error: ApiError, request: Request, caller: Caller) -> Answer:
        body = error.body(request.request_id, caller.livemode, self.clock())
        return Answer(error.status, error.headers, json.dumps(body).encode())

    def _check(self, caller: Caller) -> None:
        """Refuse a bad key or version."""
        if not caller.key:
            raise ApiError(401, "You did not provide an API key.")
        if caller.key.startswith("pk_"):
            message = "This API call cannot be made with a publishable API key. Please use a secret API key."
            raise ApiError(401, message, "secret_key_required")
        good = re.fullmatch(r"(sk|rk|rkcs)_\w{8,}", caller.key)
        if not good or (self.accepted_keys is not None and caller.key not in self.accepted_keys):
            raise ApiError(401, f"Invalid API Key provided: {mask(caller.key)}")
        if not re.fullmatch(r"\d{4}-\d\d-\d\d(\.[a-z]+)?", caller.version):
            raise ApiError(400, f"Invalid Stripe API version: {caller.version}")

    def _once(self, request: Request, caller: Caller, fault: Fault) -> Answer:
        """Execute, or replay what the idempotency key keeps."""
        key = request.headers.get("idempotency-key", "")
        if request.method != "POST" or not key:
            return self._execute(request, caller, fault)
        slot = (caller.livemode, caller.account, key)
        new = Saved(self.clock(), (request.path, sorted(request.form)), request.request_id)
        with self._lock:
            old = self._saved.get(slot)
            if old and old.at + DAY > new.at:
                return old.replay(new, key)
            self._saved[slot] = new
        try:
            answer, kept = self._execute(request, caller, fault), True
        except ApiError as error:
            answer, kept = self._refusal(error, request, caller), error.began
        answer = answer._replace(headers={"Idempotency-Key": key} | answer.headers)
        if kept:
            new.answer = answer
        else:
            del self._saved[slot]
        return answer

    def _execute(self, request: Request, caller: Caller, fault: Fault) -> Answer:
        self._stopping.wait(fault.delay)
        if fault.hook:
            fault.hook(request)
        if fault.status:
            return fault.answer()
        with self._lock:
            body = self._route(request, caller)
        return Answer(200, {}, json.dumps(body).encode())

    def _route(self, request: Request, caller: Caller) -> dict[str, Any]:
        """Find the resource and the verb."""
        tail = request.path.removeprefix("/v1/")
        if tail == "balance" and request.method == "GET":
            self._permit(caller, "rak_balance_read")
            return _balance(caller.livemode)
        for kind, resource in RESOURCES.items():
            match = re.fullmatch(f"{resource.path}(?:/([^/]+))?", tail)
            if match and caller.version[:10] <= resource.last_version:
                verb = self._verb(request.method, resource, bool(match[1]))
                self._permit(caller, resource.permission + ("_read" if request.method == "GET" else "_write"))
                return verb(kind, unquote(match[1] or ""), request, caller)
        return self._nowhere("", "", request, caller)

    def _verb(self, method: str, resource: Resource, one: bool) -> Verb:
        if method == "GET":
            return self._read if one else self._list
        if method == "POST" and resource.params:
            return self._update if one else self._create
        return self._remove if method == "DELETE" and one and resource.deletable else self._nowhere

    def _permit(self, caller: Caller, permission: str) -> None:
        if permission in self.missing_permissions.get(caller.key, ()):
            account = caller.account or "acct_123"
            where = f"the required permissions for this endpoint on account '{account}'"
            cure = f"Having the '{permission}' permission would allow this request to continue."
            raise ApiError(403, f"The provided key '{mask(caller.key)}' does not have {where}. {cure}")

    # The verbs

    def _nowhere(self, kind: str, id: str, request: Request, caller: Caller) -> dict[str, Any]:
        where = f"({request.method}: {request.path})"
        cure = "Please see https://stripe.com/docs or we can help at https://support.stripe.com/."
        raise ApiError(404, f"Unrecognized request URL {where}. {cure}")

    def _store(self, caller: Caller) -> Store:
        store = self._stores[caller.livemode, caller.account]
        store.reveal(self.clock())
        return store

    def _one(self, kind: str, id: str, caller: Caller, param: str = "id", status: int = 404) -> Item:
        item = self._store(caller).find(kind, id, self.clock())
        if item is None or (item.deleted and not (self.deleted_cursors and status == 400)):
            raise _missing(kind, id, param, status)
        return item

    def _list(self, kind: str, _: str, request: Request, caller: Caller) -> dict[str, Any]:
        query, resource = unflatten(request.query), RESOURCES[kind]
        expand = query.pop("expand", {})
        limit, created = _limit(query.pop("limit", "10")), _created(query.pop("created", {}))
        cursors = {name: query.pop(name) for name in ("starting_after", "ending_before") if name in query}
        for name in query:
            if name not in resource.filters:
                raise _unknown(name)
        if len(cursors) == 2:
            both = "Received both starting_after and ending_before parameters. Please pass in only one."
            raise ApiError(400, both)
        matches = _matcher(kind, query)
        at = {name: self._one(kind, value, caller, name, 400) for name, value in cursors.items()}
        for name, item in at.items():
            if matches and not matches(item):
                raise _missing(kind, item.id, name, 400)
        after, before = at.get("starting_after"), at.get("ending_before")
        items, more = self._store(caller).page(kind, limit, created, after, before, matches)
        data = [self._shown(kind, item, caller, expand, "data.") for item in items]
        return {"object": "list", "url": "/v1/" + resource.path, "has_more": more, "data": data}

    def _shown(self, kind: str, item: Item, caller: Caller, expand: Any = None, under: str = "") -> dict[str, Any]:
        """An object as answered; `expand` puts the customer in place of its id."""
        whole = render(kind, item, caller.version, caller.livemode)
        for path in (expand or {}).values():
            if path != under + "customer" or "customer" not in whole:
                raise ApiError(400, f"This property cannot be expanded ({path}).", None, "expand")
            customer = self._store(caller).items["customer"].get(str(whole["customer"]))
            if customer:
                whole["customer"] = self._shown("customer", customer, caller)
        return whole

    def _read(self, kind: str, id: str, request: Request, caller: Caller) -> dict[str, Any]:
        item = self._store(caller).find(kind, id, self.clock())
        if item and item.deleted and kind == "customer":
            return {"id": id, "object": "customer", "deleted": True}
        return self._shown(kind, self._one(kind, id, caller), caller, unflatten(request.query).get("expand"))

    def _create(self, kind: str, _: str, request: Request, caller: Caller) -> dict[str, Any]:
        form = unflatten(request.form)
        for name in RESOURCES[kind].required:
            if name not in form and (name != "type" or "2018-02-05" <= caller.version <= "2019-10-17"):
                raise ApiError(400, f"Missing required param: {name}.", "parameter_missing", name)
        fields = changes(kind, form, caller.version, None)
        wanted, items = fields.pop("id", None), self._store(caller).items[kind]
        if wanted in items and not items[wanted].deleted:
            message = f"{RESOURCES[kind].object.capitalize()} already exists."
            raise ApiError(400, message, "resource_already_exists", "id", began=True)
        made = self.create(kind, id=wanted, livemode=caller.livemode, account=caller.account, **fields)
        return self._shown(kind, items[made], caller)

    def _update(self, kind: str, id: str, request: Request, caller: Caller) -> dict[str, Any]:
        item = self._one(kind, id, caller)
        asked = changes(kind, unflatten(request.form), caller.version, item.fields)
        if "account_balance" in asked:
            asked["balance"] = asked.pop("account_balance")
        stamp = {"updated": int(self.clock())} if kind == "product" else {}
        item.fields = item.fields | asked | stamp
        return self._shown(kind, item, caller)

    def _remove(self, kind: str, id: str, request: Request, caller: Caller) -> dict[str, Any]:
        self._one(kind, id, caller)
        self._store(caller).delete(kind, id)
        return {"id": id, "object": RESOURCES[kind].object, "deleted": True}

    # Control over HTTP

    def control(self, method: str, target: str, body: bytes) -> Any:
        """One request below /_fake/: the methods above, by name, with JSON arguments."""
        url = urlsplit(target)
        name, query = url.path.removeprefix("/_fake/"), dict(parse_qsl(url.query))
        logs: dict[str, list[Any]] = {"requests": self.requests, "faults": self.faults, "ledger": self.ledger}
        if method == "POST" and name == "ledger":
            return self.ledger.append(json.loads(body))
        if method == "POST":
            verbs = (self.create, self.create_many, self.delete, self.fault, self.options, self.inflow)
            named: dict[str, Callable[..., Any]] = {verb.__name__: verb for verb in verbs}
            return named[name](**json.loads(body))
        if name == "objects":
            return self.ids(query["kind"], account=query.get("account", ""), livemode="livemode" in query)
        return logs[name].clear() if method == "DELETE" else logs[name]


def _balance(livemode: bool) -> dict[str, Any]:
    money = [{"amount": 0, "currency": "usd", "source_types": {"card": 0}}]
    return {"object": "balance", "available": money, "livemode": livemode, "pending": money}


# --- The wire


class _Server(ThreadingHTTPServer):
    daemon_threads, block_on_close, request_queue_size = True, False, 128

    def __init__(self, address: tuple[str, int], fake: FakeStripe) -> None:
        self.fake, self.open = fake, set[socket.socket]()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without the look-up of its own name that http.server would do."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def stop(self) -> None:
        """Stop listening, and end the connections that clients keep alive."""
        self.shutdown()
        self.server_close()
        for connection in list(self.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client may go away whenever it likes
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version, disable_nagle_algorithm, wbufsize = "HTTP/1.1", True, -1
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.open.add(self.connection)

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def version_string(self) -> str:
        return "nginx"

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(self.server.fake.clock() if timestamp is None else timestamp)

    def do_GET(self) -> None:
        """Answer any request, or fail as scripted."""
        fake = self.server.fake
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path.startswith("/_fake/"):
            try:
                status, result = 200, fake.control(self.command, self.path, body)
            except (AttributeError, LookupError, TypeError, ValueError) as error:
                status, result = 400, repr(error)
            text = json.dumps(result, default=asdict).encode()
            self._send(Answer(status, {"Content-Type": "application/json"}, text))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = fake.received(self.command, self.path, headers, body, self.client_address[1])
        fault = fake.due(request)
        if fault.reset:
            self._reset()
            return
        answer = fake.answer(request, secret(headers), fault)
        self.close_connection |= fault.drop
        if not fault.drop:
            request.status = answer.status
            self._send(answer, fault.truncate)

    do_POST = do_DELETE = do_PUT = do_PATCH = do_GET  # noqa: N815

    def _send(self, answer: Answer, truncate: str | None = None) -> None:
        body = answer.body if truncate is None else answer.body[: len(answer.body) // 2]
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body if truncate == "length" else body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection |= truncate == "length"

    def _reset(self) -> None:
        """Close with RST, not FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.server.open.discard(self.connection)
        os.close(self.connection.detach())
        self.close_connection = True


# --- As a process


def main() -> None:
    """Serve until stopped; print the URL first."""
    parser = argparse.ArgumentParser(description="A stateful double of the Stripe API.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=12111)
    parser.add_argument("--inflow", action="append", default=[], metavar="KIND:PER_SECOND")
    parser.add_argument("--lateness", type=float, default=0, metavar="SECONDS")
    options = parser.parse_args()
    with FakeStripe(host=options.host, port=options.port, seed=None) as fake:
        for stream in options.inflow:
            kind, _, rate = stream.partition(":")
            fake.inflow(kind, float(rate), options.lateness)
        print(fake.url, flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
