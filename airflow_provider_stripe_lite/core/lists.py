"""Which list of Stripe is meant, and with which parameters it is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from airflow_provider_stripe_lite.core.resources import RESOURCES, Resource
from airflow_provider_stripe_lite.core.scrub import show
from airflow_provider_stripe_lite.errors import StripeInputError

__all__ = ["event_types", "feed_list", "feed_named", "list_named"]

# https://docs.stripe.com/api/events/list
_MOST_TYPES = 20
# https://docs.stripe.com/api/expanding_objects
_MOST_LEVELS = 4
# Stripe's two lists that come whole, and know no parameter but `expand`.
_WHOLE = re.compile("/v1/(reporting/report_types|accounts/[^/]+/capabilities)")
_OWN = {
    "created": "created_gte and created_lt",
    "limit": "nothing, as a page is always as large as it can be",
    "starting_after": "created_gte and created_lt",
    "ending_before": "created_gte and created_lt",
}


def feed_named(name: object) -> Resource:
    """Look a feed up.

    :raises StripeInputError: there is none of that name.
    """
    feed = RESOURCES.get(name) if isinstance(name, str) else None
    if feed is None:
        similar = get_close_matches(name, RESOURCES, 3, 0.4) if isinstance(name, str) else []
        similar = similar or ["customer", "charge", "event"]
        raise StripeInputError(
            f"feed must be one of the {len(RESOURCES)} names of Stripe's lists, such as "
            f"{', '.join(similar)}, got {show(name)}."
        )
    return feed


def feed_list(name: object, types: Sequence[str] | None = None) -> Resource:
    """Return the list of a feed as it is polled, of events only those of some types.

    :param types: see :func:`event_types`; None for all.
    :raises StripeInputError: there is no such feed, or it has no types.
    """
    feed = feed_named(name)
    if types is None:
        return feed
    if feed.object != "event":
        raise StripeInputError(f'types belong to the feed "event", got feed {feed.object!r}.')
    return replace(feed, always=(*feed.always, *_asked_types(types).items()))


def event_types(types: object) -> list[str]:
    """Accept the event types of a sensor.

    :param types: at most 20 names such as ``charge.failed``, or one with a wildcard such as
        ``charge.*``.
    :raises StripeInputError: they are something else.
    """
    names = list(types) if isinstance(types, Sequence) and not isinstance(types, str) else []
    good = all(
        isinstance(name, str) and re.fullmatch(r"[a-z0-9_*]+(\.[a-z0-9_*]+)*", name)
        for name in names
    )
    if not names or not good or len(names) > _MOST_TYPES:
        raise StripeInputError(
            f"types must be a list of 1 to {_MOST_TYPES} event types of Stripe, such as "
            f'["charge.failed"], got {show(types)}.'
        )
    if len(names) > 1 and any("*" in name for name in names):
        raise StripeInputError(
            "types with a wildcard must be the only one, as Stripe takes either one wildcard or "
            f"up to {_MOST_TYPES} whole names, got {show(types)}."
        )
    return names


def _asked_types(types: object) -> dict[str, Any]:
    """Return event types as parameters: a wildcard has one of its own."""
    names = event_types(types)
    return {"type": names[0]} if "*" in names[0] else {"types": names}


def list_named(name: object, parameters: Mapping[str, Any] | None = None) -> tuple[Resource, bool]:
    """Return the list that a name or a path means, with the parameters it is asked with.

    :param name: a feed, or the path of any list, such as ``/v1/invoices/in_1/lines``.
    :param parameters: Stripe's own, such as ``{"customer": "cus_1"}``; those of the feed's table
        are put under them.
    :return: the list, and whether it is a feed: dated, and so readable from its old end.
    :raises StripeInputError: there is no such list, or it cannot be asked this way.
    """
    if isinstance(name, str) and name.startswith("/"):
        feed = next((one for one in RESOURCES.values() if one.path == name), None)
        if feed is None and not re.match(r"/v1/[^?#]+$", name):
            raise StripeInputError(
                'A list by its path must begin with "/v1/" and have no query, got '
                f"{show(name)}: give the query as parameters."
            )
    else:
        feed = feed_named(name)
    path = str(name)
    resource = feed or Resource(path, path, paged=not _WHOLE.fullmatch(path))
    asked = dict(resource.always) | _checked(resource, parameters)
    return replace(resource, always=tuple(asked.items())), feed is not None


def _checked(resource: Resource, parameters: object) -> dict[str, Any]:
    if parameters is None or parameters == "":
        return {}
    if not isinstance(parameters, Mapping):
        raise StripeInputError(
            f"parameters must be a mapping of Stripe's own, got {type(parameters).__name__}."
        )
    # What a template makes of a missing value does not replace what the list always needs.
    checked = {name: value for name, value in parameters.items() if value is not None}
    for name in checked:
        # The brackets of created[gte] are Stripe's other spelling.
        if use := _OWN.get(str(name).partition("[")[0]):
            raise StripeInputError(f"parameters holds {name!r}, which is ours to set: use {use}.")
        if str(name).startswith(("expand[", "types[")):
            raise StripeInputError(f"parameters holds {name!r}: give a list without brackets.")
    if "types" in checked and resource.object == "event":
        checked |= _asked_types(checked.pop("types"))
    if (expand := checked.get("expand")) is not None:
        checked["expand"] = _expand(resource, expand)
    return checked


def _expand(resource: Resource, expand: object) -> list[str]:
    """Return what to expand in the words of a list: everything there is below ``data``."""
    names = [expand] if isinstance(expand, str) else expand
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise StripeInputError(f"expand must be a list of paths, got {show(expand)}.")
    if resource.object == "event":
        raise StripeInputError(
            "expand has no effect on events, whose objects have the shape of their own time: read "
            "the object by its id."
        )
    names = [name if name.startswith("data.") else f"data.{name}" for name in names]
    for name in names:
        if name.count(".") >= _MOST_LEVELS:
            raise StripeInputError(
                f"expand goes at most {_MOST_LEVELS} levels deep in Stripe, with data as the "
                f"first, got {show(name)}."
            )
    return names
