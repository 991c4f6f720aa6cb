"""Start a DAG when something is added at Stripe: an asset and its watcher."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from airflow.sdk import Asset, AssetWatcher

from airflow_provider_stripe_lite._asset_event import STREAM
from airflow_provider_stripe_lite.core.lists import event_types, feed_named
from airflow_provider_stripe_lite.core.reading import MIN_AGE, POLL_SECONDS, too_fast
from airflow_provider_stripe_lite.core.scrub import show
from airflow_provider_stripe_lite.core.values import whole_number
from airflow_provider_stripe_lite.errors import StripeInputError
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.triggers import StripeEventTrigger

if TYPE_CHECKING:
    from airflow_provider_stripe_lite.core.resources import FeedName

__all__ = ["stripe_asset"]


def stripe_asset(
    name: str,
    *,
    feed: FeedName | None = None,
    types: Sequence[str] | None = None,
    stripe_conn_id: str = StripeHook.default_conn_name,
    stripe_account: str | None = None,
    poll_interval: float = POLL_SECONDS,
    min_age: int = MIN_AGE,
    at_least_every: float = 3600,
    allow_fast_polling: bool = False,
) -> Asset:
    """Make an asset that starts a DAG when something may be new; a sensor in the DAG reads it.

    Its event says no more than that; each DAG on it reads by the cursor of its own sensor, so that
    each gets every object exactly once. ::

        NEW = stripe_asset("stripe_charges", feed="charge")

        @dag(schedule=[NEW], start_date=datetime(2026, 1, 1), catchup=False)
        def on_new_charges():
            load(StripeNewChargeSensor(task_id="new", timeout=0, soft_fail=True).output)

    One event is one batch: where more than ``max_items`` can come between two events, let the
    sensor have ``returns="window"``, which has no limit, or ``outlets=[NEW]``, which makes another
    event.

    :param name: of the asset, for one choice of the other arguments: of two with one name Airflow
        activates one, and warns of the other.
    :param feed: Stripe's ``object`` value of what the list holds: ``charge``, ``payout``, …
    :param types: instead of a feed, event types such as ``["charge.failed"]``, as of
        ``StripeEventSensor``.
    :param stripe_conn_id: id of the connection.
    :param stripe_account: act for this connected account (``acct_…``) instead of the connection's.
    :param poll_interval: seconds between two looks, at least 120; each is one call, however many
        DAGs there are.
    :param min_age: seconds an object must be old, as of the sensor; the event comes two
        seconds later.
    :param at_least_every: the most seconds between two events, no fewer than ``poll_interval``:
        what a run could not deliver is left no longer.
    :param allow_fast_polling: let ``poll_interval`` be shorter.
    :raises StripeInputError: an argument cannot be used.
    """
    if (feed is None) == (types is None):
        raise StripeInputError(
            'An asset has either a feed, such as feed="charge", or types, such as '
            f'types=["charge.failed"], got feed={show(feed)} and types={show(types)}.'
        )
    for argument, seconds in (("poll_interval", poll_interval), ("at_least_every", at_least_every)):
        if type(seconds) not in (int, float) or not 0 < seconds < math.inf:
            raise StripeInputError(
                f"{argument} must be a positive number of seconds, got {show(seconds)}."
            )
    if poll_interval < POLL_SECONDS and not allow_fast_polling:
        raise StripeInputError(too_fast("poll_interval", poll_interval))
    if at_least_every < poll_interval:
        raise StripeInputError(
            f"at_least_every must be no less than poll_interval, {poll_interval:g} s, as a look "
            f"comes before each event, got {at_least_every:g}."
        )
    trigger = StripeEventTrigger(
        feed="event" if feed is None else feed_named(feed).object,
        types=None if types is None else sorted(set(event_types(types))),
        stripe_conn_id=stripe_conn_id,
        stripe_account=stripe_account,
        poll_interval=poll_interval,
        min_age=whole_number("min_age", min_age, 0),
        at_least_every=at_least_every,
    )
    settings = {key: value for key, value in trigger.serialize()[1].items() if value is not None}
    return Asset(
        name=name,
        # Airflow refuses a second asset of this name that has another address, in a warning that
        # names both. With one address, each parse of either DAG would take the other's watcher off.
        # Of two names with one address it activates one alone, so the name is a part of it.
        uri=f"stripe://{trigger.feed}/{quote(name, safe='')}?{urlencode(settings, doseq=True)}",
        group="stripe",
        extra={key: getattr(trigger, key) for key in STREAM if key != "types" or types},
        watchers=[AssetWatcher(name=f"{name}_watcher", trigger=trigger)],
    )
