"""The pages agree with the code and with each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_provider_stripe_lite.core import ratelimit, reading
from airflow_provider_stripe_lite.core.resources import DEFAULT_API_VERSION, RESOURCES
from airflow_provider_stripe_lite.sensors import StripeEventSensor, StripeNewObjectSensor
from dev import docstrings, reference
from tests.docs.blocks import PAGES, ROOT, blocks

README = (ROOT / "README.md").read_text()
PACKAGE = ROOT / "airflow_provider_stripe_lite"


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", reference.PAGES, ids=lambda page: page.name)
def test_tables_are_up_to_date(page: Path) -> None:
    """What a page says of parameters, feeds and errors is the code's: python -m dev.reference."""
    assert page.read_text() == reference.filled(page.read_text())


def test_every_parameter_is_described() -> None:
    """No public parameter has no meaning; "(templated)" stands where Airflow renders it."""
    for cls in (*reference.OPERATORS, StripeNewObjectSensor, StripeEventSensor):
        for name, (_, meaning) in docstrings.parameters(cls).items():
            assert meaning, f"{cls.__name__}.{name}"
            templated = "(templated)" in meaning
            assert (name in cls.template_fields) == templated, f"{cls.__name__}.{name}"
        assert set(cls.template_fields) <= set(docstrings.parameters(cls)), cls.__name__


def test_notes_are_of_known_feeds() -> None:
    """A note for a feed that was renamed would be lost."""
    assert set(reference.NOTES) <= set(RESOURCES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file or a heading of this repository finds it."""
    for target in re.findall(r"\]\((?!https?://)([^)\s]+)\)", page.read_text()):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(file), f"{page.name} links to {target}"


def test_the_figures_are_those_of_the_code() -> None:
    """Defaults that the README names, and the calls that follow from them."""
    assert (reading.MIN_AGE, reading.MAX_ITEMS, reading.POLL_SECONDS) == (60, 1000, 120)
    assert (ratelimit.CALLS, ratelimit.PERIOD) == (100, 60)
    reference_page = (ROOT / "docs" / "reference.md").read_text()
    assert f"`{DEFAULT_API_VERSION}` is sent with every request" in reference_page
    assert re.findall(r"(\d+) lists", README) == [str(len(RESOURCES))] * 2
    costs = re.findall(r"every (\d+) s[^\d]*([\d,]+)", README)
    assert len(costs) == 2
    for seconds, calls in costs:
        assert int(calls.replace(",", "")) == 30 * 86_400 // int(seconds)


def test_the_readme_stays_readable() -> None:
    """What grows longer goes to a page of its own, and code that does is none for a first look."""
    assert len(README.splitlines()) <= 150
    shown = [block.text for block in blocks() if block.page == "README.md"]
    assert max(len(text.splitlines()) for text in shown) <= 12


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/design.md"])
def test_every_module_has_a_line(page: str) -> None:
    """Where things are, without a gap."""
    named = set(re.findall(r"^\| `([\w/]+\.py)` \|", (ROOT / page).read_text(), re.MULTILINE))
    modules = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py")}
    inner = {name for name in modules if name.startswith("testing/") or name.endswith("__.py")}
    assert named == modules - inner
