"""Poll a feed and deliver what is new, each object once; the base of all sensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_stripe_lite._asset_event import STREAM, since_of_events
from airflow_provider_stripe_lite._compat import RetriedOperator, exceptions
from airflow_provider_stripe_lite._cursor import Ledger, Outcome
from airflow_provider_stripe_lite._operator import DEFERRABLE, ONE_UNLESS_MAPPED, refuse_none
from airflow_provider_stripe_lite._runs import CURSOR, Runs
from airflow_provider_stripe_lite._seen import Seen, found, tells_failure
from airflow_provider_stripe_lite.core import clock, reading
from airflow_provider_stripe_lite.core.batches import Batch
from airflow_provider_stripe_lite.core.fields import Row, projection, storable
from airflow_provider_stripe_lite.core.lists import feed_list
from airflow_provider_stripe_lite.core.reading import MAX_ITEMS, MIN_AGE, POLL_SECONDS, too_fast
from airflow_provider_stripe_lite.core.times import Moment, first_second, least_gap
from airflow_provider_stripe_lite.core.values import one_of, whole_number
from airflow_provider_stripe_lite.core.window import Position, Source
from airflow_provider_stripe_lite.errors import RateLimitWait, StripeInputError
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.links import StripeDashboardLink, StripeRequestLogLink
from airflow_provider_stripe_lite.retry_policy import StripeRetryPolicy
from airflow_provider_stripe_lite.triggers import StripeSensorTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_stripe_lite._compat import RetryPolicy
    from airflow_provider_stripe_lite.core.client import StripeClient
    from airflow_provider_stripe_lite.core.resources import FeedName

__all__ = ["StripeFeedSensor"]

# Starting a task again costs more than so many seconds of a worker.
_SHORT_WAIT = 5.0


class _NoSlot(BaseException):
    """The call limit has no place for a look: an Exception would be one to Airflow's sensor."""


