"""The call limit in files of a directory, over every process of this host."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import random
import stat
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from airflow_provider_stripe_lite.errors import StripeLimiterError

__all__ = ["FileStore", "own_directory"]

_BEGIN = b"stripe 1"
_NUMBER = struct.Struct("d")
# A change takes about a ten-thousandth of this.
_LOCK_SECONDS = 5.0
# The disk is full, for now.
_PASSING = (errno.ENOSPC, errno.EDQUOT)

_T = TypeVar("_T")


class FileStore:
    """Keep each record in a file of numbers, under its lock.

    The kernel drops the lock of a process that dies. Each change opens the file anew, so threads
    and forked children have locks of their own.

    :param directory: on a local disk; it is made with mode 0700. Who may write in it shares the
        limit. Its files hold times, nothing secret.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __str__(self) -> str:
        return f"{self.directory} of this host"

    def change(self, name: str, fields: tuple[str, ...], step: Callable[[Any], _T]) -> _T:
        """Change a record by one step, and return what the step does.

        A process that dies in the middle wastes a slot at most.

        :param fields: the names that the record may have beside numbers at indexes.
        :raises TimeoutError: the store cannot be reached now.
        :raises StripeLimiterError: it cannot be used until somebody mends it.
        """
        try:
            with self._locked(hashlib.sha256(name.encode()).hexdigest()[:32]) as file:
                record = _Record(file, fields)
                result = step(record)
                record.write()
                return result
        except TimeoutError:
            raise
        except OSError as exc:
            said = f"The call limit cannot be kept in {self.directory} ({exc}), so no call is made"
            if exc.errno in _PASSING:
                raise TimeoutError(f"{said}: see what fills the disk.") from exc
            raise StripeLimiterError(
                f"{said}: make the directory writable, or set rate_limit_url in the connection's "
                "extra.",
                retryable=True,
            ) from exc

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[int]:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path, is_there = self.directory / name, False
        while not is_there:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                self._lock(file, path)
                # Somebody may have deleted the file meanwhile.
                with contextlib.suppress(FileNotFoundError):
                    is_there = os.path.samestat(os.fstat(file), path.stat())
                if is_there:
                    if os.fstat(file).st_size == 0:
                        # Who may write in the directory shares its files, whatever this umask.
                        os.fchmod(file, self.directory.stat().st_mode & 0o666)
                    yield file
            finally:
                # Closing alone would leave the lock with a child that was forked just now.
                fcntl.flock(file, fcntl.LOCK_UN)
                os.close(file)

    @staticmethod
    def _lock(file: int, path: Path) -> None:
        deadline, delay = time.monotonic() + _LOCK_SECONDS, 0.0005
        while True:
            try:
                return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                if time.monotonic() > deadline:
                    raise TimeoutError(
                        f"The call limit cannot be kept, as something holds the lock of {path}, so "
                        "no call is made: see whether one of its processes is stopped."
                    ) from exc
            time.sleep(random.uniform(0, delay))  # noqa: S311
            delay = min(0.02, 1.5 * delay)


class _Record:
    """The numbers of a file: a mark, the fields, and what stands at indexes."""

    lost_at = 0.0

    def __init__(self, file: int, fields: tuple[str, ...]) -> None:
        # All processes of a host share its monotonic clock, and nobody can set it.
        self.now = time.monotonic()
        self._file, self._places = file, {name: at for at, name in enumerate(fields, 1)}
        self._written = dict[int, float]()
        length = _NUMBER.size * (1 + len(fields))
        self._head = bytearray(os.pread(file, length, 0))
        # A process that died in its first change has written no head.
        if not any(self._head):
            self._head = bytearray(_BEGIN.ljust(length, b"\0"))
        if len(self._head) < length or not self._head.startswith(_BEGIN):
            raise OSError(
                errno.EINVAL, "one of its files is damaged, or another program's: delete it"
            )

    def __getitem__(self, name: str | int) -> float:
        if isinstance(name, str):
            return float(_NUMBER.unpack_from(self._head, self._at(name))[0])
        if name in self._written:
            return self._written[name]
        found = os.pread(self._file, _NUMBER.size, self._at(name))
        return float(_NUMBER.unpack(found)[0]) if found else 0.0

    def __setitem__(self, name: str | int, value: float) -> None:
        if isinstance(name, str):
            _NUMBER.pack_into(self._head, self._at(name), value)
        else:
            self._written[name] = value

    def write(self) -> None:
        """Write what has changed, in that order, and the fields last.

        Neighbours are one write: a process that is killed has written all of them or none.
        """
        writes = list[tuple[int, bytearray]]()
        for name, value in self._written.items():
            if not writes or writes[-1][0] + len(writes[-1][1]) != self._at(name):
                writes.append((self._at(name), bytearray()))
            writes[-1][1].extend(_NUMBER.pack(value))
        for at, numbers in [*writes, (0, self._head)]:
            os.pwrite(self._file, numbers, at)

    def _at(self, name: str | int) -> int:
        place = self._places[name] if isinstance(name, str) else 1 + len(self._places) + name
        return place * _NUMBER.size


def own_directory() -> Path:
    """Return ``<tmp>/airflow-provider-stripe-lite-<uid>``, made if it is missing.

    :raises StripeLimiterError: another user owns the directory or can write to it.
    """
    path = Path(tempfile.gettempdir()) / f"airflow-provider-stripe-lite-{os.getuid()}"
    try:
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        found = path.lstat()
    except OSError as exc:
        raise StripeLimiterError(
            f"The call limit cannot be kept in {path} ({exc}), so no call is made: make room or "
            "set TMPDIR, or rate_limit_url in the connection's extra.",
            retryable=True,
        ) from exc
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise StripeLimiterError(
            f"The call limit is not kept in {path}, which somebody else owns or can write: remove "
            "it, or set rate_limit_url in the connection's extra."
        )
    return path
