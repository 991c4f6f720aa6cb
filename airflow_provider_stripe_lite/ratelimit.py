"""The call limit: at most ``calls`` in any ``period``, over every process that shares the limiter.

Slot reservation: one short transaction books the next free slot, so the wait is known before it begins, nobody
polls, and callers are served in the order in which they asked. A caller that dies wastes its slot, which is the
safe side. The same algorithm is kept in SQLite for one host and in Redis for several.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import stat
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from airflow_provider_stripe_lite.errors import StripeInputError, StripeLimiterError, WouldWait

CALLS, PERIOD = 100, 60.0
_LOCK_SECONDS = 30.0
_TIDY = 100  # calls between two removals of old slots
_STEP_BACK = 0.02  # less than a request takes, and more than a process needs to wake up

_SCHEMA = """
CREATE TABLE IF NOT EXISTS booked (key TEXT, n INTEGER, at REAL NOT NULL, PRIMARY KEY (key, n)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS clocks (key TEXT PRIMARY KEY, seen REAL NOT NULL, hold REAL NOT NULL) WITHOUT ROWID;
"""

_NEWEST = """
SELECT n, at, (SELECT at FROM booked WHERE key = :key AND n = newest.n + 1 - :calls)
FROM booked AS newest WHERE key = :key ORDER BY n DESC LIMIT 1
"""


class Limiter(Protocol):
    """What the client needs of a limiter."""

    def acquire(self, key: str, timeout: float | None = None) -> float: ...

    def push(self, key: str, seconds: float) -> None: ...


def limiter_for(url: str | None, *, calls: int = CALLS, period: float = PERIOD) -> Limiter:
    """Return the limiter that ``url`` names.

    :param url: empty for one file per host and user, ``sqlite:///path`` for another file on a local disk,
        ``redis://…`` or ``rediss://…`` for several hosts.
    """
    if not url:
        return RateLimiter(_own_directory() / "calls.sqlite", calls=calls, period=period)
    if url.startswith("sqlite:///"):
        return RateLimiter(url.removeprefix("sqlite://"), calls=calls, period=period)
    if url.startswith(("redis://", "rediss://")):
        return RedisRateLimiter(url, calls=calls, period=period)
    raise StripeInputError("rate_limit_url must begin with redis://, rediss:// or sqlite:///, or be empty.")


def _own_directory() -> Path:
    """A directory below the host's temporary one that nobody else can have prepared."""
    path = Path(tempfile.gettempdir()) / f"airflow-provider-stripe-lite-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise StripeLimiterError(
            f"The call limit is not kept in {path}, which somebody else owns or can write: remove it, or set "
            "rate_limit_url in the connection's extra."
        )
    return path


class _Reservations:
    """The part that both stores share: how long a slot must be apart, waiting, and refusing to wait."""

    def __init__(self, calls: int, period: float, sleep: Callable[[float], None]) -> None:
        self.calls, self.period, self._sleep = calls, period, sleep
        # Waking up late must not bring two calls closer together than the period.
        self.spacing = period + min(0.5, period * 0.04)

    def acquire(self, key: str, timeout: float | None = None) -> float:
        """Wait for the next free slot and return the seconds waited.

        :param key: what the limit is kept for, such as a connection; never an API key.
        :param timeout: seconds the caller is ready to wait; None waits as long as it takes.
        :raises WouldWait: the slot is further away than ``timeout``; nothing is reserved then.
        :raises StripeLimiterError: the store cannot be used; a client without a limit is never the answer.
        """
        wait = self._reserve(key, timeout)
        if wait > 0:
            self._sleep(wait)
        return wait

    def _reserve(self, key: str, timeout: float | None) -> float:
        raise NotImplementedError


