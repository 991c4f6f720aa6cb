"""Any call of Stripe's API, and five by name: products and customers are made and changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_stripe_lite._operator import (
    StripeActionOperator,
    StripeCallOperator,
    refuse_email,
)
from airflow_provider_stripe_lite.core import arguments
from airflow_provider_stripe_lite.core.calls import call
from airflow_provider_stripe_lite.core.values import collection, one_of
from airflow_provider_stripe_lite.errors import StripeInputError, StripeInvalidRequestError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_stripe_lite.core.calls import Call
    from airflow_provider_stripe_lite.core.client import StripeClient
    from airflow_provider_stripe_lite.core.transport import Response

__all__ = [
    "StripeApiOperator",
    "StripeCreateCustomerOperator",
    "StripeCreateProductOperator",
    "StripeGetCustomerOperator",
    "StripeUpdateCustomerOperator",
    "StripeUpdateProductOperator",
]


class StripeApiOperator(StripeCallOperator):
    """Make any call of Stripe's API and return its answer; a POST is made once for each run.

    However often the task is retried or cleared, a POST (``/v1/refunds``) is made once, and read
    after that; one to an object's own path is an update, which each execution applies.

    :param path: such as ``/v1/refunds``. (templated)
    :param method: ``GET``, ``POST`` or ``DELETE``. (templated)
    :param parameters: Stripe's own, nested as in its documentation, keys templated, too; amounts in
        the smallest unit of the currency. (templated)
    :param idempotency_key: replaces the key that is made for this task of this run; another one
        makes the POST once more. (templated)
    :return: the object, or what else Stripe answers.
    :raises StripeInputError: before any request, naming the argument.
    :raises StripeError: see :mod:`airflow_provider_stripe_lite.errors`.
    """

    template_fields = (*StripeCallOperator.template_fields, "method", "path")

    def __init__(
        self,
        *,
        path: str,
        method: Literal["GET", "POST", "DELETE"] = "GET",
        parameters: Mapping[str, Any] | str | None = None,
        idempotency_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(parameters=parameters, idempotency_key=idempotency_key, **kwargs)
        self.path = path
        self.method = method

    def _call(self, client: StripeClient) -> Call:
        return call(self.method, self.path, collection(self.parameters))


class StripeCreateProductOperator(StripeActionOperator):
    """Create a product, once for each run however often the task is retried or cleared.

    https://docs.stripe.com/api/products/create

    :param name: at most 5,000 characters. (templated)
    :param product_id: an id of your own; Stripe makes one otherwise. (templated)
    :param active: whether it can be bought. (templated)
    :param caption: short text; kept in ``metadata["caption"]`` after API version 2020-08-27.
        (templated)
    :param description: at most 40,000 characters. (templated)
    :param images: at most 8 URLs, as a list or in one text with commas or line ends between them.
        (templated)
    :param shippable: whether it is a physical good. (templated)
    :param url: a page about it. (templated)
    :param metadata: up to 50 keys of 40 characters with texts of 500. (templated)
    :param parameters: more of Stripe's own, nested as in its documentation. (templated)
    :param if_exists: ``"update"`` gives a product that is there under ``product_id`` these values,
        in each execution; what an update does not take is left out, and said.
    :param idempotency_key: replaces the key that is made for this task of this run; another one
        makes another object. (templated)
    :return: the product.
    :raises StripeInputError: before any request, naming the argument.
    :raises StripeError: see :mod:`airflow_provider_stripe_lite.errors`.
    """

    action = arguments.CREATE_PRODUCT
    template_fields = (*StripeActionOperator.template_fields, *action.arguments)

    def __init__(
        self,
        *,
        name: str,
        product_id: str | None = None,
        active: bool | str | None = None,
        caption: str | None = None,
        description: str | None = None,
        images: str | Sequence[str] | None = None,
        shippable: bool | str | None = None,
        url: str | None = None,
        metadata: Mapping[str, Any] | str | None = None,
        parameters: Mapping[str, Any] | str | None = None,
        if_exists: Literal["fail", "update"] = "fail",
        idempotency_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(parameters=parameters, idempotency_key=idempotency_key, **kwargs)
        self.product_id = product_id
        self.name = name
        self.active = active
        self.caption = caption
        self.description = description
        self.images = images
        self.shippable = shippable
        self.url = url
        self.metadata = metadata
        self.if_exists = one_of("if_exists", if_exists, "fail", "update")
        if if_exists == "update" and product_id is None:
            raise StripeInputError('if_exists="update" needs product_id, which tells what exists.')

    def _send(self, client: StripeClient, context: Context, again: Call | None = None) -> Response:
        if self.if_exists == "fail":
            return super()._send(client, context)
        if not self.product_id:
            raise StripeInputError('if_exists="update" needs product_id, and it is empty.')
        update, left_out = arguments.update_of(self.given, self.parameters, client.api_version)
        try:
            return super()._send(client, context, update)
        except StripeInvalidRequestError as exc:
            if exc.code != "resource_already_exists":
                raise
        without = f" without {', '.join(left_out)}, which no update takes" if left_out else ""
        self.log.info("Product %s exists: updating it%s.", self.product_id, without)
        return client.send(update)


class StripeUpdateProductOperator(StripeActionOperator):
    """Update a product; a value that is not given stays as it is.

    https://docs.stripe.com/api/products/update

    :param product_id: ``prod_…`` or an id of your own. (templated)
    :param name: at most 5,000 characters. (templated)
    :param active: whether it can be bought. (templated)
    :param caption: short text; an empty one unsets it. (templated)
    :param description: at most 40,000 characters; an empty one unsets it. (templated)
    :param images: at most 8 URLs, as a list or in one text; an empty one removes all. (templated)
    :param shippable: whether it is a physical good. (templated)
    :param url: a page about it; an empty one unsets it. (templated)
    :param metadata: merged with what is there; an empty text unsets a key, ``""`` for the whole
        unsets all. (templated)
    :param parameters: more of Stripe's own, nested as in its documentation. (templated)
    :param idempotency_key: by default a fresh one for every execution, so that an update is always
        applied. (templated)
    :return: the product.
    :raises StripeInputError: before any request, naming the argument.
    :raises StripeError: see :mod:`airflow_provider_stripe_lite.errors`.
    """

    action = arguments.UPDATE_PRODUCT
    template_fields = (*StripeActionOperator.template_fields, *action.arguments)

    def __init__(
        self,
        *,
        product_id: str,
        name: str,
        active: bool | str | None = None,
        caption: str | None = None,
        description: str | None = None,
        images: str | Sequence[str] | None = None,
        shippable: bool | str | None = None,
        url: str | None = None,
        metadata: Mapping[str, Any] | str | None = None,
        parameters: Mapping[str, Any] | str | None = None,
        idempotency_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(parameters=parameters, idempotency_key=idempotency_key, **kwargs)
        self.product_id = product_id
        self.name = name
        self.active = active
        self.caption = caption
        self.description = description
        self.images = images
        self.shippable = shippable
        self.url = url
        self.metadata = metadata


class StripeGetCustomerOperator(StripeActionOperator):
    """Get a customer.

    https://docs.stripe.com/api/customers/retrieve

    :param customer_id: ``cus_…``. (templated)
    :param parameters: more of Stripe's own, such as ``{"expand": ["tax"]}``. (templated)
    :return: the customer.
    :raises StripeInputError: before any request, naming the argument.
    :raises StripeNotFoundError: there is none of that id, or it has been deleted.
    """

    action = arguments.GET_CUSTOMER
    template_fields = (*StripeActionOperator.template_fields, *action.arguments)

    def __init__(
        self,
        *,
        customer_id: str,
        parameters: Mapping[str, Any] | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(parameters=parameters, **kwargs)
        self.customer_id = customer_id


class StripeCreateCustomerOperator(StripeActionOperator):
    """Create a customer, once for each run however often the task is retried or cleared.

    https://docs.stripe.com/api/customers/create

    :param description: at most 5,000 characters. (templated)
    :param customer_email: at most 512 characters (``email`` is Airflow's own argument). (templated)
    :param metadata: up to 50 keys of 40 characters with texts of 500. (templated)
    :param parameters: more of Stripe's own, nested as in its documentation. (templated)
    :param idempotency_key: replaces the key that is made for this task of this run; another one
        makes another object. (templated)
    :return: the customer.
    :raises StripeInputError: before any request, naming the argument.
    :raises StripeError: see :mod:`airflow_provider_stripe_lite.errors`.
    """

    action = arguments.CREATE_CUSTOMER
    template_fields = (*StripeActionOperator.template_fields, *action.arguments)

    def __init__(
        self,
        *,
        description: str | None = None,
        customer_email: str | None = None,
        metadata: Mapping[str, Any] | str | None = None,
        parameters: Mapping[str, Any] | str | None = None,
        idempotency_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        refuse_email(kwargs)
        super().__init__(parameters=parameters, idempotency_key=idempotency_key, **kwargs)
        self.description = description
        self.customer_email = customer_email
        self.metadata = metadata


class StripeUpdateCustomerOperator(StripeActionOperator):
    """Update a customer; a value that is not given stays as it is.

    https://docs.stripe.com/api/customers/update

    :param customer_id: ``cus_…``. (templated)
    :param description: at most 5,000 characters; an empty one unsets it. (templated)
    :param customer_email: at most 512 characters; an empty one unsets it. (templated)
    :param metadata: merged with what is there; an empty text unsets a key, ``""`` for the whole
        unsets all. (templated)
    :param parameters: more of Stripe's own, nested as in its documentation. (templated)
    :param idempotency_key: by default a fresh one for every execution, so that an update is always
        applied. (templated)
    :return: the customer.
    :raises StripeInputError: before any request, naming the argument.
    :raises StripeError: see :mod:`airflow_provider_stripe_lite.errors`.
    """

    action = arguments.UPDATE_CUSTOMER
    template_fields = (*StripeActionOperator.template_fields, *action.arguments)

    def __init__(
        self,
        *,
        customer_id: str,
        description: str | None = None,
        customer_email: str | None = None,
        metadata: Mapping[str, Any] | str | None = None,
        parameters: Mapping[str, Any] | str | None = None,
        idempotency_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        refuse_email(kwargs)
        super().__init__(parameters=parameters, idempotency_key=idempotency_key, **kwargs)
        self.customer_id = customer_id
        self.description = description
        self.customer_email = customer_email
        self.metadata = metadata
