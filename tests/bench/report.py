"""The figures as one Markdown table and one plot."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from typing import Any

from tests.bench.limiter import Load, Outcome
from tests.bench.setting import ROOT, Environments, Python

HEAD = (
    "calls | connections | objects/s | CPU s | objects per CPU s | peak MB over rest "
    "| poll, nothing new: calls, CPU ms | poll, 10 new: calls, CPU ms |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|"
)
NOTES = """
¹ One batch is one list: it holds every object. ² Iterated only, without normalising and loading.
³ A whole sync: the account, the charges, and their events; records written to nowhere.
"""
Rows = Sequence[tuple[str, str, str]]


def reading(rows: Rows, found: dict[str, Any], objects: int, many: int, rounds: int, pythons: dict[str, Python]) -> str:
    """Everything that was measured, and each target with what became of it."""
    versions = ", ".join(f"{name} {python.version}" for name, python in pythons.items() if python.version)
    missing = ", ".join(sorted({"orjson", *Environments.packages} - set(pythons)))
    setting = (
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {versions}; medians of {rounds} rounds in turn, "
        "each reader in a fresh process, from a local server with charges of 3 kB. Ours: call limit (set high), "
        "retries, checks and order included."
    )
    targets = _targets(found, objects, many)
    return "\n".join([
        setting,
        f"\n| reading {objects:,} charges | {HEAD}",
        *(_row(label, found[name]) for name, _, label in rows),
        NOTES + (f"Not measured, as it could not be installed here: {missing}.\n" if missing else ""),
        "| target | measured | |\n|---|--:|---|",
        *(f"| {text} | {shown} | {'met' if met else '**missed**'} |" for text, shown, met in targets),
        f"\nParsing a DAG file with all nine operators and sensors: {found['parsing']['parse'] * 1e3:.1f} CPU ms.\n",
    ])  # fmt: skip


def summary(rows: Rows, found: dict[str, Any]) -> str:
    """The part of the table that the README shows."""
    return "\n".join([
        "| | calls | objects per CPU second | peak MB over rest |\n| --- | --: | --: | --: |",
        *(
            f"| {_plain(label)} | {of['calls']:.0f} | {of['objects'] / of['cpu']:,.0f} | {of['peak']:.0f} |"
            for label, of in ((label, found[name]) for name, _, label in rows)
        ),
    ])  # fmt: skip


def _plain(label: str) -> str:
    return label.strip("¹²³ ").replace("**", "")


def _row(label: str, of: dict[str, float]) -> str:
    polls = " | ".join(f"{of[when + 'calls']:.0f}, {of[when + 'cpu'] * 1e3:.1f}" for when in ("none_", "ten_"))
    speed = f"{of['objects'] / of['seconds']:,.0f} | {of['cpu']:.2f} | {of['objects'] / of['cpu']:,.0f}"
    return f"| {label} | {of['calls']:,.0f} | {of['connections']:.0f} | {speed} | {of['peak']:.0f} | {polls} |"


def _targets(found: dict[str, Any], objects: int, many: int) -> Iterator[tuple[str, str, bool]]:
    ours, poll, million = found["ours_window"], found["ours_poll"], found["million"]
    ratios = [("the bare loop's objects per CPU second", "bare", "ours_window", "cpu", 0.9)]
    if "stripe_python" in found:
        ratios += [("stripe-python's objects per CPU second", "stripe_python", "ours_window", "cpu", 15)]
    if "pyrate" in found:
        text = "the permits per {} second of pyrate-limiter's SQLite bucket"
        ratios += [(text.format(what), "pyrate", "ours", key, 5) for what, key in (("CPU", "cpu"), ("elapsed", "wall"))]
    for text, theirs, mine, key, least in ratios:
        ratio = found[theirs][key] / found[mine][key]
        yield f"at least {least:g} times {text}", f"{ratio:.2f}", ratio >= least
    for name, one in (("read_window", ours), ("poll", poll)):
        shown = f"{one['calls']:.0f}, {one['connections']:.0f}"
        yield f"{name}: {-(-objects // 100)} calls, 1 connection", shown, shown == f"{-(-objects // 100)}, 1"
    for name, key in (("nothing", "none_calls"), ("10", "ten_calls")):
        yield f"a poll with {name} new: 1 call", f"{poll[key]:g}", poll[key] == 1
    for one, count in ((ours, objects), (million, many)):
        met = one["peak"] <= 40 and one["objects"] == count
        yield f"read_window, {count:,} objects: at most 40 MB over rest", f"{one['peak']:.1f} MB", met
    share = found["parsing"]["package"] / found["parsing"]["ground"]
    yield "import: at most 5 % on top of airflow.sdk and requests", f"{share:.1%}", share <= 0.05
    imported = found["alone"]["requests"]
    yield "requests is not imported when a DAG is parsed", "it is" if imported else "it is not", not imported


def bars(rows: Rows, found: dict[str, Any]) -> str:
    """Objects per CPU second, as an SVG that needs no style of the page around it."""
    rates = [(name, _plain(label), found[name]) for name, _, label in rows]
    most, height = max(of["objects"] / of["cpu"] for *_, of in rates), 28 * len(rates) + 44
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="720" height="{height}" fill="#fff"/>',
        '<text x="12" y="22" font-weight="bold">Charges read per CPU second (more is better)</text>',
    ]
    for index, (name, label, of) in enumerate(rates):
        rate, y = of["objects"] / of["cpu"], 38 + 28 * index
        width, colour = rate / most * 400, "#635bff" if name.startswith("ours") else "#a3acb9"
        parts += [
            f'<text x="232" y="{y + 15}" text-anchor="end">{label}</text>',
            f'<rect x="240" y="{y}" width="{width:.1f}" height="20" rx="2" fill="{colour}"/>',
            f'<text x="{246 + width:.1f}" y="{y + 15}" fill="#425466">{rate:,.0f}</text>',
        ]
    return "\n".join([*parts, "</svg>\n"])


def loads(rows: Sequence[tuple[str, Load, Outcome]]) -> str:
    """The limiter under load, a row for each run."""
    head = (
        "| store | limit | processes | a request takes | permits | most in a window | used | fairness | longest wait |"
    )
    return "\n".join(
        ["# The call limit under load\n", head, "|---|" + "--:|" * 8, *(load_row(*row) for row in rows), ""]
    )


def load_row(store: str, load: Load, outcome: Outcome) -> str:
    """One run of the limiter under load."""
    task = f"{store} | {load.calls} per {load.period:g} s | {load.processes} | {load.gap * 1e3:g} ms"
    used = "asked for less" if outcome.used is None else f"{outcome.used:.1%}"
    result = f"{outcome.permits} | {outcome.worst} | {used} | {outcome.fairness:.2f} | {outcome.longest:.1f} s"
    return f"| {task} | {result} |"


def write(name: str, text: str, plot: str | None, quick: bool) -> None:
    """Print the text; write it and the plot to docs/, unless it was only a quick look."""
    print(text)
    if quick:
        return
    (ROOT / "docs").mkdir(exist_ok=True)
    if plot is not None:
        (ROOT / "docs" / f"{name}.svg").write_text(plot)
        text = f"# Speed and memory, side by side\n\n![Charges read per CPU second]({name}.svg)\n\n{text}"
    (ROOT / "docs" / f"{name}.md").write_text(text)


def write_readme(table: str) -> None:
    """Put the table where the README has the last one."""
    path, begin, end = ROOT / "README.md", "<!-- bench:begin -->\n", "<!-- bench:end -->"
    before, _, rest = path.read_text().partition(begin)
    path.write_text(f"{before}{begin}{table}\n{end}{rest.partition(end)[2]}")
