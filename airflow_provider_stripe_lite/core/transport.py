"""Exchange one request and its answer with Stripe, by `requests`."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial
from http.client import HTTPException
from typing import Any

from airflow_provider_stripe_lite.core import clock
from airflow_provider_stripe_lite.core.answers import from_response
from airflow_provider_stripe_lite.core.decoding import BodyError, IncompleteError, decode, unpack
from airflow_provider_stripe_lite.core.failures import failure, unusable
from airflow_provider_stripe_lite.core.keys import ApiKey
from airflow_provider_stripe_lite.core.session import Deadline, bounded_session
from airflow_provider_stripe_lite.errors import StripeConnectionError

__all__ = ["Response", "Transport"]

_CONNECT_SECONDS = 10.0


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
    :ivar asked: epoch second of this host's clock just before the request was sent.
    :ivar inner_lists: whether objects of the body may hold lists of Stripe.
    """

    body: dict[str, Any]
    date: int | None
    request_id: str | None
    replayed: bool = False
    tries: int = 1
    asked: int = 0
    inner_lists: bool = False


class Transport:
    """Send requests to one host with one key.

    :param key: goes into the Authorization header alone; an error that repeats it does not show it.
    :param base_url: where Stripe is.
    :param api_version: sent as ``Stripe-Version``.
    :param stripe_account: sent as ``Stripe-Account``.
    :param stripe_context: sent as ``Stripe-Context``.
    """

    def __init__(
        self,
        key: ApiKey,
        *,
        base_url: str,
        api_version: str,
        stripe_account: str | None,
        stripe_context: str | None,
    ) -> None:
        self._base_url, self._key = base_url, key
        sent = {
            "Stripe-Version": api_version,
            "Stripe-Account": stripe_account,
            "Stripe-Context": stripe_context,
        }
        self._session = bounded_session(key, {name: value for name, value in sent.items() if value})
        # The key goes to this machine itself in clear, so no proxy of the environment may see it.
        self._session.trust_env = not base_url.startswith("http://")

    def send(
        self, method: str, path: str, form: str, headers: dict[str, str], deadline: Deadline
    ) -> Response:
        """Send one request and return what was answered until the deadline.

        :raises StripeError: what the answer stands for, or that there is no usable one.
        """
        started, asked = time.monotonic(), int(clock.now())
        status, answered, content = self._exchange(method, path, form, headers, deadline)
        elapsed = time.monotonic() - started
        if not 200 <= status < 300 or b'"error"' in content:
            # Whatever answers may repeat the key.
            content = content.replace(self._key.value.encode(), self._key.masked.encode())
        try:
            body = decode(content)
        except BodyError as exc:
            if isinstance(exc, IncompleteError) and 200 <= status < 300:
                raise self._unusable(exc, status, answered) from None
            body = None
        is_object = isinstance(body, dict)
        # Some objects of Stripe have a field `error`, but an error has no field `object`.
        if not 200 <= status < 300 or (is_object and "error" in body and "object" not in body):
            raise from_response(status, answered, body, reads=method == "GET")
        if not is_object:
            raise self._unusable("that is not a JSON object", status, answered)
        return Response(
            body,
            _arrival(answered.get("Date"), elapsed),
            answered.get("Request-Id"),
            replayed=answered.get("Idempotent-Replayed") == "true",
            asked=asked,
            # An inner list has a bracket of its own, and a byte is found faster than a word.
            inner_lists=content.find(b"[") < content.rfind(b"[")
            and content.count(b'"has_more"') > 1,
        )

    def _exchange(
        self, method: str, path: str, form: str, headers: dict[str, str], deadline: Deadline
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and body of the answer."""
        from urllib3.exceptions import HTTPError
        from urllib3.util import Timeout

        url = f"{self._base_url}{path}"
        if method != "POST":
            request: dict[str, Any] = {"url": f"{url}?{form}" if form else url}
        else:
            headers = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
            request = {"url": url, "data": form}
        left = max(deadline.left(), 0.001)
        # The types that requests declares leave this one out.
        timeout: Any = Timeout(total=left, connect=min(left, _CONNECT_SECONDS))
        status = 0
        answered: Mapping[str, str] = {}
        try:
            with self._session.request(
                method,
                **request,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                status, answered = response.status_code, response.headers
                if status < 200:
                    # The true answer may follow: nobody may take it for that to another request.
                    raise BodyError("that is still to come")
                if 300 <= status < 400:
                    # What a redirect says is said without its body, which may be of no use.
                    return status, answered, b""
                read = partial(response.raw.read, decode_content=False)
                return status, answered, unpack(read, answered.get("Content-Encoding"))
        except BodyError as exc:
            error = self._unusable(exc, status, answered)
        except (HTTPError, HTTPException, OSError, ValueError) as exc:
            error = failure(exc, self._base_url, deadline, incomplete=status > 0)
        # The error is raised outside `except` on purpose: as its context, the exception of
        # requests would carry the prepared request and with it the API key.
        raise error

    def _unusable(
        self, what: BodyError | str, status: int, answered: Mapping[str, str]
    ) -> StripeConnectionError:
        request_id = answered.get("Request-Id")
        return unusable(self._base_url, what, status=status, request_id=request_id)


def _arrival(header: str | None, elapsed: float) -> int | None:
    """Return the server's clock when the request arrived.

    ``Date`` is set when the answer is sent, so the elapsed time is subtracted: the date is never
    later than the moment at which the server looked at its data.
    """
    try:
        date = parsedate_to_datetime(header or "")
        # Without a zone it is in UTC, as every time of HTTP is.
        second = int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None
    return second - math.ceil(elapsed) if elapsed >= 1 else second
