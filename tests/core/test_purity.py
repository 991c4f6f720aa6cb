"""The core knows nothing of Airflow, and no module stands in a circle."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import airflow_provider_stripe_lite as package
from airflow_provider_stripe_lite import core
from dev.module_graph import imported

NAME = package.__name__
FOLDER = Path(package.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))
ROOT = Path(__file__).parents[2]
OTHERS = sorted(
    file for name in ("dev", "example_dags", "tests") for file in (ROOT / name).rglob("*.py")
)
CORE = ["errors", *(f"core.{module.name}" for module in pkgutil.iter_modules(core.__path__))]


def loaded(modules: list[str], forbidden: str = "") -> set[str]:
    """Return the packages that importing these modules loads in a process of their own."""
    code = f"""
import importlib, json, sys
for name in {forbidden!r}.split():
    sys.modules[name] = None
for name in {modules!r}:
    importlib.import_module("{NAME}." + name)
print(json.dumps(sorted({{name.split(".")[0] for name, module in sys.modules.items() if module}})))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def module_of(file: Path) -> str:
    """Return the dotted name of a file's module."""
    parts = file.relative_to(FOLDER.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(file: Path) -> set[str]:
    """Return the package's own modules that a file names in its imports."""
    return imported(file) & {module_of(other) for other in FILES}


def test_the_core_works_without_airflow() -> None:
    """Each module imports where there is no Airflow, and loads no library before it is needed."""
    assert len(CORE) > 10
    libraries = {"airflow", "requests", "urllib3", "redis", "orjson"}
    assert not loaded(CORE, forbidden="airflow") & libraries


def test_the_core_names_no_module_of_the_shell() -> None:
    """Not even where it would be imported late."""
    inner = {f"{NAME}.{name}" for name in CORE} | {NAME, core.__name__}
    for file in FILES:
        if module_of(file) in inner:
            assert imports(file) <= inner, file


def test_no_module_is_part_of_an_import_circle() -> None:
    """Each can be read, and imported, without those that use it."""
    # The package itself holds its version, which its modules read.
    graph = {module_of(file): imports(file) - {NAME, module_of(file)} for file in FILES}
    assert imports(FOLDER / "__init__.py") == set()
    order = list(TopologicalSorter(graph).static_order())
    assert len(order) == len(FILES)


def test_no_file_is_long() -> None:
    """At most 300 lines, of at most 100 columns, as the linter knows."""
    lines = {file: len(file.read_text().splitlines()) for file in (*FILES, *OTHERS)}
    assert not {file: number for file, number in lines.items() if number > 300}


def test_importing_the_package_loads_none_of_it() -> None:
    """`import airflow_provider_stripe_lite` gives a version and costs nothing."""
    code = (
        "import sys, airflow_provider_stripe_lite as package; assert package.__version__;"
        "print([name for name in sys.modules if name.startswith(package.__name__ + '.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
