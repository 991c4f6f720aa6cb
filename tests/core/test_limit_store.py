"""Where the call limit is kept, who may use it, and that no call is made where it cannot be."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import sys
import tempfile
from pathlib import Path

import pytest

from airflow_provider_stripe_lite.core.ratelimit import RateLimiter, RedisRateLimiter, limiter_for
from airflow_provider_stripe_lite.errors import StripeInputError, StripeLimiterError

# --- The file


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    """Whatever the umask, and all that SQLite puts beside it."""
    before = os.umask(0)
    try:
        RateLimiter(tmp_path / "new" / "calls.sqlite").acquire("a")
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "new").iterdir()}
        assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(before)
    assert "calls.sqlite" in modes
    assert set(modes.values()) == {0o600}


def test_a_database_that_was_damaged_is_refused(tmp_path: Path) -> None:
    """A half-written page: no call without the limit."""
    path = tmp_path / "calls"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE something (x)")
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 4_000)
    with pytest.raises(StripeLimiterError):
        RateLimiter(path).acquire("a")
    with pytest.raises(StripeLimiterError):
        RateLimiter(path).push("a", 1)


def test_a_database_of_another_make_is_refused_and_not_locked(tmp_path: Path) -> None:
    """A failure in the middle of a booking leaves nothing behind that others would wait for."""
    path = tmp_path / "calls"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE clocks (something TEXT)")
    limiter = RateLimiter(path)
    with pytest.raises(StripeLimiterError, match="no such column"):
        limiter.acquire("a")
    with contextlib.closing(sqlite3.connect(path, timeout=0)) as db:
        db.execute("DROP TABLE clocks")
    assert RateLimiter(path).acquire("a") == 0


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


# --- Which limiter


def test_without_a_url_the_host_has_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a directory that only its user can enter."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    first, second = limiter_for(None), limiter_for("")
    assert isinstance(first, RateLimiter)
    assert isinstance(second, RateLimiter)
    assert first.path == second.path
    assert first.path.parent.stat().st_mode & 0o777 == 0o700
    assert tmp_path in first.path.parents


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
    """Another file on a local disk, or nothing that is not known."""
    limiter = limiter_for(f"sqlite://{tmp_path}/calls", calls=7, period=8)
    assert isinstance(limiter, RateLimiter)
    assert (limiter.path, limiter.calls, limiter.period) == (tmp_path / "calls", 7, 8)
    with pytest.raises(StripeInputError, match=r"^rate_limit_url must begin with"):
        limiter_for("memcached://localhost")


def test_redis_without_its_client_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra."""
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(
        StripeLimiterError, match=r"pip install 'airflow-provider-stripe-lite\[redis\]'"
    ):
        limiter_for("redis://localhost")


def test_a_redis_server_that_is_not_there_lets_no_call_pass() -> None:
    """It may come back, so a retry makes sense; its password is not told."""
    pytest.importorskip("redis", reason="The Redis client is not installed.")
    limiter = RedisRateLimiter("redis://:very-secret@127.0.0.1:1/0")
    with pytest.raises(StripeLimiterError, match="cannot be kept in Redis") as caught:
        limiter.acquire("a")
    assert caught.value.retryable
    assert "very-secret" not in f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"
    with pytest.raises(StripeLimiterError):
        limiter.push("a", 1)
