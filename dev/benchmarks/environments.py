"""The virtual environment of each contestant, and scripts that run in it."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
_NOT_FOR_CHILDREN = {
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPATH",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
}

Figures = dict[str, float]
# The figures of each contestant, round by round.
Runs = dict[str, list[Figures]]


class Python(NamedTuple):
    """An interpreter, which finds this checkout besides its own packages.

    :param version: of the contestant that is installed for it.
    """

    executable: Path
    version: str = ""

    def command(self, name: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
        """Return the command line that runs a script of the bench, and its environment."""
        kept = {
            name: text for name, text in os.environ.items() if name.upper() not in _NOT_FOR_CHILDREN
        }
        kept["PYTHONPATH"] = str(ROOT)
        return [str(self.executable), str(HERE / name), *arguments], kept


# This process' own interpreter.
OWN = Python(Path(sys.executable))


class Environments:
    """A virtual environment for each contestant, made once, without those that cannot be had."""

    packages: Mapping[str, tuple[str, ...]] = {
        "stripe": ("stripe",),
        "tap-stripe": ("tap-stripe",),
        "dlt": ("dlt",),
        "pyrate-limiter": ("pyrate-limiter", "filelock"),
    }

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> dict[str, Python]:
        pythons = {"own": OWN}
        self._folder.mkdir(exist_ok=True)
        (self._folder / ".gitignore").write_text("*\n")
        for name, packages in self.packages.items():
            with suppress(subprocess.CalledProcessError):
                path = self._once(name, partial(_environment, packages))
                python = path / "bin" / "python"
                code = f"from importlib.metadata import version; print(version({name!r}))"
                version = subprocess.check_output([python, "-c", code], text=True).strip()
                pythons[name] = Python(python, version)
        return pythons

    def __exit__(self, *_: object) -> None:
        """Leave the environments for the next time."""

    def _once(self, name: str, make: Callable[[Path], None]) -> Path:
        path, done = self._folder / name, self._folder / f"{name}.done"
        if not done.exists():
            print(f"Setting up .bench/{name} …", flush=True)
            make(path)
            done.touch()
        return path


def _environment(packages: tuple[str, ...], path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(path)], check=True)
    pip = [str(path / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", *packages], check=True, stderr=subprocess.DEVNULL)


def script(python: Python, *arguments: str) -> Figures:
    """Run costs.py, which prints figures."""
    command, variables = python.command("costs.py", *arguments)
    output = subprocess.check_output(command, env=variables, text=True, stderr=subprocess.DEVNULL)
    figures: Figures = json.loads(output.splitlines()[-1])
    return figures


def rounds_of(rounds: int, contestants: Mapping[str, Callable[[], Figures]]) -> Runs:
    """Let all of them run in turn, so many times."""
    runs: Runs = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            runs[name].append(run())
    return runs


def medians(runs: Runs) -> dict[str, Figures]:
    """Return the median of each figure."""
    return {
        name: {key: statistics.median(one[key] for one in figures) for key in figures[0]}
        for name, figures in runs.items()
    }
