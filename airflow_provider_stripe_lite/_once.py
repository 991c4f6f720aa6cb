"""Make a call once for each run of a task, however often the task is retried or cleared.

What was sent and what came of it is noted in the task's state, which Airflow keeps as long as the
run: https://airflow.apache.org/docs/apache-airflow/stable/ (``task_state_store``). The key goes
with the run, so a run that is deleted and made again is another one. Facts about Stripe's keys:
https://docs.stripe.com/api/idempotent_requests
"""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import TYPE_CHECKING, Any

from airflow_provider_stripe_lite._compat import NEVER_EXPIRE
from airflow_provider_stripe_lite.core import clock
from airflow_provider_stripe_lite.core.calls import call as call_of
from airflow_provider_stripe_lite.core.times import DAY, iso
from airflow_provider_stripe_lite.errors import (
    StripeError,
    StripeIdempotencyError,
    StripeInputError,
    StripeNotFoundError,
)

if TYPE_CHECKING:
    from airflow.sdk import Context
    from structlog.typing import FilteringBoundLogger as Logger

    from airflow_provider_stripe_lite.core.calls import Call
    from airflow_provider_stripe_lite.core.client import StripeClient
    from airflow_provider_stripe_lite.core.transport import Response

__all__ = ["send_once"]

_NOTE = "stripe_calls"
_FIELDS = {"call", "key", "sent", "who", "at", "made", "done"}
_MARGIN = 3_600
_ANOTHER = "To make another one, pass a new idempotency_key."


def send_once(
    client: StripeClient,
    call: Call,
    idempotency_key: str | None,
    context: Context,
    log: Logger,
    again: Call | None = None,
) -> Response:
    """Make a POST or a DELETE that this task of this run has not made, or return what it made.

    :param idempotency_key: a caller's own, which stands for a call of its own; None makes one.
    :param again: what is sent where the call has been made; None reads what it has made.
    :raises StripeInputError: it is too late to find out what became of an earlier try.
    :raises StripeError: Stripe refuses, or nobody knows what became of the call.
    """
    store: Any = context.get("task_state_store")
    if store is None:
        return client.send(call, idempotency_key or _key_of_run(client, call, context))
    note = _Note(store, client, call, idempotency_key, log)
    if not note.is_read:
        return note.send()
    return client.send(again) if again else note.read()


def _key_of_run(client: StripeClient, call: Call, context: Context) -> str:
    """Return a key that is the same for every try of a task where Airflow keeps no state of it."""
    ti = context["ti"]
    what = [client.base_url, ti.dag_id, ti.task_id, ti.run_id, ti.map_index, call.method, call.path]
    return f"airflow-{hashlib.sha256(json.dumps(what).encode()).hexdigest()}"


