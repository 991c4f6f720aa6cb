"""What kept an answer from coming, or from being one of Stripe's, in one sentence."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from http.client import HTTPException

from airflow_provider_stripe_lite.core.decoding import BodyError, IncompleteError
from airflow_provider_stripe_lite.core.session import CA_VARIABLES, Deadline
from airflow_provider_stripe_lite.errors import StripeConnectionError

__all__ = ["failure", "unusable"]


def failure(
    exc: Exception, url: str, deadline: Deadline, *, incomplete: bool
) -> StripeConnectionError:
    """Return the error for what `requests`, `urllib3` or the system has raised.

    All of it may pass, but a certificate that does not verify and a URL that is none. The error
    does not hold the exception, which carries the prepared request and with it the API key.

    :param url: the base URL, which the sentence names.
    :param deadline: of the call.
    :param incomplete: whether the answer had begun.
    """
    causes = list(_causes(exc))
    final = _final(exc, causes)
    timed_out = not final and deadline.left() <= 0 and _first(causes, TimeoutError) is not None
    if timed_out:
        why = (
            f"its {deadline.seconds:.3g} s are over; check the network, or raise the connection's "
            "timeout"
        )
    else:
        why = final or _passing(causes)
    return StripeConnectionError(
        f"No answer from {url}: {why}.",
        retryable=not final,
        timed_out=timed_out,
        incomplete=incomplete,
    )


def unusable(
    url: str, what: BodyError | str, *, status: int, request_id: str | None
) -> StripeConnectionError:
    """Return the error for an answer that cannot be Stripe's, or did not come whole.

    :param what: follows "a body" in the sentence.
    """
    # A body that was cut off may arrive whole the next time, and a POST carries its key.
    return StripeConnectionError(
        f"{url} answered {status} with a body {what}: if this stays, something between here and "
        "Stripe (a proxy?) answers in its place.",
        status=status,
        request_id=request_id,
        retryable=True,
        incomplete=isinstance(what, IncompleteError),
    )


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """Return an exception and those that it was made from.

    The context is none of them: there an exception may stand that the caller is handling.
    """
    yield exc
    for inner in (exc.__cause__, getattr(exc, "reason", None), *exc.args):
        if isinstance(inner, BaseException):
            yield from _causes(inner)


def _first(causes: list[BaseException], *kinds: type[BaseException]) -> BaseException | None:
    return next((cause for cause in causes if isinstance(cause, kinds)), None)


def _final(exc: Exception, causes: list[BaseException]) -> str | None:
    """Say what another try cannot mend."""
    from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema
    from urllib3.util.ssl_match_hostname import CertificateError

    if refused := _first(causes, ssl.SSLCertVerificationError, CertificateError):
        why = getattr(refused, "verify_message", None) or refused
        return (
            f"its certificate does not verify ({why}); check the API base URL, and where a proxy "
            f"signs with a CA of its own, name the CA's file in REQUESTS_CA_BUNDLE{_named()}"
        )
    if isinstance(exc, InvalidURL | InvalidSchema | MissingSchema):
        return "its address, or that of the proxy, is none; check the API base URL"
    return None


def _passing(causes: list[BaseException]) -> str:
    """Say what may be gone at the next try."""
    from requests.exceptions import ProxyError

    if _first(causes, ProxyError):
        return f"the proxy does not connect ({_name(causes)}); check HTTPS_PROXY and the proxy"
    if _first(causes, socket.gaierror):
        return "its name cannot be resolved; check the API base URL and this machine's DNS"
    if _first(causes, ConnectionRefusedError):
        return "it refuses the connection; check the API base URL"
    if _first(causes, TimeoutError):
        return "it could not be connected to in time; check the network and its firewalls"
    if _first(causes, ssl.SSLError):
        return f"TLS broke off ({_name(causes)}); check the network and the API base URL"
    if _first(causes, ConnectionError, HTTPException):
        return f"the connection broke off ({_name(causes)}); check the network"
    if type(causes[-1]) is OSError:
        # So `requests` says that a file of certificates is not there.
        return f"{causes[-1]}; check REQUESTS_CA_BUNDLE{_named()}"
    return f"{_name(causes)}; check the network and the API base URL"


def _named() -> str:
    """Return which file of certificates counts now."""
    found = ((name, os.environ.get(name)) for name in CA_VARIABLES)
    return next((f" ({name} names {file} now)" for name, file in found if file), "")


def _name(causes: list[BaseException]) -> str:
    """Return what the innermost cause is called, and what OpenSSL or the proxy calls it."""
    cause = causes[-1]
    reason = getattr(cause, "reason", None) if isinstance(cause, ssl.SSLError) else None
    return reason if isinstance(reason, str) else type(cause).__name__
