"""Make a call of Stripe's API: within the call limit, tried again as Stripe advises.

Facts: https://docs.stripe.com/api/idempotent_requests, https://docs.stripe.com/rate-limits,
https://docs.stripe.com/error-low-level
"""

from __future__ import annotations

import random
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from airflow_provider_stripe_lite.core.keys import ApiKey
from airflow_provider_stripe_lite.core.resources import DEFAULT_API_VERSION
from airflow_provider_stripe_lite.core.transport import Response, Transport
from airflow_provider_stripe_lite.errors import (
    RateLimitWait,
    StripeError,
    StripeInputError,
    StripeNotFoundError,
    StripeRateLimitError,
)

if TYPE_CHECKING:
    from airflow_provider_stripe_lite.core.arguments import Request
    from airflow_provider_stripe_lite.core.ratelimit import Limiter

__all__ = ["API_URL", "RETRY_SECONDS", "TIMEOUT", "StripeClient", "encode"]

API_URL = "https://api.stripe.com"
TIMEOUT = 80.0
RETRY_SECONDS = 60.0
# A wait for the call limit of no more seconds than this gets no line in the log.
_SILENT_WAIT = 1.0
_DONE = {"create": "Created", "update": "Updated", "get": "Read"}
_REPLAYED = ", the saved answer to an earlier request with this idempotency key"


