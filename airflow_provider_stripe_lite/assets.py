"""Start a DAG when something is added at Stripe: an asset whose watcher polls a feed."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetWatcher

from airflow_provider_stripe_lite.core.lists import feed_named
from airflow_provider_stripe_lite.core.reading import MIN_AGE, POLL_SECONDS, too_fast, whole_number
from airflow_provider_stripe_lite.core.times import first_second
from airflow_provider_stripe_lite.core.window import Window
from airflow_provider_stripe_lite.errors import StripeInputError
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.triggers import StripeEventTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_stripe_lite.core.resources import FeedName

__all__ = ["EventWindow", "event_windows", "stripe_asset"]


class EventWindow(Window):
    """The window of an asset event.

    :ivar id: the same where the event is sent again.
    :ivar ids: of the objects of the window, oldest first.
    """

    id: str
    ids: list[str]


def stripe_asset(
    name: str,
    *,
    feed: FeedName,
    stripe_conn_id: str = StripeHook.default_conn_name,
    stripe_account: str | None = None,
    poll_interval: float = POLL_SECONDS,
    start_from: str | datetime = "now",
    min_age: int = MIN_AGE,
    allow_fast_polling: bool = False,
) -> Asset:
    """Make an asset that gets an event for each batch of new objects.

    It stands in ``schedule=[stripe_asset(…)]``.

    :param name: of the asset; the watcher's position is kept in the Variable
        ``stripe_asset_<name>``.
    :param feed: Stripe's ``object`` value of what the list holds: ``charge``, ``payout``, …
    :param stripe_conn_id: id of the connection.
    :param stripe_account: act for this connected account (``acct_…``) instead of the connection's.
    :param poll_interval: seconds between two polls; fewer than 120 are warned of. Two events are
        10 s apart at least.
    :param start_from: ``"now"`` (when the watcher first runs), ``"beginning"`` or a date-time.
    :param min_age: seconds an object must be old, by the earlier of Stripe's clock and this host's.
    :param allow_fast_polling: do not warn of a short ``poll_interval``.
    :raises StripeInputError: an argument cannot be used.
    """
    if poll_interval <= 0:
        raise StripeInputError(
            f"poll_interval must be a positive number of seconds, got {poll_interval:g}."
        )
    if poll_interval < POLL_SECONDS and not allow_fast_polling:
        warnings.warn(f"Asset {name}: {too_fast('poll_interval', poll_interval)}", stacklevel=2)
    # A bad start is refused here, not in the triggerer.
    first_second(start_from, datetime.now(UTC))
    trigger = StripeEventTrigger(
        name=name,
        feed=feed_named(feed).object,
        stripe_conn_id=stripe_conn_id,
        poll_interval=poll_interval,
        start_from=start_from if isinstance(start_from, str) else start_from.isoformat(),
        min_age=whole_number("min_age", min_age, 0),
        stripe_account=stripe_account,
    )
    return Asset(name=name, watchers=[AssetWatcher(name=f"{name}_watcher", trigger=trigger)])


def event_windows(context: Context) -> list[EventWindow]:
    """Return the windows of the asset events that started this run, oldest first, each once.

    Each is good for :meth:`StripeHook.read`. Where the triggerer was killed, a window may start a
    second run: with the same ``id``.
    """
    events = [event for events in context["triggering_asset_events"].values() for event in events]
    payloads: list[Any] = [event.extra.get("payload") or {} for event in events]
    windows: dict[str, EventWindow] = {
        payload["id"]: payload for payload in payloads if "id" in payload
    }
    return sorted(windows.values(), key=lambda window: (window["feed"], window["created_lt"]))
