"""Processes, signals and ports, as the demo, the UI and the end-to-end tests need them."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

# psutil comes with Airflow.
import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

# The signals with which somebody asks a process to end.
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def free_port() -> int:
    """Return a port of the loopback interface that nobody uses."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def leave_cleanly() -> None:
    """Turn each signal that asks for the end into an exception, so that contexts clean up."""

    def leave(number: int, _: object) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    for number in ENDS:
        signal.signal(number, leave)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let no signal interrupt the block; the first one that came meanwhile is raised at its end.

    An exception out of a signal could otherwise lose a process that was just started, or leave
    one alive that was to be ended.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = [signal.signal(number, lambda number, _: came.append(number)) for number in ENDS]
    try:
        yield
    finally:
        for number, handler in zip(ENDS, before, strict=True):
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def adopt_orphans() -> None:
    """Become the parent of descendants whose parent dies: a container may have no other reaper."""
    if sys.platform == "linux":
        set_child_subreaper = 36
        ctypes.CDLL(None).prctl(set_child_subreaper, 1)


def processes_of(sessions: set[int]) -> dict[int, str]:
    """Return pid and title of the living processes of these sessions, and reap the dead ones.

    A task's process leaves the process group of its parent, but not its session.
    """
    found = {}
    for pid in psutil.pids():
        with suppress(ProcessLookupError, ChildProcessError, PermissionError, psutil.Error):
            if os.getsid(pid) not in sessions:
                continue
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE:
                found[pid] = " ".join(process.cmdline())
            else:
                os.waitpid(pid, os.WNOHANG)
    return found
