"""What the asset event of a watcher says, and what the sensor behind it takes from that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_provider_stripe_lite.core.times import iso, second_of

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["STREAM", "payload", "since_of_events"]

# What a watcher and a sensor must have in common.
STREAM = ("feed", "types", "stripe_conn_id", "stripe_account")


def payload(trigger: object, since: int, newest: str | None, error: str | None) -> dict[str, Any]:
    """Return the payload of an event.

    :param trigger: the watcher's, for what it looks at.
    :param since: epoch second from which on something may be new.
    :param newest: id of the newest object.
    :param error: what keeps the watcher from looking.
    """
    said = {name: getattr(trigger, name) for name in STREAM}
    said |= {"since": iso(since), "newest": newest}
    return said if error is None else {**said, "error": error}


def since_of_events(
    context: Context,
    *,
    feed: str,
    types: Sequence[str] | None,
    stripe_conn_id: str,
    stripe_account: str | None,
) -> int | None:
    """Return the latest ``since`` of the events that started this run, if they are of this stream.

    The latest, as Airflow gives the first run of a DAG the events of the time when it was paused.
    """
    stream = _stream(dict(zip(STREAM, (feed, types, stripe_conn_id, stripe_account), strict=True)))
    found = []
    for event in chain.from_iterable((context.get("triggering_asset_events") or {}).values()):
        # Events of other assets, or made by hand, may say anything.
        with suppress(LookupError, TypeError, ValueError):
            said = event.extra["payload"]
            if _stream(said) == stream:
                found.append(second_of("since", said["since"]))
    return max(found, default=None)


def _stream(said: Mapping[str, Any]) -> list[Any]:
    feed, types, *rest = (said[name] or None for name in STREAM)
    return [feed, set(types or ()), *rest]
