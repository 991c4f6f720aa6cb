"""Five actions: create and update a product; get, create and update a customer."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator
from airflow.sdk.execution_time.context import NEVER_EXPIRE

from airflow_provider_stripe_lite.catalog import PARAMS
from airflow_provider_stripe_lite.errors import StripeError, StripeNotFoundError
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.links import StripeDashboardLink, StripeRequestLogLink, log_url, object_url
from airflow_provider_stripe_lite.output import projection
from airflow_provider_stripe_lite.retries import StripeRetryPolicy

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.definitions.retry_policy import RetryPolicy

_CREATED = "stripe_created"


class StripeOperator(BaseOperator):
    """What the five actions share: connection, output, links, idempotency.

    :param stripe_conn_id: id of the connection. (templated)
    :param fields: None returns exactly the documented fields, ``"*"`` the object as Stripe sent it, a list of dotted
        paths (``["id", "metadata.order_ref"]``) those. (templated)
    :param retry_policy: by default no retry where Stripe would answer the same again.
    """

    kind: ClassVar[str]
    idempotency_key: str | None = None
    ui_color = "#635bff"
    ui_fgcolor = "#ffffff"
    template_fields: Sequence[str] = ("stripe_conn_id", "fields")
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "metadata": "json",
        "fields": "json",
        "images": "json",
    }
    operator_extra_links = (StripeDashboardLink(), StripeRequestLogLink())

    def __init__(
        self,
        *,
        stripe_conn_id: str = StripeHook.default_conn_name,
        fields: str | Sequence[str] | None = None,
        retry_policy: RetryPolicy | None = StripeRetryPolicy(),  # noqa: B008 - it has no state
        **kwargs: Any,
    ) -> None:
        # A row's fields are XComs of their own, too: `create.output["id"]` would find nothing otherwise.
        super().__init__(retry_policy=retry_policy, **{"multiple_outputs": True, **kwargs})
        self.stripe_conn_id = stripe_conn_id
        self.fields = fields

    @abstractmethod
    def act(self, hook: StripeHook, context: Context) -> dict[str, Any]:
        """Do the one thing and return the object as Stripe sent it."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Act, note the links, return the row."""
        row = projection(self.kind, self.fields)  # bad fields are refused before the request
        hook = StripeHook(self.stripe_conn_id)
        try:
            raw = self.act(hook, context)
        except StripeError as exc:
            self.request_log_url = exc.request_log_url
            raise
        mode, account = hook.client.mode, hook.client.account
        self.dashboard_url = object_url(self.kind, raw["id"], mode, account)
        self.request_log_url = log_url(hook.client.request_id, mode, account)
        return row(raw)

    def _given(self) -> dict[str, Any]:
        """The parameters that go to Stripe, as rendered."""
        return {param.name: getattr(self, param.name) for param in PARAMS[self.kind]}

    def _create(
        self, hook: StripeHook, context: Context, create: Callable[..., dict[str, Any]], given: dict[str, Any]
    ) -> dict[str, Any]:
        """Create once for this task of this run, however often it is retried or cleared.

        Stripe forgets an idempotency key after a day, so the id is also kept in the task's state, which lives as
        long as the run.
        """
        key = self.idempotency_key or self._key(hook, context, given)
        made: Any = context["task_state_store"].get(_CREATED)
        if made and made["key"] == key:
            self.log.info("This task has created %s %s before; reading it.", self.kind, made["id"])
            try:
                return hook.get(self.kind, made["id"])
            except StripeNotFoundError as exc:
                raise exc.with_hint("To create another one, pass a new idempotency_key.") from exc
        raw = create(**given, idempotency_key=key)
        context["task_state_store"].set(_CREATED, {"key": key, "id": raw["id"]}, retention=NEVER_EXPIRE)
        return raw

    def _key(self, hook: StripeHook, context: Context, given: Mapping[str, Any]) -> str:
        """The same for every try of the task in its run, another one for other parameters."""
        ti = context["ti"]
        what = [ti.dag_id, ti.task_id, ti.run_id, ti.map_index, f"create_{self.kind}"]
        who = [hook.client.mode, hook.client.account]
        sent = {name: value for name, value in given.items() if value is not None}
        text = json.dumps([what, who, sent], sort_keys=True, default=str)
        return f"airflow-{hashlib.sha256(text.encode()).hexdigest()}"


