"""The page of a task, as a person meets it: links to Stripe, a readable log, no secrets."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.e2e.browser.conftest import CARD, CONNECTED, KEY, LIVE_KEY, RESTRICTED_KEY, RUN

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from dev.fake_process import FakeStripeProcess
    from dev.stack import AirflowStack

pytestmark = pytest.mark.e2e

DASHBOARD = "https://dashboard.stripe.com"
RETURNED = r"Returning 3 of customer, the newest \d+ s old \(feed customer, request req_\w+"
EXAMPLES = (
    *("stripe_customer_actions", "stripe_product_catalogue", "stripe_new_customers"),
    *("stripe_charges_to_jsonl", "stripe_customer_events"),
)
SECRETS = [KEY[-8:], RESTRICTED_KEY[-8:], LIVE_KEY[-8:], "jenny", "@example.com", "Jenny", CARD]


@pytest.fixture(scope="package")
def runs(site: AirflowStack, started: list[str]) -> dict[str, str]:
    """Return how the first run of each DAG has ended."""
    return {dag: site.wait_run(dag, RUN) for dag in started}


def open_task(page: Page, dag: str, task: str, tab: str, map_index: int = -1) -> None:
    """Open one tab of a task instance's page."""
    mapped = f"/mapped/{map_index}" if map_index >= 0 else ""
    page.goto(f"/dags/{dag}/runs/{RUN}/tasks/{task}{mapped}{tab}")


def links_shown(page: Page, dag: str, task: str, map_index: int = -1) -> dict[str, str]:
    """Return the extra links on the page of a task instance."""
    open_task(page, dag, task, "/details", map_index)
    page.get_by_role("link", name="Stripe request log").wait_for()
    links = page.get_by_role("link", name=re.compile("Stripe request log|Open in Stripe")).all()
    return {link.inner_text(): link.get_attribute("href") or "" for link in links}


def log_lines(site: AirflowStack, dag: str, task: str, map_index: int = -1) -> list[str]:
    """Return the provider's lines in the log of a task instance."""
    log = site.logs(dag, RUN, task, map_index=map_index)
    events = [json.loads(line) for line in log.splitlines()]
    package = "airflow_provider_stripe_lite"
    return [event["event"] for event in events if package in event.get("logger", "")]


def test_links_lead_to_what_a_task_has_made_or_found(
    page: Page, site: AirflowStack, runs: dict[str, str], shoot: Callable[..., None]
) -> None:
    assert runs == dict.fromkeys(runs, "success") | {"pages": "failed"}
    page.set_viewport_size({"width": 1280, "height": 720})
    made = site.xcom("stripe_customer_actions", RUN, "create")["id"]
    product = site.xcom("stripe_product_catalogue", RUN, "product", map_index=1)["id"]
    window = site.xcom("stripe_new_customers", RUN, "new", "cursor")["window"]
    bounds = (datetime.fromisoformat(window[name]) for name in ("created_gte", "created_lt"))
    first, end = (int(bound.timestamp()) for bound in bounds)
    listed = f"created%5Bgte%5D={first}&created%5Blt%5D={end}"
    for dag, task, index, base, target in (
        ("stripe_customer_actions", "create", -1, "/test", f"/customers/{made}"),
        ("stripe_product_catalogue", "product", 1, "/test", f"/products/{product}"),
        ("stripe_new_customers", "new", -1, "/test", f"/customers?{listed}"),
        ("pages", "connected", -1, f"/{CONNECTED}/test", "/customers/cus_connected"),
    ):
        links = links_shown(page, dag, task, index)
        shoot(page, f"links-{task}")
        assert links["Open in Stripe"] == f"{DASHBOARD}{base}{target}"
        assert re.fullmatch(rf"{DASHBOARD}{base}/logs/req_\w+", links["Stripe request log"])

    assert site.links("pages", RUN, "live")["Open in Stripe"] == f"{DASHBOARD}/customers/cus_live"

    links = links_shown(page, "pages", "forbidden")
    shoot(page, "links-forbidden")
    assert list(links) == ["Stripe request log"]
    assert links["Stripe request log"].startswith(f"{DASHBOARD}/test/logs/req_")


