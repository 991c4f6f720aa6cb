"""The pages agree with the code and with each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_provider_stripe_lite import catalog, polling, ratelimit, triggers
from tests.docs import reference
from tests.docs.blocks import PAGES, ROOT

README = (ROOT / "README.md").read_text()


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", reference.PAGES, ids=lambda page: page.name)
def test_tables_are_up_to_date(page: Path) -> None:
    """What a page says of parameters, fields and errors is what the code has: python -m tests.docs.reference"""
    assert page.read_text() == reference.filled(page.read_text())


def test_every_parameter_is_described() -> None:
    """No public parameter without a meaning, and "(templated)" stands where Airflow renders it."""
    for cls in (*reference.OPERATORS, reference.sensors.StripeNewObjectSensor):
        for name, (_, meaning) in reference.parameters(cls).items():
            if meaning and name in reference.described(cls):
                assert (name in cls.template_fields) == ("(templated)" in meaning), f"{cls.__name__}.{name}"
        assert set(cls.template_fields) <= set(reference.parameters(cls)), cls.__name__
    assert "|  |" not in reference.parameter_table(reference.sensors.StripeNewObjectSensor).replace("|  |\n", "")


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
    assert (polling.SETTLE, polling.MAX_ITEMS, triggers.POLL_SECONDS) == (60, 1000, 120)
    assert (ratelimit.CALLS, ratelimit.PERIOD) == (100, 60)
    assert f"`{catalog.DEFAULT_API_VERSION}` is sent with every request" in README
    for seconds, calls in re.findall(r"^\| ([\d,]+) s.*\| ([\d,]+) \|$", README, re.MULTILINE):
        assert int(calls.replace(",", "")) == 30 * 86_400 // int(seconds.replace(",", ""))


def test_the_readme_stays_readable() -> None:
    """What grows longer goes to a page of its own."""
    assert len(README.splitlines()) <= 350


def test_every_module_has_a_line_in_contributing() -> None:
    """Where things are, without a gap."""
    named = set(re.findall(r"^\| `(\w+\.py)` \|", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE))
    modules = {path.name for path in (ROOT / "airflow_provider_stripe_lite").glob("*.py")}
    assert named == modules - {"__init__.py"}
