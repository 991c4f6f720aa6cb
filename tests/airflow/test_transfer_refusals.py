"""What StripeToObjectStorageOperator refuses: one sentence, and nothing is asked or written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, TaskGroup, task, task_group

from airflow_provider_stripe_lite.core.window import Window
from airflow_provider_stripe_lite.errors import StripeInputError
from airflow_provider_stripe_lite.sensors import StripeNewChargeSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from airflow_provider_stripe_lite.transfers import StripeToObjectStorageOperator
from tests.airflow.exporting import BOUNDS, DAY, export, lines
from tests.conftest import SetConnection
from tests.harness import ONCE, Run, ids
from tests.helpers import NOW, Clock

MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "one bound": ({"created_gte": NOW - 500}, "created_gte is given alone"),
    "the wrong way round": (
        {"created_gte": NOW - 200, "created_lt": NOW - 500},
        "created_gte must be before created_lt",
    ),
    "equal": ({"created_gte": NOW, "created_lt": NOW}, "created_gte must be before created_lt"),
    "no time": ({"created_gte": "soon", "created_lt": NOW}, "created_gte must be a date-time"),
    "an ending": ({"path": "/tmp/x.csv"}, "path must end with .jsonl or .jsonl.gz"),
    "a relative path": ({"path": "x.jsonl"}, "path must be absolute"),
    "a host": ({"path": "file://tmp/x.jsonl"}, "path must be absolute"),
    "a line end": ({"path": "/tmp/a\nb.jsonl"}, "path must have no line end"),
    "a blank": ({"path": " /tmp/a.jsonl"}, "path must have no line end or blank"),
    "a query": ({"path": "s3://lake/a?versionId=1.jsonl"}, "no ? or #"),
    "a bracket": ({"path": "s3://[lake/a.jsonl"}, "no [ or ]"),
    "a scheme of Azure": (
        {"path": "abfs://lake/x.jsonl"},
        "install apache-airflow-providers-microsoft-azure",
    ),
    "no scheme that is known": ({"path": "lake://x/y.jsonl"}, "scheme 'lake'"),
    "a secret by brackets": (
        {"parameters": {"expand[0]": "data.payment_intent"}, **BOUNDS},
        "parameters holds 'expand[0]': give a list without brackets",
    ),
    "an own parameter": ({"parameters": {"limit": 5}, **BOUNDS}, "parameters holds 'limit'"),
    "a path without a value": (
        {"path": "/tmp/{{ none }}/x.jsonl", **BOUNDS},
        "path holds the text 'None'",
    ),
    "a bound without a value": (
        {"created_gte": "{{ none }}", "created_lt": NOW},
        "created_gte is the text 'None'",
    ),
    "a filter without a value": (
        {"parameters": {"customer": "{{ none }}"}, **BOUNDS},
        "parameters[customer] is the text 'None'",
    ),
    "a filter without a value in a text": (
        {"parameters": '{"customer": "{{ none }}"}', **BOUNDS},
        "parameters[customer] is the text 'None'",
    ),
    "a field": ({"fields": "id", **BOUNDS}, "fields must be"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_a_sentence(dag: DAG, stripe: FakeStripe, files: Path, name: str) -> None:
    """It names the argument, and nothing is asked or written."""
    options, sentence = MISTAKES[name]
    run = Run(export(dag, **{"path": files / "x.jsonl", **options}), NOW).go()
    assert sentence in str(run.errors[-1])
    assert isinstance(run.errors[-1], StripeInputError)
    assert stripe.calls == []
    assert list(files.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"feed": None}, "feed is missing"),
        ({"feed": "charges"}, "feed must be one of"),
        ({"if_empty": "fail"}, "if_empty must be"),
        ({"min_age": -1}, "min_age must be"),
        ({"window": {}, "parameters": {}}, "window knows what it holds"),
        ({"window": {}, "created_gte": 1}, "window knows what it holds"),
    ],
)
def test_a_mistake_is_seen_when_the_file_is_parsed(
    dag: DAG, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(StripeInputError, match=sentence):
        export(dag, "/tmp/x.jsonl", **options)


def test_a_run_without_an_interval(dag: DAG, stripe: FakeStripe, files: Path) -> None:
    """A cron text makes one without length, an asset none: either is said, and how to go on."""
    export(dag, files / "x.jsonl")
    none, zero = Run(dag, NOW, logical=False).go(), Run(dag, NOW + 1).go()
    within = Run(dag, NOW + 2, interval=(NOW + 0.2, NOW + 0.8)).go()
    assert str(within.errors[0]).startswith("The data interval of this run has no length")
    assert "no data interval" in str(none.errors[0])
    for word in ("CronDataIntervalTimetable", "CronTriggerTimetable", "interval=timedelta"):
        assert word in str(zero.errors[0])
    assert stripe.calls == []


WHOLE = dict.fromkeys(Window.__annotations__) | {"feed": "charge"}
BACKWARDS = {**WHOLE, "created_gte": "2026-02-02T00:00:01Z", "created_lt": "2026-02-02T00:00:00Z"}


# The name of a test is part of its folder's, where no "None" may stand.
@pytest.mark.parametrize("window", [None, "", "None", {"feed": "charge"}, BACKWARDS], ids=range(5))
def test_what_is_no_window(dag: DAG, stripe: FakeStripe, files: Path, window: Any) -> None:
    """A window that another task did not return is not the data interval instead."""
    with dag:

        @task
        def find() -> Any:
            return window

        StripeToObjectStorageOperator(task_id="export", path=f"{files}/x.jsonl", window=find())
    run = Run(dag, NOW + len(repr(window)), interval=(NOW - DAY, NOW - 100)).go()
    assert "window must be what a sensor" in str(run.errors[-1])
    assert list(files.iterdir()) == []


def test_a_window_of_another_account(
    dag: DAG, stripe: FakeStripe, clock: Clock, files: Path, set_connection: SetConnection
) -> None:
    """Naming both; nothing is written."""
    set_connection("other", extra={"stripe_account": "acct_other"})
    with dag:
        new = StripeNewChargeSensor(
            task_id="new", stripe_account="acct_one", returns="window", **ONCE
        )
        StripeToObjectStorageOperator(
            task_id="export", path=f"{files}/x.jsonl", window=new.output, stripe_conn_id="other"
        )
    stripe.add("charge", created=NOW, account="acct_one")
    clock.now += 100
    run = Run(dag, NOW).go()
    assert "acct_one" in str(run.errors[-1])
    assert "acct_other" in str(run.errors[-1])
    assert list(files.iterdir()) == []


@pytest.mark.parametrize(
    "same",
    [
        *("{{ ds }}", "{{ ti.run_id }}", "{{ task.task_id }}", "{{ ti.dag_id }}-{{ run_id }}"),
        *("{{ task_instance.try_number }}", "{{ task.dag.dag_id }}"),
    ],
)
def test_mapped_tasks_of_one_path_are_refused(
    dag: DAG, stripe: FakeStripe, files: Path, same: str
) -> None:
    """Else the last one would replace what the others wrote."""
    with dag:
        StripeToObjectStorageOperator.partial(
            task_id="export", path=f"{files}/{same}.jsonl", **BOUNDS
        ).expand(feed=["charge", "refund"])
    run = Run(dag, NOW).go()
    assert [str(error)[:40] for error in run.errors] == [f"path is '{files}/"[:40]] * 2
    assert list(files.iterdir()) == []


def test_mapped_tasks_of_one_task_s_path_are_refused(
    dag: DAG, stripe: FakeStripe, files: Path
) -> None:
    """It is the same for all of them, too."""
    with dag:

        @task
        def where() -> str:
            return f"{files}/x.jsonl"

        StripeToObjectStorageOperator.partial(task_id="export", path=where(), **BOUNDS).expand(
            feed=["charge", "refund"]
        )
    run = Run(dag, NOW).go()
    assert ["for each of the mapped tasks" in str(error) for error in run.errors] == [True] * 2
    assert list(files.iterdir()) == []


@pytest.mark.parametrize("of_group", [True, False], ids=["of a group", "of the DAG"])
def test_mapped_tasks_of_one_default_path_are_refused(
    database: None, stripe: FakeStripe, files: Path, of_group: bool
) -> None:
    """It stands in default_args, and some of the tasks may have one of their own."""
    shared = {"path": f"{files}/{{{{ ds }}}}.jsonl"}
    own, rest = {"path": f"{files}/own.jsonl", "feed": "charge"}, {"feed": "refund"}
    with (
        DAG(f"default_{of_group}", schedule=None, default_args={} if of_group else shared),
        TaskGroup("group", default_args=shared if of_group else {}),
    ):
        exports = StripeToObjectStorageOperator.partial(task_id="export", **BOUNDS)
        dag = exports.expand_kwargs([own, rest, rest]).dag
    run = Run(dag, NOW).go()
    assert ["for each of the mapped tasks" in str(error) for error in run.errors] == [True] * 2
    assert [path.name for path in files.iterdir()] == ["own.jsonl"]


def test_a_default_path_may_differ_between_mapped_tasks(
    database: None, stripe: FakeStripe, files: Path
) -> None:
    default = {"path": f"{files}/{{{{ task.feed }}}}.jsonl"}
    with DAG("differing", schedule=None, default_args=default) as dag:
        StripeToObjectStorageOperator.partial(task_id="export", **BOUNDS).expand(
            feed=["charge", "refund"]
        )
    assert Run(dag, NOW).go().state() == "success"
    assert sorted(path.stem for path in files.iterdir()) == ["charge", "refund"]


@pytest.mark.parametrize("given", ["result", "param"])
def test_a_mapped_group_whose_path_comes_from_outside_is_refused(
    dag: DAG, stripe: FakeStripe, files: Path, given: str
) -> None:
    """It is the same for each index: another task's result, or a parameter of the DAG."""
    with dag:

        @task
        def where() -> str:
            return f"{files}/x.jsonl"

        path: Any = dag.param("where", f"{files}/x.jsonl") if given == "param" else where()

        @task_group
        def group(feed: str) -> None:
            StripeToObjectStorageOperator(task_id="one", feed="charge", path=path, **BOUNDS)

        group.expand(feed=["charge", "refund"])
    run = Run(dag, NOW).go()
    assert len(run.errors) == 2
    assert ["for each of the mapped tasks" in str(error) for error in run.errors] == [True] * 2
    assert list(files.iterdir()) == []


