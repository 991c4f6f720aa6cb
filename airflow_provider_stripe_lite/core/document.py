"""The document of a cursor: its shape, and what a poll changes in it."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_stripe_lite.core import clock
from airflow_provider_stripe_lite.core.times import DAY, iso, second_of
from airflow_provider_stripe_lite.core.window import (
    Position,
    Source,
    Window,
    end_of,
    start_of,
    stretch,
)

if TYPE_CHECKING:
    from airflow_provider_stripe_lite.core.batches import Batch

__all__ = ["MOST_CLAIMS", "Claim", "Document", "now"]

# The newest claims stay in the document; 200 of them are about 37 KB.
MOST_CLAIMS = 200
# These keys of a window stand in its claim; the others are the same in the whole document.
_OF_CLAIM = ("types", "created_gte", "created_lt", "after", "last", "count")
# These keys are pushed, so that a run can go on from an XCom where the Variable is gone.
_PUSHED = (
    *("v", "rev", "feed", "types", "account", "livemode", "stripe_context"),
    *("position", "looked", "claims", "backlog_seconds"),
)
_CLAIM = {"run_id", "run_after", "map_index", "window", "done"}

Claim = dict[str, Any]


class Document(dict[str, Any]):
    """What the Variable holds, as JSON: where the stream stands, and the newest claims."""

    @classmethod
    def begun(cls, task: str, source: Source, start: Position, trimmed: str | None) -> Document:
        """Return a document without claims; account and mode are for Stripe to accept first."""
        document = cls(dict.fromkeys(_PUSHED), task=task, trimmed=trimmed)
        # It counts from the time on, so that of two documents the later one has the higher number.
        document |= {"v": 2, "rev": int(clock.now()), "feed": source.feed, "claims": []}
        document.move(source, start)
        return document

    @classmethod
    def resumed(cls, task: str, cursor: Document) -> Document:
        """Return the document that goes on from what a run has pushed."""
        return cls({name: cursor.get(name) for name in _PUSHED}, task=task, trimmed=now())

    @property
    def is_whole(self) -> bool:
        """Whether it can be gone on from."""
        try:
            shape = {"rev": int, "feed": str, "claims": list}
            known = self["v"] == 2 and self.keys() >= {*_PUSHED[:-1]} and self.position is not None
            known &= all(isinstance(self[name], kind) for name, kind in shape.items())
            return known and all(_is_claim(claim) for claim in self["claims"])
        except (AttributeError, KeyError, TypeError, ValueError):
            return False

    @cached_property
    def position(self) -> Position:
        """What has been delivered."""
        start, looked = start_of(self["position"]), self["looked"]
        return start if looked is None else replace(start, looked=second_of("looked", looked))

    @property
    def is_overdue(self) -> bool:
        """Whether the time of the last look is worth a write."""
        looked = self.position.looked
        return looked is None or clock.now() - looked > DAY

    def note(self, source: Source, batch: Batch) -> Claim:
        """Note what a look has found, and return its window as claims have it.

        Stripe has accepted the key by then, so that account and mode are those of the stream.
        """
        start, end = self.position, batch.position
        self.move(source, end)
        for name, value in (
            ("account", source.stripe_account),
            ("livemode", source.livemode),
            ("stripe_context", source.stripe_context),
        ):
            self[name] = self[name] if value is None else value
        before, self["backlog_seconds"] = self.get("backlog_seconds"), None
        if batch.more:
            self["backlog_seconds"] = backlog = int(clock.now()) - end.before
            if before is not None and backlog > before:
                logging.getLogger(__name__).warning(
                    "More is added than this sensor returns: it was %d s behind, and now is %d s. "
                    'Raise max_items, or use returns="window".',
                    before,
                    backlog,
                )
        window: Any = stretch(source, start, end, batch.count)
        return {name: window[name] for name in _OF_CLAIM}

    def append(self, claim: Claim) -> None:
        """Add a claim, and let the oldest ones go that are done."""
        claims: list[Claim] = self["claims"]
        claims.append(claim)
        done = [claim for claim in claims if claim["done"]]
        for old in done[: max(0, len(claims) - MOST_CLAIMS)]:
            claims.remove(old)
            # A cleared run as old as this one does not find what it returned any more.
            self["trimmed"] = max(self.get("trimmed") or "", old["run_after"])

    def outcome(
        self, stream: str, stripe_conn_id: str, claimed: Claim | None
    ) -> tuple[Window | None, dict[str, Any]]:
        """Return the window of a claim as sensors return it, and what the run pushes."""
        theirs = {"feed": self["feed"], "stripe_account": self["account"]}
        theirs |= {"stripe_conn_id": stripe_conn_id, "livemode": self["livemode"]}
        window = cast("Window", {**theirs, **claimed}) if claimed else None
        cursor = {name: self.get(name) for name in _PUSHED}
        cursor["claims"] = [claim for claim in self["claims"] if not claim["done"]]
        late = None if window is None else int(clock.now()) - end_of(window).before + 1
        return window, {**cursor, "stream": stream, "window": claimed, "late_seconds": late}

    def move(self, source: Source, position: Position) -> None:
        """Note where the stream stands."""
        self["types"] = source.types
        self["position"] = {"created_gte": iso(position.before), "after": position.last_id}
        self["looked"] = None if position.looked is None else iso(position.looked)
        self.position = position


def _is_claim(claim: Claim) -> bool:
    window, owner = claim["window"], (claim["run_id"], claim["run_after"], claim["map_index"])
    known = claim.keys() >= _CLAIM and window.keys() >= {*_OF_CLAIM}
    known &= all(map(isinstance, owner, (str, str, int)))
    return known and start_of(window).before <= end_of(window).before


def now() -> str:
    """Return the time as ``run_after`` has it, so that texts compare as the times do."""
    return datetime.fromtimestamp(clock.now(), UTC).isoformat(timespec="microseconds")
