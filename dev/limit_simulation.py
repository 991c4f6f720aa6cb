"""How long a new object waits where many streams share a limit: ``python -m dev.limit_simulation``.

Every stream is a sensor with an account of its own, all on one connection. Each is due 120 seconds
after its look before, and then waits for a free pod; its look is one call, and takes a pod for a
few seconds. Where the call limit has no slot soon, the pod is given back, and the stream comes back
when the limit has said. The limiter is the real one; its store is in memory, and time is simulated.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from airflow_provider_stripe_lite.core.ratelimit import Limiter
from airflow_provider_stripe_lite.errors import RateLimitWait

INTERVAL, SHORT_WAIT, MIN_AGE = 120.0, 5.0, 60.0
# Seconds that a pod is taken by a look, besides its wait for the limit.
LOOK_SECONDS = 2.0


class Memory:
    """A store in memory.

    :ivar now: its time, which somebody else moves.
    """

    def __init__(self) -> None:
        self.now = 1.0
        self._records = dict[str, Record]()

    def change(self, name: str, _: tuple[str, ...], step: Callable[[Any], Any]) -> Any:
        """Change a record by one step."""
        record = self._records.setdefault(name, Record())
        record.now = self.now
        return step(record)


class Record(dict[str | int, float]):
    """Numbers, 0 where none was written."""

    now, lost_at = 0.0, 0.0

    def __missing__(self, _: str | int) -> float:
        return 0.0


class Case(NamedTuple):
    """What is simulated: so many calls in a period, streams and pods."""

    calls: int
    period: float
    streams: int
    pods: int


def waits(case: Case, seconds: float, seed: int = 0) -> list[float]:
    """Return how long the objects waited that came at random in the second half of the time.

    A wait counts from when an object is old enough to be returned.
    """
    chance, memory = random.Random(seed), Memory()
    limiter = Limiter(memory, calls=case.calls, period=case.period, sleep=lambda _: None)
    # What happens next: at a time, a stream is due (True) or a pod is free again (False).
    events = [(1 + chance.uniform(0, INTERVAL), True, one) for one in range(case.streams)]
    heapq.heapify(events)
    queue, free, found = deque[int](), case.pods, list[float]()
    looked = dict.fromkeys(range(case.streams), 1.0)
    while events and events[0][0] < seconds:
        memory.now, is_due, stream = heapq.heappop(events)
        if is_due:
            queue.append(stream)
        else:
            free += 1
        while free and queue:
            stream, free = queue.popleft(), free - 1
            limiter.asker = str(stream)
            try:
                wait = limiter.acquire("connection", SHORT_WAIT)
            except RateLimitWait as exc:
                heapq.heappush(events, (memory.now + LOOK_SECONDS, False, -1))
                heapq.heappush(events, (memory.now + exc.seconds, True, stream))
                continue
            at = memory.now + wait
            heapq.heappush(events, (at + LOOK_SECONDS, False, -1))
            heapq.heappush(events, (at + LOOK_SECONDS + INTERVAL, True, stream))
            # Objects come at random, one in an interval.
            came = (
                int((at - looked[stream]) / INTERVAL + chance.random()) if at > seconds / 2 else 0
            )
            found += (at - chance.uniform(looked[stream], at) for _ in range(came))
            looked[stream] = at
    return found


def main() -> None:
    """Print a table."""
    print("| limit | streams | pods | median | 99 of 100 | longest |")
    print("| --- | --: | --: | --: | --: | --: |")
    for calls, period in ((100, 60.0), (100, 1.0)):
        for streams in (100, 1_000, 10_000):
            case = Case(calls, period, streams, 200)
            # Long enough for every stream to have had several turns.
            found = sorted(waits(case, 8 * max(INTERVAL, streams * period / calls)))
            figures = (found[int(len(found) * part)] for part in (0.5, 0.99))
            shown = " | ".join(f"{one:,.0f} s" for one in (*figures, found[-1]))
            print(f"| {calls} in {period:g} s | {streams:,} | {case.pods} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
