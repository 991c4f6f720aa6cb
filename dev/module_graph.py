"""Which module of the package imports which, read from its source: for docs and tests."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path


def knowledge(package: Path) -> Iterator[tuple[str, list[str], bool]]:
    """Yield each module's file, the files that it imports, and whether it imports Airflow.

    The core comes first; the fake is left out.
    """
    files = [path.relative_to(package) for path in package.rglob("*.py")]
    shown = (
        file for file in files if file.parts[0] != "testing" and not file.stem.startswith("__")
    )
    for file in sorted(shown, key=lambda file: (file.parts[0] != "core", str(file))):
        found = imported(package / file)
        inner = {name.removeprefix(f"{package.name}.") for name in found}
        known = [str(other) for other in files if ".".join(other.with_suffix("").parts) in inner]
        airflow = any(name.split(".")[0] == "airflow" for name in found)
        yield str(file), sorted(known), airflow


def imported(file: Path) -> set[str]:
    """Return the dotted names that a file imports, wherever that stands in it.

    What only a type checker reads is not among them.
    """
    return set(_names([ast.parse(file.read_text())]))


def _names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from _names(node.orelse)
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        yield from _names(ast.iter_child_nodes(node))