def test_a_log_has_one_line_for_each_call_of_consequence(
    page: Page, site: AirflowStack, runs: dict[str, str], shoot: Callable[..., None]
) -> None:
    failed = r"GET /v1/customers/cus_busy: try 1 of 5 failed \(The server answered 503 .*\)"
    expected = {
        ("stripe_customer_actions", "create", -1): [
            r"POST /v1/customers: customer cus_\w+ \(request req_\w+\)"
        ],
        ("stripe_customer_actions", "update", -1): [
            r"POST /v1/customers/cus_\w+: customer cus_\w+ \(request req_\w+\)"
        ],
        ("stripe_product_catalogue", "product", 0): [
            r"POST /v1/products: product t-shirt \(request req_\w+\)"
        ],
        ("stripe_new_customers", "new", -1): [
            *[r"Waiting 10 s, so that no other run can have the same objects\."] * 2,
            rf"{RETURNED}, calls: 1, waited for the call limit: \d.* s\)\.",
            r"Success criteria met\. Exiting\.",
        ],
        ("pages", "busy", -1): [
            failed + r"; again in \d\.\d s",
            r"Waiting \d\.\d s for the call limit",
            r"GET /v1/customers/cus_busy: customer cus_busy \(request req_\w+, 2 tries\)",
        ],
    }
    page.set_viewport_size({"width": 1280, "height": 480})
    for (dag, task, index), patterns in expected.items():
        place, *lines = log_lines(site, dag, task, index)
        assert re.fullmatch(r"The call limit is kept in /.* of this host\.", place), place
        assert len(lines) == len(patterns), lines
        for line, pattern in zip(lines, patterns, strict=True):
            assert re.fullmatch(pattern, line), line
    for dag, task in (("pages", "busy"), ("stripe_new_customers", "new")):
        open_task(page, dag, task, "")
        page.get_by_text(log_lines(site, dag, task)[-1]).wait_for()
        shoot(page, f"log-{task}")


def test_a_missing_permission_fails_at_once_and_the_log_names_it(
    page: Page,
    site: AirflowStack,
    runs: dict[str, str],
    fake: FakeStripeProcess,
    shoot: Callable[..., None],
) -> None:
    ti = next(ti for ti in site.task_instances("pages", RUN) if ti["task_id"] == "forbidden")
    assert (ti["state"], ti["try_number"], ti["max_tries"]) == ("failed", 1, 3)
    sent = [call for call in fake.read("calls") if call["key"].startswith("rk_")]
    assert len([call for call in sent if call["method"] == "POST"]) == 1
    open_task(page, "pages", "forbidden", "")
    said = page.get_by_text("StripePermissionError: The API key lacks rak_customer_write:")
    # Below Airflow 3.3 it stands in the AirflowFailException, too.
    said.first.wait_for()
    shoot(page, "log-forbidden")


def test_no_log_holds_a_key_an_address_or_card_data(
    site: AirflowStack, runs: dict[str, str]
) -> None:
    tasks = [
        (dag, ti["task_id"], ti["map_index"])
        for dag in runs
        for ti in site.task_instances(dag, RUN)
    ]
    texts = {
        (dag, task, index): site.logs(dag, RUN, task, map_index=index) for dag, task, index in tasks
    }
    texts |= {(component, "", -1): site.log_of(component) for component in site.components}
    assert len(texts) > 15
    for where, text in texts.items():
        assert text, where
        assert not [secret for secret in SECRETS if secret in text], where


def test_the_docs_of_the_examples_are_shown(
    page: Page, site: AirflowStack, shoot: Callable[..., None]
) -> None:
    for dag in EXAMPLES:
        site.wait_dag(dag)
        assert len(site.call("GET", f"/dags/{dag}/details")["doc_md"] or "") > 60, dag
    page.goto("/dags/stripe_charges_to_jsonl")
    page.get_by_role("button", name="Dag Docs").click()
    page.get_by_role("dialog").get_by_text("The window travels by reference").wait_for()
    shoot(page, "docs")


def test_templates_and_graph_are_shown(
    page: Page, runs: dict[str, str], shoot: Callable[..., None]
) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    open_task(page, "stripe_customer_actions", "update", "/rendered_templates")
    page.get_by_text("metadata", exact=True).first.wait_for()
    # The mapping is shown as JSON, on lines of its own.
    page.get_by_text('"checked"').wait_for()
    shoot(page, "templates")
    page.goto(f"/dags/stripe_new_customers/runs/{RUN}")
    page.get_by_role("button", name="Show Graph").click()
    page.locator(".react-flow__node").get_by_text("StripeNewCustomerSensor").wait_for()
    shoot(page, "graph")
    page.goto(f"/dags/stripe_product_catalogue/runs/{RUN}/tasks/product/mapped")
    page.get_by_text("T-shirt").first.wait_for()
    shoot(page, "mapped")


def test_rows_cursor_and_links_are_on_one_page(
    page: Page, runs: dict[str, str], shoot: Callable[..., None]
) -> None:
    page.set_viewport_size({"width": 1500, "height": 1180})
    open_task(page, "stripe_new_customers", "new", "/xcom")
    # Another page may have left the graph open.
    page.get_by_role("button", name="Show Grid").click()
    page.get_by_label("Expand all extra JSON").click()
    page.get_by_text('"jenny@example.com"').first.wait_for()
    page.get_by_text(f"{DASHBOARD}/test/customers").first.wait_for()
    shoot(page, "run")
