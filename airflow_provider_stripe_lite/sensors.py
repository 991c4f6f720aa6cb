"""Four triggers: when a customer, an order, a charge, an invoice item is added."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.sdk import BaseSensorOperator, PokeReturnValue, conf
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSensorTimeout, AirflowSkipException

from airflow_provider_stripe_lite.cursors import Cursor, CursorChain, first_second
from airflow_provider_stripe_lite.errors import StripeError, StripeInputError, WouldWait
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.links import StripeDashboardLink, StripeRequestLogLink, log_url, window_url
from airflow_provider_stripe_lite.output import Row, projection
from airflow_provider_stripe_lite.polling import MAX_ITEMS, SETTLE, Position, at_least, feed_named
from airflow_provider_stripe_lite.retries import StripeRetryPolicy
from airflow_provider_stripe_lite.triggers import POLL_SECONDS, StripeAlarmTrigger, too_fast

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.definitions.retry_policy import RetryPolicy

_SHORT_WAIT = 5.0  # seconds for which starting a task again costs more than keeping the worker


class StripeNewObjectSensor(BaseSensorOperator):
    """Succeed with the objects that were added to a feed since the last run, each handed over exactly once.

    Use it in a DAG with ``max_active_runs=1``: runs that overlap read the same cursor.

    :param feed: ``customer``, ``order``, ``charge``, ``invoice_item``, …
    :param stripe_conn_id: id of the connection. (templated)
    :param start_from: where the first run begins: ``"now"`` (the run's ``run_after``), ``"beginning"``, or a
        date-time (ISO 8601; UTC where it has no offset). (templated)
    :param settle: seconds an object must be old, by Stripe's clock: Stripe shows some a few seconds late.
    :param max_items: the most objects for one run; only one second's objects may exceed it.
    :param output: ``"rows"`` returns the rows, ``"window"`` a reference for ``StripeHook.read_window``.
    :param fields: which fields a row has, see the operators. (templated)
    :param poke_interval: seconds between two polls, at least 120.
    :param allow_fast_polling: let ``poke_interval`` be shorter.
    :param deferrable: wait in the triggerer instead of a worker.
    :param advance_after: what must have succeeded before the next run goes on behind a window: this ``"sensor"``
        or the whole ``"dag_run"``; otherwise the next run gets the window again.
    :param cursor_variable: keep the cursor in this Airflow Variable too and go on from the further one: for DAGs
        that mix scheduled, manual and asset-triggered runs. (templated)
    :param retry_policy: by default no retry where Stripe would answer the same again.
    :return: rows, oldest first; or with ``output="window"`` ``{"feed", "account", "mode", "from", "until", "count"}``.
    :raises StripeInputError: an argument, the connection or the cursor cannot be used; nothing was handed over.
    :raises StripeError: see :mod:`airflow_provider_stripe_lite.errors`; nothing was handed over.
    """

    ui_color = "#635bff"
    ui_fgcolor = "#ffffff"
    template_fields: Sequence[str] = ("stripe_conn_id", "start_from", "fields", "cursor_variable")
    template_fields_renderers: ClassVar[dict[str, str]] = {"fields": "json"}
    operator_extra_links = (StripeDashboardLink(), StripeRequestLogLink())

    def __init__(
        self,
        *,
        feed: str,
        stripe_conn_id: str = StripeHook.default_conn_name,
        start_from: str | datetime = "now",
        settle: int = SETTLE,
        max_items: int = MAX_ITEMS,
        output: Literal["rows", "window"] = "rows",
        fields: str | Sequence[str] | None = None,
        poke_interval: timedelta | float = POLL_SECONDS,
        allow_fast_polling: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        advance_after: Literal["sensor", "dag_run"] = "sensor",
        cursor_variable: str | None = None,
        mode: str = "poke",
        retry_policy: RetryPolicy | None = StripeRetryPolicy(),  # noqa: B008 - it has no state
        **kwargs: Any,
    ) -> None:
        super().__init__(
            poke_interval=poke_interval,
            mode="reschedule" if deferrable else mode,  # both end the process between two polls
            retry_policy=retry_policy,
            **kwargs,
        )
        self.feed = feed_named(feed).name
        self.stripe_conn_id = stripe_conn_id
        self.start_from = start_from
        self.settle = at_least("settle", settle, 0)
        self.max_items = at_least("max_items", max_items, 1)
        self.returns = _one_of("output", output, ("rows", "window"))
        self.fields = fields
        self.deferrable = deferrable
        self.advance_after = _one_of("advance_after", advance_after, ("sensor", "dag_run"))
        self.cursor_variable = cursor_variable
        if self.poke_interval < POLL_SECONDS and not allow_fast_polling:
            raise StripeInputError(too_fast("poke_interval", self.poke_interval))

    def execute(self, context: Context) -> Any:
        """Poll until something is new; between two polls the process ends, unless ``mode="poke"``."""
        self._limit_wait: float | None = None
        self._since: int | None = None
        if context["dag"].max_active_runs != 1:
            self.log.warning(
                "Runs of %s may overlap and then hand over the same objects: set max_active_runs=1 on the DAG.",
                context["ti"].dag_id,
            )
        try:
            return super().execute(context)
        except AirflowRescheduleException as exc:
            now = datetime.now(UTC)
            wait = self._limit_wait or max(0.0, (exc.reschedule_date - now).total_seconds())
            if self.deferrable:
                self._defer(context, wait)
            raise AirflowRescheduleException(now + timedelta(seconds=wait)) from None
        except StripeError as exc:
            self.request_log_url = exc.request_log_url
            raise

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Poll again: the trigger only wakes, rows and errors come from here."""
        return self.execute(context)

    def poke(self, context: Context) -> PokeReturnValue | bool:
        """Poll once and hand over what is new."""
        row = projection(self.feed, self.fields)  # bad fields are refused before the request
        hook = StripeHook(self.stripe_conn_id)  # a fresh one, so that a rotated key is seen
        chain = CursorChain(context, hook, self.feed, advance_after=self.advance_after, variable=self.cursor_variable)
        cursor, items = self._again(chain, hook) or self._claim(chain, hook, context)
        if cursor is None:
            return False
        chain.publish(cursor)
        window = _window(cursor)
        since, until = window["from"]["until"], window["until"]
        mode, account = hook.client.mode, hook.client.account
        self.dashboard_url = window_url(self.feed, since, until, mode, account)
        self.request_log_url = log_url(hook.client.request_id, mode, account)
        return PokeReturnValue(True, window if self.returns == "window" else [row(item) for item in items])

    def _again(self, chain: CursorChain, hook: StripeHook) -> tuple[Cursor, list[Row]] | None:
        """The window that this run has claimed before, with the same objects."""
        cursor = chain.claimed()
        if cursor is None:
            return None
        items = [] if self.returns == "window" else list(hook.read_window(self.feed, _window(cursor)))
        self.log.info("This run has claimed a window of %d before; handing it over again.", cursor["count"])
        return cursor, items

    def _claim(self, chain: CursorChain, hook: StripeHook, context: Context) -> tuple[Cursor | None, list[Row]]:
        """Poll from where the last run ended and claim what is new."""
        start = chain.previous()
        if start is None:
            start = Position(first_second(self.start_from, chain.first_attempt(context["dag_run"].run_after)))
            chain.begin(start)
        self._since = start.until
        try:
            batch = hook.poll(
                self.feed,
                start,
                settle=self.settle,
                max_items=self.max_items,
                max_wait=None if self.mode == "poke" else _SHORT_WAIT,
            )
        except WouldWait as exc:
            self._limit_wait = exc.seconds
            self.log.info("Waiting for %s; the worker slot is free until then.", exc)
            return None, []
        self.log.info(
            "%d new in feed %s (request %s), created from %s until %s UTC%s",
            len(batch.items),
            self.feed,
            hook.client.request_id,
            *(datetime.fromtimestamp(at, UTC).replace(tzinfo=None) for at in (start.until, batch.position.until)),
            "; more are left for the next run" if batch.more else "",
        )
        if not batch.items:
            self.log.info("What is younger than %d s comes later.", self.settle)
            return None, []
        return chain.claim(start, batch.position, len(batch.items)), batch.items

    def _defer(self, context: Context, wait: float) -> None:
        """Let the triggerer wait; the timeout is what is left of the sensor's."""
        started = context["ti"].start_date or datetime.now(UTC)
        left = self.timeout - (datetime.now(UTC) - started).total_seconds()
        if left <= 0:  # a trigger that is over at once may come back before the scheduler knows that this process ended
            end = AirflowSkipException if self.soft_fail or self.never_fail else AirflowSensorTimeout
            raise end(f"Nothing new in feed {self.feed} within the timeout of {self.timeout:g} s.") from None
        self.defer(
            trigger=StripeAlarmTrigger(
                feed=self.feed,
                stripe_conn_id=self.stripe_conn_id,
                # Where the call limit kept the worker from looking, the trigger only waits for that.
                since=None if self._limit_wait else self._since,
                settle=self.settle,
                # Whole seconds: sensors that wait alike share one look.
                poll_interval=wait if self._limit_wait else math.ceil(wait),
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=left),
        )


class StripeNewCustomerSensor(StripeNewObjectSensor):
    """When a customer is added; the parameters are those of :class:`StripeNewObjectSensor` without ``feed``."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"feed": "customer", **kwargs})


class StripeNewOrderSensor(StripeNewObjectSensor):
    """When an order is added: only on old accounts with API version 2020-08-27 or older.

    Stripe has removed the Orders API; ``StripeNewObjectSensor(feed="checkout_session")`` is what it has today.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"feed": "order", **kwargs})


class StripeNewChargeSensor(StripeNewObjectSensor):
    """When a charge is added; the parameters are those of :class:`StripeNewObjectSensor` without ``feed``."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"feed": "charge", **kwargs})


class StripeNewInvoiceItemSensor(StripeNewObjectSensor):
    """When an invoice item is added; the parameters are those of :class:`StripeNewObjectSensor` without ``feed``."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"feed": "invoice_item", **kwargs})


def _window(cursor: Cursor) -> dict[str, Any]:
    """The reference under which the objects of a cursor's window can be read at any time."""
    shared = {name: cursor[name] for name in ("feed", "account", "mode", "from", "count")}
    return shared | {"until": cursor["to"]["until"]}


def _one_of(name: str, value: Any, known: Sequence[str]) -> str:
    if value not in known:
        raise StripeInputError(f"{name} must be one of {', '.join(known)}, got {value!r:.40}.")
    return str(value)
