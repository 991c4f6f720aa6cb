"""StripeToObjectStorageOperator: a range or a window becomes one file, whole or not at all."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.models.asset import AssetEvent
from airflow.sdk import DAG, Asset
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_provider_stripe_lite.sensors import StripeNewChargeSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from airflow_provider_stripe_lite.transfers import StripeToObjectStorageOperator
from airflow_provider_stripe_lite.triggers import StripeSensorTrigger
from tests.airflow.exporting import BOUNDS, DAY, export, lines
from tests.harness import ONCE, Run, ids
from tests.helpers import NOW, Clock


def iso(second: float) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_a_range_becomes_a_file(dag: DAG, stripe: FakeStripe, files: Path, ending: str) -> None:
    """It holds what was created from the first second on and before the last one, oldest first."""
    first, end = BOUNDS.values()
    for second in (first - 1, end, end + 1):
        stripe.add("charge", created=second)
    made = [
        stripe.add("charge", created=first),
        *stripe.add_many("charge", 250, created=first + 1, spread=1000),
        stripe.add("charge", created=end - 1),
    ]
    path = files / "a" / "b" / f"charges.{ending}"
    run = Run(export(dag, path, **BOUNDS), NOW).go()
    found = lines(path)
    assert ids(found) == made
    assert found[0] in stripe.objects("charge")
    assert run.xcom("export") == {
        "path": str(path),
        "count": 252,
        "bytes": path.stat().st_size,
        "created_gte": iso(first),
        "created_lt": iso(end),
    }
    assert run.xcom("export", "path") == str(path)
    assert len(stripe.calls) <= 4
    assert list(path.parent.iterdir()) == [path]
    link = run.link("export", "Open in Stripe")
    assert link is not None
    assert link.endswith(f"test/payments?created%5Bgte%5D={first}&created%5Blt%5D={end}")


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_the_same_objects_give_the_same_bytes(
    dag: DAG, stripe: FakeStripe, clock: Clock, files: Path, ending: str
) -> None:
    """A cleared run replaces the file by an equal one, also at another time."""
    stripe.add_many("charge", 120, created=NOW - 500, spread=10)
    path = files / f"charges.{ending}"
    run = Run(export(dag, path, **BOUNDS), NOW).go()
    before, inode = path.read_bytes(), path.stat().st_ino
    clock.now += 1000
    assert run.clear("export").go().state() == "success"
    assert path.read_bytes() == before
    assert path.stat().st_ino != inode


def test_the_range_is_the_run_s_data_interval(dag: DAG, stripe: FakeStripe, files: Path) -> None:
    """Two runs of neighbouring intervals have each object once."""
    made = [stripe.add("charge", created=NOW - DAY - 100 + at) for at in (-1, 0, 1)]
    export(dag, files / "{{ dag_run.data_interval_start | ds }}.jsonl")
    for number in (1, 2):
        interval = NOW - (3 - number) * DAY - 100, NOW - (2 - number) * DAY - 100
        assert Run(dag, interval[0], interval=interval).go().state() == "success"
    files = sorted(files.iterdir())
    assert [ids(lines(path)) for path in files] == [made[:1], made[1:]]


def test_a_window_becomes_a_file(dag: DAG, stripe: FakeStripe, clock: Clock, files: Path) -> None:
    """It holds exactly the objects of the window, whatever came since."""
    with dag:
        new = StripeNewChargeSensor(task_id="new", returns="window", **ONCE)
        StripeToObjectStorageOperator(
            task_id="export", path=f"{files}/{{{{ run_id }}}}.jsonl", window=new.output
        )
    made = stripe.add_many("charge", 130, created=NOW, spread=9)
    clock.now += 100
    run = Run(dag, NOW).go()
    assert run.state() == "success"
    (path,) = files.iterdir()
    before = path.read_bytes()
    assert ids(lines(path)) == made
    assert run.xcom("export")["created_lt"] == run.xcom("new")["created_lt"]
    stripe.add_many("charge", 20, created=NOW + 50)
    run.clear("export").go()
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("fields", "expected"),
    [(None, {"id", "amount", "status"}), (["id", "metadata.a"], {"id", "metadata"})],
    ids=["documented", "chosen"],
)
def test_fields_and_parameters(
    dag: DAG, stripe: FakeStripe, files: Path, fields: Any, expected: set[str]
) -> None:
    """Stripe filters, and a line has the fields that were asked for."""
    mine = stripe.add("charge", created=NOW - 500, customer="cus_1", metadata={"a": "b"})
    stripe.add("charge", created=NOW - 499, customer="cus_2")
    path = files / "x.jsonl"
    parameters = {"customer": "{{ 'cus_1' }}"}
    Run(export(dag, path, fields=fields, parameters=parameters, **BOUNDS), NOW).go()
    (line,) = lines(path)
    assert line["id"] == mine
    assert line.keys() >= expected
    assert fields is None or line.keys() == expected


def test_client_secrets_stay_out_of_files(dag: DAG, stripe: FakeStripe, files: Path) -> None:
    """Unless a field is named."""
    stripe.add("payment_intent", created=NOW - 500, client_secret="pi_1_secret_x")
    export(dag, files / "a.jsonl", feed="payment_intent", **BOUNDS)
    fields = ["id", "client_secret"]
    export(
        dag,
        files / "b.jsonl",
        task_id="named",
        feed="payment_intent",
        fields=fields,
        **BOUNDS,
    )
    Run(dag, NOW).go()
    assert "client_secret" not in lines(files / "a.jsonl")[0]
    assert lines(files / "b.jsonl")[0]["client_secret"] == "pi_1_secret_x"


@pytest.mark.parametrize("if_empty", ["write", "skip"])
def test_nothing_to_write(dag: DAG, stripe: FakeStripe, files: Path, if_empty: Any) -> None:
    """An empty file, or none and a skipped task; an earlier file does not stay."""
    path = files / "x.jsonl"
    path.write_text("of an earlier try")
    run = Run(export(dag, path, if_empty=if_empty, **BOUNDS), NOW).go()
    if if_empty == "write":
        assert (run.state("export"), path.read_bytes()) == ("success", b"")
        assert run.xcom("export")["count"] == 0
    else:
        assert (run.state("export"), path.exists()) == ("skipped", False)


def test_an_outlet_is_told(dag: DAG, stripe: FakeStripe, files: Path) -> None:
    """The file may start other DAGs."""
    path = files / "x.jsonl"
    export(dag, path, outlets=[Asset(dag.dag_id)], **BOUNDS)
    Run(dag, NOW).go()
    with create_session() as session:
        told = select(AssetEvent).where(AssetEvent.source_dag_id == dag.dag_id)
        assert len(session.scalars(told).all()) == 1


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_a_read_that_fails_changes_nothing(
    dag: DAG, stripe: FakeStripe, files: Path, ending: str
) -> None:
    """In the middle of the pages: the earlier file stays, and a retry writes the whole one."""
    made = stripe.add_many("charge", 350, created=NOW - 500, spread=100)
    path = files / f"x.{ending}"
    path.write_text("of an earlier run")
    export(dag, path, retries=1, retry_delay=0, **BOUNDS)
    stripe.fault(status=500, skip=2, times=5)
    run = Run(dag, NOW)
    run.again("export")
    assert run.state("export") == "up_for_retry"
    assert path.read_text() == "of an earlier run"
    assert list(files.iterdir()) == [path]
    assert run.go().state() == "success"
    assert ids(lines(path)) == made


def test_what_comes_and_goes_while_it_is_read(
    dag: DAG, stripe: FakeStripe, clock: Clock, files: Path
) -> None:
    """New charges are no part of the range, and the object behind which a page is asked may go."""
    made = stripe.add_many("charge", 1_300, created=NOW - 500, spread=300)

    def meanwhile(request: Any) -> None:
        stripe.add("charge", created=int(clock.now))
        query = dict(request.query)
        if name := query.get("ending_before") or query.get("starting_after"):
            stripe.delete(name)

    fault = stripe.fault(hook=meanwhile, every=3)
    path = files / "x.jsonl"
    assert Run(export(dag, path, **BOUNDS), NOW).go().state() == "success"
    assert fault.hits > 3
    found, living = ids(lines(path)), {*stripe.ids("charge")}
    assert found == [name for name in made if name in living or name in found]


def test_a_range_whose_older_neighbour_goes_is_whole(
    dag: DAG, stripe: FakeStripe, files: Path
) -> None:
    """Also where the list answers a page cursor that is gone with an empty page."""
    stripe.cursor_words = "empty"
    older = [stripe.add("charge", created=NOW - DAY - at) for at in (90, 50)]
    made = stripe.add_many("charge", 250, created=NOW - 5000, spread=900)
    stripe.fault(hook=lambda _: stripe.delete(older[1]), skip=1, times=1)
    path = files / "x.jsonl"
    assert Run(export(dag, path, **BOUNDS), NOW).go().state() == "success"
    assert ids(lines(path)) == made


def test_a_day_that_a_person_starts_has_its_own_name(
    dag: DAG, stripe: FakeStripe, files: Path
) -> None:
    """The path of the examples is made of the interval; ds is the day of the logical date."""
    made = [stripe.add("charge", created=NOW - back * DAY - 5000) for back in (2, 1)]
    export(dag, files / "{{ dag_run.data_interval_start | ds }}.jsonl")
    for back, at in ((2, NOW - 3 * DAY), (1, NOW - 2 * DAY), (2, NOW - 2 * DAY + 1)):
        Run(dag, at, interval=(NOW - (back + 1) * DAY, NOW - back * DAY)).go()
    assert [ids(lines(path)) for path in sorted(files.iterdir())] == [made[:1], made[1:]]
    undated = Run(dag, NOW, logical=False).go()
    assert "This run has no data interval" in str(undated.errors[0])


def test_a_file_beside_it_is_left_alone(dag: DAG, stripe: FakeStripe, files: Path) -> None:
    """Another task may be writing to a name that begins alike."""
    others = [files / f".x.jsonl{end}.{'0' * 32}.part" for end in (".gz", ".jsonl")]
    for other in others:
        other.touch()
    assert Run(export(dag, files / "x.jsonl", **BOUNDS), NOW).go().state() == "success"
    assert all(other.exists() for other in others)


def test_what_a_killed_task_left_goes(dag: DAG, stripe: FakeStripe, files: Path) -> None:
    """The next one that writes the same file removes it; another's stays."""
    path = files / "x.jsonl"
    (files / f".x.jsonl.{'0' * 32}.part").write_text("cut")
    other = files / f".y.jsonl.{'0' * 32}.part"
    other.write_text("cut")
    Run(export(dag, path, **BOUNDS), NOW).go()
    assert sorted(files.iterdir()) == [other, path]


