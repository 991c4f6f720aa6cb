"""An Airflow with a fake Stripe, and a Chromium before it; its pictures are in .e2e/screens."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dev.fake_process import FakeStripeProcess
from dev.stack import AirflowStack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Locator, Page

ROOT = Path(__file__).parents[3]
SCREENS = ROOT / ".e2e" / "screens"
CHROMIUM = "/usr/bin/chromium"
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--no-proxy-server"),
)

KEY = "sk_test_51BrowserAccount00secretsecret"
RESTRICTED_KEY = "rk_test_51BrowserAccount00onlyreads00"
LIVE_KEY = "sk_live_51BrowserAccount00secretsecret"
CONNECTED = "acct_1BrowserShop00"
# The fingerprint of a card.
CARD = "Xt5EWLLDS7FJjR1c"
RUN = "first"


@pytest.fixture(scope="package")
def fake() -> Iterator[FakeStripeProcess]:
    """Run a Stripe that knows three keys; one of them may only read customers."""
    with FakeStripeProcess() as running:
        running.control("options", accepted_keys=[KEY, RESTRICTED_KEY, LIVE_KEY])
        lacks = ["rak_balance_read", "rak_customer_write"]
        running.control("options", missing_permissions={RESTRICTED_KEY: lacks})
        yield running


@pytest.fixture(scope="package")
def site(
    fake: FakeStripeProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AirflowStack]:
    """Run an Airflow with the example DAGs and those of this folder."""
    dags = tmp_path_factory.mktemp("dags")
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in (ROOT / "example_dags", Path(__file__).parent / "dags"):
        shutil.copytree(folder, dags, dirs_exist_ok=True, ignore=ignored)
    limits = {"rate_limit_url": f"file://{tmp_path_factory.mktemp('limits')}"}
    connections: dict[str, dict[str, Any]] = {
        "stripe_default": {**fake.connection(KEY), "extra": limits},
        "stripe_live": {**fake.connection(LIVE_KEY), "extra": limits},
        "stripe_connected": {
            **fake.connection(KEY),
            "extra": {**limits, "stripe_account": CONNECTED},
        },
        "stripe_restricted": {**fake.connection(RESTRICTED_KEY), "extra": limits},
        "stripe_busy": {
            **fake.connection(KEY),
            "extra": {**limits, "rate_limit_calls": 1, "rate_limit_period": 4},
        },
    }
    home = ROOT / ".e2e" / "browser"
    # Tests start the runs; the clock starts none.
    env = {"AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False"}
    with AirflowStack(dags_folder=dags, home=home, connections=connections, env=env) as airflow:
        yield airflow


@pytest.fixture(scope="package", autouse=True)
def started(site: AirflowStack, fake: FakeStripeProcess) -> list[str]:
    """Start a run of these DAGs; the runs go on while the connection form is tested."""
    person = {"email": "jenny@example.com", "name": "Jenny Rosen"}
    person["kind"] = "customer"
    fake.control("add", id="cus_live", livemode=True, **person)
    fake.control("add", id="cus_connected", account=CONNECTED, **person)
    fake.control("add", id="cus_busy", created=1_700_000_000, **person)
    fake.control("fault", method="GET", path="/v1/customers/cus_busy", status=503, times=1)
    minute_ago = int(time.time()) - 61
    card = {"type": "card", "card": {"brand": "visa", "fingerprint": CARD}}
    fake.control("add_many", n=3, created=minute_ago, **person)
    charge = {"kind": "charge", "payment_method_details": card}
    fake.control("add_many", n=5, created=minute_ago, **charge)
    site.set_variable("stripe_charges_path", f"file://{site.home}/charges")
    times = (time.time(), minute_ago - 60)
    now, before = (datetime.fromtimestamp(at, UTC).isoformat() for at in times)
    dated = {"logical_date": now, "run_after": before}
    sensors = ["stripe_new_customers", "stripe_charges_to_jsonl"]
    dags = ["pages", "stripe_customer_actions", "stripe_product_catalogue", *sensors]
    for dag in dags:
        site.unpause(dag)
        site.trigger(dag, dag_run_id=RUN, **(dated if dag in sensors else {}))
    return dags


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Start a headless Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no {CHROMIUM}")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def window(chromium: Browser, site: AirflowStack) -> Iterator[BrowserContext]:
    """Open a context that several pages share: cache, size, and the address of the Airflow."""
    context = chromium.new_context(base_url=site.url, viewport={"width": 1280, "height": 1250})
    context.set_default_timeout(60_000)
    # Airflow 3.1 sends its first visitor to the start page, wherever they wanted to go.
    first = context.new_page()
    first.goto("/")
    first.get_by_role("link", name="Home").first.wait_for()
    first.close()
    yield context
    context.close()


@pytest.fixture
def page(window: BrowserContext) -> Iterator[Page]:
    """Open an empty page."""
    page = window.new_page()
    yield page
    page.close()


@pytest.fixture
def shoot() -> Callable[[Page | Locator, str], None]:
    """Keep a picture that a person can look at."""
    SCREENS.mkdir(parents=True, exist_ok=True)

    def take(what: Page | Locator, name: str) -> None:
        what.screenshot(path=SCREENS / f"{name}.png", animations="disabled")

    return take