class RateLimiter(_Reservations):
    """Keeps the limit over every process of this host, in one SQLite file.

    :param path: the file, on a local disk; made with mode 0600. It holds times and keys' names, nothing secret.
    :param calls: how many calls fit into any ``period``.
    :param period: seconds.
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
        """The same; a little later where others ask too, so that each of them is served."""
        with self._refusing(), self._gate():
            return super().acquire(key, timeout)

    def push(self, key: str, seconds: float) -> None:
        """Let no slot be free for the next ``seconds``: the server has asked everybody to slow down."""
        with self._refusing(), self._transaction(key) as (db, now, hold):
            self._tick(db, key, now, max(hold, now + seconds))

    def _reserve(self, key: str, timeout: float | None) -> float:
        with self._transaction(key) as (db, now, hold):
            n, last, full = db.execute(_NEWEST, {"key": key, "calls": self.calls}).fetchone() or (0, now, None)
            slot = max(now, hold, last, now if full is None else full + self.spacing)
            wait = float(slot - now)
            granted = timeout is None or wait <= timeout
            if granted:
                db.execute("INSERT INTO booked VALUES (?, ?, ?)", (key, n + 1, slot))
            if n % _TIDY == 0:
                db.execute("DELETE FROM booked WHERE key = ? AND at < ?", (key, now - 2 * self.spacing))
            self._tick(db, key, now, hold)
        if not granted:
            raise WouldWait(wait)
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
                self.close()  # which rolls back; and a file that was damaged is opened anew once it is mended
                raise

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            raise StripeLimiterError(
                f"The call limit cannot be kept in {self.path} ({exc}), so no call is made: make the file writable, "
                "delete it with the files beside it if it is damaged, or set rate_limit_url in the connection's extra."
            ) from exc

    @staticmethod
    def _now(db: sqlite3.Connection, key: str) -> tuple[float, float]:
        """The host's monotonic clock, which every process shares and nobody can set; and the hold of a push."""
        now = time.monotonic()
        row = db.execute("SELECT seen, hold FROM clocks WHERE key = ?", (key,)).fetchone()
        if row is None:
            return now, now
        back = row[0] - now
        if back > 0:  # the host was restarted: no time is known to have passed since
            db.execute("UPDATE booked SET at = at - ? WHERE key = ?", (back, key))
            return now, row[1] - back
        return now, row[1]

    def _gate(self) -> _Gate:
        mine = self._local  # one for each thread of each process: a lock of the kernel belongs to what was opened
        if getattr(mine, "pid", None) != os.getpid():
            _create(self.path)
            mine.gate, mine.pid = _Gate(self.path), os.getpid()
        gate: _Gate = mine.gate
        return gate

    def _open(self) -> sqlite3.Connection:
        _create(self.path)
        db = sqlite3.connect(
            self.path, timeout=_LOCK_SECONDS, isolation_level=None, check_same_thread=False, factory=_Database
        )
        db.execute("PRAGMA page_size = 1024")  # as little as a call writes
        _use_wal(db)
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(_SCHEMA)
        _opened.add(self)
        return db

    def close(self) -> None:
        """Give back the file; the next call opens it again."""
        db, self._db = self._db, None
        if db is not None:
            db.close()


# SQLite's locks belong to a process: a connection that a fork copies has lost them without knowing it. So each is
# closed before a fork, at a moment when no thread is using one.
_in_process = threading.Lock()
_opened: weakref.WeakSet[RateLimiter] = weakref.WeakSet()


def _before_fork() -> None:
    _in_process.acquire()
    for limiter in _opened:
        limiter.close()


os.register_at_fork(before=_before_fork, after_in_parent=_in_process.release, after_in_child=_in_process.release)


