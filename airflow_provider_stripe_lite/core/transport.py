"""Exchange one request and its answer with Stripe, by `requests`."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow_provider_stripe_lite import __version__
from airflow_provider_stripe_lite.core.answers import from_response
from airflow_provider_stripe_lite.errors import StripeConnectionError

if TYPE_CHECKING:
    import requests

__all__ = ["Response", "Transport"]


@dataclass(frozen=True, slots=True)
class Response:
    """What Stripe answered.

    :ivar body: the JSON object, as Stripe sent it.
    :ivar date: epoch second of Stripe's clock, not later than when the request arrived there; None
        where Stripe did not say.
    :ivar request_id: ``req_…``.
    :ivar replayed: whether this is the saved answer to an earlier request with the same
        idempotency key.
    :ivar tries: how many requests it took.
    """

    body: dict[str, Any]
    date: int | None
    request_id: str | None
    replayed: bool = False
    tries: int = 1


class Transport:
    """Send requests to one host with one key.

    :param api_key: goes into the Authorization header alone.
    :param base_url: where Stripe is.
    :param api_version: sent as ``Stripe-Version``.
    :param stripe_account: sent as ``Stripe-Account``.
    :param timeout: seconds to wait for an answer; connecting may take 10 of them.
    """

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str,
        api_version: str,
        stripe_account: str | None,
        timeout: float,
    ) -> None:
        self._base_url, self._timeout = base_url, (min(10.0, timeout), timeout)
        self._session = _session(api_key, api_version, stripe_account)
        # The key goes to this machine itself in clear, so no proxy of the environment may see it.
        self._session.trust_env = not base_url.startswith("http://")

    def send(self, method: str, path: str, form: str, headers: dict[str, str]) -> Response:
        """Send one request and return what was answered.

        :raises StripeError: what the answer stands for, or that there is no usable one.
        """
        started = time.monotonic()
        response = self._exchange(method, path, form, headers)
        elapsed = time.monotonic() - started
        body, request_id = _decode(response), response.headers.get("Request-Id")
        if response.status_code >= 300:
            raise from_response(response.status_code, response.headers, body)
        if not isinstance(body, dict):
            # A body that was cut off may arrive whole the next time, and a POST carries its key.
            raise StripeConnectionError(
                f"{self._base_url} answered {response.status_code} with something that is not a "
                "JSON object: if this stays, something between here and Stripe (a proxy?) answers "
                "in its place.",
                status=response.status_code,
                request_id=request_id,
                retryable=True,
            )
        replayed = response.headers.get("Idempotent-Replayed") == "true"
        date = _arrival(response.headers.get("Date"), elapsed)
        return Response(body, date, request_id, replayed)

    def _exchange(
        self, method: str, path: str, form: str, headers: dict[str, str]
    ) -> requests.Response:
        from requests import exceptions

        url = f"{self._base_url}{path}"
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
        # The error is raised outside `except` on purpose: as its context, the exception of
        # requests would carry the prepared request and with it the API key. A ValueError means
        # that there is no such address.
        raise StripeConnectionError(
            f"No answer from {self._base_url} ({kind.__name__}): check the network and the "
            "connection's host.",
            retryable=not issubclass(kind, (exceptions.SSLError, ValueError)),
        )


def _session(api_key: str, api_version: str, stripe_account: str | None) -> requests.Session:
    """Make a session that sends the key to the host of the request and nowhere else."""
    # Imported here, so that parsing a DAG file does not pay for an HTTP library.
    import requests
    from requests.auth import AuthBase

    # A bare header would lose to an entry in ~/.netrc.
    class Bearer(AuthBase):
        def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["Authorization"] = f"Bearer {api_key}"
            return request

    session = requests.Session()
    session.auth = Bearer()
    agent = f"airflow-provider-stripe-lite/{__version__} python-requests/{requests.__version__}"
    session.headers.update(
        {"Stripe-Version": api_version, "User-Agent": agent, "Accept": "application/json"}
    )
    if stripe_account:
        session.headers["Stripe-Account"] = stripe_account
    return session


def _decode(response: requests.Response) -> Any:
    """Return the decoded body, or None where the body is not JSON."""
    try:
        return _json_loads()(response.content)
    except (ValueError, RecursionError):
        # Brackets without end are a RecursionError.
        return None


@cache
def _json_loads() -> Callable[[bytes], Any]:
    """Return orjson's decoder, from the extra ``[speed]``, else the standard library's."""
    try:
        import orjson
    except ImportError:
        return json.loads
    loads: Callable[[bytes], Any] = orjson.loads
    return loads


def _arrival(header: str | None, elapsed: float) -> int | None:
    """Return the server's clock when the request arrived.

    ``Date`` is set when the answer is sent, so the elapsed time is subtracted: the date is never
    later than the moment at which the server looked at its data.
    """
    try:
        date = int(parsedate_to_datetime(header or "").timestamp())
    except ValueError:
        return None
    return date - math.ceil(elapsed) if elapsed >= 1 else date
