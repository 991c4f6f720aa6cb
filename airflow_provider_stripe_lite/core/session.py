"""Make the session of `requests` that keeps to one host, one key and the deadline of a call."""

from __future__ import annotations

import io
import os
import socket
import time
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

from airflow_provider_stripe_lite import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests
    from urllib3.connection import HTTPConnection

    from airflow_provider_stripe_lite.core.keys import ApiKey

__all__ = ["CA_VARIABLES", "Deadline", "bounded_session"]

_BUFFER = 65_536
# The first one that is set counts; requests itself reads two of them.
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


class Deadline:
    """When something that begins now must have ended.

    :param seconds: how long it may take.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds, self._ends = seconds, time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds until then; none or fewer once it has passed."""
        return self._ends - time.monotonic()

    def bound(self, sock: socket.socket) -> None:
        """Let the socket wait no longer than until then.

        :raises TimeoutError: it has passed.
        """
        if (left := self.left()) <= 0:
            raise TimeoutError("timed out")
        sock.settimeout(left)


class _BoundedReader(io.RawIOBase):
    """Read from a socket until a deadline, however little comes at a time."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: Deadline) -> None:
        self._raw, self._sock, self._deadline = raw, sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._deadline.bound(self._sock)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedResponse(HTTPResponse):
    """Take the socket's timeout for the whole answer, status line to body, and not for each read.

    The answer of a proxy to CONNECT is one, too.
    """

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        deadline = Deadline(sock.gettimeout() or 0)
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_BoundedReader(raw, sock, deadline), _BUFFER)


def bounded_session(key: ApiKey, headers: Mapping[str, str]) -> requests.Session:
    """Return a session that sends the key to the host of the request and nowhere else.

    The timeout of a request holds for its whole answer.

    :param key: goes into the Authorization header alone.
    :param headers: sent with each request, beside those that are always the same.
    """
    # Imported here, so that parsing a DAG file does not pay for an HTTP library.
    import requests
    from requests.adapters import HTTPAdapter
    from requests.auth import AuthBase

    # A bare header would lose to an entry in ~/.netrc.
    class Bearer(AuthBase):
        def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["Authorization"] = f"Bearer {key.value}"
            return request

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, **kwargs)
            _bound(self.poolmanager, _new_conn=_connect)

        def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
            known = proxy in self.proxy_manager
            manager = super().proxy_manager_for(proxy, **kwargs)
            # SOCKS connects in a way of its own.
            methods = {} if proxy.lower().startswith("socks") else {"_new_conn": _connect}
            return manager if known else _bound(manager, **methods)

    class Session(requests.Session):
        def get_redirect_target(self, resp: requests.Response) -> None:
            # Else `requests` reads the whole body of a redirect, which is not followed.
            return None

    session = Session()
    session.auth = Bearer()
    if not any(map(os.environ.get, CA_VARIABLES[:2])):
        session.verify = os.environ.get(CA_VARIABLES[2]) or True
    for scheme in ("http://", "https://"):
        session.mount(scheme, Adapter())
    agent = f"airflow-provider-stripe-lite/{__version__} python-requests/{requests.__version__}"
    session.headers.update(
        {**headers, "User-Agent": agent, "Accept": "application/json", "Accept-Encoding": "gzip"}
    )
    return session


def _bound(manager: Any, **methods: Any) -> Any:
    """Let the connections of a pool manager take their timeout for a whole answer.

    :param methods: what else is done in another way than urllib3's.
    """
    pools = {}
    for scheme, pool in manager.pool_classes_by_scheme.items():
        kind = pool.ConnectionCls
        bounded = type(kind.__name__, (kind,), {"response_class": _BoundedResponse, **methods})
        pools[scheme] = type(pool.__name__, (pool,), {"ConnectionCls": bounded})
    manager.pool_classes_by_scheme = pools
    return manager


def _connect(connection: HTTPConnection) -> socket.socket:
    """Connect to one of a host's addresses, in the time that urllib3 would give to each of them.

    Nothing can hurry the system's resolver, but its time counts.
    """
    from urllib3.util.connection import create_connection

    deadline = Deadline(connection.timeout or 0)
    found = socket.getaddrinfo(connection.host, connection.port, type=socket.SOCK_STREAM)
    failed: OSError = socket.gaierror(socket.EAI_NONAME, "no address")
    for untried, (_, _, _, _, address) in zip(range(len(found), 0, -1), found, strict=True):
        # An address that does not answer leaves time for the next one.
        share = max(deadline.left() / untried, 0.001)
        try:
            sock = create_connection(
                (str(address[0]), int(address[1])), share, socket_options=connection.socket_options
            )
        except OSError as exc:
            failed = exc
        else:
            sock.settimeout(max(deadline.left(), 0.001))
            return sock
    raise failed