@pytest.mark.parametrize("ahead", [0, 300], ids=["clocks agree", "this host is ahead"])
def test_a_range_that_is_too_young_waits(
    dag: DAG, stripe: FakeStripe, clock: Clock, files: Path, ahead: int
) -> None:
    """By the earlier clock: nothing is written until no object can appear in it any more."""
    stripe.fault(clock=-ahead, every=1)
    path = files / "x.jsonl"
    bounds = {"created_gte": NOW - DAY, "created_lt": NOW - 20}
    run = Run(export(dag, path, **bounds), NOW).go()
    assert run.state("export") == "up_for_reschedule"
    assert not path.exists()
    assert run.waits("export") == pytest.approx(40, abs=5)
    clock.now += 40
    if ahead:
        assert run.again("export").state("export") == "up_for_reschedule"
        assert run.waits("export") == pytest.approx(ahead, abs=5)
        clock.now += ahead
    made = stripe.add("charge", created=NOW - 21)
    assert run.again("export").state("export") == "success"
    assert ids(lines(path)) == [made]


def test_a_range_that_is_too_young_waits_in_the_triggerer(
    dag: DAG,
    stripe: FakeStripe,
    clock: Clock,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The trigger only waits; then the file is written."""

    async def wait(trigger: StripeSensorTrigger) -> None:
        clock.now += trigger.poll_interval

    monkeypatch.setattr(StripeSensorTrigger, "_wait", wait)
    made = stripe.add("charge", created=NOW - 60)
    path, now = files / "x.jsonl", clock.now
    bounds = {"created_gte": NOW - DAY, "created_lt": NOW - 20}
    assert Run(export(dag, path, deferrable=True, **bounds), NOW).go().state() == "success"
    assert clock.now == now + 40
    assert ids(lines(path)) == [made]
