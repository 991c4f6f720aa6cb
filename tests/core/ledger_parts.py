"""What the world of the ledger is made of: lists and their Variables, DAG runs and their tasks."""

from __future__ import annotations

import json
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_stripe_lite.core.batches import Batch
from airflow_provider_stripe_lite.core.window import Position, Source

if TYPE_CHECKING:
    from tests.core.ledger_process import Process
    from tests.core.ledger_world import World

__all__ = ["LAG", "TRIES", "Run", "Stream", "Task"]

# Objects younger than this are not read; each is visible by then.
LAG = 60
TRIES = 3


class Stream:
    """The list of one account, and the Variable that says how far it was read.

    :ivar start: the second where the first run began, once no other first run can change it.
    :ivar begins: the second where the document began that each text goes on from: of two first runs
        that write at once, the one whose document stays counts.
    """

    def __init__(self, world: World, number: int) -> None:
        self.world, self.number, self.key = world, number, f"stripe_cursor.dag.new.{number}"
        self.source = Source("event", "stripe", f"acct_{number}", False, ["invoice.paid"])
        self.made: list[int] = []
        self.visible: list[int] = []
        self.dead: set[int] = set()
        self.text: str | None = None
        self.start: int | None = None
        self.begins: dict[str | None, int] = {}
        self._begun, self._unsettled = 0, set[int]()

    @property
    def document(self) -> dict[str, Any]:
        """What the Variable holds."""
        document: dict[str, Any] = json.loads(self.text) if self.text else {}
        return document

    @property
    def claims(self) -> list[dict[str, Any]]:
        """What it says of runs; a person's document says nothing."""
        claims: list[dict[str, Any]] = self.document.get("claims", [])
        return claims

    def add(self, count: int, late: int = 0) -> None:
        """Create objects of this second, which the list shows some seconds later."""
        now = self.world.now
        self.made += [now] * count
        self.visible += [now + late] * count

    def rows(self, start: Position, end: Position | None = None) -> list[int]:
        """Return what the list shows behind one position, up to another."""
        last = len(self.made) if end is None else self._index(end)
        seen = range(self._index(start), last)
        return [at for at in seen if self.visible[at] <= self.world.now and at not in self.dead]

    def poll(self, start: Position) -> Batch:
        """Return what is new and old enough; a batch ends between two seconds."""
        world = self.world
        bound = world.now + min(world.clock, 0) - LAG
        found = [at for at in self.rows(start) if self.made[at] < bound]
        if more := len(found) > world.max_items:
            seconds = [self.made[at] for at in found]
            cuts = [n for n in range(1, len(found)) if seconds[n] != seconds[n - 1]]
            small = [n for n in cuts if n <= world.max_items]
            found = found[: max(small) if small else min(cuts, default=None)]
        before, last_id = start.before, self._living(start.last_id)
        if found:
            before, last_id = self.made[found[-1]] + 1, str(found[-1])
        unread = world.returns_windows and bool(found)
        position = Position(before, last_id, world.now)
        return Batch([] if unread else found, position, more, unread=unread)

    def _living(self, id: str | None) -> str | None:
        """Return what stands now where an object was deleted."""
        if id is None or int(id) not in self.dead:
            return id
        alive = [at for at in range(int(id)) if at not in self.dead]
        return str(alive[-1]) if alive else None

    def _index(self, position: Position) -> int:
        last = position.last_id
        if last is None or int(last) in self.dead:
            return bisect_left(self.made, position.before)
        return int(last) + 1

    def write(self, text: str, begun: int | None = None) -> None:
        """Take a write.

        :param begun: where the document began that the text goes on from.
        """
        self.settle()
        before = {_owner(claim): claim["window"] for claim in self.claims}
        self.text, self._unsettled = text, set(self.world.underway)
        if begun is not None:
            self._begun = self.begins[text] = begun
        claims = self.claims
        self.world.log.append((self.number, claims))
        now = {_owner(claim): claim["window"] for claim in claims}
        for owner, window in before.items():
            if owner not in now and window in now.values():
                self.world.task(*owner).shown.pop(self, None)
                self.world.taken += 1

    def settle(self) -> None:
        """Note what a poll has seen as delivered, once no older document can come back."""
        if self.text is None or self._unsettled & self.world.underway:
            return
        self.start = self._begun if self.start is None else self.start
        for claim in self.claims:
            if claim["done"]:
                self.world.task(*_owner(claim)).seen.add(self)


def _owner(claim: dict[str, Any]) -> tuple[str, int]:
    return claim["run_id"], claim["map_index"]


@dataclass(eq=False)
class Run:
    """A DAG run."""

    number: int
    after: int
    backfill: bool
    tasks: list[Task] = field(default_factory=list)
    state: str = "queued"
    deleted: bool = False

    @property
    def id(self) -> str:
        """Its run_id."""
        return f"run {self.number}"


@dataclass(eq=False)
class Task:
    """The sensor's task in a run, or one index of it.

    :ivar shown: what was last read of its window of a stream, as long as no other run takes it.
    :ivar rows: what its last success of each stream has returned.
    :ivar seen: the streams where a poll has seen that success.
    """

    run: Run
    index: int
    state: str | None = None
    tries: int = TRIES
    clears: int = 0
    process: Process | None = None
    stream: Stream | None = None
    xcom: Any = None
    shown: dict[Stream, list[int]] = field(default_factory=dict)
    rows: dict[Stream, list[int]] = field(default_factory=dict)
    seen: set[Stream] = field(default_factory=set)

    def __str__(self) -> str:
        return self.run.id if self.index < 0 else f"{self.run.id}[{self.index}]"

    @property
    def is_unseen(self) -> bool:
        """Whether it has delivered what no poll knows of yet."""
        return self.state == "success" and self.stream not in self.seen
