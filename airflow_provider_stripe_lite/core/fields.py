"""Rows: the documented fields of an object, the same from every API version."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from operator import methodcaller
from typing import Any, cast

from airflow_provider_stripe_lite.core.resources import RESOURCES, Field
from airflow_provider_stripe_lite.core.scrub import show
from airflow_provider_stripe_lite.core.times import iso
from airflow_provider_stripe_lite.core.values import collection
from airflow_provider_stripe_lite.errors import StripeInputError

__all__ = ["Row", "projection", "secrets_of", "storable"]

Row = dict[str, Any]
# Rows become one XCom, which every reader loads whole.
_MOST_BYTES = 5_000_000
_log = logging.getLogger(__name__)
# Whoever has one of these can act in a customer's place, so neither logs nor files should hold it:
# https://docs.stripe.com/api/payment_intents/object#payment_intent_object-client_secret
_SECRETS = {
    "apps.secret": {"payload"},
    "checkout.session": {"client_secret", "url"},
    "file_link": {"url"},
    "identity.verification_session": {"client_secret", "url"},
    "webhook_endpoint": {"secret"},
    "account_link": {"url"},
    "billing_portal.session": {"url"},
    "ephemeral_key": {"secret"},
    "login_link": {"url"},
    "terminal.connection_token": {"secret"},
}
_CLIENT_SECRET = {"client_secret"}
# The fields in which an object holds one that has a secret; None: it has one itself.
_HOLDERS: dict[str, tuple[str, ...] | None] = {
    "charge": ("source",),
    "customer": ("sources",),
    "event": ("data",),
    "file": ("links",),
    "invoice": ("last_finalization_error",),
    "payment_intent": None,
    "setup_intent": None,
    "topup": ("source",),
    **dict.fromkeys(_SECRETS, None),
}


def projection(
    kind: str, fields: str | Sequence[str] | None, *, expanded: bool = False
) -> Callable[[Row], Row]:
    """Return the function that turns an object into a row.

    :param kind: Stripe's ``object`` value, such as ``customer``, or the path of a list.
    :param fields: None or "" for exactly the documented fields (a kind without any: as ``"*"``),
        ``"*"`` for the object as Stripe sent it, without client secrets, or a list of dotted paths.
        A documented name gives the documented value, any other path what the object holds there; a
        number counts in a list, from 0.
    :param expanded: whether the object may hold other objects in full, and with them their secrets.
    :raises StripeInputError: ``fields`` is neither of these, or two paths overlap.
    """
    resource = RESOURCES.get(kind)
    documented = {field.name: field for field in resource.fields} if resource else {}
    if fields == "*" or (fields in (None, "") and not documented):
        holders = None if expanded or resource is None else _HOLDERS.get(kind, ())
        return partial(_whole, holders=holders)
    if fields is None or fields == "":
        chosen = list(documented.values())
    else:
        chosen = [documented.get(name) or Field(name, (name,)) for name in _names(fields)]
    # A name that is misspelt, or stands in no object of this API version, is said once.
    unknown = {field.name.partition(".")[0] for field in chosen if field.name not in documented}

    chosen_row = _row_of(chosen)

    def row(raw: Row) -> Row:
        for name in unknown - raw.keys():
            unknown.discard(name)
            _log.warning("fields holds %r, which %s has not: it is null.", name, raw.get("id"))
        return chosen_row(raw)

    return row


def _names(fields: object) -> list[str]:
    fields = collection(fields)
    if isinstance(fields, str) or not isinstance(fields, Sequence):
        raise StripeInputError(
            f'fields must be None, "*" or a list of dotted paths, got {show(fields)}.'
        )
    if not fields:
        raise StripeInputError(
            'fields is an empty list: name at least one field, or give None or "*".'
        )
    for name in fields:
        if not isinstance(name, str) or not all(name.split(".")) or "*" in name:
            raise StripeInputError(
                f'fields holds {show(name)}, which is no dotted path such as "metadata.order_ref"; '
                'for everything give fields="*".'
            )
        if any(isinstance(other, str) and other.startswith(f"{name}.") for other in fields):
            raise StripeInputError(f"fields holds {name!r} and a path below it: keep one of them.")
    return list(fields)


def _row_of(fields: Sequence[Field]) -> Callable[[Row], Row]:
    """Return the function that makes a row of these fields, in their order."""
    # None: the object has the field under the same name, as it is.
    finders: dict[str, Callable[[Row], Any] | None] = {}
    below: dict[str, list[Field]] = {}
    for field in fields:
        head, _, rest = field.name.partition(".")
        as_it_is = rest or field == Field(head, (head,))
        finders[head] = None if as_it_is else _finder(field)
        if rest:
            below.setdefault(head, []).append(replace(field, name=rest))
    finders |= {head: _row_of(parts) for head, parts in below.items()}
    elsewhere = [(name, find) for name, find in finders.items() if find]

    def row(raw: Row) -> Row:
        made = {name: raw.get(name) for name in finders}
        for name, find in elsewhere:
            made[name] = find(raw)
        return made

    return row


def _finder(field: Field) -> Callable[[Row], Any]:
    """Return the function that finds the value of a field in an object."""
    followers = [_follower(path) for path in field.paths]
    convert = _CONVERT.get(field.kind)
    if convert is None and len(followers) == 1:
        return followers[0]

    def find(raw: Row) -> Any:
        for follow in followers:
            value = follow(raw)
            if value is not None and convert is not None:
                value = convert(value)
            if value is not None:
                return value
        return None

    return find


def _follower(path: str) -> Callable[[Row], Any]:
    """Return the function that follows a dotted path into an object."""
    # The names of Stripe's own fields hold no dots, so the first part of a path is one of them.
    head, _, rest = path.partition(".")
    return (lambda raw: _dig(raw.get(head), rest)) if rest else methodcaller("get", head)


def _dig(place: Any, path: str) -> Any:
    """Follow a dotted path; a key that itself holds dots (metadata may) is found too."""
    while path:
        if isinstance(place, dict) and path in place:
            return place[path]
        head, _, path = path.partition(".")
        if isinstance(place, dict):
            place = place.get(head) if path else None
        elif isinstance(place, list) and head.isdecimal() and int(head) < len(place):
            place = place[int(head)]
        else:
            return None
    return place


def _whole(raw: Row, holders: tuple[str, ...] | None) -> Row:
    """Return an object without the secrets in these fields of it, or in any."""
    if holders is None:
        return cast("Row", _without_secrets(raw))
    if not any(map(raw.get, holders)):
        return raw
    return raw | {name: _without_secrets(raw[name]) for name in holders if raw.get(name)}


def _without_secrets(value: Any) -> Any:
    """Return the value without what nobody should store, however deep an object is in it."""
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("object")
    secret = _SECRETS.get(kind, _CLIENT_SECRET) if isinstance(kind, str) else _CLIENT_SECRET
    return {name: _without_secrets(held) for name, held in value.items() if name not in secret}


def secrets_of(raw: Any) -> list[str]:
    """Return what an object and those in it hold that no log should show."""
    if isinstance(raw, list):
        return [secret for item in raw for secret in secrets_of(item)]
    if not isinstance(raw, dict):
        return []
    names = _SECRETS.get(str(raw.get("object")), _CLIENT_SECRET)
    own = [raw[name] for name in names if isinstance(raw.get(name), str)]
    return own + [secret for held in raw.values() for secret in secrets_of(held)]


def _id(value: Any) -> str | None:
    value = value.get("id") if isinstance(value, dict) else value
    return value if isinstance(value, str) else None


def _time(value: Any) -> str | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    try:
        return iso(value)
    except (ValueError, OverflowError, OSError):
        _log.warning("A time of Stripe's is %d s after 1970, which no calendar has: null.", value)
        return None


_CONVERT: dict[str, Callable[[Any], Any]] = {"id": _id, "time": _time, "text": str}


def storable(rows: list[Row]) -> list[Row]:
    """Accept rows that are no more than one XCom should hold.

    :raises StripeInputError: they are more than 5 MB.
    """
    size = len(json.dumps(rows))
    if size > _MOST_BYTES:
        raise StripeInputError(
            f"The {len(rows)} rows are {size / 1e6:.1f} MB, and an XCom should hold at most "
            f'{_MOST_BYTES / 1e6:g} MB; nothing was delivered. Use returns="window" and '
            "StripeHook.read, fewer fields, or a smaller max_items."
        )
    return rows
