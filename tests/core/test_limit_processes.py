"""The call limit holds over processes that open its file, call and leave as they like."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from dev.benchmarks import limiter
from tests.core.limits import Start, limiter_in

# Two bursts within the limit, or three.
SHORT, LONG = 2.8, 5.5
GREEDY, WITH_REQUESTS = 0.0, 0.05


@pytest.mark.parametrize(
    ("store", "gap", "seconds"),
    [
        pytest.param("file", GREEDY, SHORT, id="file, greedy"),
        pytest.param("redis", WITH_REQUESTS, SHORT, id="redis, with requests"),
        *(
            pytest.param(store, gap, LONG, id=f"{store}, {gap} s", marks=pytest.mark.soak)
            for store in ("file", "redis")
            for gap in (GREEDY, WITH_REQUESTS)
        ),
    ],
)
def test_four_processes_get_the_limit_no_more_and_each_its_share(
    store: str, gap: float, seconds: float, path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"file://{path}" if store == "file" else request.getfixturevalue("redis_url")
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
            "    limiter_for(f'{url}{n}').push('k', 0)"
        )
        for _ in range(processes)
    ]
    assert [process.stdout and process.stdout.readline() for process in opening] == [
        "ready\n"
    ] * processes
    path.with_name(path.name + "-go").touch()
    assert [process.wait(30) for process in opening] == [0] * processes


@pytest.mark.parametrize("seconds", [1, pytest.param(10, marks=pytest.mark.soak)])
def test_threads_and_processes_that_come_and_go_leave_the_file_whole(
    seconds: int, path: Path, child: Start
) -> None:
    busy = (
        "import threading\n"
        "def visit():\n"
        "    try:\n"
        "        for _ in range(3): limiter_for(url, calls=10**6).acquire('k')\n"
        "    except BaseException as exc: print(exc, file=sys.stderr); os._exit(1)\n"
        f"end = time.monotonic() + {seconds}\n"
        "while time.monotonic() < end:\n"
        "    threads = [threading.Thread(target=visit) for _ in range(3)]\n"
        "    for thread in threads: thread.start()\n"
        "    if limiter.calls == 3: limiter = limiter_for(url, calls=10**6)\n"
        "    limiter.acquire('k')\n"
        "    for thread in threads: thread.join()\n"
    )
    long_lived = [child(busy) for _ in range(2)]
    while any(process.poll() is None for process in long_lived):
        assert child("limiter_for(url, calls=10**6).acquire('k')").wait(30) == 0
    assert [process.returncode for process in long_lived] == [0, 0]
    limiter_in(path, calls=10**6).acquire("k")
