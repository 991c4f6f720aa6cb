"""The fenced blocks of the documentation."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
_NAMES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
PAGES = [*(ROOT / name for name in _NAMES), *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(r"^```(\w*) ?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """One block: where it is, its language, what else stands behind the fence, its text."""

    page: str
    line: int
    language: str
    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks() -> list[Block]:
    """Return every block of every page."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for fence in _FENCE.finditer(text):
            line = text.count("\n", 0, fence.start()) + 1
            found.append(Block(str(page.relative_to(ROOT)), line, *fence.groups()))
    return found


def placed(page: str) -> dict[str, str]:
    """Return the blocks of a page that say where they belong, by that place."""
    return {block.place: block.text for block in blocks() if block.page == page and block.place}


def is_dag(block: Block) -> bool:
    """Tell whether the block is a whole DAG file."""
    return block.language == "python" and bool(re.search(r"@dag\(|with DAG\(", block.text))


def commands(block: Block) -> list[str]:
    """Return the commands of a shell block, without comments, lines put together again."""
    lines = block.text.replace("\\\n", " ").replace("&&\n", "\n").splitlines()
    return [text for line in lines if (text := re.sub(r"(^|\s+)#.*$", "", line).strip())]
