"""Which documents and XComs the ledger goes on from, and which it refuses with a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_stripe_lite.core.times import second_of
from tests.core.ledger_process import Runs
from tests.core.ledger_schedules import add, again, document, put, refusal, run, used
from tests.core.ledger_world import START, World, clock_of, iso

KEY = "stripe_cursor.dag.new.0"
REMEDY = f'write {{"start_from": "2026-01-31T00:00:00Z"}} into the Variable {KEY}'


@pytest.fixture
def world() -> Iterator[World]:
    """Return a sensor whose first run has found nothing; two objects are new since."""
    with used() as world:
        yield world


@pytest.mark.parametrize(
    "start", ["2026-01-01T00:00:30Z", " 2026-01-01T00:00:30+00:00", START + 30]
)
def test_a_person_says_where_to_begin(world: World, start: str | int) -> None:
    """The next poll begins there, forgets all claims, and refuses the runs of before."""
    before = run(world)
    add(world, 1)
    put(world, {"start_from": start})
    after = run(world)
    assert after.rows == [2]
    assert [claim["run_id"] for claim in document(world)["claims"]] == ["run 2"]
    assert document(world)["trimmed"] == iso(world.now)
    assert "no longer knows what this run returned" in refusal(again(world, before))
    world.now += 1
    assert again(world, run(world)).error is None


def test_a_person_says_a_date(world: World) -> None:
    """It is midnight in UTC; what was delivered behind it comes once more."""
    run(world)
    put(world, {"start_from": "2026-01-01"})
    assert run(world).rows == [0, 1]
    put(world, '{"start_from": "beginning"}')
    assert run(world).rows == [0, 1]


def test_a_person_says_now(world: World) -> None:
    """It is the time of that poll."""
    put(world, {"start_from": "now"})
    assert run(world).rows is None
    assert second_of("created_gte", document(world)["position"]["created_gte"]) == world.now


@pytest.mark.parametrize("start", ["2099-01-01", "soon", None, [], 7])
def test_a_person_says_no_time(world: World, start: Any) -> None:
    """The sentence names start_from, and the document stays as it is."""
    put(world, {"start_from": start})
    assert "start_from must " in refusal(run(world))
    assert document(world) == {"start_from": start}


@pytest.mark.parametrize(
    "text",
    [
        *(
            "***",
            '"***"',
            "",
            "nonsense",
            "null",
            "[]",
            "7",
            "{}",
            '{"v": 2}',
            '{"start_from"',
            "{",
        ),
        '{"v": 1, "window": {}, "looked": null, "run_id": "run 0", "map_index": -1}',
        '{"start_from": "2026-01-01", "v": 2}',
    ],
)
def test_a_variable_that_is_no_document(world: World, text: str) -> None:
    """It is refused for good, and left as it is; the sentence names it and says how to begin."""
    put(world, text)
    sentence = refusal(run(world))
    assert sentence.startswith(f"The Variable {KEY} holds no cursor of this version")
    assert REMEDY in sentence
    assert ("***" in sentence) == ("***" in text)
    assert world.streams[0].text == text


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("v", [None, "x", 1, 3]),
        ("rev", [None, "x", []]),
        ("feed", [None, 7, "customer"]),
        ("position", [None, "x", {}, {"created_gte": "soon", "after": None}]),
        ("looked", ["soon", [], -1]),
        ("claims", [None, "x", [7], [{}], [{"run_id": "run 1", "map_index": -1, "done": False}]]),
    ],
)
def test_a_document_that_somebody_has_edited(world: World, name: str, values: list[Any]) -> None:
    """A value that cannot be gone on from is refused, and ends in no other error."""
    run(world)
    before = document(world)
    for value in values:
        put(world, {**before, name: value})
        assert REMEDY in refusal(run(world))


def test_account_and_mode_are_those_of_the_first_accepted_answer() -> None:
    """A look that fails binds nothing; then another account or mode is refused, with both names."""
    world = World()
    with clock_of(world):
        add(world, 2)
        stream, key = world.streams[0], world.streams[0].source
        stream.source = key._replace(stripe_account="acct_wrong", livemode=True)
        process = run(world, "look")
        world.fault = "before"
        world.go(process)
        assert (document(world)["account"], document(world)["livemode"]) == (None, None)
        stream.source = key
        assert run(world).rows == [0, 1]
        for change in ({"stripe_account": "acct_wrong"}, {"livemode": True}, {"feed": "customer"}):
            stream.source, before = key._replace(**change), stream.text
            sentence = refusal(run(world))
            for name, value in change.items():
                assert f"made for {name} {getattr(key, name)!r}" in sentence
                assert repr(value) in sentence
            assert REMEDY in sentence
            assert stream.text == before
        stream.source = key._replace(livemode=None)
        assert run(world).error is None
        assert document(world)["livemode"] is False


def test_a_variable_of_another_task(world: World) -> None:
    """Two sensors do not share one; where the task was renamed, a person says so in it."""
    run(world)
    put(world, {**document(world), "task": "dag.old"})
    assert "holds the cursor of dag.old, not of dag.new" in refusal(run(world))
    add(world, 1)
    put(world, {**document(world), "task": "dag.new"})
    assert run(world).rows == [2]


def test_a_person_pastes_what_a_run_has_pushed(world: World) -> None:
    """An XCom in the Variable goes on from there, and refuses the runs of before."""
    process = run(world)
    add(world, 1)
    later = run(world)
    put(world, process.task.xcom)
    assert run(world).rows == [2]
    assert "no longer knows" in refusal(again(world, later))


def test_other_types_count_for_new_windows(world: World) -> None:
    """A run that comes again reads what it has read, whatever the task says by now."""
    before, stream = run(world), world.streams[0]
    stream.source = stream.source._replace(types=["payout.paid", "payout.failed"])
    add(world, 1)
    after, cleared = run(world), again(world, before)
    types = [process.outcome and process.outcome.window for process in (after, cleared)]
    assert [window and window["types"] for window in types] == [
        ["payout.paid", "payout.failed"],
        ["invoice.paid"],
    ]
    assert document(world)["types"] == ["payout.paid", "payout.failed"]


def test_what_a_run_pushes(world: World) -> None:
    """The XCom names the stream, the run's window, and all that a later run can go on from."""
    run(world)
    add(world, 1)
    run(world, "push")
    add(world, 1)
    cursor = run(world).task.xcom
    written = document(world)
    assert cursor["stream"] == KEY
    assert cursor["window"] == written["claims"][-1]["window"]
    for name in ("v", "rev", "feed", "types", "account", "livemode", "position", "looked"):
        assert cursor[name] == written[name], name
    assert [claim["run_id"] for claim in cursor["claims"]] == ["run 2", "run 3"]
    assert "nonce" not in cursor
    assert run(world).task.xcom["window"] is None