def test_a_mapped_group_may_make_its_path(dag: DAG, stripe: FakeStripe, files: Path) -> None:
    """By a task of its own, of an argument that comes from outside."""
    with dag:

        @task
        def names() -> list[str]:
            return ["a", "b"]

        @task
        def where(name: str) -> str:
            return f"{files}/{name}.jsonl"

        @task_group
        def group(name: str) -> None:
            StripeToObjectStorageOperator(task_id="one", feed="charge", path=where(name), **BOUNDS)

        group.expand(name=names())
    assert Run(dag, NOW).go().state() == "success"
    assert sorted(path.stem for path in files.iterdir()) == ["a", "b"]


def test_a_window_that_a_mapped_task_has_not_got(dag: DAG, stripe: FakeStripe, files: Path) -> None:
    """It is not the data interval instead."""
    with dag:
        StripeToObjectStorageOperator.partial(
            task_id="export", path=f"{files}/{{{{ ti.map_index }}}}.jsonl", feed="charge"
        ).expand(window=[None])
    run = Run(dag, NOW, interval=(NOW - DAY, NOW - 100)).go()
    assert "window must be what a sensor" in str(run.errors[-1])
    assert list(files.iterdir()) == []


@pytest.mark.parametrize(
    "varies", ["{{ ti.map_index }}", "{{ task.feed }}", "{{ ti.run_id }}-{{ ti['map_index'] }}"]
)
def test_mapped_tasks_have_files_of_their_own(
    dag: DAG, stripe: FakeStripe, files: Path, varies: str
) -> None:
    made = [stripe.add(feed, created=NOW - 500) for feed in ("charge", "refund")]
    with dag:
        StripeToObjectStorageOperator.partial(
            task_id="export", path=f"{files}/{varies}.jsonl", **BOUNDS
        ).expand(feed=["charge", "refund"])
    assert Run(dag, NOW).go().state() == "success"
    assert [ids(lines(path)) for path in sorted(files.iterdir())] == [made[:1], made[1:]]


def test_a_path_may_be_expanded_too(dag: DAG, stripe: FakeStripe, files: Path) -> None:
    """By itself, or as an argument of a mapped group of tasks."""
    with dag:
        StripeToObjectStorageOperator.partial(task_id="export", **BOUNDS).expand_kwargs(
            [{"feed": feed, "path": f"{files}/{feed}.jsonl"} for feed in ("charge", "refund")]
        )

        @task_group
        def group(path: str) -> None:
            StripeToObjectStorageOperator(task_id="one", feed="charge", path=path, **BOUNDS)

        group.expand(path=[f"{files}/{name}.jsonl" for name in "ab"])
    assert Run(dag, NOW).go().state() == "success"
    assert [path.stem for path in sorted(files.iterdir())] == ["a", "b", "charge", "refund"]
