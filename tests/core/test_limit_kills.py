"""The call limit holds when its processes are killed, or forked, in the middle of a call."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from airflow_provider_stripe_lite.core.ratelimit import RateLimiter
from dev.benchmarks import limiter
from tests.core.limits import CALLS, MOST, PERIOD, Start, starter, taken


def killed_waiter(path: Path, child: Start) -> None:
    waiter = child(
        f"for _ in range({CALLS}): limiter.acquire('k'); say(time.monotonic())\n"
        "limiter.acquire('k')"
    )
    assert waiter.stdout is not None
    stamps = [float(waiter.stdout.readline()) for _ in range(CALLS)]
    # Now it waits.
    time.sleep(PERIOD / 4)
    waiter.send_signal(signal.SIGKILL)
    waiter.wait()
    stamps += taken(RateLimiter(path, calls=CALLS, period=PERIOD), 1)
    assert limiter.worst_window(stamps, PERIOD) <= CALLS
    assert stamps[-1] - stamps[0] <= MOST


def killed_holder(path: Path, child: Start) -> None:
    holder = child(
        f"for _ in range({CALLS}): limiter.acquire('k'); say(time.monotonic())\n"
        "with limiter._gate(), limiter._transaction('k') as (db, now, hold):\n"
        "    db.execute('DELETE FROM booked'); db.execute('DELETE FROM clocks')\n"
        "    say('holding'); time.sleep(60)"
    )
    assert holder.stdout is not None
    stamps = [float(holder.stdout.readline()) for _ in range(CALLS)]
    assert holder.stdout.readline() == "holding\n"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    stamps += taken(RateLimiter(path, calls=CALLS, period=PERIOD), CALLS)
    # The slots that it had deleted are there again.
    assert limiter.worst_window(stamps, PERIOD) <= CALLS
    assert stamps[-1] - stamps[0] <= MOST


def forked(path: Path, child: Start) -> None:
    # The forks make four processes, the first one included; and a brother is not a child.
    calls = 6
    parent = child(
        f"limiter = RateLimiter(sys.argv[1], calls={calls}, period={PERIOD})\n"
        "limiter.acquire('k'); say(time.monotonic())\n"
        "children = [pid for pid in (os.fork() for _ in range(2)) if pid]\n"
        "if limiter._db: say('inherited')\n"
        "for _ in range(2): limiter.acquire('k'); say(time.monotonic())\n"
        "for pid in children:\n"
        "    with suppress(ChildProcessError): os.waitpid(pid, 0)\n"
        "say(limiter._open().execute('PRAGMA integrity_check').fetchone()[0])"
    )
    output, _ = parent.communicate(timeout=30)
    assert parent.returncode == 0
    # SQLite forbids to carry a connection across a fork.
    assert "inherited" not in output
    assert output.split().count("ok") == 4
    stamps = sorted(float(word) for word in output.split() if word != "ok")
    assert len(stamps) == 1 + 4 * 2
    assert limiter.worst_window(stamps, PERIOD) <= calls


Running = dict[Callable[[Path, Start], None], "Future[None]"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Begin at the same time what mostly waits, each in a file of its own."""

    def run(scenario: Callable[[Path, Start], None]) -> None:
        path = tmp_path_factory.mktemp(scenario.__name__) / "calls.sqlite"
        with starter(path) as start:
            scenario(path, start)

    scenarios = (killed_waiter, killed_holder, forked)
    with ThreadPoolExecutor(len(scenarios)) as pool:
        yield {scenario: pool.submit(run, scenario) for scenario in scenarios}


def test_a_killed_waiter_wastes_its_slot_and_nothing_else(running: Running) -> None:
    running[killed_waiter].result()


def test_a_holder_killed_in_mid_transaction_blocks_nobody(running: Running) -> None:
    running[killed_holder].result()


def test_forked_children_share_the_limit_of_a_limiter_that_was_used_before(
    running: Running,
) -> None:
    running[forked].result()


@pytest.mark.parametrize(
    "before",
    [
        "limiter.acquire('a'); other = RateLimiter(sys.argv[1]); other.acquire('b')",
        "limiter.acquire('a')\nif os.fork(): os._exit(0)\nlimiter.acquire('b')",
    ],
    ids=["it has two limiters", "its parent has died"],
)
def test_a_process_never_loses_its_locks(before: str, path: Path, child: Start) -> None:
    """Or whoever leaves the file takes itself for the last, and removes the log that this one goes
    on writing.
    """
    stays = child(
        f"{before}\nsay('ready')\nend = time.monotonic() + 30\n"
        "while not os.path.exists(sys.argv[1] + '-go') and time.monotonic() < end:\n"
        "    time.sleep(0.001)\n"
        "limiter.acquire('d'); say('done')"
    )
    assert stays.stdout is not None
    assert stays.stdout.readline() == "ready\n"
    assert child("limiter.acquire('c'); del limiter").wait(30) == 0
    assert path.with_name(f"{path.name}-wal").exists()
    path.with_name(f"{path.name}-go").touch()
    assert stays.stdout.readline() == "done\n"
    with closing(sqlite3.connect(path)) as db:
        assert [key for (key,) in db.execute("SELECT key FROM booked ORDER BY key")] == [
            "a",
            "b",
            "c",
            "d",
        ]
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
