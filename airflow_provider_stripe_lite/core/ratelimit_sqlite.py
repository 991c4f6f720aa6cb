"""The call limit in an SQLite file, over every process of this host; the base of all stores."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

from airflow_provider_stripe_lite.errors import RateLimitWait, StripeLimiterError

__all__ = ["CALLS", "PERIOD", "STEP_BACK", "RateLimiter", "Reservations"]

CALLS, PERIOD = 100, 60.0
# Seconds that a caller yields to others: fewer than a request takes, more than a wake-up needs.
STEP_BACK = 0.02

# SQLite waits so many seconds for a lock.
_LOCK_SECONDS = 30.0
# Old slots are removed once in so many calls.
_PURGE_EVERY = 100

_SCHEMA = """
CREATE TABLE IF NOT EXISTS booked (key TEXT, n INTEGER, at REAL NOT NULL,
    PRIMARY KEY (key, n)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS clocks (key TEXT PRIMARY KEY, seen REAL NOT NULL,
    hold REAL NOT NULL) WITHOUT ROWID;
"""

_NEWEST = """
SELECT n, at, (SELECT at FROM booked WHERE key = :key AND n = newest.n + 1 - :calls)
FROM booked AS newest WHERE key = :key ORDER BY n DESC LIMIT 1
"""


class Reservations:
    """Base of the limiters: it reserves the next free slot and waits for it."""

    def __init__(self, calls: int, period: float, sleep: Callable[[float], None]) -> None:
        self.calls, self.period, self._sleep = calls, period, sleep
        # The margin is for a caller that wakes up late: without it, its call could come closer than
        # a period to the call that has the slot ``calls`` places later.
        self.spacing = period + min(0.5, period * 0.04)

    def acquire(self, key: str, timeout: float | None = None) -> float:
        """Wait for the next free slot and return the seconds waited.

        :param key: what the limit is kept for, such as a connection; never an API key.
        :param timeout: seconds that the caller is ready to wait; None waits as long as it takes.
        :raises RateLimitWait: the slot is further away than ``timeout``; nothing is reserved then.
        :raises StripeLimiterError: the store cannot be used, so the call must not be made.
        """
        wait = self._reserve(key, timeout)
        if wait > 0:
            self._sleep(wait)
        return wait

    def _reserve(self, key: str, timeout: float | None) -> float:
        raise NotImplementedError


class RateLimiter(Reservations):
    """Keep the limit over every process of this host, in one SQLite file.

    :param path: the file, on a local disk; it is made with mode 0600. It holds times and the names
        for which the limit is kept, nothing secret.
    :param calls: how many calls fit into any ``period``.
    :param period: seconds.
    :param sleep: how to wait for a slot.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        calls: int = CALLS,
        period: float = PERIOD,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(calls, period, sleep)
        self.path = Path(path)
        self._db: sqlite3.Connection | None = None
        self._local = threading.local()

    def acquire(self, key: str, timeout: float | None = None) -> float:
        """Wait for the next free slot and return the seconds waited.

        Where others ask, too, a caller steps back a little, so that each of them is served.

        :param key: what the limit is kept for, such as a connection; never an API key.
        :param timeout: seconds that the caller is ready to wait; None waits as long as it takes.
        :raises RateLimitWait: the slot is further away than ``timeout``; nothing is reserved then.
        :raises StripeLimiterError: the file cannot be used, so the call must not be made.
        """
        with self._refusing(), self._gate():
            return super().acquire(key, timeout)

    def push(self, key: str, seconds: float) -> None:
        """Let no slot be free for the next ``seconds``: the server asks everybody to slow down."""
        with self._refusing(), self._transaction(key) as (db, now, hold):
            self._tick(db, key, now, max(hold, now + seconds))

    def _reserve(self, key: str, timeout: float | None) -> float:
        with self._transaction(key) as (db, now, hold):
            n, last, full = db.execute(_NEWEST, {"key": key, "calls": self.calls}).fetchone() or (
                0,
                now,
                None,
            )
            slot = max(now, hold, last, now if full is None else full + self.spacing)
            wait = float(slot - now)
            granted = timeout is None or wait <= timeout
            if granted:
                db.execute("INSERT INTO booked VALUES (?, ?, ?)", (key, n + 1, slot))
            if n % _PURGE_EVERY == 0:
                db.execute(
                    "DELETE FROM booked WHERE key = ? AND at < ?", (key, now - 2 * self.spacing)
                )
            self._tick(db, key, now, hold)
        if not granted:
            raise RateLimitWait(wait)
        return wait

    @staticmethod
    def _tick(db: sqlite3.Connection, key: str, now: float, hold: float) -> None:
        db.execute("INSERT OR REPLACE INTO clocks VALUES (?, ?, ?)", (key, now, hold))

    @contextlib.contextmanager
    def _transaction(self, key: str) -> Iterator[tuple[sqlite3.Connection, float, float]]:
        with _in_process:
            try:
                db = self._db = self._db or self._open()
                db.execute("BEGIN IMMEDIATE")
                yield db, *self._now(db, key)
                db.execute("COMMIT")
            except BaseException:
                # Closing rolls back. And once a damaged file is mended, it is opened anew.
                self.close()
                raise

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            raise StripeLimiterError(
                f"The call limit cannot be kept in {self.path} ({exc}), so no call is made: make "
                "the file writable, delete it with the files beside it if it is damaged, or set "
                "rate_limit_url in the connection's extra."
            ) from exc

    @staticmethod
    def _now(db: sqlite3.Connection, key: str) -> tuple[float, float]:
        """Return the time, and the time before which no slot is free.

        The host's monotonic clock is shared by all processes, and nobody can set it.
        """
        now = time.monotonic()
        row = db.execute("SELECT seen, hold FROM clocks WHERE key = ?", (key,)).fetchone()
        if row is None:
            return now, now
        back = row[0] - now
        if back > 0:
            # The host was restarted, so its clock begins anew. How long the restart took is not
            # known: the slots are moved as if it had taken no time.
            db.execute("UPDATE booked SET at = at - ? WHERE key = ?", (back, key))
            return now, row[1] - back
        return now, row[1]

    def _gate(self) -> _Gate:
        # A lock of the kernel belongs to the open file, so each thread and each forked child needs
        # a gate of its own.
        mine = self._local
        if getattr(mine, "pid", None) != os.getpid():
            _create(self.path)
            mine.gate, mine.pid = _Gate(self.path), os.getpid()
        gate: _Gate = mine.gate
        return gate

    def _open(self) -> sqlite3.Connection:
        _create(self.path)
        db = sqlite3.connect(
            self.path,
            timeout=_LOCK_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            factory=_Database,
        )
        # A call writes little, so the pages are small.
        db.execute("PRAGMA page_size = 1024")
        _use_wal(db)
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(_SCHEMA)
        _opened.add(self)
        return db

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        db, self._db = self._db, None
        if db is not None:
            db.close()


# SQLite's locks belong to a process: a connection that a fork copies has lost them without knowing
# it. So all connections are closed before a fork, at a moment when no thread is using one.
_in_process = threading.Lock()
_opened: weakref.WeakSet[RateLimiter] = weakref.WeakSet()


def _before_fork() -> None:
    _in_process.acquire()
    for limiter in _opened:
        limiter.close()


os.register_at_fork(
    before=_before_fork, after_in_parent=_in_process.release, after_in_child=_in_process.release
)


def _create(path: Path) -> None:
    """Make an empty file that only its owner can read, unless there is one.

    The file itself is never opened here: closing it would drop every lock that SQLite holds on it
    in this process.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.is_symlink():
        raise OSError(f"{path} is a symbolic link")
    if not path.exists():
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}-")
        os.close(handle)
        # Where another process was first, its file stays.
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
        Path(name).unlink()


class _Database(sqlite3.Connection):
    """A connection that is closed when its limiter is deleted.

    From Python 3.13 on, one that is deleted while it is open causes a ResourceWarning.
    """

    def __del__(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.close()


def _use_wal(db: sqlite3.Connection) -> None:
    """Switch to write-ahead logging.

    Where two processes switch at once, SQLite refuses one of them whatever its timeout, and it is
    to try again.
    """
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


class _Gate:
    """Make a caller step back while others ask or wait, so that no process takes a whole burst.

    SQLite grants its lock to the caller that tries first, which is mostly the one that had it last.
    """

    def __init__(self, path: Path) -> None:
        # Everybody who shares the database may open the gate.
        mode = path.stat().st_mode & 0o666
        self._fd = os.open(f"{path}-gate", os.O_CREAT | os.O_RDONLY | os.O_NOFOLLOW, mode)

    def __enter__(self) -> None:
        alone = True
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            alone = False
        # A shared lock says that a caller asks or waits; the kernel drops it when the process dies.
        fcntl.flock(self._fd, fcntl.LOCK_SH)
        if not alone:
            time.sleep(STEP_BACK)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            os.close(self._fd)
