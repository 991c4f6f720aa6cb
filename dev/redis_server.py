"""A Redis server of one's own, which a test may stop, empty and start again."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any, Self

from dev.processes import free_port, undisturbed

PROGRAM = "redis-server"


class RedisServer:
    """A ``redis-server`` on the loopback interface that keeps nothing on disk.

    :param folder: where it runs.
    :ivar url: its address, without a database number.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"redis://127.0.0.1:{self.port}"

    @staticmethod
    def is_installed() -> bool:
        """Return whether this machine has the program."""
        return shutil.which(PROGRAM) is not None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        import redis

        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        with undisturbed():
            self.process = subprocess.Popen(
                [PROGRAM, *options],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        retry = redis.retry.Retry(redis.backoff.ConstantBackoff(0.05), 200)
        self.client: Any = redis.Redis.from_url(self.url, retry=retry)
        self.client.ping()

    def flush(self, database: int) -> None:
        """Empty one of its databases."""
        import redis

        with redis.Redis.from_url(f"{self.url}/{database}") as client:
            client.flushdb()

    def restart(self) -> None:
        """Let it lose all that it had."""
        self.stop()
        self.start()

    def stop(self) -> None:
        """Kill it."""
        self.client.close()
        self.process.kill()
        self.process.wait()