def _create(path: Path) -> None:
    """Make an empty file that only its owner can read, unless there is one.

    It never opens the file itself: closing it would drop every lock that SQLite holds on it in this process.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.is_symlink():
        raise OSError(f"{path} is a symbolic link")
    if not path.exists():
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}-")
        os.close(handle)
        with contextlib.suppress(FileExistsError):  # somebody else was first
            os.link(name, path)
        Path(name).unlink()


class _Database(sqlite3.Connection):
    """Closes itself together with its limiter: from Python 3.13 on, SQLite warns where nobody does."""

    def __del__(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.close()


def _use_wal(db: sqlite3.Connection) -> None:
    """Try again where two processes switch at once: SQLite refuses one of them, whatever its timeout."""
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
    """Makes a caller step back while others ask or wait too: otherwise one process takes a whole burst.

    A lock on the database is never handed over: it goes to whoever tries first, which is who had it last.
    """

    def __init__(self, path: Path) -> None:
        mode = path.stat().st_mode & 0o666  # for everybody who shares the database
        self._fd = os.open(f"{path}-gate", os.O_CREAT | os.O_RDONLY | os.O_NOFOLLOW, mode)

    def __enter__(self) -> None:
        alone = True
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            alone = False
        fcntl.flock(self._fd, fcntl.LOCK_SH)  # "I ask": the kernel forgets it when the process dies
        if not alone:
            time.sleep(_STEP_BACK)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            os.close(self._fd)


_SCRIPT = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local calls, spacing, timeout, push = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local hold = tonumber(redis.call('HGET', KEYS[2], 'hold') or now)
local seen = tonumber(redis.call('HGET', KEYS[2], 'seen') or now)
local back = math.max(0, seen - now)
hold = hold - back
if push >= 0 then
  hold = math.max(hold, now + push)
end
if back > 0 then
  local slots = redis.call('LRANGE', KEYS[1], 0, -1)
  redis.call('DEL', KEYS[1])
  for _, at in ipairs(slots) do redis.call('RPUSH', KEYS[1], string.format('%.6f', tonumber(at) - back)) end
end
local last = tonumber(redis.call('LINDEX', KEYS[1], 0) or now)
local slot = math.max(now, hold, last)
local full = redis.call('LINDEX', KEYS[1], calls - 1)
if full then
  slot = math.max(slot, tonumber(full) + spacing)
end
local verdict = (push < 0 and timeout >= 0 and slot - now > timeout) and 'wait' or 'slot'
if push < 0 and verdict == 'slot' then
  local caller, step_back = ARGV[5], tonumber(ARGV[6])
  local before = redis.call('HMGET', KEYS[2], 'caller', 'changed')
  local changed = tonumber(before[2] or 0)
  if before[1] ~= caller then
    changed = before[1] and now or 0
  elseif now - changed < 2 * spacing then  -- it was served last, and others ask too
    slot = math.max(slot, last + step_back)
  end
  redis.call('HSET', KEYS[2], 'caller', caller, 'changed', string.format('%.6f', changed))
  redis.call('LPUSH', KEYS[1], string.format('%.6f', slot))
  redis.call('LTRIM', KEYS[1], 0, calls - 1)
end
redis.call('HSET', KEYS[2], 'seen', string.format('%.6f', now), 'hold', string.format('%.6f', hold))
local life = math.ceil(math.max(slot, hold) - now + 2 * spacing)
redis.call('EXPIRE', KEYS[1], life)
redis.call('EXPIRE', KEYS[2], life)
return {verdict, tostring(slot - now)}
"""


class RedisRateLimiter(_Reservations):
    """Keeps the limit over every process of every host that reaches the Redis server, on that server's clock.

    :param url: ``redis://…`` or ``rediss://…``; needs the extra ``airflow-provider-stripe-lite[redis]``.
    """

    def __init__(
        self,
        url: str,
        *,
        calls: int = CALLS,
        period: float = PERIOD,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(calls, period, sleep)
        try:
            import redis
        except ImportError as exc:
            raise StripeLimiterError(
                "rate_limit_url names a Redis server, which needs: pip install 'airflow-provider-stripe-lite[redis]'"
            ) from exc
        self._error, self._caller = redis.RedisError, os.urandom(8).hex()
        self._script: Any = redis.Redis.from_url(url, socket_timeout=10).register_script(_SCRIPT)

    def push(self, key: str, seconds: float) -> None:
        """Let no slot be free for the next ``seconds``: the server has asked everybody to slow down."""
        self._run(key, -1.0, seconds)

    def _reserve(self, key: str, timeout: float | None) -> float:
        verdict, seconds = self._run(key, -1.0 if timeout is None else timeout, -1.0)
        if verdict == b"wait":
            raise WouldWait(float(seconds))
        return float(seconds)

    def _run(self, key: str, timeout: float, push: float) -> Any:
        names = [f"airflow-stripe:{{{key}}}:slots", f"airflow-stripe:{{{key}}}:clock"]
        try:
            caller = f"{self._caller}-{os.getpid()}"
            return self._script(keys=names, args=[self.calls, self.spacing, timeout, push, caller, _STEP_BACK])
        except self._error as exc:
            raise StripeLimiterError(
                f"The call limit cannot be kept in Redis ({type(exc).__name__}), so no call is made: check "
                "rate_limit_url in the connection's extra and the server that it names.",
                retryable=True,
            ) from exc
