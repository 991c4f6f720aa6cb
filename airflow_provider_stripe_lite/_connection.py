"""From an Airflow connection to a client, and what its Test button says."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_stripe_lite._options import read
from airflow_provider_stripe_lite.core import ratelimit
from airflow_provider_stripe_lite.core.answers import missing_permissions
from airflow_provider_stripe_lite.core.client import API_URL, StripeClient
from airflow_provider_stripe_lite.core.keys import ApiKey
from airflow_provider_stripe_lite.errors import (
    RateLimitWait,
    StripeAuthenticationError,
    StripeError,
    StripeInputError,
    StripePermissionError,
)

if TYPE_CHECKING:
    from airflow.sdk import Connection

__all__ = ["connect", "not_found", "test"]


def connect(
    connection: Connection,
    log: Any,
    *,
    stripe_account: str | None = None,
    stripe_context: str | None = None,
    api_version: str | None = None,
    tries: int = 5,
    timeout: float | None = None,
) -> StripeClient:
    """Make the client for a connection.

    :param log: takes the client's lines.
    :param stripe_account: instead of the connection's.
    :param stripe_context: instead of the connection's.
    :param api_version: instead of the connection's.
    :param tries: how often a request is sent at most.
    :param timeout: seconds for a whole call with all its tries and the waits between them, instead
        of the connection's.
    :raises StripeInputError: the connection cannot be used; the sentence says what to change.
    """
    # Airflow loads the form while it starts, so this module must not need Airflow.
    from airflow.sdk.log import mask_secret

    key, conn_id, extra = ApiKey(connection.password), connection.conn_id, connection.extra
    host, port = connection.host, connection.port
    # Error trackers store the locals of the frames that an error passes.
    del connection
    base_url = _base_url(host, port)
    options = read(
        extra,
        stripe_account=stripe_account,
        stripe_context=stripe_context,
        api_version=api_version,
    )
    if options["rate_limit_url"]:
        # The address may hold a password.
        mask_secret(options["rate_limit_url"])
    limiter = ratelimit.limiter_for(
        options["rate_limit_url"],
        calls=options["rate_limit_calls"],
        period=options["rate_limit_period"],
        notify=log.info,
    )
    _tell_place(limiter, log, is_named=bool(options["rate_limit_url"]))
    key.refuse_unusable()
    mask_secret(key.value)
    _judge(key, options)
    if not key.familiar:
        log.warning("The API key of %s has no shape that Stripe is known to use.", conn_id)
    who = (conn_id, base_url, key.livemode, key.account)
    return StripeClient(
        key,
        base_url=base_url,
        api_version=options["api_version"],
        stripe_account=options["stripe_account"],
        stripe_context=options["stripe_context"],
        timeout=timeout or options["timeout"],
        tries=tries,
        limiter=limiter,
        limit_key=hashlib.sha256(repr(who).encode()).hexdigest()[:16],
        notify=log.info,
    )


def test(make: Callable[[], StripeClient]) -> tuple[bool, str]:
    """Say in one sentence whether a connection works: one small read of the balance."""
    try:
        client = make()
        balance = client.get("/v1/balance", max_wait=5).body
    except StripePermissionError as exc:
        # Stripe answers 403, too, where the key may not act for the account at all.
        if "rak_balance_read" not in (lacks := missing_permissions(str(exc))):
            return False, str(exc)
        where = {True: " in live mode", False: " in test mode", None: ""}[client.livemode]
        return True, (
            f"Connected to Stripe{where} with a restricted key that lacks {lacks}, which only "
            "this test needs."
        )
    except StripeAuthenticationError as exc:
        why = "has expired" if exc.code == "api_key_expired" else "is mistyped, or was revoked"
        return False, (f"Stripe does not accept this API key: it {why} (request {exc.request_id}).")
    except (StripeError, StripeInputError, RateLimitWait) as exc:
        return False, str(exc)
    if balance.get("object") != "balance":
        return False, (
            f"{client.base_url} answers, but not as Stripe does: check the API base URL (host)."
        )
    return True, f"Connected to Stripe in {'live' if balance.get('livemode') else 'test'} mode."


def _judge(key: ApiKey, options: Mapping[str, Any]) -> None:
    """Refuse a key of the other mode, and one that does not say for which account it acts."""
    wanted, context = options["livemode"], options["stripe_context"]
    if wanted is not None and key.livemode is (not wanted):
        held, other = ("live", "test") if key.livemode else ("test", "live")
        raise StripeInputError(
            f"The connection holds a {held} key, and its Live mode (livemode in the extra) is "
            f"for {other} keys: put a {other} key there as its API key, or change the mode."
        )
    if context and options["stripe_account"]:
        raise StripeInputError(
            "stripe_account and stripe_context exclude each other: write a connected account into "
            "the context, as acct_…/acct_…."
        )
    if key.is_of_organization and not context:
        raise StripeInputError(
            "The connection holds the key of an organization (sk_org_), which acts for one of its "
            "accounts: name that as stripe_context, acct_…."
        )


_told = set[str]()


def _tell_place(limiter: ratelimit.Limiter, log: Any, *, is_named: bool) -> None:
    """Say once in each process where the call limit is kept, and whether others may not see it."""
    from airflow_provider_stripe_lite._compat import conf

    if (place := str(limiter)) in _told:
        return
    _told.add(place)
    executors = conf.get("core", "executor", fallback="")
    names = {re.split(r"[.:]", name.strip())[-1] for name in executors.split(",")}
    # The pods of Airflow's chart say that theirs is the LocalExecutor.
    local = names <= {"", "LocalExecutor", "SequentialExecutor"}
    if is_named or (local and "KUBERNETES_SERVICE_HOST" not in os.environ):
        log.info("The call limit is kept in %s.", place)
    else:
        log.warning(
            "The call limit is kept in %s, so each host or pod has a limit of its own: as "
            "rate_limit_url, name a Redis for all, in the section [stripe] of Airflow's "
            "configuration or in the connection's extra.",
            place,
        )


def _base_url(host: str | None, port: int | None) -> str:
    """Return the API's address; plain http only to this machine.

    :raises StripeInputError: an address that would take the key elsewhere, or in clear.
    """
    if not host or not host.strip():
        return API_URL
    url = urlsplit(host.strip() if "://" in host else f"https://{host.strip()}")
    try:
        port = url.port or port
        name = url.hostname or ""
    except ValueError:
        name = ""
    # urlsplit would drop a line end and join the text around it.
    blank = re.search(r"\s", host.strip())
    named = re.fullmatch(r"[\w.:-]+", name) and not blank
    if not named or url.scheme not in ("https", "http") or "@" in url.netloc or url.query:
        raise StripeInputError(
            "The API base URL of the connection (its host) must be one such as "
            "https://api.stripe.com, without user and query."
        )
    if url.scheme == "http" and not _is_loopback(name):
        raise StripeInputError(
            "The API base URL of the connection (its host) begins with http://, which would send "
            "the API key in clear: use https://."
        )
    where = f"[{name}]" if ":" in name else name
    path = url.path.rstrip("/").removesuffix("/v1")
    return f"{url.scheme}://{where}{f':{port}' if port else ''}{path}"


def not_found(conn_id: str) -> StripeError | StripeInputError:
    """Return the error for a connection that Airflow does not find, which may pass."""
    # The module that asks needs Airflow.
    from airflow_provider_stripe_lite._compat import is_no_connection

    advice = "add it with the type stripe, or name another one as stripe_conn_id."
    if is_no_connection(conn_id):
        return StripeInputError(
            f"The connection {conn_id} does not exist: {advice} Outside of tasks, Airflow finds "
            "only those in its environment (AIRFLOW_CONN_…)."
        )
    return StripeError(
        f"Airflow does not find the connection {conn_id} now: its API server or a secrets backend "
        f"may have failed. If that stays, {advice}",
        retryable=True,
    )


def _is_loopback(name: str) -> bool:
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