class StripeClient:
    """Send requests to one account with one key.

    :param api_key: ``sk_…``, ``rk_…`` or ``rkcs_…``; goes into the Authorization header alone.
    :param base_url: where Stripe is.
    :param api_version: sent as ``Stripe-Version``, so that answers keep their shape.
    :param stripe_account: act for this connected account (``acct_…``).
    :param timeout: seconds to wait for an answer; connecting may take 10 of them.
    :param tries: how often a request is sent at most.
    :param limiter: the call limit, which every try must pass.
    :param limit_key: the name under which the limiter counts.
    :param notify: takes a line for the log, which holds ids only.
    :param sleep: how to wait between tries.
    :raises StripeInputError: the key cannot be one.
    """

    def __init__(
        self,
        api_key: ApiKey | str,
        *,
        base_url: str = API_URL,
        api_version: str = DEFAULT_API_VERSION,
        stripe_account: str | None = None,
        timeout: float = TIMEOUT,
        tries: int = 5,
        limiter: Limiter | None = None,
        limit_key: str = "stripe",
        notify: Callable[[str], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        key = api_key if isinstance(api_key, ApiKey) else ApiKey(api_key)
        self.base_url, self.api_version = base_url, api_version
        self.livemode, self.account = key.livemode, stripe_account or key.account
        self.limit_key, self._limiter = limit_key, limiter
        self._tries, self._notify, self._sleep = tries, notify or (lambda _: None), sleep
        self._transport = Transport(
            key.value,
            base_url=base_url,
            api_version=api_version,
            stripe_account=stripe_account,
            timeout=timeout,
        )

    def __repr__(self) -> str:
        return f"<StripeClient {self.base_url} livemode={self.livemode}>"

    def send(self, request: Request, idempotency_key: str | None = None) -> Response:
        """Make the call of an action, and say in the log what was done.

        :param idempotency_key: see :meth:`post`.
        :raises StripeNotFoundError: the object does not exist, or has been deleted.
        :raises StripeError: after the last try.
        """
        if request.method == "GET":
            response = self.get(request.path, request.parameters)
        else:
            response = self.post(request.path, request.parameters, idempotency_key=idempotency_key)
        object_id = response.body.get("id")
        # Stripe answers 200 for a customer that has been deleted.
        if response.body.get("deleted") is True:
            raise StripeNotFoundError(
                f"The {request.resource} {object_id} has been deleted in Stripe.",
                status=200,
                request_id=response.request_id,
            )
        self._notify(
            f"{_DONE[request.verb]} {request.resource} {object_id} (request {response.request_id}"
            f"{f', {response.tries} tries' if response.tries > 1 else ''}"
            f"{_REPLAYED if response.replayed else ''})"
        )
        return response

    def get(
        self,
        path: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        max_wait: float | None = None,
    ) -> Response:
        """Read a path.

        :param max_wait: seconds to wait for the call limit; None waits as long as it takes.
        :raises RateLimitWait: the call limit has no free slot within ``max_wait``.
        :raises StripeError: after the last try.
        """
        return self._request("GET", path, parameters or {}, {}, max_wait)

    def post(
        self, path: str, parameters: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Response:
        """Write to a path; however often the client tries, Stripe applies the request once.

        :param idempotency_key: makes later repetitions safe too, for at least 24 hours; None makes
            a fresh one.
        :raises StripeError: after the last try.
        """
        key = str(uuid.uuid4()) if idempotency_key is None else _checked(idempotency_key)
        return self._request("POST", path, parameters, {"Idempotency-Key": key}, None)

    def _request(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, Any],
        headers: dict[str, str],
        max_wait: float | None,
    ) -> Response:
        form, waited = encode(parameters), 0.0
        for tries in count(1):
            try:
                self._pass_limit(max_wait)
                response = self._transport.send(method, path, form, headers)
                return response if tries == 1 else replace(response, tries=tries)
            except StripeError as exc:
                if not exc.retryable:
                    raise
                delay = self._delay(exc, tries)
                waited += delay
                if tries >= self._tries or waited > RETRY_SECONDS:
                    raise
                self._notify(
                    f"{method} {path}: try {tries} of {self._tries} failed ({exc}); "
                    f"again in {delay:.1f} s"
                )
            self._sleep(delay)
        raise AssertionError("the loop returns or raises")  # pragma: no cover

    def _delay(self, error: StripeError, tries: int) -> float:
        """Return the seconds before the next try: the server's, else at random, ever longer."""
        delay = error.retry_after
        if delay is None:
            delay = random.uniform(0, min(8.0, 0.5 * 2 ** (tries - 1)))  # noqa: S311
        if isinstance(error, StripeRateLimitError) and self._limiter is not None:
            # All processes slow down together.
            self._limiter.push(self.limit_key, min(delay, RETRY_SECONDS))
        return delay

    def _pass_limit(self, max_wait: float | None) -> None:
        """Wait for the call limit, and say so beforehand where the wait is worth a line."""
        if self._limiter is None:
            return
        silent = _SILENT_WAIT if max_wait is None else min(max_wait, _SILENT_WAIT)
        try:
            self._limiter.acquire(self.limit_key, silent)
        except RateLimitWait as exc:
            if max_wait is not None and exc.seconds > max_wait:
                raise
            self._notify(f"Waiting {exc.seconds:.1f} s for the call limit")
            self._limiter.acquire(self.limit_key, max_wait)


def encode(parameters: Mapping[str, Any]) -> str:
    """Encode parameters as Stripe reads them.

    What is nested gets brackets, lists get indexes, None is left out.

    :raises StripeInputError: a value of a type that has no such form.
    """
    return urlencode([pair for name, value in parameters.items() for pair in _pairs(name, value)])


def _checked(idempotency_key: object) -> str:
    """Accept what fits into the header."""
    if isinstance(idempotency_key, str) and re.fullmatch(r"[\x21-\x7e]{1,255}", idempotency_key):
        return idempotency_key
    raise StripeInputError(
        "idempotency_key must be 1 to 255 printable ASCII characters without spaces."
    )


def _pairs(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _pairs(f"{name}[{key}]", item)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _pairs(f"{name}[{index}]", item)
        if not value:
            # Without this pair an empty list would not be sent at all.
            yield name, ""
    elif value is not None:
        yield name, _scalar(name, value)


def _scalar(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return str(int((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()))
    if isinstance(value, str | int | float | Decimal):
        return str(value)
    raise StripeInputError(
        f"{name} cannot be sent: give text, a number, a date-time, a list or a mapping."
    )
