"""The options of a connection: one table, from which the form and the configuration are made."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_stripe_lite.core import ratelimit
from airflow_provider_stripe_lite.core.client import TIMEOUT
from airflow_provider_stripe_lite.core.resources import DEFAULT_API_VERSION
from airflow_provider_stripe_lite.core.scrub import show
from airflow_provider_stripe_lite.core.values import CHECKS
from airflow_provider_stripe_lite.errors import StripeInputError

__all__ = ["FIELD_BEHAVIOUR", "OPTIONS", "Option", "configuration", "form", "read"]


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
    :param choices: what the form's list calls true, false and, as "None", neither.
    :param everywhere: whether Airflow's configuration has it, too, for all connections.
    """

    name: str
    type: Literal["string", "number", "integer", "boolean"]
    label: str
    description: str
    default: str | float | None = None
    bounds: tuple[int, int] = (1, 1)
    pattern: str = ".*"
    example: str = ""
    choices: Mapping[str, str] | None = None
    everywhere: bool = False

    @property
    def field(self) -> dict[str, Any]:
        """Return the option as a field of Airflow's connection form."""
        least, most = self.bounds
        type_, rule = self.type, dict[str, Any](minimum=least, maximum=most)
        if self.type == "string":
            rule = {"pattern": f"^{self.pattern}$"}
        elif self.type == "boolean":
            # On a switch, nobody sees whether it says false or nothing.
            type_, rule = (
                "string",
                {"enum": ["true", "false", None], "values_display": self.choices},
            )
        # The form marks a field as required unless its type may be null.
        schema = {"type": [type_, "null"], **rule}
        empty = "" if self.default is None else f" Empty: {_shown(self.default)}."
        return {"label": self.label, "description": self.description + empty, "schema": schema}

    def read(self, value: Any) -> Any:
        """Return the value that the form would store, or the default where nothing is given.

        :raises StripeInputError: the form would refuse the value. A number may be text here, since
            the URI form of a connection has only text.
        """
        if value is None or value == "":
            return self.default
        if self.type == "boolean":
            return CHECKS["flag"](self._where, 0, value)
        if self.type == "string":
            if isinstance(value, str) and re.fullmatch(self.pattern, value):
                return value
            raise StripeInputError(f"{self._where} must be {self.example}.")
        number = _number(value)
        least, most = self.bounds
        if not least <= number <= most or (self.type == "integer" and number != int(number)):
            kind = "whole number" if self.type == "integer" else "number"
            raise StripeInputError(
                f"{self._where} must be a {kind} from {least} to {most}, got {show(value)}."
            )
        return int(number) if self.type == "integer" else number

    @property
    def _where(self) -> str:
        other = "the configuration" if self.everywhere else "an argument"
        return f"{self.label} ({self.name} in the connection's extra, or {other})"


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
            "stripe_context",
            "string",
            "Context",
            "The account for which an organization's key acts: acct_…, or acct_…/acct_… for an "
            "account connected to it.",
            pattern=r"[A-Za-z0-9_]+(/[A-Za-z0-9_]+)*",
            example="a path of ids such as acct_1A2b3C4d/acct_5E6f7G8h",
        ),
        Option(
            "livemode",
            "boolean",
            "Live mode",
            "Which keys the connection may hold, so that others are refused. Empty: both kinds.",
            choices={"true": "live keys", "false": "test keys", "None": "both kinds"},
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
            everywhere=True,
        ),
        Option(
            "rate_limit_period",
            "number",
            "Call limit period (s)",
            "The seconds for which the call limit stands.",
            ratelimit.PERIOD,
            bounds=(1, 86_400),
            everywhere=True,
        ),
        Option(
            "rate_limit_url",
            "string",
            "Call limit store",
            "redis://… where tasks run on several hosts. Empty: files, for the tasks of one host.",
            pattern=r"(rediss?://|file:///).+",
            example="redis://…, file:///… or empty",
            everywhere=True,
        ),
    )
}

# What the form calls the fields that every connection has, and which of them it does not show.
FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["login", "schema", "port"],
    "relabeling": {"password": "API key", "host": "API base URL"},
    "placeholders": {"password": "sk_… or rk_…", "host": "https://api.stripe.com"},
}


def form() -> dict[str, Any]:
    """Return the fields of the connection form, as Airflow reads them."""
    return {name: option.field for name, option in OPTIONS.items()}


def configuration() -> dict[str, Any]:
    """Return the section ``[stripe]`` of Airflow's configuration, as provider_info has it."""
    options = {
        name: {
            "description": f"{option.description} A connection's extra overrides it.",
            "version_added": "0.2.0",
            "type": {"number": "float"}.get(option.type, option.type),
            "example": "redis://redis.internal:6379/3" if option.type == "string" else None,
            # The address may hold a password.
            "sensitive": option.type == "string",
            "default": _shown(option.default or ""),
        }
        for name, option in OPTIONS.items()
        if option.everywhere
    }
    return {"stripe": {"description": "The call limit of all connections.", "options": options}}


def read(extra: str | None, **instead: str | None) -> dict[str, Any]:
    """Read the connection's extra; arguments take its place, and it that of the configuration."""
    from airflow_provider_stripe_lite._compat import conf

    try:
        given = json.loads(extra or "{}")
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise StripeInputError(
            'The connection\'s extra must be a JSON object such as {"timeout": 60}.'
        )
    # An empty text, as a template may give, counts as not given.
    named = {name: value for name, value in instead.items() if value not in (None, "")}
    if named.keys() & {"stripe_account", "stripe_context"}:
        given |= {"stripe_account": None, "stripe_context": None}
    given |= named
    for name, option in OPTIONS.items():
        if option.everywhere and given.get(name) in (None, ""):
            given[name] = conf.get("stripe", name, fallback=None)
    return {name: option.read(given.get(name)) for name, option in OPTIONS.items()}


def _shown(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _number(value: Any) -> float:
    """Return a number, also one in text; what is none is nan, which is within no bounds."""
    try:
        return float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")