class _Note:
    """What a task has noted of its calls, and which of them is this one.

    :ivar is_read: whether what the call has made is known, and so is read, not made.
    """

    def __init__(
        self,
        store: Any,
        client: StripeClient,
        call: Call,
        idempotency_key: str | None,
        log: Logger,
    ) -> None:
        self._store, self._client, self._call, self._log = store, client, call, log
        self._own = idempotency_key
        self._sent = hashlib.sha256("&".join(sorted(call.form.split("&"))).encode()).hexdigest()
        self._who, self._what = [client.account, client.livemode], f"{call.method} {call.path}"
        self._notes = _checked(store.get(_NOTE) or [])
        # A caller who takes a key of their own away means the call that was made with it.
        mine = [note for note in self._notes if self._own in (None, note["key"])]
        for note in mine:
            self._refuse_other(note)
        same = [note for note in mine if note["call"] == self._what]
        self._held: dict[str, Any] = same[-1] if same else {}
        self._is_first = not same
        if mine and not same:
            before = mine[-1]["made"] or mine[-1]["call"]
            self._log.warning("This task has made %s before, and now it is another call.", before)
        # The wait for the call limit is still to come, and clocks differ.
        self._is_old = not self._is_first and clock.now() >= self._held["at"] + DAY - _MARGIN
        again = call.is_shown_once and not self._is_old and self._held.get("sent") == self._sent
        self.is_read = self._held.get("made") is not None and not again

    def _refuse_other(self, note: dict[str, Any]) -> None:
        """Refuse what was sent for another account, or of which only another call is known."""
        if any(
            None not in pair and len(set(pair)) > 1
            for pair in zip(note["who"], self._who, strict=False)
        ):
            raise StripeInputError(
                f"This task has sent {note['call']} for account and livemode {note['who']}, and "
                f"now stands for {self._who}: pass a new idempotency_key to make it there, too."
            )
        if note["call"] != self._what and not note["done"]:
            raise StripeInputError(
                f"An earlier try of this task has sent {note['call']}, and its answer was lost; "
                f"this one would send {self._what}: let the path render the same at every try, or "
                "pass a new idempotency_key."
            )

    def read(self) -> Response:
        """Return what the call has made, as it is now."""
        made = self._held["made"]
        if self._held["sent"] != self._sent:
            self._log.warning(
                "The parameters are not those with which this task has made %s: it is read, and "
                "nothing is made. %s",
                *(made, _ANOTHER),
            )
        asked = self._call.parameters.items()
        expand = {name: held for name, held in asked if str(name).partition("[")[0] == "expand"}
        try:
            return self._client.send(call_of("GET", made, expand))
        except StripeNotFoundError as exc:
            same = self._held["sent"] == self._sent
            if same and exc.status == 404 and exc.code != "resource_missing":
                # Stripe has no path to read it, and repeats its answer.
                return self._post()
            raise exc.with_hint(f"This task has made {made} before. {_ANOTHER}") from exc

    def send(self) -> Response:
        """Send the call, which is noted before it is sent, with the key of its first try."""
        before = self._client.unknown
        try:
            response = self._delete() if self._call.method == "DELETE" else self._post()
        except Exception as exc:
            if self._is_settled(exc, unknown=self._client.unknown - before):
                self._forget()
            raise
        made, path = response.body.get("id"), None
        if self._call.method == "POST" and isinstance(made, str):
            path = self._call.path_of(made)
        self._keep(sent=self._sent, made=path, done=True)
        return response

    def _post(self) -> Response:
        if self._is_old:
            raise StripeInputError(
                f"This task has sent {self._what} at {iso(int(self._held['at']))}, and what it "
                "made is not known or cannot be read; Stripe has forgotten its idempotency key "
                "since. Look in Stripe's dashboard whether it was made. To make it (again), pass a "
                "new idempotency_key."
            )
        key = self._held.get("key") or self._begin(self._own or str(uuid.uuid4()))
        # A caller's own key is no other key.
        another = None if self._own else lambda: self._begin(str(uuid.uuid4()))
        try:
            return self._client.send(self._call, key, another_key=another)
        except StripeIdempotencyError as exc:
            if exc.status != 400 or self._is_first:
                raise
            hint = (
                "An earlier try of this task has sent this call with other parameters, and its "
                "answer was lost: let the templates render the same at every try. If it was not "
                "made, or is to be made once more, pass a new idempotency_key."
            )
            raise exc.with_hint(hint) from exc
        except StripeError as exc:
            if not self._has_made(exc):
                raise
            raise exc.with_hint(
                f"{exc.intent} was made all the same: confirm or cancel it. {_ANOTHER}"
            ) from exc

    def _delete(self) -> Response:
        """Send the DELETE; what is gone because an earlier try has sent it is done."""
        if self._is_first:
            self._begin(self._own or "")
        return self._client.send(self._call, sent_before=not self._is_first)

    def _has_made(self, error: Exception) -> bool:
        """Tell whether the call was declined and has made an intent of its own.

        What acts on an object, such as ``/v1/invoices/in_1/pay``, tries an intent that was there.
        """
        made = isinstance(error, StripeError) and error.intent is not None
        # The path of a list, which makes objects, is /v1/ and a name.
        makes_an_object = self._call.path.count("/") == 2
        return made and makes_an_object

    def _is_settled(self, error: Exception, unknown: int) -> bool:
        """Tell whether nothing can have been made, so that the next try is the first one.

        A refusal says so of all requests with its idempotency key and parameters, as Stripe would
        repeat what one of them had made; but not where the API key is refused, which is looked at
        first.

        :param unknown: of how many requests of this try it is not known what became of them.
        """
        if self._has_made(error) or self._held.get("done"):
            return False
        if isinstance(error, StripeError) and error.refused and error.status not in (401, 403):
            return error.replayed or bool(self._held["sent"] == self._sent)
        is_other = isinstance(error, StripeIdempotencyError) and error.status == 400
        return self._is_first and (unknown == 0 or is_other)

    def _begin(self, key: str) -> str:
        """Note what is about to be sent."""
        about = {"call": self._what, "key": key, "sent": self._sent, "who": self._who}
        self._keep(**about, at=int(clock.now()), made=None, done=False)
        return key

    def _keep(self, **values: Any) -> None:
        if not self._held:
            self._notes.append(self._held)
        self._held.update(values)
        self._store.set(_NOTE, self._notes, retention=NEVER_EXPIRE)

    def _forget(self) -> None:
        if not self._held:
            return
        self._notes.remove(self._held)
        try:
            self._store.set(_NOTE, self._notes, retention=NEVER_EXPIRE)
        except Exception:  # noqa: BLE001
            # Stripe's refusal says more, and a note too many is the safe side.
            self._log.exception("Airflow did not keep that nothing was made.")


def _checked(notes: Any) -> list[dict[str, Any]]:
    """Accept what this module has noted before."""
    if isinstance(notes, list) and all(
        isinstance(note, dict) and note.keys() >= _FIELDS for note in notes
    ):
        return notes
    raise StripeInputError(
        f"The state {_NOTE!r} of this task is not what was noted of its calls: look in Stripe's "
        "dashboard what was made, and delete that state to make the call (again)."
    )
