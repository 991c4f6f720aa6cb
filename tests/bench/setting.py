"""Where the bench runs: an environment for each contestant, the server, children that read from it."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import ProxyHandler, build_opener

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
POLLS = 20  # readings that one figure of a poll is the mean of
_NOT_FOR_CHILDREN = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}

Figures = dict[str, float]


class Python(NamedTuple):
    """An interpreter, and what it is to find besides its own packages."""

    executable: Path
    paths: tuple[Path, ...] = ()
    version: str = ""

    def command(self, name: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
        """The command line that runs a script of the bench, and its environment."""
        variables = {name: value for name, value in os.environ.items() if name.upper() not in _NOT_FOR_CHILDREN}
        variables["PYTHONPATH"] = os.pathsep.join(map(str, self.paths))
        return [str(self.executable), str(HERE / name), *arguments], variables


class Environments:
    """What is compared with, each in a virtual environment of its own, made once; what cannot be had is left out."""

    packages: Mapping[str, tuple[str, ...]] = {
        "stripe": ("stripe",),
        "tap-stripe": ("tap-stripe",),
        "dlt": ("dlt",),
        "pyrate-limiter": ("pyrate-limiter", "filelock"),
    }

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> dict[str, Python]:
        self._folder.mkdir(exist_ok=True)
        (self._folder / ".gitignore").write_text("*\n")
        own = Path(sys.executable)
        pythons = {"own": Python(own, (ROOT,))}
        with suppress(subprocess.CalledProcessError):
            extra = self._once("orjson", lambda path: _pip(own, "--target", str(path), "orjson"))
            pythons["orjson"] = Python(own, (ROOT, extra))
        for name, packages in self.packages.items():
            with suppress(subprocess.CalledProcessError):
                path = self._once(name, lambda path, needs=packages: _environment(path, needs))
                python = path / "bin" / "python"
                code = f"from importlib.metadata import version; print(version({name!r}))"
                pythons[name] = Python(python, (), subprocess.check_output([python, "-c", code], text=True).strip())
        return pythons

    def __exit__(self, *_: object) -> None:
        """They stay for the next time."""

    def _once(self, name: str, make: Callable[[Path], None]) -> Path:
        path, done = self._folder / name, self._folder / f"{name}.done"
        if not done.exists():
            print(f"Setting up .bench/{name} …", flush=True)
            make(path)
            done.touch()
        return path


def _pip(python: Path, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", "install", *arguments]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def _environment(path: Path, packages: tuple[str, ...]) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(path)], check=True)
    _pip(path / "bin" / "python", *packages)


class Server:
    """The list endpoint in a process of its own."""

    def __enter__(self) -> Server:
        command, variables = Python(Path(sys.executable), (ROOT,)).command("server.py")
        self._process = subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._url = f"http://127.0.0.1:{self._process.stdout.readline().strip()}"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def control(self, count: int) -> dict[str, int]:
        """Hold so many charges, and say how many calls and connections there were so far."""
        with build_opener(ProxyHandler({})).open(f"{self._url}/control?count={count}") as answer:
            return json.load(answer)

    def read(self, python: Python, name: str, objects: int, *, polls: bool = True) -> Figures:
        """Let a fresh process read that many charges, then poll where there are none and ten new ones."""
        print(f"{name}: {objects:,} charges …", file=sys.stderr, flush=True)
        connections = self.control(0)["connections"]
        command, variables = python.command("readers.py", name, self._url)
        child = subprocess.Popen(
            command, env=variables, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        with child:
            assert child.stdout is not None
            if child.stdout.readline() != "ready\n":
                raise RuntimeError(f"{name} did not start: run tests/bench/readers.py {name} by hand.")
            figures = self._ask(child, objects, 1)
            figures["connections"] = self.control(0)["connections"] - connections
            for prefix, count in (("none_", 0), ("ten_", 10)) if polls else ():
                figures |= {prefix + key: value for key, value in self._ask(child, count, POLLS).items()}
        return figures

    def _ask(self, child: subprocess.Popen[str], objects: int, times: int) -> Figures:
        assert child.stdin is not None
        assert child.stdout is not None
        self.control(objects)
        before = self.control(objects)
        print(json.dumps([before["since"], times]), file=child.stdin, flush=True)
        figures: Figures = json.loads(child.stdout.readline())
        return figures | {"calls": (self.control(objects)["calls"] - before["calls"]) / times}


def script(python: Python, *arguments: str) -> Figures:
    """Run costs.py, which prints figures."""
    command, variables = python.command("costs.py", *arguments)
    output = subprocess.check_output(command, env=variables, text=True, stderr=subprocess.DEVNULL)
    figures: Figures = json.loads(output.splitlines()[-1])
    return figures


def rounds_of(rounds: int, contestants: Mapping[str, Callable[[], Figures]]) -> dict[str, Any]:
    """Let all of them run in turn, so many times; the median of each figure."""
    found: dict[str, list[Figures]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            found[name].append(run())
    return {
        name: {key: statistics.median(figures[key] for figures in runs) for key in runs[0]}
        for name, runs in found.items()
    }
