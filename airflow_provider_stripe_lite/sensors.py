"""Four triggers: when a customer, an order, a charge, an invoice item is added; and any feed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, cast

from airflow_provider_stripe_lite._operator import DEFERRABLE, ONE_UNLESS_MAPPED
from airflow_provider_stripe_lite._sensor import StripeFeedSensor
from airflow_provider_stripe_lite.core.lists import event_types, feed_named
from airflow_provider_stripe_lite.core.reading import MAX_ITEMS, MIN_AGE, POLL_SECONDS
from airflow_provider_stripe_lite.core.times import Moment
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.retry_policy import StripeRetryPolicy

if TYPE_CHECKING:
    from airflow_provider_stripe_lite._compat import RetryPolicy
    from airflow_provider_stripe_lite.core.resources import FeedName

__all__ = [
    "StripeEventSensor",
    "StripeNewChargeSensor",
    "StripeNewCustomerSensor",
    "StripeNewInvoiceItemSensor",
    "StripeNewObjectSensor",
    "StripeNewOrderSensor",
]


class StripeNewCustomerSensor(StripeFeedSensor):
    """Succeed when customers were added; the parameters are those of StripeNewObjectSensor."""

    feed: FeedName = "customer"


class StripeNewOrderSensor(StripeFeedSensor):
    """Succeed when orders were added: only on old accounts with API version 2020-08-27 or older.

    Stripe has removed the Orders API; ``StripeNewObjectSensor(feed="checkout.session")`` is what
    it has today. The parameters are those of StripeNewObjectSensor.
    """

    feed: FeedName = "order"


class StripeNewChargeSensor(StripeFeedSensor):
    """Succeed when charges were added; the parameters are those of StripeNewObjectSensor."""

    feed: FeedName = "charge"


class StripeNewInvoiceItemSensor(StripeFeedSensor):
    """Succeed when invoice items were added; the parameters are those of StripeNewObjectSensor."""

    feed: FeedName = "invoiceitem"


class StripeNewObjectSensor(StripeFeedSensor):
    """Succeed with the objects that were added to any feed since the last run, each exactly once.

    Runs may overlap, be cleared, retried and killed: see docs/guarantees.md.

    :param feed: Stripe's ``object`` value of what the list holds: ``charge``, ``payout``, …
    :return: rows, oldest first; or with ``returns="window"`` a
        :class:`~airflow_provider_stripe_lite.core.window.Window`.
    :raises StripeInputError: an argument, the connection or the cursor cannot be used; nothing was
        delivered.
    :raises StripeError: see :mod:`airflow_provider_stripe_lite.errors`; nothing was delivered.
    """

    def __init__(
        self,
        *,
        feed: FeedName,
        stripe_conn_id: str = StripeHook.default_conn_name,
        stripe_account: str | None = None,
        start_from: Moment = "now",
        min_age: int = MIN_AGE,
        max_items: int = MAX_ITEMS,
        returns: Literal["rows", "window"] = "rows",
        fields: str | Sequence[str] | None = None,
        poke_interval: timedelta | float = POLL_SECONDS,
        allow_fast_polling: bool = False,
        mode: Literal["poke", "reschedule"] = "reschedule",
        deferrable: bool = DEFERRABLE,
        cursor_variable: str | None = None,
        max_active_tis_per_dag: int | None = ONE_UNLESS_MAPPED,
        retry_policy: RetryPolicy | None = StripeRetryPolicy(),  # noqa: B008
        **kwargs: Any,
    ) -> None:
        super().__init__(
            stripe_conn_id=stripe_conn_id,
            stripe_account=stripe_account,
            start_from=start_from,
            min_age=min_age,
            max_items=max_items,
            returns=returns,
            fields=fields,
            poke_interval=poke_interval,
            allow_fast_polling=allow_fast_polling,
            mode=mode,
            deferrable=deferrable,
            cursor_variable=cursor_variable,
            max_active_tis_per_dag=max_active_tis_per_dag,
            retry_policy=retry_policy,
            **kwargs,
        )
        self.feed = cast("FeedName", feed_named(feed).object)


class StripeEventSensor(StripeFeedSensor):
    """Succeed with the events of some types since the last run, each exactly once.

    It has the parameters of ``StripeNewObjectSensor`` but for ``feed``. An event says that
    something has changed: a charge has failed, a subscription was updated. Its row names the
    object; read that by its id, since the event holds it in the shape that it had then. The order
    of events inside one second is not known. Stripe keeps events for 30 days.

    :param types: at most 20 of Stripe's event types, such as ``charge.failed``, or one with a
        wildcard, such as ``charge.*``.
    :return: rows with ``id``, ``type``, ``created``, ``account``, ``api_version``, ``object_type``,
        ``object_id`` (null where the object has none) and ``previous_attributes``, oldest first; or
        with ``returns="window"`` a :class:`~airflow_provider_stripe_lite.core.window.Window`.
    :raises StripeInputError: an argument, the connection or the cursor cannot be used, or the
        cursor lies over 30 days back; nothing was delivered.
    :raises StripeError: see :mod:`airflow_provider_stripe_lite.errors`; nothing was delivered.

    See https://docs.stripe.com/api/events/types
    """

    feed: FeedName = "event"

    def __init__(
        self,
        *,
        types: Sequence[str],
        stripe_conn_id: str = StripeHook.default_conn_name,
        stripe_account: str | None = None,
        start_from: Moment = "now",
        min_age: int = MIN_AGE,
        max_items: int = MAX_ITEMS,
        returns: Literal["rows", "window"] = "rows",
        fields: str | Sequence[str] | None = None,
        poke_interval: timedelta | float = POLL_SECONDS,
        allow_fast_polling: bool = False,
        mode: Literal["poke", "reschedule"] = "reschedule",
        deferrable: bool = DEFERRABLE,
        cursor_variable: str | None = None,
        max_active_tis_per_dag: int | None = ONE_UNLESS_MAPPED,
        retry_policy: RetryPolicy | None = StripeRetryPolicy(),  # noqa: B008
        **kwargs: Any,
    ) -> None:
        super().__init__(
            stripe_conn_id=stripe_conn_id,
            stripe_account=stripe_account,
            start_from=start_from,
            min_age=min_age,
            max_items=max_items,
            returns=returns,
            fields=fields,
            poke_interval=poke_interval,
            allow_fast_polling=allow_fast_polling,
            mode=mode,
            deferrable=deferrable,
            cursor_variable=cursor_variable,
            max_active_tis_per_dag=max_active_tis_per_dag,
            retry_policy=retry_policy,
            **kwargs,
        )
        self.types = event_types(types)