def test_the_variable_is_gone(world: World) -> None:
    """The newest XCom goes on: its position, and its windows that nobody was seen to deliver."""
    first, stream = run(world), world.streams[0]
    add(world, 1)
    failed = run(world, "push")
    add(world, 1)
    last = run(world)
    world.kill(failed, final=True)
    add(world, 1)
    stream.text, rev = None, document(world)["rev"]
    assert [run(world).rows for _ in range(3)] == [[2], [4], None]
    assert document(world)["rev"] > rev
    assert document(world)["trimmed"] == iso(world.now)
    assert [claim["run_id"] for claim in document(world)["claims"]] == ["run 3", "run 4", "run 5"]
    assert again(world, last).rows == [3]
    assert "no longer knows" in refusal(again(world, first))


def test_of_two_xcoms_the_later_one_counts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the one with the higher number, in whatever order Airflow shows them."""
    older = run(world).task.xcom
    add(world, 1)
    newer = run(world).task.xcom
    for cursors in ([older, newer], [newer, older]):
        monkeypatch.setattr(Runs, "cursors", lambda _, cursors=cursors: cursors)
        world.streams[0].text = None
        assert run(world).rows is None
    monkeypatch.setattr(Runs, "cursors", lambda _: [newer, {"v": 1, "window": {}, "run_id": "x"}])
    world.streams[0].text = None
    assert "The XCom cursor of dag.new holds no cursor of this version" in refusal(run(world))


def test_a_mapped_task_goes_on_from_its_own_stream() -> None:
    """Of the XComs of its indexes it takes those that name its Variable."""
    with used(2) as world:
        one, other = world.streams
        other.add(3)
        world.now += 100
        for task in world.new_run().tasks:
            world.go(world.start(task))
        add(world, 1)
        one.text = other.text = None
        tries = [world.go(world.start(task)) for task in world.new_run().tasks]
        assert [process.rows for process in tries] == [[2], None]


def test_a_success_without_a_cursor(world: World) -> None:
    """Where neither the Variable nor an XCom goes on, nobody guesses: a person has to say."""
    task = run(world).task
    world.streams[0].text = None
    for one in world.tasks:
        one.xcom = None
    sentence = refusal(run(world))
    assert sentence.startswith("dag.new has succeeded before")
    assert REMEDY in sentence
    assert world.streams[0].text is None
    task.state = "failed"
    assert run(world).rows == [0, 1]


def test_an_index_without_a_cursor_begins() -> None:
    """The list of a mapped task may have grown, so that another index's success says nothing."""
    with used(2) as world:
        run(world)
        other = world.streams[1]
        other.text = None
        other.add(1)
        world.now += 100
        assert world.go(world.start(world.runs[-1].tasks[1])).rows == [0]
