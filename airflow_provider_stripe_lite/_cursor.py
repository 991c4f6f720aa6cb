"""The ledger: what a sensor remembers, so that runs which overlap get each object exactly once.

One document for each stream, in an Airflow Variable, holds the position and the newest claims. A
claim is a run's own window: a run that comes again, for whatever reason, finds it there and gets
the same objects. A window whose run neither runs nor has succeeded is free, and the next run takes
it. All of this happens in one write. Airflow has no compare-and-swap, so the document is read again
just before that write, and once more when no other write can still be under way.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_stripe_lite.core import clock
from airflow_provider_stripe_lite.core.document import Claim, Document, now
from airflow_provider_stripe_lite.core.times import first_second
from airflow_provider_stripe_lite.core.window import Position, Source, Window, refuse_foreign
from airflow_provider_stripe_lite.errors import StripeCursorError, StripeInputError

if TYPE_CHECKING:
    from airflow_provider_stripe_lite._runs import Runs
    from airflow_provider_stripe_lite.core.batches import Batch

__all__ = ["Ledger", "Outcome"]

# From its second read to its write a process needs a small part of this: see docs/guarantees.md.
FENCE_SECONDS = 10.0
# What is the same in so many rounds does not change any more.
_ROUNDS = 3


class Outcome(NamedTuple):
    """What one poll gives a sensor.

    :ivar window: the window of this run, or None where nothing is new.
    :ivar batch: what the look returned, or None where none was needed.
    :ivar cursor: what the run pushes as its XCom ``cursor``.
    """

    window: Window | None
    batch: Batch | None
    cursor: dict[str, Any]


class Ledger:
    """The cursor of one stream, as one process of a sensor uses it.

    :param runs: what the ledger asks of Airflow.
    :param first: returns where the first run begins.
    """

    def __init__(self, runs: Runs, first: Callable[[], Position]) -> None:
        self._runs, self._first = runs, first
        self._me = {"run_id": runs.run_id, "run_after": runs.run_after, "map_index": runs.map_index}
        self._stood: Claim | None = None
        self._unread = self._unchanged = 0

    def claim(self, source: Source, look: Callable[[Position, str], Batch]) -> Outcome:
        """Give this run its window: its own of before, a free one, or what is new.

        :param source: what the sensor and its connection stand for.
        :param look: reads what is new since a position, which it returns where nothing is; the
            sentence beside it says what to do about a position that is refused.
        :raises StripeInputError: the cursor is another's, or no cursor, or has forgotten this run.
        :raises StripeCursorError: the cursor cannot be read or written now, or Airflow wants this
            try no more.
        """
        while (outcome := self._round(source, look)) is None:
            pass
        if outcome.window is not None:
            # A try that was given up while it waited may lose its window to another run.
            self._refuse_ended()
        return outcome

    def _round(self, source: Source, look: Callable[[Position, str], Batch]) -> Outcome | None:
        """Go through the steps once; None where they begin anew."""
        known = self._runs.read()
        document = self._begun(source) if known is None else self._parsed(known, source)
        if document is None:
            return None
        if "nonce" not in document:
            self._put(known, document, wait=True)
            return None
        mine = next((one for one in document["claims"] if _owner(one) == _owner(self._me)), None)
        if mine is not None:
            if mine != self._stood:
                # Who is about to write may not know of this claim: then it is gone after one wait.
                self._stood = mine
                self._runs.sleep(FENCE_SECONDS)
                return None
            return self._outcome(document, source, mine["window"])
        self._stood, batch = None, None
        self._refuse_forgotten(document)
        free, settled = self._judged(document)
        if free:
            # No request to Stripe stands between the states and the write, so what is new is left
            # for the next run.
            taken, judged = min(free, key=self._order)
            # The XComs of many claims may have been asked for meanwhile: its run may be back.
            runs, owner = self._runs, _owner(taken)
            state = runs.states([owner]).get(owner)
            if state != judged or (
                state == "success" and self._is_delivered(taken, runs.pushed(*owner))
            ):
                return None
            document["claims"].remove(taken)
            window = taken["window"]
        else:
            start, settled = document.position, settled or document.is_overdue
            # The cursor holds the position that cannot be read on from.
            batch = look(start, self.remedy)
            window = document.note(source, batch)
            if window["count"] == 0:
                # Where the last object was deleted, another one may have taken its place.
                settled = settled or batch.position != start
                if settled and not self._put(known, document, wait=False):
                    return None
                return self._outcome(document, source, None, batch)
        document.append({**self._me, "window": window, "done": False})
        stays = self._put(known, document, wait=True)
        return self._outcome(document, source, window, batch) if stays else None

    def _put(self, known: str | None, document: Document, *, wait: bool) -> bool:
        """Write the document in the place of ``known``, and tell whether it stays there."""
        runs = self._runs
        self._refuse_ended()
        # A document that "is not found" may be there: see `_begun`.
        if runs.read() != known or (known is None and not runs.is_absent()):
            return False
        document |= {"rev": document["rev"] + 1, "nonce": uuid.uuid4().hex}
        text = json.dumps(document)
        runs.write(text)
        if not wait:
            return True
        runs.sleep(FENCE_SECONDS)
        found = runs.read()
        self._unchanged = self._unchanged + 1 if found == known else 0
        if self._unchanged == _ROUNDS:
            raise StripeInputError(
                f"The Variable {runs.key} does not change when it is written: {self._shadow}"
            )
        return found == text

    def _refuse_ended(self) -> None:
        if not self._runs.is_running():
            raise StripeCursorError(
                "Airflow has ended, marked or cleared this task while it ran, so it gets nothing."
            )

    def _outcome(
        self, document: Document, source: Source, claimed: Claim | None, batch: Batch | None = None
    ) -> Outcome:
        window, cursor = document.outcome(self._runs.key, source.stripe_conn_id, claimed)
        return Outcome(window, batch, cursor)

    def _judged(self, document: Document) -> tuple[list[tuple[Claim, str | None]], bool]:
        """Return the free claims with their tasks' states, and whether another one is done now."""
        runs, settled, free = self._runs, False, list[tuple[Claim, str | None]]()
        claims = [claim for claim in document["claims"] if not claim["done"]]
        if not claims:
            return [], False
        states = runs.states([_owner(claim) for claim in claims])
        good = [claim for claim in claims if states.get(_owner(claim)) == "success"]
        # Where a mapped list has changed, a task may have delivered another window than this. Asked
        # for behind the states, the XCom of a task that has succeeded is its last one.
        pushed = {_owner(c): runs.pushed(*_owner(c)) for c in good} if runs.is_mapped else {}
        # One that has none may have been cleared and started again since, which takes it away.
        if none := [owner for owner, cursor in pushed.items() if cursor is None]:
            states |= runs.states(none)
        for claim in claims:
            state, cursor = states.get(_owner(claim)), pushed.get(_owner(claim))
            if state == "success" and self._is_delivered(claim, cursor):
                claim["done"] = settled = True
            elif state not in ("running", "restarting"):
                free.append((claim, state))
        return free, settled

    def _is_delivered(self, claim: Claim, cursor: Any) -> bool:
        """Tell whether a task that has succeeded, and pushed this, has delivered this window."""
        mine = self._runs.key, claim["window"]
        return not cursor or mine == (cursor.get("stream"), cursor.get("window"))

    def _order(self, free: tuple[Claim, str | None]) -> tuple[bool, str]:
        """Put a window of this run, under another map index, before the oldest one."""
        claim, _ = free
        return claim["run_id"] != self._me["run_id"], claim["window"]["created_gte"]

    def _refuse_forgotten(self, document: Document) -> None:
        runs, trimmed = self._runs, document.get("trimmed")
        if runs.is_cleared and trimmed and runs.run_after <= trimmed:
            raise StripeInputError(
                f"The cursor of {runs.task} no longer knows what this run returned, so a cleared "
                "run gets nothing: what it returned counts as delivered. For what is new, trigger "
                "another run."
            )

    def _begun(self, source: Source) -> Document | None:
        """Return the document to begin with, or None where the Variable is there after all."""
        runs = self._runs
        # Airflow answers "not found", too, where its own database stumbles.
        if not runs.is_absent():
            self._unread += 1
            if self._unread < _ROUNDS:
                return None
            raise StripeCursorError(
                f"The Variable {runs.key} is there, and Airflow cannot read it: its database is "
                "busy, or its Fernet key has changed. Nothing was delivered."
            )
        # A mapped task has as many streams as connections and accounts.
        cursors = [
            self._checked(value, source, f"The XCom cursor of {runs.task}")
            for value in runs.cursors()
            if not (runs.is_mapped and isinstance(value, dict))
            or value.get("stream", runs.key) == runs.key
        ]
        if cursors:
            newest = max(cursors, key=lambda cursor: int(cursor["rev"]))
            return Document.resumed(runs.task, newest)
        if not runs.is_mapped and runs.has_succeeded():
            if not runs.is_absent():
                # It was the first run, which has come to its end meanwhile.
                return None
            raise StripeInputError(
                f"{runs.task} has succeeded before (perhaps as another operator, or marked so), "
                f"and neither the Variable {runs.key} nor an XCom says where it stands; nothing "
                f"was delivered. {self.remedy}"
            )
        return Document.begun(runs.task, source, self._first(), None)

    def _parsed(self, text: str, source: Source) -> Document:
        """Return what the Variable holds; a document without a nonce is a person's."""
        self._unread = 0
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        if isinstance(value, dict) and value.keys() == {"start_from"}:
            start = first_second(value["start_from"], datetime.fromtimestamp(clock.now(), UTC))
            return Document.begun(self._runs.task, source, Position(start), now())
        document = self._checked(value, source, f"The Variable {self._runs.key}")
        for name, mine in (("task", self._runs.task), ("stream", self._runs.key)):
            theirs = document.get(name, mine)
            if theirs != mine and (name == "task" or self._runs.is_mapped):
                raise StripeInputError(
                    f"The Variable {self._runs.key} holds the cursor of {theirs}, not of {mine}: "
                    "give each sensor a cursor_variable of its own. Where the task has got another "
                    f'name, write it into the "{name}" of the Variable: the next run returns the '
                    "last window once more."
                )
        return document if "nonce" in document else Document.resumed(self._runs.task, document)

    def _checked(self, value: Any, source: Source, what: str) -> Document:
        """Refuse what this task cannot go on from."""
        document = Document(value if isinstance(value, dict) else ())
        if not document.is_whole:
            masked = ": somebody saved the *** that Airflow shows" if value == "***" else ""
            raise StripeInputError(
                f"{what} holds no cursor of this version{masked}; nothing was delivered. "
                f"{self.remedy} If that changes nothing, {self._shadow}"
            )
        theirs = _asked(document["feed"], document["types"])
        mine = _asked(source.feed, source.types)
        if self._runs.is_mapped and theirs != mine:
            raise StripeInputError(
                f"{what} is that of {theirs}, and this task reads {mine}; nothing was delivered. "
                "In a mapped sensor, give each feed and each list of types a cursor_variable of "
                "its own, by expand_kwargs. Where the types of all have changed, write them into "
                'the "types" of each Variable.'
            )
        made_for: Any = {**document, "stripe_account": document["account"]}
        refuse_foreign(made_for, source, "cursor", self.remedy)
        return document

    @property
    def remedy(self) -> str:
        """What a person can do about a cursor that cannot be used."""
        return (
            f'To begin at a time of your own, write {{"start_from": "2026-01-31T00:00:00Z"}} into '
            f"the Variable {self._runs.key} and trigger a new run."
        )

    @property
    def _shadow(self) -> str:
        return (
            f"an environment variable AIRFLOW_VAR_{self._runs.key.upper()} or a secrets backend "
            "hides it. Remove it there."
        )


def _asked(feed: str, types: list[str] | None) -> str:
    return feed if types is None else f"{feed} of {', '.join(sorted(types))}"


def _owner(claim: Claim) -> tuple[str, int]:
    return claim["run_id"], claim["map_index"]
