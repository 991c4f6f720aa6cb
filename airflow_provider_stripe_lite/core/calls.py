"""One call of Stripe's API: what is asked, and what another call would read of its answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from airflow_provider_stripe_lite.core.encoding import checked_path, encode
from airflow_provider_stripe_lite.core.resources import RESOURCES
from airflow_provider_stripe_lite.core.scrub import show
from airflow_provider_stripe_lite.core.values import one_of
from airflow_provider_stripe_lite.errors import StripeInputError

__all__ = ["Call", "Method", "call", "checked_parameters", "own_path"]

Method = Literal["GET", "POST", "DELETE"]

# Lists whose objects can be updated, beside those that are polled. What is no object of a list that
# is known here counts as made once, which is the safe side.
_LISTS = {resource.path for resource in RESOURCES.values()} | {
    *("/v1/billing/credit_grants", "/v1/billing/meters", "/v1/billing_portal/configurations"),
    *("/v1/entitlements/features", "/v1/issuing/personalization_designs", "/v1/payment_links"),
    *("/v1/payment_method_configurations", "/v1/payment_method_domains", "/v1/payment_methods"),
    *("/v1/prices", "/v1/quotes", "/v1/subscription_items", "/v1/tax/registrations"),
    *("/v1/terminal/configurations", "/v1/terminal/locations", "/v1/terminal/readers"),
    *("/v1/webhook_endpoints", "/v1/climate/orders", "/v1/sources", "/v1/application_fees"),
    *("/v1/billing/feedback_options", "/v1/issuing/tokens", "/v1/product_catalog/trial_offers"),
    "/v1/test_helpers/treasury/outbound_payments",
    "/v1/test_helpers/treasury/outbound_transfers",
}
_INNER = {
    *("balance_transactions", "capabilities", "external_accounts", "lines", "persons", "refunds"),
    *("reversals", "sources"),
}
_SHOWN_ONCE = {"/v1/webhook_endpoints"}
_NOT_READ = {
    *("/v1/apps/secrets", "/v1/billing_portal/sessions", "/v1/ephemeral_keys"),
    *("/v1/invoices/create_preview", "/v1/radar/payment_evaluations"),
}
# These stand where an id would.
_VERBS = {
    *("create_force_capture", "create_from_calculation", "create_preview", "create_reversal"),
    *("create_unlinked_refund", "delete", "report_payment"),
}


@dataclass(frozen=True, slots=True)
class Call:
    """One call, checked by :func:`call`.

    :param path: below the API's base URL.
    :param parameters: Stripe's own, nested.
    :param form: the parameters as they are sent.
    """

    method: Method
    path: str
    parameters: Mapping[str, Any]
    form: str

    @property
    def is_update(self) -> bool:
        """Return whether this sets values of one object, which may be done again at any time.

        An update is a POST to an object's own path: a list and an id, with no verb behind.
        """
        inside, _, last = self.path.rpartition("/")
        outer, _, inner = inside.rpartition("/")
        listed = inside in _LISTS or (inner in _INNER and outer.rpartition("/")[0] in _LISTS)
        return self.method == "POST" and listed and last not in _VERBS

    @property
    def is_shown_once(self) -> bool:
        """Return whether no other answer shows all that this one does, such as a secret."""
        return self.path in _SHOWN_ONCE

    def path_of(self, made: str) -> str | None:
        """Return the path at which an object that this call has made is read, if there is one."""
        if self.path in _NOT_READ:
            return None
        # Test helpers act on objects that are read elsewhere, but for the clocks.
        helps = self.path.startswith("/v1/test_helpers/") and "/test_clocks" not in self.path
        path = self.path.replace("/test_helpers", "", 1) if helps else self.path
        own, segments = quote(made, safe=""), path.split("/")
        if own in segments[3:]:
            # A verb may stand behind the object: /v1/charges/ch_1/capture.
            return "/".join(segments[: segments.index(own, 3) + 1])
        return own_path(path.rpartition("/")[0] if segments[-1] in _VERBS else path, made)


def call(method: object, path: object, parameters: object = None) -> Call:
    """Accept what a caller asks of Stripe.

    :param method: ``GET``, ``POST`` or ``DELETE``.
    :param path: such as ``/v1/refunds``.
    :param parameters: Stripe's own, nested as in its documentation; None is none.
    :raises StripeInputError: one of them cannot be sent.
    """
    how = one_of("method", method, "GET", "POST", "DELETE")
    asked = checked_parameters(parameters)
    made = Call(how, checked_path(path), asked, encode(asked))
    if not re.fullmatch(r"/v\d+(/[^/]+)+", made.path):
        raise StripeInputError(
            "path must begin with /v1/ and have a name between slashes, as in /v1/refunds, got "
            f"{show(path)}."
        )
    if how == "POST" and made.path.startswith("/v2/"):
        raise StripeInputError(
            "A POST to /v2 is JSON in Stripe, which this package does not send: use the path below "
            "/v1 if there is one."
        )
    return made


def checked_parameters(parameters: object) -> Mapping[str, Any]:
    """Accept Stripe's own parameters; None and an empty text are none.

    :raises StripeInputError: they are something else.
    """
    if parameters is None or parameters == "":
        return {}
    if not isinstance(parameters, Mapping):
        kind = type(parameters).__name__
        raise StripeInputError(f"parameters must be a mapping of Stripe's own, got {kind}.")
    return parameters


def own_path(path: str, made: str) -> str:
    """Return the path of an object in the list at ``path``."""
    return f"{path}/{quote(made, safe='')}"
