"""The call limit holds over processes: under load, after kills and forks, and whatever the clocks
do.
"""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from airflow_provider_stripe_lite.core.ratelimit import RateLimiter, RedisRateLimiter, limiter_for
from airflow_provider_stripe_lite.errors import RateLimitWait, StripeLimiterError
from dev.benchmarks import limiter

CALLS, PERIOD = 3, 1.5
# Nobody waits longer than this.
MOST = 2 * PERIOD

PREAMBLE = f"""
import os, sys, time
from contextlib import suppress
from airflow_provider_stripe_lite.core.ratelimit import RateLimiter
limiter = RateLimiter(sys.argv[1], calls={CALLS}, period={PERIOD})
# Whole lines, whoever else writes.
def say(word): os.write(1, f"{{word}}\\n".encode())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calls.sqlite"


@pytest.fixture
def redis_url() -> str:
    """Return a local Redis, which may hold other things: each test has a key of its own."""
    pytest.importorskip("redis")
    url = "redis://127.0.0.1:6379/15"
    if not limiter.reachable(url):
        pytest.skip("needs a Redis on 127.0.0.1:6379")
    return url


Start = Callable[[str], "subprocess.Popen[str]"]


@contextmanager
def starter(path: Path) -> Iterator[Start]:
    """Start scripts that share the limiter's file, and kill what is left of them."""
    running: list[subprocess.Popen[str]] = []

    def start(script: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PREAMBLE + script, str(path)]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def child(path: Path) -> Iterator[Start]:
    with starter(path) as start:
        yield start


def taken(limiter: RateLimiter, times: int) -> list[float]:
    """Return when each of so many calls was let through."""
    stamps = []
    for _ in range(times):
        limiter.acquire("k")
        stamps.append(time.monotonic())
    return stamps


# Two bursts within the limit, or three.
SHORT, LONG = 2.8, 5.5
GREEDY, WITH_REQUESTS = 0.0, 0.05


