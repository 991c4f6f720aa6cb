"""Five actions: create and update a product; get, create and update a customer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_stripe_lite._operator import StripeOperator
from airflow_provider_stripe_lite.core import arguments

__all__ = [
    "StripeCreateCustomerOperator",
    "StripeCreateProductOperator",
    "StripeGetCustomerOperator",
    "StripeUpdateCustomerOperator",
    "StripeUpdateProductOperator",
]


class StripeCreateProductOperator(StripeOperator):
    """Create a product, once for each run however often the task is retried or cleared.

    https://docs.stripe.com/api/products/create

    :param name: required, at most 5,000 characters. (templated)
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
    :param idempotency_key: replaces the key made of dag, task, run, map index and parameters.
        (templated)
    :return: the product.
    :raises StripeInputError: before any request, naming the argument.
    :raises StripeError: see :mod:`airflow_provider_stripe_lite.errors`.
    """

    action = arguments.CREATE_PRODUCT
    template_fields = (
        *StripeOperator.template_fields,
        *action.arguments,
        "idempotency_key",
    )

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
        idempotency_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.product_id = product_id
        self.name = name
        self.active = active
        self.caption = caption
        self.description = description
        self.images = images
        self.shippable = shippable
        self.url = url
        self.metadata = metadata
        self.idempotency_key = idempotency_key


class StripeUpdateProductOperator(StripeOperator):
    """Update a product; a value that is not given stays as it is.

    https://docs.stripe.com/api/products/update

    :param product_id: ``prod_…`` or an id of your own. (templated)
    :param name: required, at most 5,000 characters. (templated)
    :param active: whether it can be bought. (templated)
    :param caption: short text; an empty one unsets it. (templated)
    :param description: at most 40,000 characters; an empty one unsets it. (templated)
    :param images: at most 8 URLs, as a list or in one text; an empty one removes all. (templated)
    :param shippable: whether it is a physical good. (templated)
    :param url: a page about it; an empty one unsets it. (templated)
    :param metadata: merged with what is there; an empty text unsets a key, ``""`` for the whole
        unsets all. (templated)
    :param idempotency_key: by default a fresh one for every execution, so that an update is always
        applied. (templated)
    :return: the product.
    :raises StripeInputError: before any request, naming the argument.
    :raises StripeError: see :mod:`airflow_provider_stripe_lite.errors`.
    """

    action = arguments.UPDATE_PRODUCT
    template_fields = (
        *StripeOperator.template_fields,
        *action.arguments,
        "idempotency_key",
    )

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
        idempotency_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.product_id = product_id
        self.name = name
        self.active = active
        self.caption = caption
        self.description = description
        self.images = images
        self.shippable = shippable
        self.url = url
        self.metadata = metadata
        self.idempotency_key = idempotency_key


class StripeGetCustomerOperator(StripeOperator):
    """Get a customer.

    https://docs.stripe.com/api/customers/retrieve

    :param customer_id: ``cus_…``. (templated)
    :return: the customer.
    :raises StripeInputError: before any request, naming the argument.
    :raises StripeNotFoundError: there is none of that id, or it has been deleted.
    """

    action = arguments.GET_CUSTOMER
    template_fields = (*StripeOperator.template_fields, *action.arguments)

    def __init__(self, *, customer_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.customer_id = customer_id


class StripeCreateCustomerOperator(StripeOperator):
    """Create a customer, once for each run however often the task is retried or cleared.

    https://docs.stripe.com/api/customers/create

    :param description: at most 5,000 characters. (templated)
    :param customer_email: at most 512 characters (``email`` is Airflow's own argument). (templated)
    :param metadata: up to 50 keys of 40 characters with texts of 500. (templated)
    :param idempotency_key: replaces the key made of dag, task, run, map index and parameters.
        (templated)
    :return: the customer.
    :raises StripeInputError: before any request, naming the argument.
    :raises StripeError: see :mod:`airflow_provider_stripe_lite.errors`.
    """

    action = arguments.CREATE_CUSTOMER
    template_fields = (
        *StripeOperator.template_fields,
        *action.arguments,
        "idempotency_key",
    )

    def __init__(
        self,
        *,
        description: str | None = None,
        customer_email: str | None = None,
        metadata: Mapping[str, Any] | str | None = None,
        idempotency_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.description = description
        self.customer_email = customer_email
        self.metadata = metadata
        self.idempotency_key = idempotency_key


class StripeUpdateCustomerOperator(StripeOperator):
    """Update a customer; a value that is not given stays as it is.

    https://docs.stripe.com/api/customers/update

    :param customer_id: ``cus_…``. (templated)
    :param description: at most 5,000 characters; an empty one unsets it. (templated)
    :param customer_email: at most 512 characters; an empty one unsets it. (templated)
    :param metadata: merged with what is there; an empty text unsets a key, ``""`` for the whole
        unsets all. (templated)
    :param idempotency_key: by default a fresh one for every execution, so that an update is always
        applied. (templated)
    :return: the customer.
    :raises StripeInputError: before any request, naming the argument.
    :raises StripeError: see :mod:`airflow_provider_stripe_lite.errors`.
    """

    action = arguments.UPDATE_CUSTOMER
    template_fields = (
        *StripeOperator.template_fields,
        *action.arguments,
        "idempotency_key",
    )

    def __init__(
        self,
        *,
        customer_id: str,
        description: str | None = None,
        customer_email: str | None = None,
        metadata: Mapping[str, Any] | str | None = None,
        idempotency_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.customer_id = customer_id
        self.description = description
        self.customer_email = customer_email
        self.metadata = metadata
        self.idempotency_key = idempotency_key
