"""The figures as Markdown tables and one plot."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterable, Iterator, Sequence

from dev.benchmarks.environments import ROOT, Environments, Figures, Python, Runs
from dev.benchmarks.limiter import Load, Outcome

HEAD = (
    "calls | connections | objects/s | CPU s | objects per CPU s | peak MB over rest "
    "| poll, nothing new: calls, CPU ms | poll, 10 new: calls, CPU ms"
)
NOTES = """
¹ In batches of 1,000. ² Of each the documented fields. ³ Iterated only, without normalising and
loading. ⁴ A whole sync: the account, the charges, and their events; records written to nowhere.
"""
# The share of a DAG file's other imports that the import of this package may cost.
IMPORT_SHARE = 0.05
RATES = "objects per CPU second"
_RATIOS = (
    (f"list over the bare loop, {RATES}", "bare", "ours_list", "cpu", 0.95),
    ("the same with orjson in both", "bare_orjson", "ours_list_orjson", "cpu", 0.95),
    (f"poll over stripe-python, {RATES}", "stripe_python", "ours_poll", "cpu", 18),
    ("the same with orjson", "stripe_python", "ours_poll_orjson", "cpu", 18),
    ("permits per CPU second over pyrate-limiter's SQLite bucket", "pyrate", "ours", "cpu", 5),
    ("permits per elapsed second over the same", "pyrate", "ours", "wall", 5),
)
Rows = Sequence[tuple[str, str, str]]
# The figures of each contestant.
Found = dict[str, Figures]
# What is to be reached, what was measured, and whether that is enough.
Target = tuple[str, str, bool]


def reading(rows: Rows, found: Found, runs: Runs, pythons: dict[str, Python]) -> str:
    """Return every figure, and each target with the figure that it is met or missed by.

    :param found: the medians of the rounds, and what was measured once.
    """
    objects = int(found["bare"]["objects"])
    versions = [f"{name} {python.version}" for name, python in pythons.items() if python.version]
    missing = ", ".join(sorted(Environments.packages.keys() - pythons.keys()))
    setting = (
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {', '.join(versions)}; "
        f"medians of {len(runs['bare'])} rounds in turn, each reader in a fresh process, from a "
        "local server with charges of 3 kB. Ours: call limit (set high), retries, checks and order "
        "included."
    )
    notes = f"Not measured, as it could not be installed here: {missing}.\n" if missing else ""
    parse = found["parsing"]["parse"] * 1e3
    parts = [
        setting,
        "",
        *table(
            f"reading {objects:,} charges | {HEAD}",
            [_row(label, found[name]) for name, _, label in rows],
        ),
        NOTES + notes,
        *targets(_targets(found, runs)),
        f"\nParsing a DAG file with all nine operators and sensors: {parse:.1f} CPU ms.",
    ]
    return "\n".join(parts)


def table(head: str, rows: Sequence[str]) -> list[str]:
    """Return the lines of a table, whose first column is text and all others figures."""
    lines = [f"| {head} |", "|---|" + "--:|" * head.count(" | ")]
    return lines + [f"| {row} |" for row in rows]


def targets(reached: Iterable[Target]) -> list[str]:
    """Return the lines of the table of targets."""
    rows = [f"| {text} | {shown} | {_met(met)} |" for text, shown, met in reached]
    return ["| target | measured | |\n|---|--:|---|", *rows]


def ratios(rows: Iterable[tuple[str, str, str, str, float]], runs: Runs) -> Iterator[Target]:
    """Yield the ratios that are to be reached, of contestants that were measured side by side.

    :param rows: text, figures of theirs and of ours, key of the cost, least ratio of the costs.
    """
    for text, theirs, mine, key, least in rows:
        if theirs in runs:
            # What disturbs the machine for a while disturbs both figures of a round.
            pairs = zip(runs[theirs], runs[mine], strict=True)
            ratio = statistics.median(their[key] / my[key] for their, my in pairs)
            yield f"{text}: at least {least:g}", f"{ratio:.3g}", ratio >= least


def imports(least: dict[str, float]) -> str:
    """Return the cost of importing this package, beside the imports of a DAG file without it."""
    text, shown, met = _import_target(least)
    rows = [
        "| imports of a DAG file, least of seven runs | CPU ms |\n|---|--:|",
        f"| six names of airflow.sdk | {least['ground'] * 1e3:.1f} |",
        f"| then operators and sensors | {least['package'] * 1e3:.1f} |",
        f"\n{text}: {shown}, {_met(met)}.",
    ]
    return "\n".join(rows)


def plain(label: str) -> str:
    """Return a label without signs."""
    return label.strip("¹²³⁴⁵ ").replace("**", "")


def _met(met: bool) -> str:
    return "met" if met else "**missed**"


def speed(of: Figures) -> str:
    """Return what one contestant has done in a second, and the memory that it took."""
    rates = [of["objects"] / of[clock] for clock in ("seconds", "cpu")]
    return f"{rates[0]:,.0f} | {of['cpu']:.2f} | {rates[1]:,.0f} | {of['peak']:.0f}"


def _row(label: str, of: Figures) -> str:
    calls = f"{of['calls']:,.0f} | {of['connections']:.0f}"
    polls = [
        f"{of[f'{part}_calls']:.0f}, {of[f'{part}_cpu'] * 1e3:.1f}" for part in ("none", "ten")
    ]
    return f"{label} | {calls} | {speed(of)} | {' | '.join(polls)}"


def _targets(found: Found, runs: Runs) -> Iterator[Target]:
    """Yield each target, the figure, and whether the target is met."""
    yield from ratios(_RATIOS, runs)
    listed, polled = found["ours_list"], found["ours_poll"]
    pages = -(-int(listed["objects"]) // 100)
    for name, one, most in (("list", listed, pages + 1), ("poll", polled, int(1.02 * pages))):
        shown = f"{one['calls']:.0f}, {one['connections']:.0f}"
        met = one["calls"] <= most and one["connections"] == 1
        yield f"{name}: at most {most} calls, 1 connection", shown, met
    for name, key in (("nothing", "none_calls"), ("10", "ten_calls")):
        yield f"a poll with {name} new: 1 call", f"{polled[key]:g}", polled[key] == 1
    for name, one in (
        ("list", listed),
        ("list", found["million"]),
        ("one batch", found["batch"]),
    ):
        text = f"{name}, {one['objects']:,.0f} objects: at most 40 MB over rest"
        yield text, f"{one['peak']:.1f} MB", one["peak"] <= 40
    yield _import_target(found["imports"])
    adds = found["imports"]["adds_requests"]
    yield "the import does not import requests", "it does" if adds else "it does not", not adds


def _import_target(least: dict[str, float]) -> Target:
    share = least["package"] / least["ground"]
    text = (
        f"importing operators and sensors: at most {IMPORT_SHARE:.0%} CPU over the imports of a "
        "DAG file from airflow.sdk"
    )
    return text, f"{share:.1%}", share <= IMPORT_SHARE


def bars(rows: Rows, found: Found) -> str:
    """Return objects per CPU second as an SVG that needs no style of the page around it."""
    rates = [
        (name, plain(label), found[name]["objects"] / found[name]["cpu"]) for name, _, label in rows
    ]
    most, height = max(rate for *_, rate in rates), 28 * len(rates) + 44
    title = "Charges read per CPU second (more is better)"
    font = 'font-family="sans-serif" font-size="13"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {height}" {font}>',
        f'<rect width="720" height="{height}" fill="#fff"/>',
        f'<text x="12" y="22" font-weight="bold">{title}</text>',
    ]
    for index, (name, label, rate) in enumerate(rates):
        y, width = 38 + 28 * index, rate / most * 400
        colour = "#635bff" if name.startswith("ours") else "#a3acb9"
        parts += [
            f'<text x="232" y="{y + 15}" text-anchor="end">{label}</text>',
            f'<rect x="240" y="{y}" width="{width:.1f}" height="20" rx="2" fill="{colour}"/>',
            f'<text x="{246 + width:.1f}" y="{y + 15}" fill="#425466">{rate:,.0f}</text>',
        ]
    return "\n".join([*parts, "</svg>\n"])


def loads(rows: Sequence[tuple[str, Load, Outcome]]) -> str:
    """Return the table of the limiter under load, a row for each run."""
    head = (
        "| store | limit | processes | a request takes | permits | most in a window | used "
        "| fairness | longest wait |"
    )
    title = "# The call limit under load\n"
    return "\n".join([title, head, "|---|" + "--:|" * 8, *(load_row(*row) for row in rows), ""])


def load_row(store: str, load: Load, outcome: Outcome) -> str:
    """Return one run of the limiter under load."""
    limit = f"{load.calls} per {load.period:g} s"
    task = f"{store} | {limit} | {load.processes} | {load.gap * 1e3:g} ms"
    used = "asked for less" if outcome.used is None else f"{outcome.used:.1%}"
    share = f"{outcome.fairness:.2f} | {outcome.longest:.1f} s"
    return f"| {task} | {outcome.permits} | {outcome.worst} | {used} | {share} |"


def write_page(name: str, text: str) -> None:
    """Write a whole page, or a plot, of docs/."""
    (ROOT / "docs" / name).write_text(text)


def write_section(page: str, section: str, text: str) -> None:
    """Replace the section of a page that stands between its marks."""
    path, begin, end = ROOT / page, f"<!-- {section}:begin -->\n", f"<!-- {section}:end -->"
    before, _, rest = path.read_text().partition(begin)
    path.write_text(f"{before}{begin}{text}\n{end}{rest.partition(end)[2]}")
