"""Poll a feed and deliver what is new, each object once; the base of all sensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.sdk import BaseSensorOperator, PokeReturnValue, conf
from airflow.sdk.exceptions import (
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
)

from airflow_provider_stripe_lite._cursor import CursorChain
from airflow_provider_stripe_lite._seen import Seen
from airflow_provider_stripe_lite.core.batches import Batch
from airflow_provider_stripe_lite.core.fields import Row, projection
from airflow_provider_stripe_lite.core.lists import feed_list
from airflow_provider_stripe_lite.core.reading import (
    MAX_ITEMS,
    MIN_AGE,
    POLL_SECONDS,
    poll,
    poll_window,
    reread,
    too_fast,
    whole_number,
)
from airflow_provider_stripe_lite.core.times import Moment, first_second, iso
from airflow_provider_stripe_lite.core.window import Position, Source, Window
from airflow_provider_stripe_lite.errors import RateLimitWait, StripeError, StripeInputError
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.links import StripeDashboardLink, StripeRequestLogLink
from airflow_provider_stripe_lite.retry_policy import StripeRetryPolicy
from airflow_provider_stripe_lite.triggers import StripeSensorTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_stripe_lite._compat import RetryPolicy
    from airflow_provider_stripe_lite.core.client import StripeClient
    from airflow_provider_stripe_lite.core.resources import FeedName

__all__ = ["DEFERRABLE", "StripeFeedSensor"]

DEFERRABLE = conf.getboolean("operators", "default_deferrable", fallback=False)
# Up to so many seconds, starting a task again costs more than keeping the worker.
_SHORT_WAIT = 5.0


class StripeFeedSensor(BaseSensorOperator):
    """Succeed with the objects that were added to a feed since the last run, each exactly once.

    Use it in a DAG with ``max_active_runs=1``: runs that overlap read the same cursor.

    :param stripe_conn_id: id of the connection. (templated)
    :param stripe_account: act for this connected account (``acct_…``) instead of the connection's.
        (templated)
    :param start_from: where the first run begins: ``"now"`` (the run's ``run_after``),
        ``"beginning"``, or a time: date-time or date (ISO 8601; UTC where it has no offset), or
        seconds since 1970. (templated)
    :param min_age: seconds an object must be old, at least 1, by the earlier of Stripe's clock and
        this host's: Stripe shows some objects a few seconds late.
    :param max_items: the most rows for one run; only the objects of one second may exceed it.
    :param returns: ``"rows"`` returns the rows, ``"window"`` a reference to everything that is new,
        for ``StripeHook.read``: it takes one call, and has no ``max_items``.
    :param fields: which fields a row has, see the operators; not with a window. (templated)
    :param poke_interval: seconds between two polls, at least 120.
    :param allow_fast_polling: let ``poke_interval`` be shorter.
    :param mode: ``"poke"`` keeps the worker between two polls, ``"reschedule"`` gives it back.
    :param deferrable: wait in the triggerer instead of a worker.
    :param advance_after: what must have succeeded before the next run goes on behind a window: this
        ``"sensor"`` or the whole ``"dag_run"``; otherwise the next run gets the window again.
    :param cursor_variable: keep the cursor in this Airflow Variable too and go on from the further
        one: for DAGs that mix scheduled, manual and asset-triggered runs. (templated)
    :param retry_policy: by default no retry where Stripe would answer the same again.
    :return: rows, oldest first; or with ``returns="window"`` a
        :class:`~airflow_provider_stripe_lite.core.window.Window`.
    :raises StripeInputError: an argument, the connection or the cursor cannot be used; nothing was
        delivered.
    :raises StripeError: see :mod:`airflow_provider_stripe_lite.errors`; nothing was delivered.
    """

    feed: FeedName
    types: list[str] | None = None
    ui_color = "#635bff"
    ui_fgcolor = "#ffffff"
    template_fields: Sequence[str] = (
        "stripe_conn_id",
        "stripe_account",
        "start_from",
        "fields",
        "cursor_variable",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"fields": "json"}
    operator_extra_links = (StripeDashboardLink(), StripeRequestLogLink())

    if TYPE_CHECKING:
        # A reference to a value passes for the value, so that a type checker accepts it where a
        # user gives one to a task or an operator that asks for a str or a Window.
        @property
        def output(self) -> Any:
            """Return a reference to what this task will return."""

    def __init__(
        self,
        *,
        stripe_conn_id: str = StripeHook.default_conn_name,
        stripe_account: str | None = None,
        start_from: Moment = "now",
        min_age: int = MIN_AGE,
        max_items: int = MAX_ITEMS,
        returns: Literal["rows", "window"] = "rows",
        fields: str | Sequence[str] | None = None,
        poke_interval: timedelta | float = POLL_SECONDS,
        allow_fast_polling: bool = False,
        mode: Literal["poke", "reschedule"] = "poke",
        deferrable: bool = DEFERRABLE,
        advance_after: Literal["sensor", "dag_run"] = "sensor",
        cursor_variable: str | None = None,
        retry_policy: RetryPolicy | None = StripeRetryPolicy(),  # noqa: B008
        **kwargs: Any,
    ) -> None:
        super().__init__(
            poke_interval=poke_interval,
            # Both end the process between two polls.
            mode="reschedule" if deferrable else mode,
            retry_policy=retry_policy,
            **kwargs,
        )
        self.stripe_conn_id = stripe_conn_id
        self.stripe_account = stripe_account
        self.start_from = start_from
        self.min_age = whole_number("min_age", min_age, 0)
        self.max_items = whole_number("max_items", max_items, 1)
        self.returns = _one_of("returns", returns, ("rows", "window"))
        self.fields = fields
        self.deferrable = deferrable
        self.advance_after = _one_of("advance_after", advance_after, ("sensor", "dag_run"))
        self.cursor_variable = cursor_variable
        if fields is not None and returns == "window":
            raise StripeInputError(
                'fields belong to rows: with returns="window" give them to StripeHook.read, which '
                "makes rows of the window."
            )
        if self.poke_interval < POLL_SECONDS and not allow_fast_polling:
            raise StripeInputError(too_fast("poke_interval", self.poke_interval))

    def execute(self, context: Context) -> Any:
        """Poll until something is new; between two polls the process ends, but in poke mode."""
        return self._wait(context, context["ti"].get_first_reschedule_date(context))

    def _wait(self, context: Context, began: datetime | None) -> Any:
        # When the first look was; it is the next one where nobody knows of another.
        self._began = began
        self._limit_wait: float | None = None
        self._since: int | None = None
        if context["dag"].max_active_runs != 1:
            self.log.warning(
                "Runs of %s may overlap and then deliver the same objects: set max_active_runs=1 "
                "on the DAG.",
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
        return self._wait(context, context["ti"].start_date)

    def poke(self, context: Context) -> PokeReturnValue | bool:
        """Poll once and deliver what is new."""
        # Bad fields are refused before the request, and a fresh hook sees a rotated key.
        row = projection(self.feed, self.fields)
        client = StripeHook(self.stripe_conn_id, stripe_account=self.stripe_account).get_conn()
        self._hurry(client)
        source = Source(self.feed, self.stripe_conn_id, client.account, client.livemode, self.types)
        chain = CursorChain(
            context, source, advance_after=self.advance_after, variable=self.cursor_variable
        )
        cursor = chain.claimed()
        if cursor:
            window: Window = cursor["window"]
            self.log.info("This run has claimed a window before; delivering it again: %s", window)
            rows = reread(client, window, row) if self.returns == "rows" else []
            request_id = None
        else:
            start = self._start(chain, context)
            batch = self._look(client, start, row)
            if batch.position == start or not (batch.items or self.returns == "window"):
                return False
            count = len(batch.items) if self.returns == "rows" else None
            cursor = chain.claim(start, batch.position, count)
            window, rows, request_id = cursor["window"], batch.items, batch.request_id
        chain.publish(cursor)
        self.seen = Seen(client, request_id, window=window)
        return PokeReturnValue(True, rows if self.returns == "rows" else window)

    def _hurry(self, client: StripeClient) -> None:
        """Give a look no longer than what is left of the sensor's time, the first one excepted."""
        if self._began is not None:
            client.timeout = min(client.timeout, max(1.0, self._left(self._began)))
        self._began = self._began or datetime.now(UTC)

    def _left(self, began: datetime) -> float:
        """Return the seconds that are left of the sensor's time."""
        return self.timeout - (datetime.now(UTC) - began).total_seconds()

    def _start(self, chain: CursorChain, context: Context) -> Position:
        """Return where the last run ended, or for the first run where it begins."""
        start = chain.previous()
        if start is None:
            now = chain.first_attempt(context["dag_run"].run_after)
            start = Position(first_second(self.start_from, now))
            chain.begin(start)
        self._since = start.before
        return start

    def _look(self, client: StripeClient, start: Position, row: Callable[[Row], Row]) -> Batch:
        """Poll, and say in the log what came; without a slot in the call limit, nothing did."""
        resource = feed_list(self.feed, self.types)
        wait = None if self.mode == "poke" else _SHORT_WAIT
        try:
            if self.returns == "window":
                batch = poll_window(client, resource, start, min_age=self.min_age, max_wait=wait)
            else:
                batch = poll(
                    client,
                    resource,
                    start,
                    take=row,
                    min_age=self.min_age,
                    max_items=self.max_items,
                    max_wait=wait,
                )
        except RateLimitWait as exc:
            self._limit_wait = exc.seconds
            self.log.info("Waiting for %s; the worker slot is free until then.", exc)
            return Batch([], start)
        self.log.info(
            "%s new in feed %s (request %s), created from %s until %s%s",
            "A window is" if batch.position != start and not batch.items else len(batch.items),
            self.feed,
            batch.request_id,
            iso(start.before),
            iso(batch.position.before),
            "; more are left for the next run" if batch.more else "",
        )
        if batch.position == start:
            self.log.info("What is younger than %d s comes later.", self.min_age)
        return batch

    def _defer(self, context: Context, wait: float) -> None:
        """Let the triggerer wait; the timeout is what is left of the sensor's."""
        left = self._left(context["ti"].start_date or datetime.now(UTC))
        if left <= 0:
            # A trigger that is over at once may come back before the scheduler knows that this
            # process ended, so the end is here.
            end = (
                AirflowSkipException if self.soft_fail or self.never_fail else AirflowSensorTimeout
            )
            raise end(
                f"Nothing new in feed {self.feed} within the timeout of {self.timeout:g} s."
            ) from None
        self.defer(
            trigger=StripeSensorTrigger(
                feed=self.feed,
                types=self.types,
                stripe_conn_id=self.stripe_conn_id,
                stripe_account=self.stripe_account,
                # Where the call limit kept the worker from looking, the trigger waits for that.
                since=None if self._limit_wait else self._since,
                min_age=self.min_age,
                # Rounded up, so that sensors with equal settings share one poll.
                poll_interval=wait if self._limit_wait else math.ceil(wait),
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=left),
        )


def _one_of(name: str, value: Any, known: Sequence[str]) -> str:
    if value not in known:
        raise StripeInputError(f"{name} must be one of {', '.join(known)}, got {value!r:.40}.")
    return str(value)
