"""What Stripe has, as data: one record for each list that can be polled.

A new feed is one record in ``RESOURCES`` and its name in ``FeedName``. Which field stands where in
which API version is public: https://docs.stripe.com/changelog
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["DEFAULT_API_VERSION", "RESOURCES", "FeedName", "Field", "Resource"]

# The newest version that still has charge.invoice and invoiceitem.plan under these names.
DEFAULT_API_VERSION = "2025-02-24.acacia"

FeedName = Literal[
    "account",
    "application_fee",
    "apps.install",
    "balance_transaction",
    "charge",
    "checkout.session",
    "coupon",
    "credit_note",
    "customer",
    "dispute",
    "event",
    "file",
    "file_link",
    "forwarding.request",
    "identity.verification_report",
    "identity.verification_session",
    "invoice",
    "invoice_payment",
    "invoiceitem",
    "issuing.authorization",
    "issuing.card",
    "issuing.cardholder",
    "issuing.dispute",
    "issuing.transaction",
    "order",
    "payment_intent",
    "payout",
    "plan",
    "product",
    "promotion_code",
    "radar.early_fraud_warning",
    "radar.value_list",
    "refund",
    "reporting.report_run",
    "setup_intent",
    "shipping_rate",
    "subscription",
    "subscription_schedule",
    "tax_rate",
    "three_d_secure.authentication",
    "topup",
    "transfer",
    "treasury.financial_account",
]


@dataclass(frozen=True, slots=True)
class Field:
    """One documented output field.

    :param name: its dotted name in the row.
    :param paths: where it stands in the object; the first path with a value counts.
    :param kind: how the value is given: "" as it is, ``id`` (of an expanded object, too), ``time``
        (ISO 8601 in UTC), ``text``.
    """

    name: str
    paths: tuple[str, ...]
    kind: Literal["", "id", "time", "text"] = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object, and the list of it: newest first, filtered by ``created``.

    :param object: Stripe's ``object`` value, which is the name of the feed.
    :param path: of the list; an object's own path is this and its id.
    :param dashboard: the dashboard's page for it, or "" where none is known.
    :param fields: the documented output fields; none means the object as Stripe sent it.
    :param always: parameters of every request: without them the list would hide something.
    :param time_field: the field of an object that the filter ``created`` means.
    :param absent_hint: what to say where Stripe does not know the list.
    :param kept_days: for so many days Stripe keeps an object in the list; None means for good.
    :param paged: whether the list comes in pages; one that comes whole takes no ``limit``.
    """

    object: str
    path: str
    dashboard: str = ""
    fields: tuple[Field, ...] = ()
    always: tuple[tuple[str, Any], ...] = ()
    time_field: str = "created"
    absent_hint: str | None = None
    kept_days: int | None = None
    paged: bool = True


def _field(name: str, *paths: str, kind: Literal["", "id", "time", "text"] = "") -> Field:
    return Field(name, paths or (name,), kind)


_CUSTOMER = (
    _field("id"),
    # The field was renamed in 2019-10-17.
    _field("account_balance", "account_balance", "balance"),
    _field("created", kind="time"),
    _field("currency"),
    _field("delinquent"),
    _field("description"),
    # The coupon moved below `source` in 2025-09-30.clover.
    _field("discount", "discount.coupon", "discount.source.coupon", "discount", kind="id"),
    _field("email"),
)
_ORDER = (
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
)
_CHARGE = (
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
    # `invoice` is gone from 2025-03-31.basil on, `order` with the legacy Orders API.
    _field("invoice", kind="id"),
    _field("order", kind="id"),
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
)
_INVOICE_ITEM = (
    _field("id"),
    _field("amount"),
    _field("currency"),
    _field("customer", kind="id"),
    _field("date", kind="time"),
    _field("description"),
    _field("discountable"),
    _field("invoice", kind="id"),
    # `plan` and `subscription` moved in 2025-03-31.basil.
    _field("plan", "plan", "price", "pricing.price_details.price", kind="id"),
    _field("proration"),
    _field("quantity", kind="text"),
    _field("subscription", "subscription", "parent.subscription_details.subscription", kind="id"),
)
_PRODUCT = (
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
)
_CHECKOUT_SESSION = (
    _field("id"),
    _field("amount", "amount_total"),
    _field("created", kind="time"),
    _field("currency"),
    _field("customer", kind="id"),
    _field("email", "customer_details.email", "customer_email"),
    _field("payment_status"),
    _field("status"),
)
_EVENT = (
    _field("id"),
    _field("type"),
    _field("created", kind="time"),
    _field("account"),
    _field("api_version"),
    _field("object_type", "data.object.object"),
    # The object of an event such as invoice.upcoming has no id.
    _field("object_id", "data.object.id"),
    _field("previous_attributes", "data.previous_attributes"),
)
_NO_ORDERS = (
    "Stripe has removed the Orders API: the last API version that has it is 2020-08-27 (later "
    'ones, from 2022-08-01 on, have not), so use feed="checkout.session", or api_version '
    "2020-08-27 where an old account still answers."
)
_NO_INVOICE_PAYMENTS = (
    "Stripe has this list from API version 2025-03-31.basil on: set api_version to it or a later "
    "one in the connection."
)