class StripeFeedSensor(RetriedOperator, BaseSensorOperator):
    """Succeed with the objects that were added to a feed since the last run, each exactly once.

    Runs may overlap, be cleared, retried and killed: see docs/guarantees.md.

    :param stripe_conn_id: id of the connection. (templated)
    :param stripe_account: act for this connected account (``acct_…``) instead of the connection's.
        (templated)
    :param start_from: where the first run begins: ``"now"`` (the run's ``run_after``; in a backfill
        when it starts, behind a ``stripe_asset`` at its event), ``"beginning"``, or a time:
        date-time or date (ISO 8601; UTC where it has no offset), or seconds since 1970. (templated)
    :param min_age: seconds an object must be old, at least 1, by the earlier of Stripe's clock and
        this host's: Stripe shows some objects a few seconds late.
    :param max_items: the most rows for one run; only the objects of one second may exceed it.
    :param returns: ``"rows"`` returns the rows, ``"window"`` a reference to everything that is new,
        for ``StripeHook.read``: it takes one call, and has no ``max_items``.
    :param fields: which fields a row has, see the operators; not with a window. (templated)
    :param poke_interval: seconds between two polls, at least 120.
    :param allow_fast_polling: let ``poke_interval`` be shorter.
    :param mode: ``"reschedule"`` gives the worker back between two polls, ``"poke"`` keeps it.
    :param deferrable: wait in the triggerer instead of a worker.
    :param cursor_variable: the Airflow Variable that holds the cursor, instead of
        ``stripe_cursor.<dag_id>.<task_id>``; a mapped sensor has one for each connection and
        account, whose names stand behind it. (templated)
    :param max_active_tis_per_dag: how many runs may look at once, usually one; None: any number.
    :param retry_policy: by default no retry where Stripe would answer the same again.
    :return: rows, oldest first; or with ``returns="window"`` a
        :class:`~airflow_provider_stripe_lite.core.window.Window`.
    :raises StripeInputError: an argument, the connection or the cursor cannot be used; nothing was
        delivered.
    :raises StripeError: see :mod:`airflow_provider_stripe_lite.errors`; nothing was delivered.
    """

    feed: FeedName
    types: list[str] | None = None
    refused_elsewhere = ("start_from",)
    _began: datetime | None = None
    _ledger: Ledger | None = None
    _since: int | None = None
    ui_color = "#635bff"
    ui_fgcolor = "#ffffff"
    template_fields: Sequence[str] = (
        *("stripe_conn_id", "stripe_account", "start_from", "fields", "cursor_variable"),
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"fields": "json"}
    operator_extra_links = (StripeDashboardLink(), StripeRequestLogLink())

    if TYPE_CHECKING:
        # To a type checker, a reference passes for the value, be that a str or a Window.
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
        mode: Literal["poke", "reschedule"] = "reschedule",
        deferrable: bool = DEFERRABLE,
        cursor_variable: str | None = None,
        max_active_tis_per_dag: int | None = ONE_UNLESS_MAPPED,
        retry_policy: RetryPolicy | None = StripeRetryPolicy(),  # noqa: B008
        **kwargs: Any,
    ) -> None:
        super().__init__(
            poke_interval=poke_interval,
            # Both end the process between two polls.
            mode="reschedule" if deferrable else mode,
            max_active_tis_per_dag=max_active_tis_per_dag,
            retry_policy=retry_policy,
            **kwargs,
        )
        if max_active_tis_per_dag == ONE_UNLESS_MAPPED:
            self.max_active_tis_per_dag = None if self.get_closest_mapped_task_group() else 1
        self.stripe_conn_id = stripe_conn_id
        self.stripe_account = stripe_account
        self.start_from = start_from
        self.min_age = whole_number("min_age", min_age, 0)
        self.max_items = whole_number("max_items", max_items, 1)
        self.returns = one_of("returns", returns, "rows", "window")
        self.fields = fields
        self.deferrable = deferrable
        self.cursor_variable = cursor_variable
        if fields is not None and returns == "window":
            raise StripeInputError(
                'fields belong to rows: with returns="window" give them to StripeHook.read.'
            )
        self.allow_fast_polling = allow_fast_polling
        if self.poke_interval < POLL_SECONDS and not allow_fast_polling:
            raise StripeInputError(too_fast("poke_interval", self.poke_interval))

    def execute(self, context: Context) -> Any:
        """Poll until something is new; between two polls the process ends, but in poke mode."""
        gap = least_gap(getattr(context["dag"], "schedule", None))
        if gap < POLL_SECONDS and not self.allow_fast_polling:
            # Each run looks at once, however long the others wait between two looks.
            self.log.warning(too_fast("The time between two runs of the schedule", gap))
        return self._poll(context, context["ti"].get_first_reschedule_date(context))

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Poll again: the trigger only wakes, rows and errors come from here."""
        # With soft_fail, Airflow skips what is back from the triggerer and asks to be rescheduled.
        self.deferrable = True
        # Without a deadline the call limit has had no place for the first look.
        if (deadline := (event or {}).get("deadline")) is None:
            return self._poll(context, None)
        gone = timedelta(seconds=self.timeout - (deadline - clock.now()))
        return self._poll(context, datetime.now(UTC) - gone)

    def _poll(self, context: Context, began: datetime | None) -> Any:
        self._began, self._ledger, self._since = began, None, None
        try:
            return super().execute(context)
        except exceptions.AirflowSkipException as exc:
            # What was killed in the middle of a poll would look as if nothing were new.
            if self.soft_fail and isinstance(exc.__cause__, exceptions.AirflowTaskTimeout):
                raise exc.__cause__ from None
            raise
        except _NoSlot as exc:
            self._come_back(exc.args[0], None if began is None else self._left(began), None)
        except exceptions.AirflowRescheduleException as exc:
            wait = max(0.0, (exc.reschedule_date - datetime.now(UTC)).total_seconds())
            self._come_back(wait, self._left(began or datetime.now(UTC)), self._since)

    @tells_failure
    def poke(self, context: Context) -> PokeReturnValue | bool:
        """Poll once and deliver what is new."""
        refuse_none(self)
        # A fresh hook sees a rotated key.
        row, account = projection(self.feed, self.fields), self.stripe_account or None
        client = StripeHook(self.stripe_conn_id, stripe_account=account).get_conn()
        self._hurry(client)
        runs = Runs(context, self.stripe_conn_id, account, self.cursor_variable)
        client.ask_as(f"{runs.key} {runs.run_id}")
        ledger = self._ledger = self._ledger or Ledger(runs, lambda: self._first(context))
        who = (self.stripe_conn_id, client.account, client.livemode)
        source = Source(self.feed, *who, self.types, client.context)
        outcome = ledger.claim(source, partial(self._look, client, row))
        window, batch = outcome.window, outcome.batch
        result: Any = batch.items if batch and self.returns == "rows" else window
        if window and batch is None and self.returns == "rows":
            result = reading.reread(client, window, row, ledger.remedy)
            storable(result)
        self._report(context, client, outcome, len(result or ()))
        return window is not None and PokeReturnValue(True, result)

    def _get_next_poke_interval(self, started_at: Any, run_duration: Any, poke_count: int) -> Any:
        """Back off from `poke_interval` on, below which Airflow begins; a deferred sensor, too."""
        if self.deferrable and (began := self._began):
            # Airflow knows no earlier start of it than that of this process.
            started_at = round(began.timestamp() / 10)
            run_duration = lambda: self.timeout - self._left(began)  # noqa: E731
        backoff = super()._get_next_poke_interval(started_at, run_duration, poke_count)
        most = self.max_wait.total_seconds() if self.max_wait else math.inf
        return max(backoff, min(self.poke_interval, most, self.timeout - run_duration()))

    def _hurry(self, client: StripeClient) -> None:
        """Give a look no longer than what is left of the sensor's time, the first one excepted."""
        left = 0.0 if self._began is None else self._left(self._began)
        # A process that begins when the time is up may do so for its first look.
        if left > 0 or self._ledger is not None:
            client.timeout = min(client.timeout, max(1.0, left))
        self._began = self._began or datetime.now(UTC)

    def _left(self, began: datetime) -> float:
        """Return the seconds that are left of the sensor's time."""
        return self.timeout - (datetime.now(UTC) - began).total_seconds()

    def _first(self, context: Context) -> Position:
        """Return where the first run begins."""
        run, of_event = context["dag_run"], None
        if self.start_from == "now":
            of_event = since_of_events(context, **{name: getattr(self, name) for name in STREAM})
        # A backfill run has a date of long ago, and nobody asks for what was new then.
        now = datetime.fromtimestamp(clock.now(), UTC) if run.run_type == "backfill" else None
        first = first_second(self.start_from, now or run.run_after)
        first = first if of_event is None else of_event
        reading.refuse_forgotten(
            "start_from", feed_list(self.feed, self.types), first, int(clock.now())
        )
        return Position(first)

    def _look(
        self, client: StripeClient, row: Callable[[Row], Row], start: Position, remedy: str
    ) -> Batch:
        """Return what is new since a position, where the call limit has a place soon."""
        self._since, resource = start.before, feed_list(self.feed, self.types)
        wait = None if self.mode == "poke" else _SHORT_WAIT
        how: Any = {"min_age": self.min_age, "max_wait": wait, "remedy": remedy}
        try:
            if self.returns == "window":
                return reading.poll_window(client, resource, start, **how)
            batch = reading.poll(client, resource, start, take=row, max_items=self.max_items, **how)
        except RateLimitWait as exc:
            self.log.info("Waiting for %s; the worker slot is free until then.", exc)
            raise _NoSlot(exc.seconds) from None
        storable(batch.items)
        return batch

    def _report(self, context: Context, client: StripeClient, outcome: Outcome, rows: int) -> None:
        """Say what came, and push the cursor: a run goes on from it where the Variable is gone."""
        request = outcome.batch.request_id if outcome.batch else None
        self.seen = Seen(client, request, window=outcome.window)
        whole = "a window" if self.returns == "window" else f"{rows} of {self.feed}"
        asked = f", request {request}" if request else ""
        self.log.info(
            "%s (feed %s%s, calls: %d, waited for the call limit: %.1f s).",
            *(found(outcome, whole, self.min_age), self.feed, asked, client.calls, client.waited),
        )
        figures = {"calls": client.calls, "waited_seconds": round(client.waited, 1)}
        context["ti"].xcom_push(CURSOR, {**outcome.cursor, **figures})

    def _come_back(self, wait: float, left: float | None, since: int | None) -> None:
        """Give the worker back, until a time or until the triggerer sees something new.

        :param left: seconds that are left of the sensor's time; None where it has not looked: a
            look is due first, however long the call limit has no place for it.
        :param since: epoch second from which on something is new; None where time alone counts.
        """
        if not self.deferrable:
            raise exceptions.AirflowRescheduleException(
                datetime.now(UTC) + timedelta(seconds=wait)
            ) from None
        if left is not None and left <= 0:
            # A trigger that is over at once may come back before this process has ended.
            skips = self.soft_fail or self.never_fail
            end = exceptions.AirflowSkipException if skips else exceptions.AirflowSensorTimeout
            raise end(f"Nothing new in feed {self.feed} within {self.timeout:g} s.") from None
        self.defer(
            trigger=StripeSensorTrigger(
                feed=self.feed,
                types=self.types,
                stripe_conn_id=self.stripe_conn_id,
                stripe_account=self.stripe_account,
                since=since,
                min_age=self.min_age,
                # Sensors with equal settings share one poll, as it is rounded up.
                poll_interval=wait if since is None else math.ceil(wait),
                deadline=None if left is None else clock.now() + left,
            ),
            method_name="execute_complete",
            timeout=None if left is None else timedelta(seconds=left),
        )
