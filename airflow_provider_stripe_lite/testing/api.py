"""How Stripe answers a request: who may ask, whether it was asked before, which call it is."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from airflow_provider_stripe_lite.testing.calls import Caller, Reply, Request, mask, secret
from airflow_provider_stripe_lite.testing.errors import ApiError
from airflow_provider_stripe_lite.testing.faults import Fault
from airflow_provider_stripe_lite.testing.idempotency import Keys, Saved
from airflow_provider_stripe_lite.testing.shapes import SERVED, SHAPES
from airflow_provider_stripe_lite.testing.verbs import Verbs

__all__ = ["DEFAULT_VERSION", "Api", "Verb"]

# On purpose another version than the provider's, so that a forgotten header is seen.
DEFAULT_VERSION = "2026-05-27.dahlia"

Verb = Callable[[str, str, Request, Caller], Any]
_KINDS = {resource.path: kind for kind, resource in SERVED.items()}


class Api(Verbs):
    """Stripe, as far as this provider needs it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.default_version = DEFAULT_VERSION
        self.accepted_keys: set[str] | None = None
        self.missing_permissions: dict[str, list[str]] = {}
        self.calls: list[Request] = []
        self.faults: list[Fault] = []
        self._keys = Keys()
        self._stopping = threading.Event()

    def respond(
        self, method: str, target: str, headers: dict[str, str], body: bytes, peer: int
    ) -> Reply:
        """Answer one request, numbered and dated, or let it fail as scripted."""
        url = urlsplit(target)
        query, form = (parse_qsl(text, True) for text in (url.query, body.decode()))
        shown = {name: value for name, value in headers.items() if name != "authorization"}
        key = secret(headers)
        with self._lock:
            number = "req_" + self._letters(14)
            request = Request(
                self.now, method, url.path, query, form, shown, mask(key), peer, number
            )
            self.calls.append(request)
            fault = next((fault for fault in self.faults if fault.strikes(request)), Fault())
        if fault.reset:
            return Reply(0, {}, b"", reset=True)
        reply = self._answer(request, key, fault)
        if not fault.drop:
            request.status = reply.status
        return reply._replace(drop=fault.drop, truncate=fault.truncate)

    def _answer(self, request: Request, key: str, fault: Fault) -> Reply:
        headers = request.headers
        account = headers.get("stripe-account") or headers.get("stripe-context", "")
        version = headers.get("stripe-version", self.default_version)
        caller = Caller(key, key.split("_")[1:2] == ["live"], account, version)
        try:
            if fault.redirect:
                reply = Reply(302, {"Location": fault.redirect}, b"")
            elif fault.refuses:
                self._stopping.wait(fault.delay)
                reply = fault.reply()
            else:
                self._check(caller)
                reply = self._once(request, caller, fault)
        except ApiError as error:
            reply = self._refusal(error, request, caller)
        date = formatdate(self.now + fault.clock, usegmt=True)
        head = {"Date": date, "Content-Type": "application/json"}
        head |= {"Request-Id": request.request_id, "Stripe-Version": version}
        return reply._replace(headers=head | reply.headers | fault.headers)

    def _refusal(self, error: ApiError, request: Request, caller: Caller) -> Reply:
        body = error.body(request.request_id, caller.livemode, self.now)
        return Reply(error.status, error.headers, json.dumps(body).encode())

    def _check(self, caller: Caller) -> None:
        """Refuse a bad key or version."""
        if not caller.key:
            raise ApiError(401, "You did not provide an API key.")
        if caller.key.startswith("pk_"):
            cannot = "This API call cannot be made with a publishable API key."
            raise ApiError(401, f"{cannot} Please use a secret API key.", "secret_key_required")
        good = re.fullmatch(r"(sk|rk|rkcs)_\w{8,}", caller.key)
        if not good or (self.accepted_keys is not None and caller.key not in self.accepted_keys):
            raise ApiError(401, f"Invalid API Key provided: {mask(caller.key)}")
        if not re.fullmatch(r"\d{4}-\d\d-\d\d(\.[a-z]+)?", caller.version):
            raise ApiError(400, f"Invalid Stripe API version: {caller.version}")

    def _once(self, request: Request, caller: Caller, fault: Fault) -> Reply:
        """Execute, or replay what the idempotency key keeps."""
        key = request.headers.get("idempotency-key", "")
        if request.method != "POST" or not key:
            return self._execute(request, caller, fault)
        slot = (caller.livemode, caller.account, key)
        new = Saved(self.now, request.path, sorted(request.form), request.request_id)
        if replayed := self._keys.begin(slot, new):
            return replayed
        try:
            reply, kept = self._execute(request, caller, fault), True
        except ApiError as error:
            reply, kept = self._refusal(error, request, caller), error.began
        except BaseException:
            self._keys.end(slot, None)
            raise
        reply = reply._replace(headers={"Idempotency-Key": key} | reply.headers)
        self._keys.end(slot, reply if kept else None)
        return reply

    def _execute(self, request: Request, caller: Caller, fault: Fault) -> Reply:
        self._stopping.wait(fault.delay)
        if fault.hook:
            fault.hook(request)
        if fault.status:
            return fault.reply()
        with self._lock:
            body = self._route(request, caller)
        return Reply(200, {}, (body if isinstance(body, str) else json.dumps(body)).encode())

    def _route(self, request: Request, caller: Caller) -> Any:
        """Find the kind and the verb."""
        single = {"/v1/balance": _balance, "/v1/account": _account}.get(request.path)
        if single and request.method == "GET":
            self._permit(caller, request.path.replace("/v1/", "rak_") + "_read")
            return single(caller)
        if request.method == "GET" and self._gives(request.path, caller):
            return self._list(request.path, "", request, caller)
        parent, _, last = request.path.rpartition("/")
        whole = _KINDS.get(request.path)
        kind, id = (whole, "") if whole else (_KINDS.get(parent, ""), unquote(last))
        verb = self._verb(request.method, kind, bool(id)) if whole or (kind and id) else None
        if verb is None or not self._has(caller.version, kind):
            where = f"({request.method}: {request.path})"
            cure = (
                "Please see https://stripe.com/docs or we can help at https://support.stripe.com/."
            )
            raise ApiError(404, f"Unrecognized request URL {where}. {cure}")
        stem = SHAPES[kind].permission or "rak_" + kind.replace(".", "_")
        self._permit(caller, stem + ("_read" if request.method == "GET" else "_write"))
        return verb(kind, id, request, caller)

    def _has(self, version: str, kind: str) -> bool:
        first, last = SHAPES[kind].versions
        return first <= version[:10] <= last

    def _verb(self, method: str, kind: str, one: bool) -> Verb | None:
        if method == "GET":
            return self._read if one else self._list
        if method == "POST" and SHAPES[kind].params:
            return self._update if one else self._create
        return self._remove if method == "DELETE" and one and SHAPES[kind].deletable else None

    def _permit(self, caller: Caller, permission: str) -> None:
        if permission in self.missing_permissions.get(caller.key, ()):
            account = caller.account or "acct_123"
            where = f"the required permissions for this endpoint on account '{account}'"
            cure = f"Having the '{permission}' permission would allow this request to continue."
            message = f"The provided key '{mask(caller.key)}' does not have {where}. {cure}"
            raise ApiError(403, message)


def _balance(caller: Caller) -> dict[str, Any]:
    money = [{"amount": 0, "currency": "usd", "source_types": {"card": 0}}]
    return {"object": "balance", "available": money, "livemode": caller.livemode, "pending": money}


def _account(caller: Caller) -> dict[str, Any]:
    return {"id": caller.account or "acct_123", "object": "account", "country": "US"}
