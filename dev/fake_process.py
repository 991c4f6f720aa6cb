"""The fake Stripe as a process of its own, which several processes can ask."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

import requests

from dev.processes import undisturbed


class FakeStripeProcess:
    """``python -m airflow_provider_stripe_lite.testing`` at ``url``, until the context is left.

    :param options: of its command line, such as ``"--inflow", "customer:0.5"``.
    """

    def __init__(self, *options: str) -> None:
        self.options = options
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            # A signal that came meanwhile is raised when the process is there.
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        if self._process:
            with undisturbed(), self._process:
                self._process.kill()

    def connection(self, key: str = "sk_test_fake") -> dict[str, Any]:
        """Return the Airflow connection that leads to it."""
        # Airflow 3.3.2 refuses to test a stored connection without a port. As the README does, this
        # names one, which gives way to that of the host.
        return {"conn_type": "stripe", "host": self.url, "port": 443, "password": key}

    def control(self, verb: str, **arguments: Any) -> Any:
        """Call one of the fake's methods: add, add_many, delete, advance, fault, options."""
        return _answer(requests.post(f"{self.url}/_fake/{verb}", json=arguments, timeout=30))

    def read(self, name: str, **query: str) -> Any:
        """Return its ``calls``, its ``ledger``, or with ``kind=…`` ``ids`` (oldest first)."""
        return _answer(requests.get(f"{self.url}/_fake/{name}", params=query, timeout=30))

    def clear(self, name: str, **query: str) -> None:
        """Remove from its ``calls``, its ``ledger`` or its ``faults`` what has these values."""
        _answer(requests.delete(f"{self.url}/_fake/{name}", params=query, timeout=30))

    def _start(self) -> None:
        module = "airflow_provider_stripe_lite.testing"
        # Its errors are shown if it does not start; otherwise it prints only how to connect to it.
        with undisturbed(), tempfile.TemporaryFile("w+") as errors:
            self._process = process = subprocess.Popen(
                [sys.executable, "-m", module, "--port", "0", *self.options],
                cwd=Path(__file__).parents[1],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                # Ctrl-C must not end the fake before the Airflow that asks it has ended.
                start_new_session=True,
            )
            self.url = (process.stdout.readline() if process.stdout else "").strip()
            if not self.url:
                code = process.wait()
                errors.seek(0)
                raise RuntimeError(f"The fake Stripe has ended with {code}:\n{errors.read()}")


def _answer(response: requests.Response) -> Any:
    response.raise_for_status()
    return response.json()
