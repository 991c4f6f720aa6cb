"""Talk to the Stripe account of an Airflow connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from airflow.sdk import BaseHook

from airflow_provider_stripe_lite._compat import connection_form, exceptions
from airflow_provider_stripe_lite._connection import connect, not_found, test
from airflow_provider_stripe_lite._options import FIELD_BEHAVIOUR, form
from airflow_provider_stripe_lite.core import arguments, reading
from airflow_provider_stripe_lite.core.calls import call
from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.core.fields import projection
from airflow_provider_stripe_lite.core.lists import list_named
from airflow_provider_stripe_lite.core.times import Moment, range_of
from airflow_provider_stripe_lite.core.window import Window, own
from airflow_provider_stripe_lite.errors import StripeInputError

__all__ = ["StripeHook"]


class StripeHook(BaseHook):
    """Talk to the Stripe account of a connection.

    :param stripe_conn_id: id of a connection of type ``stripe``; its password is the API key.
    :param stripe_account: act for this connected account (``acct_…``) instead of the connection's.
    :param stripe_context: act for this account with an organization's key, instead of the
        connection's: ``acct_…``, or ``acct_…/acct_…`` for an account connected to it.
    :param api_version: Stripe API version instead of the connection's.
    """

    conn_name_attr = "stripe_conn_id"
    default_conn_name = "stripe_default"
    conn_type = "stripe"
    hook_name = "Stripe"

    def __init__(
        self,
        stripe_conn_id: str = default_conn_name,
        *,
        stripe_account: str | None = None,
        stripe_context: str | None = None,
        api_version: str | None = None,
    ) -> None:
        super().__init__()
        self.stripe_conn_id = stripe_conn_id
        self.stripe_account = stripe_account
        self.stripe_context = stripe_context
        self.api_version = api_version
        self._client: StripeClient | None = None

    def get_conn(self) -> StripeClient:
        """Return the client for the connection, made once.

        :raises StripeInputError: the connection cannot be used; the sentence says what to change.
        :raises StripeError: Airflow does not find it now.
        """
        if self._client is None:
            try:
                self._client = self._connect()
            except exceptions.AirflowNotFoundException:
                raise not_found(self.stripe_conn_id) from None
            except StripeInputError as exc:
                raise StripeInputError(
                    f"The connection {self.stripe_conn_id} cannot be used. {exc}"
                ) from None
        return self._client

    def request(
        self,
        method: Literal["GET", "POST", "DELETE"],
        path: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Make any call of Stripe's API and return its answer as Stripe sent it.

        However often it is tried in here, Stripe applies a POST once.

        :param method: ``GET``, ``POST`` or ``DELETE``.
        :param path: such as ``/v1/refunds``.
        :param parameters: Stripe's own, nested as in its documentation; amounts in the smallest
            unit of the currency.
        :param idempotency_key: makes later repetitions of a POST safe, too, for 24 hours.
        :raises StripeInputError: an argument cannot be used; no request was sent.
        :raises StripeNotFoundError: among others, where the object has been deleted.
        :raises StripeError: see :mod:`airflow_provider_stripe_lite.errors`.

        See https://docs.stripe.com/api
        """
        return self.get_conn().send(call(method, path, parameters), idempotency_key).body

    def create_product(
        self,
        name: str,
        *,
        product_id: str | None = None,
        active: bool | None = None,
        caption: str | None = None,
        description: str | None = None,
        images: str | Sequence[str] | None = None,
        shippable: bool | None = None,
        url: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Create a product and return it as Stripe sent it.

        https://docs.stripe.com/api/products/create
        """
        given = {
            "product_id": product_id,
            "name": name,
            "active": active,
            "caption": caption,
            "description": description,
            "images": images,
            "shippable": shippable,
            "url": url,
            "metadata": metadata,
        }
        return self._act(arguments.CREATE_PRODUCT, given, parameters, idempotency_key)

    def update_product(
        self,
        product_id: str,
        *,
        name: str,
        active: bool | None = None,
        caption: str | None = None,
        description: str | None = None,
        images: str | Sequence[str] | None = None,
        shippable: bool | None = None,
        url: str | None = None,
        metadata: Mapping[str, Any] | str | None = None,
        parameters: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Update a product and return it as Stripe sent it.

        https://docs.stripe.com/api/products/update
        """
        given = {
            "product_id": product_id,
            "name": name,
            "active": active,
            "caption": caption,
            "description": description,
            "images": images,
            "shippable": shippable,
            "url": url,
            "metadata": metadata,
        }
        return self._act(arguments.UPDATE_PRODUCT, given, parameters, idempotency_key)

    def get_customer(
        self, customer_id: str, *, parameters: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return a customer as Stripe sent it.

        https://docs.stripe.com/api/customers/retrieve

        :raises StripeNotFoundError: there is none of that id, or it has been deleted.
        """
        return self._act(arguments.GET_CUSTOMER, {"customer_id": customer_id}, parameters)

    def create_customer(
        self,
        *,
        description: str | None = None,
        customer_email: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Create a customer and return it as Stripe sent it.

        https://docs.stripe.com/api/customers/create
        """
        given = {
            "description": description,
            "customer_email": customer_email,
            "metadata": metadata,
        }
        return self._act(arguments.CREATE_CUSTOMER, given, parameters, idempotency_key)

    def update_customer(
        self,
        customer_id: str,
        *,
        description: str | None = None,
        customer_email: str | None = None,
        metadata: Mapping[str, Any] | str | None = None,
        parameters: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Update a customer and return it as Stripe sent it.

        https://docs.stripe.com/api/customers/update
        """
        given = {
            "customer_id": customer_id,
            "description": description,
            "customer_email": customer_email,
            "metadata": metadata,
        }
        return self._act(arguments.UPDATE_CUSTOMER, given, parameters, idempotency_key)

    def list(
        self,
        feed: str,
        *,
        created_gte: Moment | None = None,
        created_lt: Moment | None = None,
        parameters: Mapping[str, Any] | None = None,
        fields: str | Sequence[str] | None = "*",
    ) -> Iterator[dict[str, Any]]:
        """Return the objects of a list: of a feed oldest first, of any other as Stripe gives them.

        One page is in memory at a time, and the calls are one more than the pages, or two. A feed
        with next to nothing older than ``created_gte`` is read from its new end first.

        :param feed: a feed such as ``charge``, or the path of any list, such as
            ``/v1/invoices/in_1/lines``.
        :param created_gte: only what was created at or after this time: a date-time or a date (UTC
            where it has no offset), ISO 8601 text, or seconds since 1970.
        :param created_lt: only what was created before this time.
        :param parameters: Stripe's own of this list, such as ``{"customer": "cus_1"}``.
        :param fields: ``"*"`` for the objects as Stripe sent them, without client secrets; None for
            the documented fields; or a list of dotted paths.
        :raises StripeInputError: an argument cannot be used; no request was sent.
        :raises StripeError: a request failed; what was returned before is good.

        See https://docs.stripe.com/api/pagination
        """
        resource, is_feed = list_named(feed, parameters)
        row = projection(resource.object, fields, expanded="expand" in dict(resource.always))
        first, end = range_of(created_gte, created_lt)
        found = reading.read_list(self.get_conn(), resource, is_feed=is_feed, first=first, end=end)
        return map(row, found)

    def read(
        self, window: Window, *, fields: str | Sequence[str] | None = "*"
    ) -> Iterator[dict[str, Any]]:
        """Return the objects of a window, oldest first, one page in memory.

        They are the same every time, but for what was deleted since.

        :param window: what a sensor with ``returns="window"`` returned.
        :param fields: as in :meth:`list`.
        :raises StripeInputError: it is no window, or one of another account or mode.
        """
        client = self.get_conn()
        window = own(window, self.stripe_conn_id, client)
        return map(projection(window["feed"], fields), reading.read(client, window))

    def test_connection(self) -> tuple[bool, str]:
        """Say in one sentence whether the key works: one small read of the balance, no retry."""
        return test(lambda: self._connect(tries=1, timeout=10))

    def _connect(self, **options: Any) -> StripeClient:
        return connect(
            self.get_connection(self.stripe_conn_id),
            self.log,
            stripe_account=self.stripe_account,
            stripe_context=self.stripe_context,
            api_version=self.api_version,
            **options,
        )

    def _act(
        self,
        action: arguments.Action,
        given: Mapping[str, Any],
        parameters: object,
        key: str | None = None,
    ) -> dict[str, Any]:
        client = self.get_conn()
        return client.send(action.call(given, parameters, client.api_version), key).body


connection_form(StripeHook, form(), FIELD_BEHAVIOUR)
