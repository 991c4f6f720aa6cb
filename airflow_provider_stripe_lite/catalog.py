"""What Stripe has, as data: one entry for each kind of object, one for each list that can be polled.

A new feed is one line in ``FEEDS`` (plus its fields in ``FIELDS``). Which field is found where in which API version
is public: https://docs.stripe.com/changelog
"""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_API_VERSION = "2025-02-24.acacia"  # the newest that still has charge.invoice and invoiceitem.plan natively
LAST_NATIVE_CAPTION = "2020-08-27"


@dataclass(frozen=True, slots=True)
class Field:
    """One documented output field: its dotted name, where it is found (first that is not null), how it is given."""

    name: str
    paths: tuple[str, ...]
    kind: str = ""  # "" as it is | "id" string, also when expanded | "time" ISO 8601 in UTC | "text" as a string


def _field(name: str, *paths: str, kind: str = "") -> Field:
    return Field(name, paths or (name,), kind)


FIELDS: dict[str, tuple[Field, ...]] = {
    "customer": (
        _field("id"),
        _field("account_balance", "account_balance", "balance"),  # renamed in 2019-10-17
        _field("created", kind="time"),
        _field("currency"),
        _field("delinquent"),
        _field("description"),
        # the coupon moved below `source` in 2025-09-30.clover
        _field("discount", "discount.coupon", "discount.source.coupon", "discount", kind="id"),
        _field("email"),
    ),
    "order": (
        _field("id"),
        _field("amount", "amount", "amount_total"),
        _field("amount_returned"),
        _field("charge", kind="id"),
        _field("created", kind="time"),
        _field("currency"),
        _field("customer", kind="id"),
        _field("email"),
        _field("selected_shipping_method"),
        _field("status"),
        _field("updated", kind="time"),
    ),
    "charge": (
        _field("id"),
        _field("amount"),
        _field("amount_refunded"),
        _field("captured"),
        _field("created", kind="time"),
        _field("currency"),
        _field("customer", kind="id"),
        _field("description"),
        _field("failure_code"),
        _field("failure_message"),
        _field("invoice", kind="id"),  # gone from 2025-03-31.basil on
        _field("order", kind="id"),  # gone with the legacy Orders API
        _field("outcome.network_status"),
        _field("outcome.reason"),
        _field("outcome.risk_level"),
        _field("outcome.seller_message"),
        _field("outcome.type"),
        _field("paid"),
        _field("receipt_email"),
        _field("receipt_number"),
        _field("refunded"),
        _field("statement_descriptor"),
        _field("status"),
    ),
    "invoice_item": (
        _field("id"),
        _field("amount"),
        _field("currency"),
        _field("customer", kind="id"),
        _field("date", kind="time"),
        _field("description"),
        _field("discountable"),
        _field("invoice", kind="id"),
        # plan and subscription moved in 2025-03-31.basil
        _field("plan", "plan", "price", "pricing.price_details.price", kind="id"),
        _field("proration"),
        _field("quantity", kind="text"),
        _field("subscription", "subscription", "parent.subscription_details.subscription", kind="id"),
    ),
    "product": (
        _field("id"),
        _field("active"),
        _field("caption", "caption", "metadata.caption"),
        _field("created", kind="time"),
        _field("description"),
        _field("images"),
        _field("name"),
        _field("shippable"),
        _field("updated", kind="time"),
        _field("url"),
    ),
    "checkout_session": (
        _field("id"),
        _field("amount", "amount_total"),
        _field("created", kind="time"),
        _field("currency"),
        _field("customer", kind="id"),
        _field("email", "customer_details.email", "customer_email"),
        _field("payment_status"),
        _field("status"),
    ),
}


@dataclass(frozen=True, slots=True)
class Feed:
    """A list that can be polled: newest first, filtered by ``created``, paged by ``ending_before``."""

    name: str
    path: str
    dashboard: str  # the page of the dashboard that shows the list
    created: str = "created"  # the field that holds what the filter calls created
    gone: str | None = None  # what to say when Stripe answers 404


FEEDS: dict[str, Feed] = {
    feed.name: feed
    for feed in (
        Feed("customer", "/v1/customers", "customers"),
        Feed("charge", "/v1/charges", "payments"),
        Feed("invoice_item", "/v1/invoiceitems", "invoices", created="date"),
        Feed("checkout_session", "/v1/checkout/sessions", "payments"),
        Feed(
            "order",
            "/v1/orders",
            "orders",
            gone="Stripe has removed the Orders API: the last API version that has it is 2020-08-27 (later ones, from "
            '2022-08-01 on, have not), so use feed="checkout_session", or api_version 2020-08-27 where an old account '
            "still answers.",
        ),
    )
}

OBJECT_PATHS = {"customer": "/v1/customers", "product": "/v1/products"}


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of an action: its kind and limit, what Stripe calls it, whether an empty value unsets it."""

    name: str
    kind: str  # "text" | "flag" | "urls" | "metadata"
    limit: int = 0  # characters, or entries of a list
    wire: str = ""  # Stripe's name where it differs
    unsets: bool = False


PARAMS: dict[str, tuple[Param, ...]] = {
    "customer": (
        Param("description", "text", 5000, unsets=True),
        Param("customer_email", "text", 512, wire="email", unsets=True),
        Param("metadata", "metadata", 50, unsets=True),
    ),
    "product": (
        Param("name", "text", 5000),
        Param("active", "flag"),
        Param("caption", "text", 5000, unsets=True),
        Param("description", "text", 40000, unsets=True),
        Param("images", "urls", 8, unsets=True),
        Param("shippable", "flag"),
        Param("url", "text", 5000, unsets=True),
        Param("metadata", "metadata", 50, unsets=True),
    ),
}
