"""What the fake knows of each kind of object: its fields, its parameters and its API versions.

Which lists there are, and where, is told by `core.resources`. A kind without a shape of its own has
an id, ``object``, ``created``, ``livemode`` and ``metadata``; its line in `_GENERIC` (an id's
prefix and the filters of its list) may be missing, too.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

from airflow_provider_stripe_lite.core.resources import (
    DEFAULT_API_VERSION,
    RESOURCES,
    FeedName,
    Resource,
)
from airflow_provider_stripe_lite.testing.writes import PARAMS, words

__all__ = ["DAY", "FROM_ID", "SERVED", "SHAPES", "Kind", "Shape", "is_alive", "nulls", "shape_of"]

DAY = 24 * 3600

# What can be added: the objects of all feeds, and of a list that no sensor polls.
Kind = FeedName | Literal["price"]
SERVED = ChainMap({"price": Resource("price", "/v1/prices")}, RESOURCES)


def nulls(names: str) -> dict[str, Any]:
    """Return a dict of these names, each without a value."""
    return dict.fromkeys(names.split())


def _set(names: str) -> frozenset[str]:
    return frozenset(names.split())


def _empty_list(url: str) -> dict[str, Any]:
    return {"object": "list", "data": [], "has_more": False, "url": url}


@dataclass(frozen=True)
class Shape:
    """How the objects of one kind look, and what the API takes for them.

    :param prefix: of an id.
    :param filters: the parameters of its list besides `created` and those of paging.
    :param fields: the default value of each field.
    :param params: the parameters of a create or an update, as `PARAMS` writes them. None at all
        means that the API makes no objects of this kind.
    :param id_size: letters and digits of an id behind its prefix.
    :param deletable: whether the API deletes such objects.
    :param times: further times: seconds after the object was created.
    :param required: parameters without which a create is refused.
    :param versions: the first and the last API version that has the list.
    :param permission: the stem of its permissions' names, where it is not the kind.
    :param kept: for how many seconds Stripe keeps such an object.
    :param hides: field and value of the objects that the list shows only when it is asked to.
    """

    prefix: str
    filters: frozenset[str] = frozenset()
    fields: Mapping[str, Any] = field(default_factory=lambda: {"metadata": {}})
    params: Mapping[str, str] = field(default_factory=dict)
    id_size: int = 24
    deletable: bool = False
    times: Mapping[str, int] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    versions: tuple[str, str] = ("", "9999")
    permission: str = ""
    kept: int | None = None
    hides: Mapping[str, Any] = field(default_factory=dict)


_NO_ADDRESS = nulls("city country line1 line2 postal_code state")

_SHAPES = {
    "customer": Shape(
        "cus_", _set("email test_clock"),
        nulls("address currency default_source description discount email name phone shipping"
              " test_clock")
        | {"balance": 0, "delinquent": False, "metadata": {}, "preferred_locales": [],
           "tax_exempt": "none", "invoice_prefix": "7FE1103", "next_invoice_sequence": 1,
           "invoice_settings": nulls("custom_fields default_payment_method footer"
                                     " rendering_options"),
           "sources": _empty_list("/v1/customers/sources")},
        PARAMS["customer"], id_size=14, deletable=True,
    ),
    "product": Shape(
        "prod_", _set("active ids shippable type url"),
        nulls("caption default_price description package_dimensions shippable statement_descriptor"
              " tax_code unit_label url")
        | {"active": True, "attributes": [], "deactivate_on": [], "images": [],
           "marketing_features": [], "metadata": {}, "name": "T-shirt", "type": "service"},
        PARAMS["product"], id_size=14, deletable=True, times={"updated": 0},
        required=("name", "type"),
    ),
    "charge": Shape(
        "ch_", _set("customer payment_intent transfer_group"),
        nulls("application application_fee application_fee_amount balance_transaction customer"
              " calculated_statement_descriptor description failure_balance_transaction"
              " failure_code failure_message invoice on_behalf_of order payment_intent"
              " payment_method payment_method_details receipt_email receipt_number review shipping"
              " source_transfer statement_descriptor statement_descriptor_suffix transfer_data"
              " transfer_group")
        | {"amount": 100, "amount_captured": 100, "amount_refunded": 0, "captured": True,
           "currency": "usd", "disputed": False, "fraud_details": {}, "metadata": {}, "paid": True,
           "refunded": False, "status": "succeeded",
           "receipt_url": "https://pay.stripe.com/receipts/fake",
           "refunds": _empty_list("/v1/charges/refunds"),
           "billing_details": nulls("email name phone tax_id") | {"address": _NO_ADDRESS},
           "outcome": {"network_status": "approved_by_network", "reason": None,
                       "risk_level": "normal", "seller_message": "Payment complete.",
                       "type": "authorized"}},
    ),
    "invoiceitem": Shape(
        "ii_", _set("customer customer_account invoice pending"),
        nulls("customer_account description invoice parent plan price pricing subscription"
              " test_clock")
        | {"amount": 1000, "currency": "usd", "customer": "cus_QXg1o8vcGmoR32",
           "discountable": True, "discounts": [], "metadata": {}, "proration": False,
           "quantity": 1, "tax_rates": [], "net_amount": 1000, "unit_amount": 1000,
           "unit_amount_decimal": "1000"},
        deletable=True, permission="rak_invoice",
    ),
    "order": Shape(
        "or_", _set("customer ids status status_transitions upstream_ids"),
        nulls("amount_returned application application_fee charge customer email"
              " selected_shipping_method shipping shipping_methods")
        | {"amount": 1500, "currency": "usd", "items": [], "metadata": {}, "status": "created",
           "status_transitions": nulls("canceled fulfiled paid returned"),
           "returns": _empty_list("/v1/order_returns")},
        times={"updated": 0}, versions=("", "2020-08-27"),
    ),
    "checkout.session": Shape(
        "cs_",
        _set("customer customer_account customer_details payment_intent payment_link status"
             " subscription"),
        nulls("amount_subtotal amount_total client_reference_id currency customer customer_details"
              " customer_email invoice locale payment_intent payment_link setup_intent"
              " shipping_cost submit_type subscription total_details")
        | {"automatic_tax": nulls("liability provider status") | {"enabled": False},
           "custom_fields": [], "metadata": {}, "mode": "payment",
           "payment_method_types": ["card"], "payment_status": "unpaid", "shipping_options": [],
           "custom_text": nulls("after_submit shipping_address submit"
                                " terms_of_service_acceptance"), "status": "open"},
        id_size=58, times={"expires_at": DAY},
    ),
    "event": Shape(
        "evt_", _set("delivery_success type types"),
        {"api_version": DEFAULT_API_VERSION, "data": {"object": {}}, "pending_webhooks": 0,
         "request": nulls("id idempotency_key"), "type": "charge.succeeded"},
        kept=30 * DAY,
    ),
    "price": Shape(
        "price_", _set("active currency lookup_keys product recurring type"),
        nulls("custom_unit_amount lookup_key nickname recurring tiers_mode transform_quantity")
        | {"active": True, "billing_scheme": "per_unit", "currency": "usd", "metadata": {},
           "product": "prod_1", "tax_behavior": "unspecified", "type": "one_time",
           "unit_amount": 1000, "unit_amount_decimal": "1000"},
        hides={"active": False},
    ),
    "refund": Shape(
        "re_", _set("charge payment_intent"), nulls("charge payment_intent reason")
        | {"amount": 100, "currency": "usd", "metadata": {}, "status": "succeeded"},
        PARAMS["refund"], permission="rak_charge",
    ),
    "subscription": Shape(
        "sub_",
        _set("automatic_tax collection_method current_period_end current_period_start customer"
             " customer_account plan price status test_clock"),
        {"metadata": {}, "status": "active"}, hides={"status": "canceled"},
    ),
    "invoice_payment": Shape(
        "inpay_", _set("invoice payment status"), {"status": "open"},
        versions=("2025-03-31", "9999"),
    ),
}  # fmt: skip

# Of each of the other kinds: the prefix of an id and the filters of its list; `!` is for deletable.
_GENERIC = {
    "account": "acct_ !",
    "application_fee": "fee_ charge",
    "apps.install": "appinst_ account app approval_required channel created_by status",
    "balance_transaction": "txn_ currency payout source type",
    "coupon": "coupon_ !",
    "credit_note": "cn_ customer customer_account invoice",
    "dispute": "dp_ charge payment_intent",
    "file": "file_ purpose",
    "file_link": "link_ expired file",
    "forwarding.request": "fwdreq_",
    "identity.verification_report": "vr_ client_reference_id type verification_session",
    "identity.verification_session": (
        "vs_ client_reference_id related_customer related_customer_account status"
    ),
    "invoice": "in_ collection_method customer customer_account due_date status subscription !",
    "issuing.authorization": "iauth_ card cardholder status",
    "issuing.card": "ic_ cardholder exp_month exp_year last4 personalization_design status type",
    "issuing.cardholder": "ich_ email phone_number status type",
    "issuing.dispute": "idp_ status transaction",
    "issuing.transaction": "ipi_ card cardholder type",
    "payment_intent": "pi_ customer customer_account",
    "payout": "po_ arrival_date destination status",
    "plan": "plan_ active product !",
    "promotion_code": "promo_ active code coupon customer customer_account",
    "radar.early_fraud_warning": "issfr_ charge payment_intent",
    "radar.value_list": "rsl_ alias contains !",
    "reporting.report_run": "frr_",
    "setup_intent": "seti_ attach_to_self customer customer_account payment_method",
    "shipping_rate": "shr_ active currency",
    "subscription_schedule": (
        "sub_sched_ canceled_at completed_at customer customer_account released_at scheduled"
    ),
    "tax_rate": "txr_ active inclusive",
    "three_d_secure.authentication": "tdsauth_ status",
    "topup": "tu_ amount status",
    "transfer": "tr_ destination transfer_group",
    "treasury.financial_account": "fa_ status",
}

# Fields that are made from an object's id: whoever knows one of these texts gets in.
_FOR_CLIENTS = "{}_secret_0123456789"
FROM_ID = {
    "checkout.session": {
        "client_secret": _FOR_CLIENTS, "url": "https://checkout.stripe.com/c/pay/{}#0123456789",
    },
    "file_link": {"url": "https://files.stripe.com/links/{}"},
    "identity.verification_session": {
        "client_secret": _FOR_CLIENTS, "url": "https://verify.stripe.com/start/{}",
    },
    "payment_intent": {"client_secret": _FOR_CLIENTS},
    "setup_intent": {"client_secret": _FOR_CLIENTS},
}  # fmt: skip

# Fields and parameters that came and went: the first version with them, the first one without.
_ADDED = {
    "customer": words("next_invoice_sequence:2019-12-03 test_clock:2020-08-27 tax:2020-08-27"
                      " cash_balance:2020-08-27 promotion_code:2020-08-27"
                      " business_name:2025-09-30 individual_name:2025-09-30 validate:2026-10-28"),
    "product": words("default_price:2020-08-27 default_price_data:2020-08-27 tax_code:2020-08-27"
                     " marketing_features:2024-04-10 tax_details:2026-10-28"),
    "charge": words("amount_captured:2020-08-27 calculated_statement_descriptor:2020-08-27"
                    " disputed:2020-08-27 failure_balance_transaction:2020-08-27"),
    "invoiceitem": words("discounts:2020-08-27 test_clock:2020-08-27 parent:2025-03-31"
                         " pricing:2025-03-31 net_amount:2025-09-30 customer_account:2025-09-30"
                         " quantity_decimal:2026-03-25"),
}  # fmt: skip
_REMOVED = {
    "customer": words("account_balance:2019-10-17 tax_info:2019-12-03 sources:2020-08-27"
                      " coupon:2025-03-31 promotion_code:2025-03-31 trial_end:2025-03-31"),
    "product": words("caption:2020-08-28 attributes:2020-08-28 deactivate_on:2020-08-28"
                     " type:2020-08-28"),
    "charge": words("order:2020-08-28 refunds:2022-11-15 invoice:2025-03-31"),
    "invoiceitem": words("plan:2025-03-31 price:2025-03-31 subscription:2025-03-31"
                         " unit_amount:2025-03-31 unit_amount_decimal:2025-03-31"),
}  # fmt: skip


def is_alive(kind: str, name: str, version: str) -> bool:
    """Return whether an API version has a field or parameter."""
    first, end = _ADDED.get(kind, {}).get(name, ""), _REMOVED.get(kind, {}).get(name, "9999")
    return first <= version[:10] < end


def _shape(kind: str) -> Shape:
    if kind in _SHAPES:
        return _SHAPES[kind]
    prefix, *rest = _GENERIC.get(kind, kind.rpartition(".")[2] + "_").split()
    return Shape(prefix, frozenset(rest) - {"!"}, deletable="!" in rest)


SHAPES = {kind: _shape(kind) for kind in SERVED}


def shape_of(kind: str) -> Shape:
    """Return the shape of a kind.

    :raises ValueError: there is no such kind; the sentence names the one that was perhaps meant.
    """
    if kind in SHAPES:
        return SHAPES[kind]
    names = {name.replace("_", "").replace(".", ""): name for name in SHAPES}
    near = get_close_matches(str(kind).lower().replace("_", "").replace(".", ""), names, n=1)
    hint = (
        f'did you mean "{names[near[0]]}"?'
        if near
        else 'it takes Stripe\'s `object` values, such as "charge".'
    )
    raise ValueError(f'FakeStripe has no kind "{kind}": {hint}')
