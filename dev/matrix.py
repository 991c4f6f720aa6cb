"""``make matrix``: the tests that run Airflow on older ones, and the core's on other Pythons.

Each has an environment of its own below ``.matrix``, with the packages of its time: those that were
there a few days after its release stand in for Airflow's constraint files. With ``SHARE=3`` an
Airflow runs each third of the tests, and the next one the next third, so that each meets one of
them; with all of them, a living Airflow of each version runs beside it, whose processes die.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".matrix"
# The newest one is that of ``make test``.
AIRFLOWS = {"3.1.8": "2026-03-20", "3.2.2": "2026-06-05", "3.3.0": "2026-07-13"}
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# What the tests of the core import beside it.
CORE = ("cryptography", "greenlet", "hypothesis", "orjson", "psutil", "redis", "requests")
PYTEST = ("pytest", "pytest-xdist")
LIVING = [f"tests/e2e/test_{name}.py" for name in ("bell", "exactly_once", "kills")]
SHARE = int(os.environ.get("SHARE", "1"))


def main() -> int:
    """Run all that can be had here, and return whether anything failed."""
    known: dict[str, Callable[[str], bool | None]] = {
        **dict.fromkeys(AIRFLOWS, on_airflow),
        **dict.fromkeys(PYTHONS, on_python),
        "upgrade": upgraded,
    }
    chosen = sys.argv[1:] or [*known]
    ends = {name: known[name](name) for name in chosen}
    for word, end in (("Green", True), ("Failed", False), ("Left out", None)):
        if names := [name for name in chosen if ends[name] is end]:
            print(f"{word}: {', '.join(names)}.")
    return False in ends.values()


def on_airflow(version: str) -> bool:
    """Run the tests of ``tests/airflow`` on an Airflow, which the package must not change."""
    print(f"\nAirflow {version} …", flush=True)
    python = environment(f"airflow-{version}", f"{sys.version_info[0]}.{sys.version_info[1]}")
    newest = ("--exclude-newer", f"{AIRFLOWS[version]}T00:00:00Z")
    install(python, *newest, f"apache-airflow=={version}", "--group", "matrix")
    before = packages(python)
    install(python, *newest, f"apache-airflow=={version}", str(ROOT))
    added = packages(python) - before
    if len(added) != 1:
        print(f"Beside Airflow {version} the package has changed others: {sorted(added)}")
        return False
    return pytest(python, *share([*AIRFLOWS].index(version)), "tests/airflow") and (
        SHARE > 1 or pytest(python, "-s", "-m", "e2e", "-k", "sqlite", *LIVING)
    )


def on_python(version: str) -> bool | None:
    """Run the tests of ``tests/core`` on a Python; None where there is none, nor can be had."""
    print(f"\nPython {version} …", flush=True)
    try:
        python = environment(f"python-{version}", version)
    except subprocess.CalledProcessError:
        return None
    install(python, *CORE, *PYTEST)
    install(python, "--no-deps", str(ROOT))
    return pytest(python, *share(PYTHONS.index(version)), "tests/core")


def upgraded(_: str) -> bool | None:
    """Let an older Airflow become the newest one; None where there is none."""
    if not (FOLDER / "airflow-3.1.8").exists():
        return None
    return pytest(Path(sys.executable), "-s", "-m", "matrix")


def environment(name: str, version: str) -> Path:
    """Make an empty environment for a Python, and return its interpreter."""
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    # uv does not look where pyenv keeps its Pythons.
    own = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    uv("venv", "--quiet", "--python", str(own[-1]) if own else version, str(folder))
    return folder / "bin" / "python"


def install(python: Path, *what: str) -> None:
    """Install packages into an environment."""
    uv("pip", "install", "--quiet", "--python", str(python), *what)


def packages(python: Path) -> set[str]:
    """Return what is installed in an environment, each with its version."""
    return set(uv("pip", "freeze", "--python", str(python)).split("\n"))


def share(number: int) -> list[str]:
    """Return the options for an environment's share of the tests, in two processes."""
    return ["-n", "2", "--dist", "worksteal", "--share", f"{number % SHARE + 1}/{SHARE}"]


def pytest(python: Path, *options: str) -> bool:
    """Run tests, and return whether all passed."""
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=ROOT).returncode == 0


def uv(*words: str) -> str:
    """Run uv with the certificates of this machine, and return its output."""
    env = {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1", **os.environ}
    command = [sys.executable, "-m", "uv", *words]
    return subprocess.run(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


if __name__ == "__main__":
    sys.exit(main())
