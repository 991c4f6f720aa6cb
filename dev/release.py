"""``make build``: a wheel and an sdist, held to what an index and a user make of them.

Each check ends with a sentence where it fails. What is in ``dist/`` after a green end can be
uploaded as it is.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from importlib.metadata import PathDistribution, version
from pathlib import Path

from packaging.requirements import Requirement
from readme_renderer import markdown

from dev.matrix import environment, install

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGE = PROJECT["name"].replace("-", "_")
STEM = f"{PACKAGE}-{PROJECT['version']}"
METADATA = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
# A third package that everybody needs is a decision, so it is made here, too.
REQUIRED = {"apache-airflow", "requests"}
AIRFLOW = version("apache-airflow")
EXAMPLE = "tests/docs/test_users_tests.py"


def main() -> None:
    """Build both files, and end with a sentence where one of them is not fit to be published."""
    shutil.rmtree(DIST, ignore_errors=True)
    print("Building …", flush=True)
    run(sys.executable, "-m", "build", "--outdir", str(DIST))
    wheel, sdist = DIST / f"{STEM}-py3-none-any.whl", DIST / f"{STEM}.tar.gz"
    print("Reading their files and metadata …", flush=True)
    check_files(wheel, sdist)
    check_metadata(wheel)
    print(run(sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(sdist)), end="")
    print(f"Trying the wheel beside Airflow {AIRFLOW} alone …", flush=True)
    check_installed(wheel)
    print(f"Fit to be published: dist/{wheel.name}, dist/{sdist.name}")


def check_files(wheel: Path, sdist: Path) -> None:
    """End where the wheel is not just the package, or the sdist not just what Git tracks."""
    tracked = {name for name in run("git", "ls-files", "-z").split("\0") if name}
    package = {name for name in tracked if name.startswith(f"{PACKAGE}/")}
    package |= {f"{STEM}.dist-info/{name}" for name in METADATA}
    compare("wheel", {*zipfile.ZipFile(wheel).namelist()}, package)
    with tarfile.open(sdist) as archive:
        held = {name.removeprefix(f"{STEM}/") for name in archive.getnames()}
    compare("sdist", held, tracked | {"PKG-INFO"})


def compare(kind: str, held: set[str], wanted: set[str]) -> None:
    """End where a file is missing, or one is there that nobody wants."""
    for names, fault in ((held - wanted, "holds"), (wanted - held, "lacks")):
        if names:
            sys.exit(f"The {kind} {fault} {', '.join(sorted(names))}.")


def check_metadata(wheel: Path) -> None:
    """End where a user would have to install more, or a reader of an index would go astray."""
    had = PathDistribution(zipfile.Path(wheel, f"{STEM}.dist-info/"))
    needs = [Requirement(text) for text in had.requires or ()]
    required = {need.name for need in needs if "extra" not in str(need.marker)}
    if required != REQUIRED:
        sys.exit(f"The wheel requires {', '.join(sorted(required))}.")
    page = markdown.render(str(had.metadata.json["description"]))
    if page is None:
        sys.exit("The long description cannot be rendered.")
    # An index has no other page of this package, so a link needs a host or a heading of the page.
    if targets := re.findall(r'(?:href|src)="(?!https://|#)([^"]*)"', page):
        sys.exit(f"The long description leads to {', '.join(targets)}, which no index has.")


def check_installed(wheel: Path) -> None:
    """End where the wheel alone, beside Airflow, does not do what its documentation shows."""
    python = environment("release", f"{sys.version_info[0]}.{sys.version_info[1]}")
    install(python, f"apache-airflow=={AIRFLOW}", "pytest", str(wheel))
    with tempfile.TemporaryDirectory() as empty:
        command = (str(python), "-m", "airflow", "providers", "list", "--output", "json")
        listed = json.loads(run(*command, folder=empty, AIRFLOW_HOME=empty))
    if PROJECT["version"] not in {
        row["version"] for row in listed if row["package_name"] == PROJECT["name"]
    }:
        sys.exit(f"Airflow does not list the provider, or not as {PROJECT['version']}.")
    # The test lays the page's files out in an empty folder, and runs them with this Python.
    options = ("-q", "-p", "no:cacheprovider", "-k", "passes")
    run(sys.executable, "-m", "pytest", *options, EXAMPLE, USERS_PYTHON=str(python))


def run(*command: str, folder: str | Path = ROOT, **variables: str) -> str:
    """Return what a command prints; where it fails, print that and end."""
    env = {**os.environ, **variables}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}{' '.join(command[1:4])} failed.")
    return done.stdout


if __name__ == "__main__":
    main()
