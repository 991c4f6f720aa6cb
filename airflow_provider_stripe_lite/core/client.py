"""Make a call of Stripe's API: within the call limit, tried again as Stripe advises.

Facts: https://docs.stripe.com/api/idempotent_requests, https://docs.stripe.com/rate-limits,
https://docs.stripe.com/error-low-level
"""

from __future__ import annotations

import random
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

from airflow_provider_stripe_lite.core.encoding import checked_path, encode
from airflow_provider_stripe_lite.core.keys import ApiKey
from airflow_provider_stripe_lite.core.resources import DEFAULT_API_VERSION
from airflow_provider_stripe_lite.core.session import Deadline
from airflow_provider_stripe_lite.core.transport import Response, Transport
from airflow_provider_stripe_lite.errors import (
    RateLimitWait,
    StripeConnectionError,
    StripeError,
    StripeInputError,
    StripeNotFoundError,
    StripeRateLimitError,
)

if TYPE_CHECKING:
    from airflow_provider_stripe_lite.core.arguments import Request
    from airflow_provider_stripe_lite.core.ratelimit import Limiter

__all__ = ["API_URL", "TIMEOUT", "StripeClient"]

API_URL = "https://api.stripe.com"
TIMEOUT = 80.0
# A 429 slows down all who share the call limit, for no more seconds than this.
_SLOW_DOWN = 60.0
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
    :param timeout: seconds for one call from when the call limit lets its first try through:
        connecting, which may take 10 of them for each try, header, body, all tries, and the waits
        between them, for the call limit too. Only the system's resolver of names may take longer.
    :param tries: how often a request is sent at most.
    :param limiter: the call limit, which every try must pass.
    :param limit_key: the name under which the limiter counts.
    :param notify: takes a line for the log, which holds ids only.
    :param sleep: how to wait between tries.
    :ivar calls: how many requests were sent.
    :ivar waited: seconds spent waiting for the call limit.
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
        self.timeout, self.limit_key, self._limiter = timeout, limit_key, limiter
        self._tries, self._notify, self._sleep = tries, notify or (lambda _: None), sleep
        self.calls, self.waited = 0, 0.0
        self._transport = Transport(
            key.value,
            base_url=base_url,
            api_version=api_version,
            stripe_account=stripe_account,
        )

    def __repr__(self) -> str:
        return f"<StripeClient {self.base_url} livemode={self.livemode}>"

    def send(self, request: Request, idempotency_key: str | None = None) -> Response:
        """Make the call of an action, and say in the log what was done.

        :param idempotency_key: see :meth:`post`.
        :raises StripeNotFoundError: the object does not exist, or has been deleted.
        :raises StripeConnectionError: among others, where the answer holds no id.
        :raises StripeError: after the last try.
        """
        safe = ""
        if request.method == "GET":
            response = self.get(request.path, request.parameters)
        else:
            key = str(uuid.uuid4()) if idempotency_key is None else idempotency_key
            safe = (
                f"; the {request.verb} can be repeated safely with the same idempotency key, {key}"
            )
            response = self.post(request.path, request.parameters, idempotency_key=key)
        object_id = response.body.get("id")
        if not isinstance(object_id, str):
            raise StripeConnectionError(
                f"{self.base_url} answered {request.method} {request.path} with an object without "
                f"an id{safe}.",
                status=200,
                request_id=response.request_id,
                retryable=True,
            )
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
        tries: int | None = None,
        timeout: float | None = None,
    ) -> Response:
        """Read a path.

        :param max_wait: seconds to wait for the call limit; None waits as long as it takes.
        :param tries: how often the request is sent at most, where fewer than the client's.
        :param timeout: seconds for this call, where fewer than the client's.
        :raises RateLimitWait: the call limit has no free slot within ``max_wait``.
        :raises StripeInputError: the path is none, or the parameters cannot be sent.
        :raises StripeError: after the last try, or when the time is over.
        """
        return self._request("GET", path, parameters or {}, {}, max_wait, tries, timeout)

    def post(
        self, path: str, parameters: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Response:
        """Write to a path; however often the client tries, Stripe applies the request once.

        :param idempotency_key: makes later repetitions safe too, for at least 24 hours; None makes
            a fresh one.
        :raises StripeError: after the last try.
        """
        key = str(uuid.uuid4()) if idempotency_key is None else _checked(idempotency_key)
        return self._request("POST", path, parameters, {"Idempotency-Key": key})

    def _request(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, Any],
        headers: dict[str, str],
        max_wait: float | None = None,
        most: int | None = None,
        timeout: float | None = None,
    ) -> Response:
        path, form = checked_path(path), encode(parameters)
        most = self._tries if most is None else min(most, self._tries)
        seconds = self.timeout if timeout is None else min(timeout, self.timeout)
        deadline, answered, failed = None, None, None
        wait = max_wait
        for tries in count(1):
            try:
                self._pass_limit(wait)
                deadline = deadline or Deadline(seconds)
                self.calls += 1
                response = self._transport.send(method, path, form, headers, deadline)
                return response if tries == 1 else replace(response, tries=tries)
            except RateLimitWait:
                if failed is None or max_wait is not None:
                    raise
                raise failed from None
            except StripeError as exc:
                if isinstance(exc, StripeConnectionError) and exc.timed_out and answered:
                    # What was answered before says more than that the time is over.
                    raise answered from None
                delay, left = self._delay(exc, tries), deadline.left() if deadline else seconds
                if not exc.retryable or tries >= most or delay >= left:
                    raise
                answered = answered if exc.status is None else exc
                failed = answered or exc
                self._notify(
                    f"{method} {path}: try {tries} of {most} failed ({exc}); again in {delay:.1f} s"
                )
            self._sleep(delay)
            if deadline:
                left = max(0.0, deadline.left())
                wait = left if max_wait is None else min(max_wait, left)
        raise AssertionError("the loop returns or raises")  # pragma: no cover

    def _delay(self, error: StripeError, tries: int) -> float:
        """Return the seconds before the next try: the server's, else at random, ever longer."""
        delay = error.retry_after
        if delay is None:
            delay = random.uniform(0, min(8.0, 0.5 * 2 ** (tries - 1)))  # noqa: S311
        if isinstance(error, StripeRateLimitError) and self._limiter is not None:
            # All processes slow down together.
            self._limiter.push(self.limit_key, min(delay, _SLOW_DOWN))
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
            began = time.monotonic()
            self._limiter.acquire(self.limit_key, max_wait)
            self.waited += round(time.monotonic() - began, 1)


def _checked(idempotency_key: object) -> str:
    """Accept what fits into the header."""
    if isinstance(idempotency_key, str) and re.fullmatch(r"[\x21-\x7e]{1,255}", idempotency_key):
        return idempotency_key
    raise StripeInputError(
        "idempotency_key must be 1 to 255 printable ASCII characters without spaces."
    )