# A test holds its names equal to FeedName.
RESOURCES: dict[str, Resource] = {
    resource.object: resource
    for resource in (
        Resource("account", "/v1/accounts", "connect/accounts"),
        Resource("application_fee", "/v1/application_fees"),
        Resource("apps.install", "/v1/apps/installs"),
        Resource("balance_transaction", "/v1/balance_transactions"),
        Resource("charge", "/v1/charges", "payments", _CHARGE),
        Resource("checkout.session", "/v1/checkout/sessions", "payments", _CHECKOUT_SESSION),
        Resource("coupon", "/v1/coupons", "coupons"),
        Resource("credit_note", "/v1/credit_notes"),
        Resource("customer", "/v1/customers", "customers", _CUSTOMER),
        Resource("dispute", "/v1/disputes", "disputes"),
        Resource("event", "/v1/events", "events", _EVENT, kept_days=30),
        Resource("file", "/v1/files"),
        Resource("file_link", "/v1/file_links"),
        Resource("forwarding.request", "/v1/forwarding/requests"),
        Resource("identity.verification_report", "/v1/identity/verification_reports"),
        Resource("identity.verification_session", "/v1/identity/verification_sessions"),
        Resource("invoice", "/v1/invoices", "invoices"),
        Resource("invoice_payment", "/v1/invoice_payments", absent_hint=_NO_INVOICE_PAYMENTS),
        Resource("invoiceitem", "/v1/invoiceitems", "invoices", _INVOICE_ITEM, time_field="date"),
        Resource("issuing.authorization", "/v1/issuing/authorizations", "issuing/authorizations"),
        Resource("issuing.card", "/v1/issuing/cards", "issuing/cards"),
        Resource("issuing.cardholder", "/v1/issuing/cardholders", "issuing/cardholders"),
        Resource("issuing.dispute", "/v1/issuing/disputes"),
        Resource("issuing.transaction", "/v1/issuing/transactions", "issuing/transactions"),
        Resource("order", "/v1/orders", "orders", _ORDER, absent_hint=_NO_ORDERS),
        Resource("payment_intent", "/v1/payment_intents", "payments"),
        Resource("payout", "/v1/payouts", "payouts"),
        Resource("plan", "/v1/plans"),
        Resource("product", "/v1/products", "products", _PRODUCT),
        Resource("promotion_code", "/v1/promotion_codes"),
        Resource("radar.early_fraud_warning", "/v1/radar/early_fraud_warnings"),
        Resource("radar.value_list", "/v1/radar/value_lists"),
        Resource("refund", "/v1/refunds"),
        Resource("reporting.report_run", "/v1/reporting/report_runs"),
        Resource("setup_intent", "/v1/setup_intents"),
        Resource("shipping_rate", "/v1/shipping_rates"),
        Resource("subscription", "/v1/subscriptions", "subscriptions", always=(("status", "all"),)),
        Resource("subscription_schedule", "/v1/subscription_schedules"),
        Resource("tax_rate", "/v1/tax_rates"),
        Resource("three_d_secure.authentication", "/v1/three_d_secure/authentications"),
        Resource("topup", "/v1/topups", "topups"),
        Resource("transfer", "/v1/transfers", "connect/transfers"),
        Resource("treasury.financial_account", "/v1/treasury/financial_accounts"),
    )
}
