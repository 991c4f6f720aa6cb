"""One request to Stripe: authenticated, versioned, within the call limit, retried as Stripe advises.

Facts: https://docs.stripe.com/api/idempotent_requests, https://docs.stripe.com/rate-limits,
https://docs.stripe.com/error-low-level
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import tenacity

from airflow_provider_stripe_lite import __version__
from airflow_provider_stripe_lite.catalog import DEFAULT_API_VERSION
from airflow_provider_stripe_lite.errors import (
    StripeConnectionError,
    StripeError,
    StripeInputError,
    StripeRateLimitError,
    WouldWait,
    from_response,
)
from airflow_provider_stripe_lite.params import idempotency_key as checked_idempotency_key

if TYPE_CHECKING:
    import requests

    from airflow_provider_stripe_lite.ratelimit import Limiter

API_URL = "https://api.stripe.com"
RETRY_SECONDS = 60.0
_MOMENT = 1.0  # a wait that is not worth a line in the log
_backoff = tenacity.wait_random_exponential(multiplier=0.5, max=8)  # full jitter


@dataclass(frozen=True, slots=True)
class Answer:
    """What Stripe answered.

    :ivar body: the JSON object, as Stripe sent it.
    :ivar date: epoch second of Stripe's clock, not later than when the request arrived there; None if it did not say.
    :ivar request_id: ``req_…``.
    :ivar replayed: whether this is the saved answer to an earlier request with the same idempotency key.
    :ivar tries: how many requests it took.
    """

    body: dict[str, Any]
    date: int | None
    request_id: str | None
    replayed: bool = False
    tries: int = 1


class StripeClient:
    """Sends requests to one account with one key.

    :param api_key: ``sk_…``, ``rk_…`` or ``rkcs_…``; goes nowhere but into the Authorization header.
    :param base_url: where Stripe is.
    :param api_version: sent as ``Stripe-Version`` with every request, so that answers keep their shape.
    :param stripe_account: act for this connected account (``acct_…``).
    :param timeout: seconds to wait for an answer; connecting may take 10 of them.
    :param tries: how often a request is sent at most.
    :param limiter: what every try must pass.
    :param limit_key: the name under which the limiter counts.
    :param notify: takes a line for the log; ids only.
    :param sleep: how to wait between tries.
    :raises StripeInputError: what is given as the key cannot be one.
    """

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str = API_URL,
        api_version: str = DEFAULT_API_VERSION,
        stripe_account: str | None = None,
        timeout: float = 80,
        tries: int = 5,
        limiter: Limiter | None = None,
        limit_key: str = "stripe",
        notify: Callable[[str], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.base_url, self.api_version, self.stripe_account = base_url, api_version, stripe_account
        api_key = check_key(api_key)
        self.mode, self.account = fingerprint(api_key, stripe_account)
        self._timeout, self._limiter, self.limit_key = (min(10.0, timeout), timeout), limiter, limit_key
        self._tries, self._notify, self._sleep = tries, notify or (lambda _: None), sleep
        self.request_id: str | None = None  # of the last answer, for links and logs
        self._session = _session(api_key, api_version, stripe_account)
        # To this machine itself the key goes in clear, so it must not go through a proxy that the environment names.
        self._session.trust_env = not base_url.startswith("http://")

    def __repr__(self) -> str:
        return f"<StripeClient {self.base_url} {self.mode or 'unknown'} mode>"

    def get(self, path: str, params: Mapping[str, Any] | None = None, *, max_wait: float | None = None) -> Answer:
        """Read ``path``.

        :param max_wait: seconds to wait for the call limit at most; None waits as long as it takes.
        :raises WouldWait: the call limit has no free slot within ``max_wait``.
        :raises StripeError: after the last try.
        """
        return self._request("GET", path, params or {}, {}, max_wait)

    def post(self, path: str, params: Mapping[str, Any], *, idempotency_key: str | None = None) -> Answer:
        """Write to ``path``; the client's own retries of it are applied once.

        :param idempotency_key: makes later repetitions safe too, for at least 24 hours; None makes a fresh one.
        :raises StripeError: after the last try.
        """
        key = str(uuid.uuid4()) if idempotency_key is None else checked_idempotency_key(idempotency_key)
        return self._request("POST", path, params, {"Idempotency-Key": key}, None)

    def _request(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any],
        headers: dict[str, str],
        max_wait: float | None,
    ) -> Answer:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda exc: isinstance(exc, StripeError) and exc.retryable),
            wait=self._delay,
            stop=lambda state: (
                state.attempt_number >= self._tries or state.idle_for + state.upcoming_sleep > RETRY_SECONDS
            ),
            before_sleep=lambda state: self._notify(
                f"{method} {path}: try {state.attempt_number} of {self._tries} failed "
                f"({state.outcome and state.outcome.exception()}); again in {state.upcoming_sleep:.1f} s"
            ),
            sleep=self._sleep,
            reraise=True,
        )
        url, form = f"{self.base_url}{path}", encode(params)
        for attempt in retrying:
            with attempt:
                return self._attempt(method, url, form, headers, max_wait, attempt.retry_state.attempt_number)
        raise AssertionError("tenacity returns or raises")  # pragma: no cover

    def _delay(self, state: tenacity.RetryCallState) -> float:
        exc = state.outcome.exception() if state.outcome else None
        asked = exc.retry_after if isinstance(exc, StripeError) else None
        delay = _backoff(state) if asked is None else asked
        if isinstance(exc, StripeRateLimitError) and self._limiter is not None:
            self._limiter.push(self.limit_key, min(delay, RETRY_SECONDS))  # all processes slow down together
        return delay

    def _attempt(
        self, method: str, url: str, form: str, headers: dict[str, str], max_wait: float | None, tries: int
    ) -> Answer:
        self._pass_limit(max_wait)
        started = time.monotonic()
        response = self._send(method, url, form, headers)
        elapsed = time.monotonic() - started
        body = _decode(response)
        self.request_id = response.headers.get("Request-Id")
        if response.status_code >= 300:
            raise from_response(response.status_code, response.headers, body)
        if not isinstance(body, dict):
            raise StripeConnectionError(
                f"{self.base_url} answered {response.status_code} with something that is not a JSON object: "
                "if this stays, something between here and Stripe (a proxy?) answers in its place.",
                status=response.status_code,
                request_id=response.headers.get("Request-Id"),
                retryable=True,  # a truncated body; a POST carries its key
            )
        replayed = response.headers.get("Idempotent-Replayed") == "true"
        date = _date(response.headers.get("Date"), elapsed)
        return Answer(body, date, response.headers.get("Request-Id"), replayed, tries)

    def _pass_limit(self, max_wait: float | None) -> None:
        """Wait for the call limit, and say so beforehand where it takes longer than a moment."""
        if self._limiter is None:
            return
        try:
            self._limiter.acquire(self.limit_key, _MOMENT if max_wait is None else min(max_wait, _MOMENT))
        except WouldWait as exc:
            if max_wait is not None and exc.seconds > max_wait:
                raise
            self._notify(f"Waiting {exc.seconds:.1f} s for the call limit")
            self._limiter.acquire(self.limit_key, max_wait)

    def _send(self, method: str, url: str, form: str, headers: dict[str, str]) -> requests.Response:
        from requests import exceptions

        if method == "GET":
            request: dict[str, Any] = {"url": f"{url}?{form}" if form else url}
        else:
            headers = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
            request = {"url": url, "data": form}
        try:
            return self._session.request(
                method, **request, headers=headers, timeout=self._timeout, allow_redirects=False
            )
        except exceptions.RequestException as exc:
            kind = type(exc)
        # Its text may quote headers, and its request always holds them: out here nothing of it is kept as context.
        raise StripeConnectionError(
            f"No answer from {self.base_url} ({kind.__name__}): check the network and the connection's host.",
            retryable=not issubclass(kind, (exceptions.SSLError, ValueError)),  # a ValueError: no such address
        )


def check_key(api_key: object) -> str:
    """Accept a secret or restricted key; the sentence that refuses another never repeats it.

    :raises StripeInputError: no key, a publishable key, or characters that no key has.
    """
    key = api_key.strip() if isinstance(api_key, str) else ""
    if not key:
        raise StripeInputError("The connection has no API key: put a secret or restricted key there (its password).")
    if key.startswith("pk_"):
        raise StripeInputError(
            "The connection holds a publishable key (pk_), which Stripe accepts only in browsers: put a secret (sk_) "
            "or restricted (rk_) key in its place."
        )
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        raise StripeInputError("The API key holds a space or a character that no key has: copy it again.")
    return key


def familiar_key(api_key: str) -> bool:
    """Whether the key has a shape that Stripe is known to give out."""
    return re.fullmatch(r"(sk|rk|rkcs)_[A-Za-z0-9_]{8,}", api_key) is not None


def fingerprint(api_key: str, stripe_account: str | None) -> tuple[str | None, str | None]:
    """Tell mode and account of a key without a request and without a piece of the key.

    Newer keys carry the account's id after ``51``; a hash of that part is the same for every key of the account.

    :return: ``live``, ``test`` or None, and ``acct_…``, a short hash, or None where the key does not show it.
    """
    match = re.fullmatch(r"(?:sk|rk|rkcs)_(?:(live|test)_)?(?:51([A-Za-z0-9]{14})[A-Za-z0-9]{8,}|.*)", api_key)
    mode, account = match.groups() if match else (None, None)
    hashed = hashlib.sha256(account.encode()).hexdigest()[:12] if account else None
    return mode, stripe_account or hashed


def segment(object_id: str) -> str:
    """Encode an id so that it stays one segment of the path."""
    return quote(object_id, safe="")


def encode(params: Mapping[str, Any]) -> str:
    """Encode parameters as Stripe reads them: brackets for what is nested, indexes for lists, nothing for None.

    :raises StripeInputError: a value of a type that has no such form.
    """
    return urlencode([pair for name, value in params.items() for pair in _pairs(name, value)])


def _pairs(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _pairs(f"{name}[{key}]", item)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _pairs(f"{name}[{index}]", item)
        if not value:
            yield name, ""  # an empty list would otherwise encode to nothing
    elif value is not None:
        yield name, _scalar(name, value)


def _scalar(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return str(int((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()))
    if isinstance(value, str | int | float | Decimal):
        return str(value)
    raise StripeInputError(f"{name} cannot be sent: give text, a number, a date-time, a list or a mapping.")


def _session(api_key: str, api_version: str, stripe_account: str | None) -> requests.Session:
    import requests  # here, so that parsing a DAG file does not pay for it
    from requests.auth import AuthBase

    class Bearer(AuthBase):  # a bare header would lose to an entry in ~/.netrc
        def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["Authorization"] = f"Bearer {api_key}"
            return request

    session = requests.Session()
    session.auth = Bearer()
    agent = f"airflow-provider-stripe-lite/{__version__} python-requests/{requests.__version__}"
    session.headers.update({"Stripe-Version": api_version, "User-Agent": agent, "Accept": "application/json"})
    if stripe_account:
        session.headers["Stripe-Account"] = stripe_account
    return session


def _decode(response: requests.Response) -> Any:
    """The decoded body, or None where it is not JSON."""
    try:
        return _json_loads()(response.content)
    except (ValueError, RecursionError):  # the latter for brackets without end
        return None


@cache
def _json_loads() -> Callable[[bytes], Any]:
    """The extra ``[speed]`` halves the time that decoding takes."""
    try:
        import orjson
    except ImportError:
        return json.loads
    loads: Callable[[bytes], Any] = orjson.loads
    return loads


def _date(header: str | None, elapsed: float) -> int | None:
    """The server's clock when the request arrived: a slow answer is dated after it looked at its data."""
    try:
        date = int(parsedate_to_datetime(header or "").timestamp())
    except ValueError:
        return None
    return date - math.ceil(elapsed) if elapsed >= 1 else date
