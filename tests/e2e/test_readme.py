"""The five DAGs of README.md as they stand there, in a living Airflow against a fake Stripe."""

from __future__ import annotations

import gzip
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from dev.airflow_api import wait_for
from tests.docs.blocks import ROOT, blocks, is_dag
from tests.e2e.conftest import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dev.fake_process import FakeStripeProcess
    from dev.stack import AirflowStack

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("airflow")]

# The command of the backfill writes into Airflow's database beside the scheduler, as SQLite cannot
# always bear.
DATABASES = ("postgresql",)
README = (ROOT / "README.md").read_text()
FILES = [block for block in blocks() if block.page == "README.md" and is_dag(block)]
DAGS = ("charges_by_day", "catalogue", "refund", "new_customers", "failed_charges")
LAKE = "file:///tmp/charges/"
DAYS = 3
# An object is delivered when it is a minute old, and the asset event comes two seconds later.
OLD_ENOUGH = 70


class World(NamedTuple):
    """An Airflow with the DAGs, the account, the folder that stands for the lake, and its charges.

    The charges are those of the last days, by the day.
    """

    airflow: AirflowStack
    fake: FakeStripeProcess
    lake: Path
    charges: dict[str, list[str]]


@pytest.fixture(scope="module")
def world(
    airflows: dict[str, AirflowStack],
    begin: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    """Add the DAG files, which differ from README's in the folder that they write to alone.

    They wait more than they work, and the scenarios of the calm phase run beside them.
    """
    if "postgresql" not in airflows:
        pytest.skip(ABSENT)
    airflow, lake = airflows["postgresql"], tmp_path_factory.mktemp("lake")
    begin("calm", airflow.database)
    fake: FakeStripeProcess = airflow.fake  # type: ignore[attr-defined]
    charges = days_of_charges(fake)
    airflow.set_connection("stripe_default", fake.connection())
    files = {airflow.dags_folder / f"readme_{at}.py": block.text for at, block in enumerate(FILES)}
    for path, text in files.items():
        path.write_text(text.replace(LAKE, f"file://{lake}/"))
    for dag in DAGS:
        airflow.unpause(dag)
    yield World(airflow, fake, lake, charges)
    for dag in DAGS:
        airflow.pause(dag)
    for path in files:
        path.unlink()


def days_of_charges(fake: FakeStripeProcess) -> dict[str, list[str]]:
    """Make more charges than a page holds for each of the last days; return them by the day."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [today - timedelta(days=back) for back in range(DAYS, 0, -1)]
    much: dict[str, Any] = {"kind": "charge", "n": 120, "spread": 900}
    return {
        f"{day:%Y-%m-%d}": fake.control("add_many", created=day.timestamp() + 43_200, **much)
        for day in days
    }


@pytest.fixture(scope="module", autouse=True)
def first_runs(world: World) -> dict[str, list[str]]:
    """Let the sensors mark their beginning, and make what they are to deliver when it is older."""
    run = world.airflow.trigger("new_customers")
    assert world.airflow.wait_run("new_customers", run) == "success"
    assert state(world, "new_customers", run, "new") == "skipped"
    begun = wait_for("the first event", lambda: world.airflow.runs("failed_charges"), 240)
    world.airflow.wait_run("failed_charges", begun[0]["dag_run_id"])
    customers = world.fake.control("add_many", kind="customer", n=3)
    (charge,) = world.fake.control("add_many", kind="charge", n=1)
    world.fake.control("add", kind="event", type="charge.failed", object={"id": charge})
    world.fake.control("add", kind="event", type="charge.succeeded", object={"id": charge})
    return {"customers": customers, "charges": [charge]}


def state(world: World, dag: str, run: str, task: str) -> str:
    """Return the state of a task that is not mapped."""
    (found,) = (ti for ti in world.airflow.task_instances(dag, run) if ti["task_id"] == task)
    return str(found["state"])


def named(world: World, dag: str, run: str, task: str) -> dict[str, str]:
    """Return the states of a mapped task by the names that the UI shows."""
    found = world.airflow.task_instances(dag, run)
    return {ti["rendered_map_index"]: ti["state"] for ti in found if ti["task_id"] == task}


def ended(world: World, dag: str, run: str) -> str:
    """Wait for a run's end, and return its state with its story where it failed."""
    result = world.airflow.wait_run(dag, run)
    return result if result == "success" else world.airflow.story(dag, run)


def test_products_are_made_once_and_updated_then(world: World) -> None:
    """A second run makes no second one; mapped tasks are called by the product's name."""
    runs = [world.airflow.trigger("catalogue") for _ in range(2)]
    assert [ended(world, "catalogue", run) for run in runs] == ["success"] * 2
    assert world.fake.read("ids", kind="product") == ["mug"]
    assert [named(world, "catalogue", run, "product") for run in runs] == [{"Mug": "success"}] * 2


def test_a_refund_is_made_once_for_its_run(world: World) -> None:
    """Cleared, the run reads what it has made."""
    (charge,) = world.fake.control("add_many", kind="charge", n=1)
    run = world.airflow.trigger("refund", {"charge": charge})
    assert ended(world, "refund", run) == "success"
    (made,) = world.fake.read("ids", kind="refund")
    world.airflow.clear("refund", [run])
    assert ended(world, "refund", run) == "success"
    assert world.fake.read("ids", kind="refund") == [made]
    assert world.airflow.xcom("refund", run, "refund")["charge"] == charge
    log = world.airflow.links("refund", run, "refund")["Stripe request log"]
    assert str(log).startswith("https://dashboard.stripe.com/")


def test_days_of_charges_come_by_a_backfill(world: World) -> None:
    """The command of the page, with other days, writes a file with the charges of each."""
    (command,) = re.findall(r"^`(airflow backfill .*)`$", README, re.MULTILINE)
    words = command.split()
    for option, day in (("--from-date", min(world.charges)), ("--to-date", max(world.charges))):
        words[words.index(option) + 1] = day
    world.airflow.command(*words[1:])
    # Behind midnight the schedule writes a file more.
    wanted = {world.lake / f"{day}.jsonl.gz" for day in world.charges}
    wait_for("the files", lambda: wanted <= set(world.lake.glob("*.gz")), 240)
    for day, made in world.charges.items():
        with gzip.open(world.lake / f"{day}.jsonl.gz", "rt") as lines:
            assert [json.loads(line)["id"] for line in lines] == made


def test_every_new_customer_gets_a_task(world: World, first_runs: dict[str, list[str]]) -> None:
    """Each comes once; a run that finds nobody new skips its tasks."""

    def all_greeted() -> list[str]:
        world.airflow.wait_run("new_customers", world.airflow.trigger("new_customers"))
        # The schedule starts runs, too, and any of them may have received the customers.
        runs = [run["dag_run_id"] for run in world.airflow.runs("new_customers")]
        found = [name for run in runs for name in greetings(world, run)]
        return found if len(found) >= len(first_runs["customers"]) else []

    greeted = wait_for("the customers", all_greeted, OLD_ENOUGH + 240, every=10)
    assert sorted(greeted) == sorted(first_runs["customers"])
    for run in world.airflow.runs("new_customers"):
        assert ended(world, "new_customers", run["dag_run_id"]) == "success"


def greetings(world: World, run: str) -> list[str]:
    """Return who was welcomed by a run, from the logs of its tasks."""
    found = world.airflow.task_instances("new_customers", run)
    logs = [
        world.airflow.logs("new_customers", run, "welcome", map_index=ti["map_index"])
        for ti in found
        if ti["task_id"] == "welcome" and ti["state"] == "success"
    ]
    return [name for log in logs for name in re.findall(r"Welcome, (cus_\w+)", log)]


def test_a_failed_charge_starts_a_run(world: World, first_runs: dict[str, list[str]]) -> None:
    """The charge is read in a task that is called by its id; other events are not received."""
    (charge,) = first_runs["charges"]

    def looked_up() -> list[str]:
        runs = [run["dag_run_id"] for run in world.airflow.runs("failed_charges")]
        return [run for run in runs if charge in named(world, "failed_charges", run, "charge")]

    (run,) = wait_for("the charge", looked_up, OLD_ENOUGH + 240)
    assert ended(world, "failed_charges", run) == "success"
    assert named(world, "failed_charges", run, "charge") == {charge: "success"}
    (event,) = world.airflow.xcom("failed_charges", run, "new")
    assert (event["type"], event["object_id"]) == ("charge.failed", charge)
