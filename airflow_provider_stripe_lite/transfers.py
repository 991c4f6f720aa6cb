"""Copy what Stripe lists into files: a day of charges for each run, or what a sensor has found."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple

from airflow_provider_stripe_lite._compat import exceptions
from airflow_provider_stripe_lite._destination import destination, refuse_shared, whole_file
from airflow_provider_stripe_lite._operator import DEFERRABLE, StripeOperator
from airflow_provider_stripe_lite._seen import Seen
from airflow_provider_stripe_lite.core import clock
from airflow_provider_stripe_lite.core.fields import Row, projection
from airflow_provider_stripe_lite.core.lists import feed_named, list_named
from airflow_provider_stripe_lite.core.pages import PAGE
from airflow_provider_stripe_lite.core.reading import (
    MIN_AGE,
    RangeTooYoung,
    read,
    read_list,
)
from airflow_provider_stripe_lite.core.times import Moment, range_of
from airflow_provider_stripe_lite.core.values import one_of, refuse_missing, whole_number
from airflow_provider_stripe_lite.core.window import (
    Position,
    Source,
    Window,
    end_of,
    own,
    start_of,
    stretch,
)
from airflow_provider_stripe_lite.errors import StripeInputError
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.triggers import StripeSensorTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_stripe_lite.core.client import StripeClient
    from airflow_provider_stripe_lite.core.resources import FeedName, Resource

__all__ = ["StripeToObjectStorageOperator"]

# A line of progress comes no more often than this.
_NO_WINDOW: Any = ()
_SECONDS_BETWEEN_LINES = 10.0
# json.dumps would make one for each object.
_json = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class _Job(NamedTuple):
    """What is read.

    :param window: a sensor's, or the range of time as one.
    :param objects: reads it, when it is iterated over.
    """

    resource: Resource
    window: Window
    objects: Iterator[Row]


class StripeToObjectStorageOperator(StripeOperator):
    """Write the objects of a range of time, or of a sensor's window, into one file, all or none.

    Without bounds and window, the range is the run's data interval. The file has one JSON object in
    each line, oldest first; the same objects give the same bytes. It appears under its name when it
    is whole, and a retry or a cleared run replaces it. One page of objects is in memory at a time.

    :param path: of the file, such as ``s3://lake/{{ dag_run.data_interval_start | ds }}.jsonl.gz``,
        or an absolute path of this machine; ``.gz`` compresses. Each run, and each mapped task,
        needs its own; the ``{{ ds }}`` of a run that a person starts is another day. (templated)
    :param feed: Stripe's ``object`` value of what the list holds: ``charge``, ``payout``, …; a
        window knows its own.
    :param created_gte: only what was created at or after this time: a date-time or a date (UTC
        where it has no offset), ISO 8601 text, or seconds since 1970. (templated)
    :param created_lt: only what was created before this time. (templated)
    :param window: what a sensor with ``returns="window"`` returned, instead of a range. (templated)
    :param parameters: Stripe's own of this list, such as ``{"customer": "cus_1"}``; not with a
        window. (templated)
    :param fields: ``"*"`` for the objects as Stripe sent them, without client secrets; None for the
        documented fields; or a list of dotted paths. (templated)
    :param min_age: seconds that the end of the range must lie back, by the earlier of Stripe's
        clock and this host's: Stripe shows some objects a few seconds late. Until then the task
        gives its worker back.
    :param if_empty: ``"write"`` writes a file without lines, ``"skip"`` none, and skips the task.
    :param deferrable: wait for ``min_age`` in the triggerer.
    :param dest_conn_id: id of the connection of the object store. (templated)
    :return: ``path``, ``count`` (objects), ``bytes`` (of the file), ``created_gte`` and
        ``created_lt`` (ISO 8601).
    :raises StripeInputError: an argument or the connection cannot be used; no file was touched.
    :raises StripeError: a request failed; an earlier file is as it was.

    See https://docs.stripe.com/api/pagination and Airflow's page on object storage.
    """

    template_fields = (
        *StripeOperator.template_fields,
        *("path", "created_gte", "created_lt", "window", "parameters", "dest_conn_id"),
    )
    refused_elsewhere = ("path", "window")
    template_fields_renderers = {  # noqa: RUF012
        **StripeOperator.template_fields_renderers,
        "window": "json",
        "parameters": "json",
    }

    def __init__(
        self,
        *,
        path: str,
        feed: FeedName | None = None,
        created_gte: Moment | None = None,
        created_lt: Moment | None = None,
        window: Window | None = _NO_WINDOW,
        parameters: Mapping[str, Any] | None = None,
        fields: str | Sequence[str] | None = "*",
        min_age: int = MIN_AGE,
        if_empty: Literal["write", "skip"] = "write",
        deferrable: bool = DEFERRABLE,
        dest_conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fields=fields, **kwargs)
        self.path = path
        self.feed = None if feed is None else feed_named(feed).object
        self.created_gte = created_gte
        self.created_lt = created_lt
        self.window = None if window is _NO_WINDOW else window
        self.parameters = parameters
        self.min_age = whole_number("min_age", min_age, 0)
        self.if_empty = one_of("if_empty", if_empty, "write", "skip")
        self.deferrable = deferrable
        self.dest_conn_id = dest_conn_id
        # A template, or the result that a mapped task gets, may turn out to be None.
        self._of_window = self.window is not None
        self._of_window_if_mapped = window is not _NO_WINDOW
        ranged = (created_gte, created_lt, parameters)
        if self._of_window and any(value is not None for value in ranged):
            raise StripeInputError(
                "window knows what it holds: give it without created_gte, created_lt, parameters."
            )
        if not self._of_window and feed is None:
            raise StripeInputError("feed is missing: name the list, such as feed='charge'.")

    def _execute(self, context: Context) -> dict[str, Any]:
        """Write the file, once the range is old enough."""
        path = destination(self.path, self.dest_conn_id)
        refuse_shared(self, context)
        client = StripeHook(self.stripe_conn_id, stripe_account=self.stripe_account).get_conn()
        mapped = context["ti"].map_index not in (None, -1)
        of_window = self._of_window or (self._of_window_if_mapped and mapped)
        # Without an interval, a path that is made of it has none of its parts either.
        times = None if of_window else self._bounds(context)
        refuse_missing("path", self.path, of_file=True)
        job = self._ranged(client, *times) if times else self._windowed(client)
        expanded = "expand" in dict(job.resource.always)
        row = projection(job.resource.object, self.fields, expanded=expanded)
        self.seen = Seen(client, None, window=job.window)
        try:
            with whole_file(path) as file:
                count, size = self._write(file, client, job, row)
                if not count and self.if_empty == "skip":
                    raise exceptions.AirflowSkipException("Nothing was created in this range.")
        except RangeTooYoung as exc:
            # Stripe's clock is behind this host's.
            self._wait(exc.seconds)
            raise
        except exceptions.AirflowSkipException:
            with suppress(FileNotFoundError):
                path.fs.rm_file(path.path)
            raise
        bounds = {name: job.window[name] for name in ("created_gte", "created_lt")}
        return {"path": self.path, "count": count, "bytes": size, **bounds}

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Begin anew: the trigger only waits."""
        return self.execute(context)

    def _windowed(self, client: StripeClient) -> _Job:
        window = own(self.window, self.stripe_conn_id, client, self.feed)
        return _Job(feed_named(window["feed"]), window, read(client, window))

    def _ranged(self, client: StripeClient, first: int, end: int) -> _Job:
        resource, _ = list_named(self.feed, self.parameters)
        self._wait(end + self.min_age - clock.now())
        source = Source(resource.object, self.stripe_conn_id, client.account, client.livemode)
        window = stretch(source, Position(first), Position(end), None)
        objects = read_list(
            client, resource, is_feed=True, first=first, end=end, min_age=self.min_age
        )
        return _Job(resource, window, objects)

    def _bounds(self, context: Context) -> tuple[int, int]:
        """Return the epoch seconds of the range."""
        # A template may give an empty text, which counts as not given.
        bounds = (None if at == "" else at for at in (self.created_gte, self.created_lt))
        first, end = range_of(*bounds)
        if first is None and end is None:
            return self._interval(context)
        if first is None or end is None:
            given = "created_lt" if first is None else "created_gte"
            raise StripeInputError(
                f"{given} is given alone: give created_gte and created_lt, or neither for the "
                "run's data interval."
            )
        return first, end

    def _interval(self, context: Context) -> tuple[int, int]:
        run = context["dag_run"]
        start, end = run.data_interval_start, run.data_interval_end
        if start is None or end is None:
            raise StripeInputError(
                "This run has no data interval, as it was started by an asset or without a logical "
                "date: trigger it with one (airflow dags trigger --logical-date …), or give "
                "created_gte and created_lt, or a window."
            )
        if int(start.timestamp()) >= int(end.timestamp()):
            raise StripeInputError(
                f"The data interval of this run has no length, it begins and ends at {start}: "
                "Airflow 3 makes such runs of cron texts. Give the DAG "
                'schedule=CronDataIntervalTimetable("@daily", timezone="UTC") or '
                'CronTriggerTimetable("@daily", timezone="UTC", interval=timedelta(days=1)).'
            )
        return int(start.timestamp()), int(end.timestamp())

    def _wait(self, seconds: float) -> None:
        """Give the worker back for so long."""
        if seconds <= 0:
            return
        self.log.info("Waiting %.0f s until the range is %d s old.", seconds, self.min_age)
        if not self.deferrable:
            raise exceptions.AirflowRescheduleException(
                datetime.now(UTC) + timedelta(seconds=seconds)
            )
        self.defer(
            trigger=StripeSensorTrigger(
                feed=self.feed or "",
                stripe_conn_id=self.stripe_conn_id,
                since=None,
                min_age=self.min_age,
                poll_interval=seconds,
                # A triggerer that starts again would begin the whole wait anew.
                deadline=clock.now() + seconds,
            ),
            method_name="execute_complete",
        )

    def _write(
        self, file: BinaryIO, client: StripeClient, job: _Job, row: Callable[[Row], Row]
    ) -> tuple[int, int]:
        """Write a line for each object, and return how many they are and the bytes of the file."""
        count, began = 0, time.monotonic()
        with ExitStack() as closing:
            lines: Any = file
            if self.path.endswith(".gz"):
                # A name and a time in its head would make other bytes of the same objects.
                lines = closing.enter_context(
                    gzip.GzipFile("", "wb", fileobj=file, compresslevel=6, mtime=0)
                )
            for raw in self._telling(job, client):
                lines.write(_json(row(raw)).encode() + b"\n")
                count += 1
        waited = ""
        if client.waited >= 1:
            waited = (
                f", {client.waited:.0f} s of them waiting for the call limit: rate_limit_calls of "
                f"the connection {self.stripe_conn_id} changes it, and Stripe's own is about 100 "
                "calls a second in live mode"
            )
        self.log.info(
            "%d of %s from %s to %s: %d pages, %d calls, %.0f s%s.",
            *(count, job.resource.object, job.window["created_gte"], job.window["created_lt"]),
            *(ceil(count / PAGE), client.calls, time.monotonic() - began, waited),
        )
        return count, file.tell()

    def _telling(self, job: _Job, client: StripeClient) -> Iterable[Row]:
        """Pass the objects on, and say now and then how far they are."""
        first, end = None, end_of(job.window).before
        began = told = time.monotonic()
        for count, raw in enumerate(job.objects, 1):
            yield raw
            # A window may begin long before its first object.
            first = first or raw.get(job.resource.time_field) or start_of(job.window).before
            if (now := time.monotonic()) - told >= _SECONDS_BETWEEN_LINES:
                at = raw.get(job.resource.time_field) or first
                share = (at - first) / max(1, end - first)
                self.log.info(
                    "%d of %s so far: %d pages, %.0f s, %.0f %% of the range.",
                    *(count, job.resource.object, ceil(count / PAGE), now - began, 100 * share),
                )
                told = now
