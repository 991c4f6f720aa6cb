"""From an Airflow connection to a client: one table of options, and the form made from it."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from airflow_provider_stripe_lite.core import ratelimit
from airflow_provider_stripe_lite.core.client import API_URL, TIMEOUT, StripeClient
from airflow_provider_stripe_lite.core.keys import ApiKey
from airflow_provider_stripe_lite.core.resources import DEFAULT_API_VERSION
from airflow_provider_stripe_lite.core.scrub import show
from airflow_provider_stripe_lite.errors import StripeInputError

if TYPE_CHECKING:
    from airflow.sdk import Connection

__all__ = ["OPTIONS", "Option", "connect", "form"]


@dataclass(frozen=True, slots=True)
class Option:
    """One option of the connection, kept in its extra.

    :param name: the key in the extra.
    :param type: JSON's word for what the value is.
    :param label: what the form calls the option.
    :param description: what the form says below the field, which adds the default.
    :param default: what counts where nothing is given.
    :param bounds: least and largest number.
    :param pattern: what a text must match as a whole.
    :param example: what a refusal names for a text.
    """

    name: str
    type: Literal["string", "number", "integer"]
    label: str
    description: str
    default: str | float | None = None
    bounds: tuple[int, int] = (1, 1)
    pattern: str = ".*"
    example: str = ""

    @property
    def field(self) -> dict[str, Any]:
        """Return the option as a field of Airflow's connection form."""
        least, most = self.bounds
        rule: dict[str, Any] = {"minimum": least, "maximum": most}
        if self.type == "string":
            rule = {"pattern": f"^{self.pattern}$"}
        # The form marks a field as required unless its type may be null.
        schema = {"type": [self.type, "null"], **rule}
        empty = "" if self.default is None else f" Empty: {_shown(self.default)}."
        return {"label": self.label, "description": self.description + empty, "schema": schema}

    def read(self, value: Any) -> Any:
        """Return the value that the form would store, or the default where nothing is given.

        :raises StripeInputError: the form would refuse the value. A number may be text here, since
            the URI form of a connection has only text.
        """
        if value is None or value == "":
            return self.default
        if self.type == "string":
            if isinstance(value, str) and re.fullmatch(self.pattern, value):
                return value
            raise StripeInputError(
                f"{self.name} (in the connection's extra, or of the hook) must be {self.example}."
            )
        number = _number(value)
        least, most = self.bounds
        if not least <= number <= most or (self.type == "integer" and number != int(number)):
            kind = "whole number" if self.type == "integer" else "number"
            raise StripeInputError(
                f"{self.name} in the connection's extra must be a {kind} from {least} to {most}, "
                f"got {show(value)}."
            )
        return int(number) if self.type == "integer" else number


OPTIONS = {
    option.name: option
    for option in (
        Option(
            "api_version",
            "string",
            "Stripe API version",
            "Sent with every request, so that answers keep their shape.",
            DEFAULT_API_VERSION,
            pattern=r"[0-9]{4}-[0-9]{2}-[0-9]{2}(\.[A-Za-z0-9_]+)?",
            example="a version such as 2025-02-24.acacia",
        ),
        Option(
            "stripe_account",
            "string",
            "Connected account",
            "acct_… for which a platform's key acts. Empty: the key's own account.",
            pattern=r"acct_[A-Za-z0-9_]+",
            example="an id such as acct_1A2b3C4d",
        ),
        Option(
            "timeout",
            "number",
            "Timeout (s)",
            "Seconds for a whole call with all its tries and the waits between them, from when the "
            "call limit lets it through.",
            TIMEOUT,
            bounds=(1, 600),
        ),
        Option(
            "rate_limit_calls",
            "integer",
            "Call limit",
            "Calls of this connection in each period, over all tasks.",
            ratelimit.CALLS,
            bounds=(1, 100_000),
        ),
        Option(
            "rate_limit_period",
            "number",
            "Call limit period (s)",
            "The seconds for which the call limit stands.",
            ratelimit.PERIOD,
            bounds=(1, 86_400),
        ),
        Option(
            "rate_limit_url",
            "string",
            "Call limit store",
            "redis://… where tasks run on several hosts. Empty: a file, for the tasks of one host.",
            pattern=r"(rediss?://|sqlite:///).+",
            example="redis://… or empty",
        ),
    )
}


def form() -> dict[str, Any]:
    """Return the fields of the connection form, as Airflow reads them."""
    return {name: option.field for name, option in OPTIONS.items()}


def connect(
    connection: Connection,
    log: Any,
    *,
    stripe_account: str | None = None,
    api_version: str | None = None,
    tries: int = 5,
    timeout: float | None = None,
) -> StripeClient:
    """Make the client for a connection.

    :param log: takes the client's lines.
    :param stripe_account: instead of the connection's.
    :param api_version: instead of the connection's.
    :param tries: how often a request is sent at most.
    :param timeout: seconds for a whole call with all its tries and the waits between them, instead
        of the connection's.
    :raises StripeInputError: the connection cannot be used; the sentence says what to change.
    """
    # Airflow loads the form while it starts, so this module must not need Airflow.
    from airflow.sdk.log import mask_secret

    key = ApiKey(connection.password)
    mask_secret(key.value)
    if not key.familiar:
        log.warning(
            "The API key of %s has no shape that Stripe is known to use.", connection.conn_id
        )
    options = _options(connection.extra, stripe_account=stripe_account, api_version=api_version)
    if options["rate_limit_url"]:
        # The address may hold a password.
        mask_secret(options["rate_limit_url"])
    base_url, account = _base_url(connection.host, connection.port), options["stripe_account"]
    who = (connection.conn_id, base_url, key.livemode, account or key.account)
    return StripeClient(
        key,
        base_url=base_url,
        api_version=options["api_version"],
        stripe_account=account,
        timeout=timeout or options["timeout"],
        tries=tries,
        limiter=ratelimit.limiter_for(
            options["rate_limit_url"],
            calls=options["rate_limit_calls"],
            period=options["rate_limit_period"],
        ),
        limit_key=hashlib.sha256(repr(who).encode()).hexdigest()[:16],
        notify=log.info,
    )


def _options(extra: str | None, **instead: str | None) -> dict[str, Any]:
    """Read the connection's extra; the arguments that are given take its place."""
    try:
        given = json.loads(extra or "{}")
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise StripeInputError(
            'The connection\'s extra must be a JSON object such as {"timeout": 60}.'
        )
    # An empty text, as a template may give, counts as not given.
    given |= {name: value for name, value in instead.items() if value not in (None, "")}
    return {name: option.read(given.get(name)) for name, option in OPTIONS.items()}


def _shown(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _number(value: Any) -> float:
    """Return a number, also one in text; what is none is nan, which is within no bounds."""
    try:
        return float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


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
            "The connection's host must be a base URL such as https://api.stripe.com, without "
            "user and query."
        )
    if url.scheme == "http" and not _is_loopback(name):
        raise StripeInputError(
            "The connection's host begins with http://, which would send the API key in clear: "
            "use https://."
        )
    where = f"[{name}]" if ":" in name else name
    return f"{url.scheme}://{where}{f':{port}' if port else ''}{url.path.rstrip('/')}"


def _is_loopback(name: str) -> bool:
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
