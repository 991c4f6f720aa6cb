"""Where the call limit is kept, who may use it, and that no call is made where it cannot be."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_stripe_lite.core import ratelimit_file
from airflow_provider_stripe_lite.core.ratelimit import AWAY_SECONDS, limiter_for
from airflow_provider_stripe_lite.core.ratelimit_file import FileStore
from airflow_provider_stripe_lite.errors import StripeInputError, StripeLimiterError
from tests.core.limits import limiter_in

# --- The directory


@pytest.mark.parametrize(("mode", "of_a_file"), [(None, 0o600), (0o770, 0o660)])
def test_who_may_write_in_the_directory_shares_its_files(
    path: Path, mode: int | None, of_a_file: int
) -> None:
    """Whatever the umask; a directory that is made is its owner's alone."""
    before = os.umask(0o077 if mode else 0)
    try:
        if mode:
            path.mkdir()
            path.chmod(mode)
        limiter_in(path).acquire("a")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == mode or 0o700
    assert {file.stat().st_mode & 0o777 for file in path.iterdir()} == {of_a_file}


@pytest.mark.parametrize("damage", [b"", b"x" * 400, b"stripe 1"])
def test_a_file_that_is_damaged_is_refused(path: Path, damage: bytes) -> None:
    """No call without the limit; an empty one is a new one."""
    limiter = limiter_in(path)
    limiter.acquire("a")
    (file,) = path.iterdir()
    file.write_bytes(damage)
    if damage:
        with pytest.raises(StripeLimiterError, match="damaged, or another program's") as caught:
            limiter_in(path).acquire("a")
        assert caught.value.retryable
        file.unlink()
    assert limiter_in(path).acquire("a") == 0


@pytest.mark.parametrize("wrong", ["a file", "below a file", "a link"])
def test_where_the_limit_cannot_be_kept_no_call_is_let_through(wrong: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    where = {"a file": "file", "below a file": "file/calls", "a link": "calls"}[wrong]
    limiter = limiter_in(tmp_path / where)
    if wrong == "a link":
        limiter.acquire("k")
        (file,) = (tmp_path / "calls").iterdir()
        file.rename(tmp_path / "elsewhere")
        file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StripeLimiterError, match="so no call is made: "):
        limiter.acquire("k")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_an_unwritable_file_is_an_error_too(path: Path) -> None:
    limiter_in(path).acquire("k")
    for file in path.iterdir():
        file.chmod(0o400)
    with pytest.raises(StripeLimiterError, match="so no call is made: "):
        limiter_in(path).acquire("k")


def test_a_file_that_is_deleted_before_it_is_locked_is_made_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has the old one open does not go on counting by itself."""
    limiter = limiter_in(path, calls=1, sleep=lambda _: None)
    limiter.acquire("k")
    (file,) = path.iterdir()
    lock, deleted = fcntl.flock, list[Path]()

    def flock(opened: int, how: int) -> None:
        lock(opened, how)
        if how & fcntl.LOCK_EX and not deleted:
            deleted.append(file)
            file.unlink()

    monkeypatch.setattr(fcntl, "flock", flock)
    # What the old file knew may have been a whole period's calls.
    assert limiter.acquire("k") > 59
    assert file.exists()


def test_a_lock_that_is_held_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is stopped in the middle holds everybody up, and is named in the end."""
    slept = list[float]()
    limiter = limiter_in(path, sleep=slept.append)
    limiter.acquire("k")
    monkeypatch.setattr(ratelimit_file, "_LOCK_SECONDS", 0.0)
    (file,) = path.iterdir()
    with file.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StripeLimiterError, match="one of its processes is stopped") as caught:
            limiter.acquire("k")
    assert caught.value.retryable
    assert AWAY_SECONDS / 2 < sum(slept) <= AWAY_SECONDS + 1
    assert limiter.acquire("k") == 0


# --- A store that is away


@pytest.mark.parametrize("seconds", [0.9 * AWAY_SECONDS, 2 * AWAY_SECONDS])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_store_that_is_away_is_waited_for(
    path: Path, seconds: float, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk passes, or is worth a retry."""
    slept = list[float]()
    limiter, change = limiter_in(path, sleep=slept.append), os.pwrite

    def pwrite(*args: Any) -> int:
        if sum(slept) < seconds:
            raise OSError(number, os.strerror(number))
        return change(*args)

    monkeypatch.setattr(os, "pwrite", pwrite)
    if seconds < AWAY_SECONDS:
        assert limiter.acquire("k") == 0
        return
    with pytest.raises(StripeLimiterError, match="so no call is made: see what") as caught:
        limiter.acquire("k")
    assert caught.value.retryable
    assert sum(slept) == pytest.approx(AWAY_SECONDS, abs=2)


@pytest.mark.parametrize("ask", ["acquire", "push"])
def test_a_redis_server_that_is_not_there_lets_no_call_pass(ask: str) -> None:
    """It may come back, so a retry makes sense; its password is not told."""
    pytest.importorskip("redis", reason="The Redis client is not installed.")
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    limiter = limiter_for(f"redis://:very-secret@127.0.0.1:{port}/0")
    slept = list[float]()
    limiter._sleep = slept.append
    with pytest.raises(StripeLimiterError, match="cannot be kept in Redis") as caught:
        limiter.acquire("a") if ask == "acquire" else limiter.push("a", 1)
    assert caught.value.retryable
    assert AWAY_SECONDS / 2 < sum(slept) <= AWAY_SECONDS + 1
    assert "very-secret" not in f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"


# --- Which limiter


def test_without_a_url_the_host_has_one_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only its user can enter it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    first, second = limiter_for(None).store, limiter_for("").store
    assert isinstance(first, FileStore)
    assert isinstance(second, FileStore)
    assert first.directory == second.directory
    assert first.directory.stat().st_mode & 0o777 == 0o700
    assert first.directory.parent == tmp_path


@pytest.mark.parametrize("trap", ["others may write", "a link", "a file"])
def test_a_directory_that_somebody_else_prepared_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trap: str
) -> None:
    """The temporary directory is everybody's: the name alone proves nothing."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = tmp_path / f"airflow-provider-stripe-lite-{os.getuid()}"
    if trap == "a link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        path.symlink_to(tmp_path / "elsewhere")
    elif trap == "a file":
        path.touch()
    else:
        path.mkdir()
        path.chmod(0o777)
    with pytest.raises(
        StripeLimiterError,
        match="somebody else owns or can write: remove it, or set rate_limit_url",
    ):
        limiter_for(None)


def test_a_url_names_the_store(tmp_path: Path) -> None:
    """Another directory on a local disk, or nothing that is not known."""
    limiter = limiter_for(f"file://{tmp_path}/calls", calls=7, period=8)
    assert isinstance(limiter.store, FileStore)
    assert limiter.store.directory == tmp_path / "calls"
    assert (limiter.calls, limiter.period) == (7, 8)
    with pytest.raises(StripeInputError, match=r"^rate_limit_url must begin with"):
        limiter_for("memcached://localhost")


def test_redis_without_its_client_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra."""
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(
        StripeLimiterError, match=r"pip install 'airflow-provider-stripe-lite\[redis\]'"
    ):
        limiter_for("redis://localhost")


def test_an_address_of_redis_that_cannot_be_read_does_not_show_its_password() -> None:
    """A password with signs of its own makes another address of it."""
    pytest.importorskip("redis", reason="The Redis client is not installed.")
    with pytest.raises(StripeInputError, match="special in a URL as %xx") as caught:
        limiter_for("redis://:PA/SS@h")
    assert "PA" not in f"{caught.value} {caught.value.__context__!r}"
