"""The call limit holds when its processes are killed, or forked, in the middle of a call."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from dev.benchmarks import limiter
from tests.core.limits import CALLS, MOST, PERIOD, Start, limiter_in, starter, taken


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
    stamps += taken(limiter_in(path, calls=CALLS, period=PERIOD), 1)
    assert limiter.worst_window(stamps, PERIOD) <= CALLS
    assert stamps[-1] - stamps[0] <= MOST


def killed_holder(path: Path, child: Start) -> None:
    holder = child(
        f"for _ in range({CALLS}): limiter.acquire('k'); say(time.monotonic())\n"
        "def step(record):\n"
        "    record['turn'] = record['seen'] = record['hold'] = 0.0\n"
        "    say('holding'); time.sleep(60)\n"
        f"limiter.store.change('k-{CALLS}', FIELDS, step)"
    )
    assert holder.stdout is not None
    stamps = [float(holder.stdout.readline()) for _ in range(CALLS)]
    assert holder.stdout.readline() == "holding\n"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    stamps += taken(limiter_in(path, calls=CALLS, period=PERIOD), CALLS)
    # What it had not written is not there.
    assert limiter.worst_window(stamps, PERIOD) <= CALLS
    assert stamps[-1] - stamps[0] <= MOST


def forked(path: Path, child: Start) -> None:
    # The forks make four processes, the first one included; and a brother is not a child.
    calls = 6
    parent = child(
        f"limiter = limiter_for(url, calls={calls}, period={PERIOD})\n"
        "limiter.acquire('k'); say(time.monotonic())\n"
        "children = [pid for pid in (os.fork() for _ in range(2)) if pid]\n"
        "for _ in range(2): limiter.acquire('k'); say(time.monotonic())\n"
        "for pid in children:\n"
        "    with suppress(ChildProcessError): os.waitpid(pid, 0)\n"
    )
    output, _ = parent.communicate(timeout=30)
    assert parent.returncode == 0
    stamps = sorted(map(float, output.split()))
    assert len(stamps) == 1 + 4 * 2
    assert limiter.worst_window(stamps, PERIOD) <= calls


def forked_in_mid_change(path: Path, child: Start) -> None:
    # A thread forks while another one has the lock: the child has it, too, and lives on.
    parent = child(
        "import threading\n"
        "inside, forked = threading.Event(), threading.Event()\n"
        "def step(record): inside.set(); forked.wait(20)\n"
        f"change = lambda: limiter.store.change('k-{CALLS}', FIELDS, step)\n"
        "thread = threading.Thread(target=change); thread.start(); inside.wait(20)\n"
        "if not os.fork(): time.sleep(60); os._exit(0)\n"
        "forked.set(); thread.join(); began = time.monotonic()\n"
        "limiter.acquire('k'); say(time.monotonic() - began)"
    )
    assert parent.stdout is not None
    assert float(parent.stdout.readline()) < 1


Running = dict[Callable[[Path, Start], None], "Future[None]"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Begin at the same time what mostly waits, each in a file of its own."""

    def run(scenario: Callable[[Path, Start], None]) -> None:
        path = tmp_path_factory.mktemp(scenario.__name__) / "calls"
        with starter(path) as start:
            scenario(path, start)

    scenarios = (killed_waiter, killed_holder, forked, forked_in_mid_change)
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


def test_a_fork_in_the_middle_of_a_change_keeps_no_lock(running: Running) -> None:
    running[forked_in_mid_change].result()