class _ProductOperator(StripeOperator):
    """The parameters of a product."""

    kind = "product"
    template_fields = (
        *StripeOperator.template_fields,
        *("product_id", "name", "active", "caption", "description", "images", "shippable", "url", "metadata"),
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
        self.name = name
        self.product_id = product_id
        self.active = active
        self.caption = caption
        self.description = description
        self.images = images
        self.shippable = shippable
        self.url = url
        self.metadata = metadata
        self.idempotency_key = idempotency_key


class StripeCreateProductOperator(_ProductOperator):
    """Create a product, once for each run however often the task is retried or cleared.

    https://docs.stripe.com/api/products/create

    :param name: required, at most 5,000 characters. (templated)
    :param product_id: an id of your own; Stripe makes one otherwise. (templated)
    :param active: whether it can be bought. (templated)
    :param caption: short text; kept in ``metadata["caption"]`` after API version 2020-08-27. (templated)
    :param description: at most 40,000 characters. (templated)
    :param images: at most 8 URLs, as a list or in one text with commas or line ends between them. (templated)
    :param shippable: whether it is a physical good. (templated)
    :param url: a page about it. (templated)
    :param metadata: up to 50 keys of 40 characters with texts of 500. (templated)
    :param idempotency_key: replaces the key made of dag, task, run, map index and parameters. (templated)
    :return: the product.
    :raises StripeInputError: before any request, naming the argument.
    :raises StripeError: see :mod:`airflow_provider_stripe_lite.errors`.
    """

    def act(self, hook: StripeHook, context: Context) -> dict[str, Any]:
        """Create the product."""
        return self._create(hook, context, hook.create_product, {"product_id": self.product_id, **self._given()})


class StripeUpdateProductOperator(_ProductOperator):
    """Update a product; what is not given stays as it is.

    https://docs.stripe.com/api/products/update

    :param product_id: ``prod_…`` or an id of your own. (templated)
    :param name: required, at most 5,000 characters. (templated)
    :param active: whether it can be bought. (templated)
    :param caption: short text; an empty one unsets it. (templated)
    :param description: at most 40,000 characters; an empty one unsets it. (templated)
    :param images: at most 8 URLs, as a list or in one text; an empty one removes all. (templated)
    :param shippable: whether it is a physical good. (templated)
    :param url: a page about it; an empty one unsets it. (templated)
    :param metadata: merged with what is there; an empty text unsets a key, ``""`` for the whole unsets all. (templated)
    :param idempotency_key: by default a fresh one for every execution, so that an update is always applied. (templated)
    :return: the product.
    :raises StripeInputError: before any request, naming the argument.
    :raises StripeError: see :mod:`airflow_provider_stripe_lite.errors`.
    """

    def __init__(self, *, product_id: str, **kwargs: Any) -> None:
        super().__init__(product_id=product_id, **kwargs)

    def act(self, hook: StripeHook, context: Context) -> dict[str, Any]:
        """Update the product."""
        return hook.update_product(self.product_id or "", **self._given(), idempotency_key=self.idempotency_key)


class StripeGetCustomerOperator(StripeOperator):
    """Get a customer.

    https://docs.stripe.com/api/customers/retrieve

    :param customer_id: ``cus_…``. (templated)
    :return: the customer.
    :raises StripeInputError: before any request, naming the argument.
    :raises StripeNotFoundError: there is none of that id, or it has been deleted.
    """

    kind = "customer"
    template_fields = (*StripeOperator.template_fields, "customer_id")

    def __init__(self, *, customer_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.customer_id = customer_id

    def act(self, hook: StripeHook, context: Context) -> dict[str, Any]:
        """Read the customer."""
        return hook.get_customer(self.customer_id)


class _CustomerOperator(StripeOperator):
    """The parameters of a customer."""

    kind = "customer"
    template_fields = (
        *StripeOperator.template_fields,
        *("description", "customer_email", "metadata", "idempotency_key"),
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


class StripeCreateCustomerOperator(_CustomerOperator):
    """Create a customer, once for each run however often the task is retried or cleared.

    https://docs.stripe.com/api/customers/create

    :param description: at most 5,000 characters. (templated)
    :param customer_email: at most 512 characters (``email`` is Airflow's own argument). (templated)
    :param metadata: up to 50 keys of 40 characters with texts of 500. (templated)
    :param idempotency_key: replaces the key made of dag, task, run, map index and parameters. (templated)
    :return: the customer.
    :raises StripeInputError: before any request, naming the argument.
    :raises StripeError: see :mod:`airflow_provider_stripe_lite.errors`.
    """

    def act(self, hook: StripeHook, context: Context) -> dict[str, Any]:
        """Create the customer."""
        return self._create(hook, context, hook.create_customer, self._given())


class StripeUpdateCustomerOperator(_CustomerOperator):
    """Update a customer; what is not given stays as it is.

    https://docs.stripe.com/api/customers/update

    :param customer_id: ``cus_…``. (templated)
    :param description: at most 5,000 characters; an empty one unsets it. (templated)
    :param customer_email: at most 512 characters; an empty one unsets it. (templated)
    :param metadata: merged with what is there; an empty text unsets a key, ``""`` for the whole unsets all. (templated)
    :param idempotency_key: by default a fresh one for every execution, so that an update is always applied. (templated)
    :return: the customer.
    :raises StripeInputError: before any request, naming the argument.
    :raises StripeError: see :mod:`airflow_provider_stripe_lite.errors`.
    """

    template_fields = ("customer_id", *_CustomerOperator.template_fields)

    def __init__(self, *, customer_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.customer_id = customer_id

    def act(self, hook: StripeHook, context: Context) -> dict[str, Any]:
        """Update the customer."""
        return hook.update_customer(self.customer_id, **self._given(), idempotency_key=self.idempotency_key)
