"""Make a call of Stripe's API: within the call limit, tried again as Stripe advises.

Facts: https://docs.stripe.com/api/idempotent_requests, https://docs.stripe.com/rate-limits,
https://docs.stripe.com/error-low-level
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from airflow_provider_stripe_lite.core.answers import CONFLICTS
from airflow_provider_stripe_lite.core.encoding import checked_key, checked_path, encode
from airflow_provider_stripe_lite.core.keys import ApiKey
from airflow_provider_stripe_lite.core.resources import DEFAULT_API_VERSION, RESOURCES
from airflow_provider_stripe_lite.core.session import Deadline
from airflow_provider_stripe_lite.core.transport import Response, Transport
from airflow_provider_stripe_lite.errors import (
    RateLimitWait,
    StripeConnectionError,
    StripeError,
    StripeNotFoundError,
    StripeRateLimitError,
)

if TYPE_CHECKING:
    from airflow_provider_stripe_lite.core.calls import Call
    from airflow_provider_stripe_lite.core.ratelimit import Limiter

__all__ = ["API_URL", "TIMEOUT", "StripeClient"]

API_URL = "https://api.stripe.com"
TIMEOUT = 80.0
# A 429 slows down all who share the call limit, for no more seconds than this.
_SLOW_DOWN = 60.0
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
    :ivar unknown: of how many of them it is not known whether Stripe has done what they ask.
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
        stripe_context: str | None = None,
        timeout: float = TIMEOUT,
        tries: int = 5,
        limiter: Limiter | None = None,
        limit_key: str = "stripe",
        notify: Callable[[str], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        key = api_key if isinstance(api_key, ApiKey) else ApiKey(api_key)
        key.refuse_unusable()
        self.base_url, self.api_version = base_url, api_version
        self.livemode, self.context = key.livemode, stripe_context
        self.account = stripe_account or stripe_context or key.account
        self.timeout, self.limit_key, self._limiter = timeout, limit_key, limiter
        self._tries, self._notify, self._sleep = tries, notify or (lambda _: None), sleep
        self.calls, self.unknown, self.waited = 0, 0, 0.0
        self._transport = Transport(
            key,
            base_url=base_url,
            api_version=api_version,
            stripe_account=stripe_account,
            stripe_context=stripe_context,
        )

    def __repr__(self) -> str:
        return f"<StripeClient {self.base_url} livemode={self.livemode}>"

    def ask_as(self, asker: str) -> None:
        """Ask the call limit as somebody who may come again, in this process or another one."""
        if self._limiter is not None:
            self._limiter.asker = asker

    def send(
        self,
        call: Call,
        idempotency_key: str | None = None,
        *,
        another_key: Callable[[], str] | None = None,
        sent_before: bool = False,
    ) -> Response:
        """Make a call, and say in the log what was answered.

        A DELETE that is sent again because its answer was lost finds nothing, and so is done.

        :param idempotency_key: see :meth:`post`.
        :param another_key: returns the key for the next try after a saved 409 or 429, which proves
            that nothing was made and would come again for the same key; None where there is none.
        :param sent_before: whether this DELETE has been sent before.
        :raises StripeNotFoundError: the object does not exist, or has been deleted.
        :raises StripeConnectionError: among others, where the answer is no object of Stripe's.
        :raises StripeError: after the last try.
        """
        key, safe = None, ""
        if call.method == "POST":
            key, another_key = _keys(idempotency_key, another_key)
            safe = f"; it can be repeated safely with the same idempotency key, {key}"
        response = self._answer(call, key, another_key, sent_before=sent_before)
        kind, made = response.body.get("object"), response.body.get("id")
        # An upcoming invoice, or the preview of one, has no id.
        needed = kind in RESOURCES and kind != "invoice"
        if not isinstance(made, str) and (not isinstance(kind, str) or needed):
            raise StripeConnectionError(
                f"{self.base_url} answered {call.method} {call.path} with an object without an "
                f"id{safe}.",
                status=200,
                request_id=response.request_id,
                retryable=True,
            )
        # Stripe answers 200 for a customer that has been deleted.
        if response.body.get("deleted") is True and (call.method == "GET" or call.is_update):
            raise StripeNotFoundError(
                f"The {kind} {made} has been deleted in Stripe.",
                status=200,
                request_id=response.request_id,
            )
        self._notify(
            f"{call.method} {call.path}: {' '.join(filter(None, (kind, made)))} (request "
            f"{response.request_id}{f', {response.tries} tries' if response.tries > 1 else ''}"
            f"{_REPLAYED if response.replayed else ''})"
        )
        return response

    def _answer(
        self,
        call: Call,
        key: str | None,
        another_key: Callable[[], str] | None,
        *,
        sent_before: bool,
    ) -> Response:
        headers = {"Idempotency-Key": key} if key and call.method == "POST" else {}
        before = self.unknown
        try:
            return self._request(
                call.method, call.path, call.form, headers, another_key=another_key
            )
        except StripeNotFoundError as exc:
            again = call.method == "DELETE" and (sent_before or self.unknown > before)
            if not again:
                raise
            self._notify(f"DELETE {call.path}: it is gone, and an earlier try has sent this")
            gone = {"id": unquote(call.path.rpartition("/")[2]), "deleted": True}
            return Response(gone, None, exc.request_id)

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
        form = encode(parameters or {})
        return self._request("GET", checked_path(path), form, {}, max_wait, tries, timeout)

    def post(
        self,
        path: str,
        parameters: Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
    ) -> Response:
        """Write to a path; however often the client tries, Stripe applies the request once.

        :param idempotency_key: makes later repetitions safe too, for at least 24 hours; None makes
            a fresh one.
        :raises StripeError: after the last try.
        """
        key, another_key = _keys(idempotency_key)
        headers = {"Idempotency-Key": key}
        path, form = checked_path(path), encode(parameters)
        return self._request("POST", path, form, headers, another_key=another_key)

    def _request(
        self,
        method: str,
        path: str,
        form: str,
        headers: dict[str, str],
        max_wait: float | None = None,
        most: int | None = None,
        timeout: float | None = None,
        another_key: Callable[[], str] | None = None,
    ) -> Response:
        most = self._tries if most is None else min(most, self._tries)
        seconds = self.timeout if timeout is None else min(timeout, self.timeout)
        deadline, answered, failed = None, None, None
        wait = max_wait
        for tries in count(1):
            try:
                self._pass_limit(wait)
                deadline = deadline or Deadline(seconds)
                self.calls += 1
                self.unknown += 1
                response = self._transport.send(method, path, form, headers, deadline)
                self.unknown -= 1
                return response if tries == 1 else replace(response, tries=tries)
            except RateLimitWait:
                if failed is None or max_wait is not None:
                    raise
                raise failed from None
            except StripeError as exc:
                self.unknown -= exc.refused or exc.status in CONFLICTS
                over = deadline is not None and deadline.left() <= 0
                if isinstance(exc, StripeConnectionError) and answered and (exc.timed_out or over):
                    # What was answered before says more than that the time is over, or than how
                    # the try broke off that had no time any more.
                    raise answered from None
                if exc.replayed and exc.retryable:
                    exc.retryable = another_key is not None
                delay, left = self._delay(exc, tries), deadline.left() if deadline else seconds
                if not exc.retryable or tries >= most or delay >= left:
                    raise
                answered = answered if exc.status is None else exc
                failed = answered or exc
                if exc.replayed and another_key:
                    headers = {"Idempotency-Key": another_key()}
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
        if self._limiter is not None:
            self.waited += self._limiter.acquire(self.limit_key, max_wait)


def _keys(
    idempotency_key: object, another_key: Callable[[], str] | None = None
) -> tuple[str, Callable[[], str] | None]:
    """Return the first key of a POST, and what makes the next one: a caller's own is the only."""
    key = checked_key(idempotency_key)
    return (key, another_key) if key else (_fresh(), another_key or _fresh)


def _fresh() -> str:
    return str(uuid.uuid4())
