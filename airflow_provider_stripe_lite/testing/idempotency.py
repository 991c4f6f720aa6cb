"""What idempotency keys keep: the first answer, for a day."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from airflow_provider_stripe_lite.testing.calls import Reply
from airflow_provider_stripe_lite.testing.errors import ApiError, usual
from airflow_provider_stripe_lite.testing.shapes import DAY

__all__ = ["Keys", "Saved", "Slot"]

Slot = tuple[bool, str, str]


@dataclass
class Saved:
    """The first request with a key.

    :param at: when it came.
    :param reply: its answer; None while it is still being executed.
    """

    at: float
    path: str
    form: list[tuple[str, str]]
    request_id: str
    reply: Reply | None = None

    def replay(self, again: Saved, key: str) -> Reply:
        """Return the saved answer.

        :raises ApiError: the key was used for another request, or its first one is not over.
        """
        ends = f"('{again.path}' vs '{self.path}')"
        for same, how in (
            (again.path == self.path, f"for the same endpoint they were first used for {ends}"),
            (again.form == self.form, "with the same parameters they were first used with"),
        ):
            if not same:
                only = f"Keys for idempotent requests can only be used {how}."
                other = f"Try using a key other than '{key}'"
                cure = f"{other} if you meant to execute a different request."
                raise ApiError(400, f"{only} {cure}", type="idempotency_error")
        if self.reply is None:
            raise usual(409)
        marks = {"Idempotent-Replayed": "true", "Original-Request": self.request_id}
        stop = {"Stripe-Should-Retry": "false"} if self.reply.status >= 500 else {}
        return self.reply._replace(headers=self.reply.headers | marks | stop)


class Keys:
    """The keys of all accounts; a slot is mode, account and key."""

    def __init__(self) -> None:
        self._saved: dict[Slot, Saved] = {}
        self._lock = threading.Lock()

    def begin(self, slot: Slot, new: Saved) -> Reply | None:
        """Return the saved answer; None where the request is the first one and may be executed."""
        with self._lock:
            old = self._saved.get(slot)
            if old and old.at + DAY > new.at:
                return old.replay(new, slot[2])
            self._saved[slot] = new
        return None

    def end(self, slot: Slot, reply: Reply | None) -> None:
        """Keep the answer, or (None) let the key be as if it had never been used."""
        with self._lock:
            if reply is None:
                del self._saved[slot]
            else:
                self._saved[slot].reply = reply