@pytest.mark.parametrize(
    ("store", "gap", "seconds"),
    [
        pytest.param("sqlite", GREEDY, SHORT, id="sqlite, greedy"),
        pytest.param("redis", WITH_REQUESTS, SHORT, id="redis, with requests"),
        *(
            pytest.param(store, gap, LONG, id=f"{store}, {gap} s", marks=pytest.mark.soak)
            for store in ("sqlite", "redis")
            for gap in (GREEDY, WITH_REQUESTS)
        ),
    ],
)
def test_four_processes_get_the_limit_no_more_and_each_its_share(
    store: str, gap: float, seconds: float, path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite://{path}" if store == "sqlite" else request.getfixturevalue("redis_url")
    period = 1.5 if seconds == SHORT else 2
    load = limiter.Load(calls=40, period=period, processes=4, gap=gap, seconds=seconds)
    outcome = limiter.run(url, load, key=uuid4().hex)
    assert outcome.worst <= load.calls, outcome
    assert outcome.used is not None, outcome
    assert outcome.used >= 0.95, outcome
    assert outcome.fairness >= 0.5, outcome
    assert outcome.longest <= 2 * load.period, outcome


@pytest.mark.parametrize(
    ("processes", "files"), [(6, 10), pytest.param(16, 20, marks=pytest.mark.soak)]
)
def test_many_processes_can_open_new_files_at_once(
    processes: int, files: int, path: Path, child: Start
) -> None:
    opening = [
        child(
            "say('ready')\n"
            "while not os.path.exists(sys.argv[1] + '-go'): time.sleep(0.001)\n"
            "begin = os.stat(sys.argv[1] + '-go').st_mtime + 0.2\n"
            f"for n in range({files}):\n"
            "    time.sleep(max(0, begin + n / 20 - time.time()))\n"
            "    RateLimiter(f'{sys.argv[1]}{n}').push('k', 0)"
        )
        for _ in range(processes)
    ]
    assert [process.stdout and process.stdout.readline() for process in opening] == [
        "ready\n"
    ] * processes
    path.with_name(path.name + "-go").touch()
    assert [process.wait(30) for process in opening] == [0] * processes


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


@pytest.mark.parametrize("seconds", [1, pytest.param(10, marks=pytest.mark.soak)])
def test_threads_and_processes_that_come_and_go_leave_the_file_whole(
    seconds: int, path: Path, child: Start
) -> None:
    busy = (
        "import threading\n"
        "def visit():\n"
        "    try:\n"
        "        for _ in range(3): RateLimiter(sys.argv[1], calls=10**6).acquire('k')\n"
        "    except BaseException as exc: print(exc, file=sys.stderr); os._exit(1)\n"
        f"end = time.monotonic() + {seconds}\n"
        "while time.monotonic() < end:\n"
        "    threads = [threading.Thread(target=visit) for _ in range(3)]\n"
        "    for thread in threads: thread.start()\n"
        "    if limiter.calls == 3: limiter = RateLimiter(sys.argv[1], calls=10**6)\n"
        "    limiter.acquire('k')\n"
        "    for thread in threads: thread.join()\n"
    )
    long_lived = [child(busy) for _ in range(2)]
    while any(process.poll() is None for process in long_lived):
        assert child("RateLimiter(sys.argv[1], calls=10**6).acquire('k')").wait(30) == 0
    assert [process.returncode for process in long_lived] == [0, 0]
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("step", [-3600, 3600])
def test_a_clock_that_is_set_changes_no_wait(
    path: Path, step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    uptime = 90_000.0

    def sleep(seconds: float) -> None:
        nonlocal uptime
        uptime += seconds

    monkeypatch.setattr(time, "monotonic", lambda: uptime)
    patient = RateLimiter(path, calls=CALLS, period=PERIOD, sleep=sleep)
    stamps = taken(patient, CALLS)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + step)
    stamps += taken(patient, CALLS)
    assert limiter.worst_window(stamps, PERIOD) <= CALLS
    assert stamps[-1] - stamps[0] <= MOST


def test_after_a_restart_of_the_host_the_limit_holds_and_a_wait_that_was_refused_passes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uptime = 90_000.0
    monkeypatch.setattr(time, "monotonic", lambda: uptime)
    impatient = RateLimiter(path, calls=CALLS, period=60, sleep=lambda _: None)
    for _ in range(CALLS):
        impatient.acquire("k")
    uptime = 10.0
    with pytest.raises(RateLimitWait) as refused:
        impatient.acquire("k", 0)
    assert 60 <= refused.value.seconds <= 120
    uptime += 20
    with pytest.raises(RateLimitWait) as later:
        impatient.acquire("k", 0)
    assert later.value.seconds == pytest.approx(refused.value.seconds - 20)
    uptime += later.value.seconds + 0.001
    assert impatient.acquire("k", 0) == 0


def test_after_the_clock_of_redis_was_set_back_the_limit_holds_and_a_refused_wait_passes(
    redis_url: str,
) -> None:
    redis = pytest.importorskip("redis")
    period = PERIOD / 2
    impatient = RedisRateLimiter(redis_url, calls=CALLS, period=period)
    begin, key = time.monotonic(), uuid4().hex
    times, clock = f"airflow-stripe:{{{key}}}:slots", f"airflow-stripe:{{{key}}}:clock"
    for _ in range(CALLS):
        impatient.acquire(key)
    with redis.Redis.from_url(redis_url, decode_responses=True) as server:
        # As if it had been an hour later when these calls were made.
        later = [float(slot) + 3600 for slot in server.lrange(times, 0, -1)]
        server.delete(times)
        server.rpush(times, *later)
        server.hset(
            clock,
            mapping={name: float(server.hget(clock, name)) + 3600 for name in ("seen", "hold")},
        )
    with pytest.raises(RateLimitWait) as refused:
        impatient.acquire(key, 0)
    assert refused.value.seconds <= 2 * period
    time.sleep(refused.value.seconds + 0.01)
    impatient.acquire(key, 0)
    assert time.monotonic() - begin >= period


@pytest.mark.parametrize(
    "wrong", ["a directory", "below a file", "not a database", "a link", "no Redis"]
)
def test_where_the_limit_cannot_be_kept_no_call_is_let_through(wrong: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(
        "This is no database, and long enough for SQLite to see it. " * 20
    )
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    url = {
        "a directory": f"sqlite://{tmp_path}",
        "below a file": f"sqlite://{tmp_path}/file/calls.sqlite",
        "not a database": f"sqlite://{tmp_path}/file",
        "a link": f"sqlite://{tmp_path}/link",
        "no Redis": f"redis://127.0.0.1:{port}",
    }[wrong]
    with pytest.raises(StripeLimiterError, match="so no call is made: "):
        limiter_for(url).acquire("k")


def test_who_may_use_the_file_may_use_what_lies_beside_it(path: Path) -> None:
    path.touch()
    path.chmod(0o640)
    RateLimiter(path).acquire("k")
    assert {beside.stat().st_mode & 0o777 for beside in path.parent.iterdir()} == {0o640}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_an_unwritable_file_is_an_error_too(path: Path) -> None:
    RateLimiter(path).acquire("k")
    path.chmod(0o400)
    with pytest.raises(StripeLimiterError, match="so no call is made: "):
        RateLimiter(path).acquire("k")
