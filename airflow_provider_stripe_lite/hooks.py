"""From an Airflow connection to Stripe."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from airflow_provider_stripe_lite import params, polling, ratelimit
from airflow_provider_stripe_lite.catalog import DEFAULT_API_VERSION, OBJECT_PATHS
from airflow_provider_stripe_lite.client import (
    API_URL,
    Answer,
    StripeClient,
    check_key,
    familiar_key,
    fingerprint,
    segment,
)
from airflow_provider_stripe_lite.errors import (
    StripeAuthenticationError,
    StripeError,
    StripeInputError,
    StripeNotFoundError,
    StripePermissionError,
    WouldWait,
    missing_permissions,
)

if TYPE_CHECKING:
    from airflow.sdk import Connection


class StripeHook(BaseHook):
    """Talks to the Stripe account of a connection.

    :param stripe_conn_id: id of a connection of type ``stripe``; its password is the API key.
    :param stripe_account: act for this connected account (``acct_…``) instead of the connection's.
    :param api_version: Stripe API version instead of the connection's.
    """

    conn_name_attr = "stripe_conn_id"
    default_conn_name = "stripe_default"
    conn_type = "stripe"
    hook_name = "Stripe"

    def __init__(
        self,
        stripe_conn_id: str = default_conn_name,
        *,
        stripe_account: str | None = None,
        api_version: str | None = None,
    ) -> None:
        super().__init__()
        self.stripe_conn_id = stripe_conn_id
        self.stripe_account = stripe_account
        self.api_version = api_version

    @cached_property
    def client(self) -> StripeClient:
        """The client for the connection, made once.

        :raises StripeInputError: the connection cannot be used; the sentence says what to mend.
        """
        return self.client_for(self.get_connection(self.stripe_conn_id))

    def get_conn(self) -> StripeClient:
        """The same as :attr:`client`, under the name that Airflow gives it."""
        return self.client

    def client_for(self, connection: Connection, *, tries: int = 5, timeout: float | None = None) -> StripeClient:
        """Make a client from a connection that was read already."""
        key = check_key(connection.password)
        mask_secret(key)
        if not familiar_key(key):
            self.log.warning("The API key of %s has no shape that Stripe is known to use.", self.stripe_conn_id)
        option = _Options(connection.extra, api_version=self.api_version, stripe_account=self.stripe_account)
        limit_url = option.text("rate_limit_url", r"(redis|rediss|sqlite)://.+", "redis://… or empty")
        if limit_url:
            mask_secret(limit_url)  # it may hold a password
        account = option.text("stripe_account", r"acct_\w+", "an id such as acct_1A2b3C4d")
        base_url = _base_url(connection.host, connection.port)
        return StripeClient(
            key,
            base_url=base_url,
            api_version=option.text("api_version", r"\d{4}-\d{2}-\d{2}(\.\w+)?", "a version such as 2025-02-24.acacia")
            or DEFAULT_API_VERSION,
            stripe_account=account,
            timeout=timeout or option.number("timeout", 80),
            tries=tries,
            limiter=ratelimit.limiter_for(
                limit_url,
                calls=int(option.number("rate_limit_calls", ratelimit.CALLS)),
                period=option.number("rate_limit_period", ratelimit.PERIOD),
            ),
            limit_key=_limit_key(self.stripe_conn_id, base_url, *fingerprint(key, account)),
            notify=self.log.info,
        )

    def create_product(
        self,
        name: str,
        *,
        product_id: str | None = None,
        active: bool | None = None,
        caption: str | None = None,
        description: str | None = None,
        images: str | Sequence[str] | None = None,
        shippable: bool | None = None,
        url: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Create a product and return it as Stripe sent it: https://docs.stripe.com/api/products/create"""
        given = _given(locals())
        params.require_name(name)
        sent = {} if product_id is None else {"id": params.object_id("product_id", product_id)}
        return self._write("product", None, sent, given, idempotency_key)

    def update_product(
        self,
        product_id: str,
        *,
        name: str,
        active: bool | None = None,
        caption: str | None = None,
        description: str | None = None,
        images: str | Sequence[str] | None = None,
        shippable: bool | None = None,
        url: str | None = None,
        metadata: Mapping[str, Any] | str | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Update a product and return it as Stripe sent it: https://docs.stripe.com/api/products/update"""
        given = _given(locals())
        params.require_name(name)
        return self._write("product", params.object_id("product_id", product_id), {}, given, idempotency_key)

    def get_customer(self, customer_id: str) -> dict[str, Any]:
        """Return a customer as Stripe sent it: https://docs.stripe.com/api/customers/retrieve

        :raises StripeNotFoundError: there is none of that id, or it has been deleted.
        """
        return self.get("customer", params.object_id("customer_id", customer_id))

    def create_customer(
        self,
        *,
        description: str | None = None,
        customer_email: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Create a customer and return it as Stripe sent it: https://docs.stripe.com/api/customers/create"""
        return self._write("customer", None, {}, _given(locals()), idempotency_key)

    def update_customer(
        self,
        customer_id: str,
        *,
        description: str | None = None,
        customer_email: str | None = None,
        metadata: Mapping[str, Any] | str | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Update a customer and return it as Stripe sent it: https://docs.stripe.com/api/customers/update"""
        given = _given(locals())
        return self._write("customer", params.object_id("customer_id", customer_id), {}, given, idempotency_key)

    def get(self, kind: str, object_id: str) -> dict[str, Any]:
        """Return the customer or product of that id as Stripe sent it."""
        answer = self.client.get(f"{OBJECT_PATHS[kind]}/{segment(object_id)}")
        if answer.body.get("deleted") is True:  # Stripe answers 200 for a deleted customer
            raise StripeNotFoundError(
                f"The {kind} {object_id} has been deleted in Stripe.",
                status=200,
                request_id=answer.request_id,
            )
        return self._done("Read", kind, answer)

    def poll(
        self,
        feed: str,
        position: polling.Position,
        *,
        settle: int = polling.SETTLE,
        max_items: int = polling.MAX_ITEMS,
        max_wait: float | None = None,
    ) -> polling.Batch:
        """Hand over what is new in ``feed`` since ``position``: see :func:`polling.poll`."""
        return polling.poll(self.client, feed, position, settle=settle, max_items=max_items, max_wait=max_wait)

    def read_window(self, feed: str, window: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Read a window again: raw objects, oldest first, one page in memory.

        :param window: what a sensor with ``output="window"`` returned: ``{"feed", "from": position, "until", …}``.
        :raises StripeInputError: it is no window, or one of another feed, account or mode.
        """
        if not isinstance(window, Mapping) or type(window.get("until")) is not int:
            raise StripeInputError(f"window must be what a sensor with output='window' returned, got {window!r:.80}.")
        start = polling.Position.from_dict(window.get("from"))
        self.refuse_foreign({"feed": feed, **window}, feed, "window")
        return polling.read_window(self.client, feed, start, window["until"])

    def refuse_foreign(self, made: Mapping[str, Any], feed: str, what: str, remedy: str = "") -> None:
        """Refuse a cursor or window that was made for another feed, account or mode, where both sides know it.

        :raises StripeInputError: naming both values.
        """
        mine = {"feed": feed, "mode": self.client.mode, "account": self.client.account}
        for name, value in mine.items():
            theirs = made.get(name)
            if value is not None and theirs is not None and value != theirs:
                raise StripeInputError(
                    f"This {what} was made for {name} {theirs!r}, but the task and its connection "
                    f"{self.stripe_conn_id} stand for {name} {value!r}; nothing was handed over. {remedy}".rstrip()
                )

    def test_connection(self) -> tuple[bool, str]:
        """Say in one sentence whether the key works: one small read of the balance, no retry."""
        try:
            client = self.client_for(self.get_connection(self.stripe_conn_id), tries=1, timeout=10)
            live = client.get("/v1/balance", max_wait=5).body.get("livemode") is True
        except StripePermissionError as exc:
            lacks = missing_permissions(str(exc)) or "a permission"
            where = f"Stripe in {client.mode} mode" if client.mode else "Stripe"
            return True, f"Connected to {where} with a restricted key that lacks {lacks}, which only this test needs."
        except StripeAuthenticationError as exc:
            why = "has expired" if exc.code == "api_key_expired" else "is mistyped, or was revoked"
            return False, f"Stripe does not accept this API key: it {why} (request {exc.request_id})."
        except (StripeError, StripeInputError, WouldWait) as exc:
            return False, str(exc)
        return True, f"Connected to Stripe in {'live' if live else 'test'} mode."

    def _write(
        self, kind: str, object_id: str | None, sent: dict[str, Any], given: dict[str, Any], key: str | None
    ) -> dict[str, Any]:
        create = object_id is None
        sent |= params.build(kind, given, create=create, api_version=self.client.api_version)
        path = OBJECT_PATHS[kind] if object_id is None else f"{OBJECT_PATHS[kind]}/{segment(object_id)}"
        answer = self.client.post(path, sent, idempotency_key=key)
        return self._done("Created" if create else "Updated", kind, answer)

    def _done(self, verb: str, kind: str, answer: Answer) -> dict[str, Any]:
        self.log.info(
            "%s %s %s (request %s%s%s)",
            verb,
            kind,
            answer.body.get("id"),
            answer.request_id,
            f", {answer.tries} tries" if answer.tries > 1 else "",
            ", the saved answer to an earlier request with this idempotency key" if answer.replayed else "",
        )
        return answer.body


def _given(arguments: dict[str, Any]) -> dict[str, Any]:
    """A method's arguments, as its first statement sees them."""
    return {name: value for name, value in arguments.items() if name != "self"}


def _limit_key(*parts: str | None) -> str:
    """The name under which calls are counted: one for each connection, nothing secret."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _base_url(host: str | None, port: int | None) -> str:
    """The API's address; plain http only to this machine.

    :raises StripeInputError: an address that would take the key elsewhere than it says, or in clear.
    """
    if not host or not host.strip():
        return API_URL
    url = urlsplit(host.strip() if "://" in host else f"https://{host.strip()}")
    try:
        port = url.port or port
        name = url.hostname or ""
    except ValueError:
        name = ""
    if re.search(r"\s", host.strip()):  # urlsplit would drop a line end and join what is around it
        name = ""
    if not re.fullmatch(r"[\w.:-]+", name) or url.scheme not in ("https", "http") or "@" in url.netloc or url.query:
        raise StripeInputError(
            "The connection's host must be a base URL such as https://api.stripe.com, without user and query."
        )
    if url.scheme == "http" and not _loopback(name):
        raise StripeInputError(
            "The connection's host begins with http://, which would send the API key in clear: use https://."
        )
    where = f"[{name}]" if ":" in name else name
    return f"{url.scheme}://{where}{f':{port}' if port else ''}{url.path.rstrip('/')}"


def _loopback(name: str) -> bool:
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class _Options:
    """The connection's extra, read with one sentence for whatever is wrong in it.

    :param instead: what the hook's own arguments put in its place, where they are not None.
    """

    def __init__(self, extra: str | None, **instead: str | None) -> None:
        try:
            options = json.loads(extra or "{}")
        except ValueError:
            options = None
        if not isinstance(options, dict):
            raise StripeInputError('The connection\'s extra must be a JSON object such as {"timeout": 60}.')
        self._options = options | {name: value for name, value in instead.items() if value is not None}

    def text(self, name: str, pattern: str, example: str) -> str | None:
        value = self._options.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str) or not re.fullmatch(pattern, value.strip(), re.ASCII):
            raise StripeInputError(f"{name} (in the connection's extra, or of the hook) must be {example}.")
        return value.strip()

    def number(self, name: str, default: float) -> float:
        value = self._options.get(name)
        if value is None or value == "":
            return default
        try:
            number = float("nan") if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = float("nan")
        if not 0 < number < 1e6 or (name.endswith("_calls") and number != int(number)):
            raise StripeInputError(f"{name} in the connection's extra must be a positive number, got {value!r:.40}.")
        return number
