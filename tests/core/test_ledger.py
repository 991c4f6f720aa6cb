"""What one process gets from the ledger, and what it leaves in the document."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_stripe_lite import _cursor
from airflow_provider_stripe_lite.core import document as documents
from airflow_provider_stripe_lite.core.window import end_of, start_of
from tests.core.ledger_process import Process, Runs
from tests.core.ledger_schedules import add, again, document, put, refusal, run, started, used
from tests.core.ledger_world import START, World, clock_of, iso

DOCUMENT = {
    *("v", "rev", "nonce", "feed", "types", "account", "livemode", "stripe_context"),
    *("position", "looked", "trimmed", "claims"),
}
CLAIM = {"run_id", "run_after", "map_index", "window", "done"}


@pytest.fixture
def world() -> Iterator[World]:
    """Return a sensor whose first run has found nothing; two objects are new since."""
    with used() as world:
        yield world


def calls(process: Process) -> list[str]:
    """Return the calls that the only try of a task has made."""
    lines = [line for line in process.world.log if isinstance(line, str)]
    return [line.split(": ")[1] for line in lines if line.startswith(f"  {process.task}: ")]


def test_the_first_run_begins_a_document() -> None:
    """It says where reading begins, before the first look; the claim is a write of its own."""
    world = World()
    with clock_of(world):
        add(world, 2)
        process = run(world, "look")
        begun = document(world)
        assert begun.keys() >= DOCUMENT
        assert (begun["v"], begun["feed"], begun["types"]) == (2, "event", ["invoice.paid"])
        assert (begun["account"], begun["livemode"], begun["claims"]) == (None, None, [])
        world.go(process)
        claimed = document(world)
        assert claimed.keys() == begun.keys()
        assert claimed["rev"] == begun["rev"] + 1
        assert claimed["nonce"] != begun["nonce"]
        assert (claimed["account"], claimed["livemode"]) == ("acct_0", False)
        assert [claim.keys() for claim in claimed["claims"]] == [CLAIM]


def test_new_objects_are_claimed(world: World) -> None:
    """The window holds what the look has found, and the look's answer comes with it."""
    process = run(world)
    window, batch, cursor = process.outcome or (None, None, None)
    assert batch
    assert window
    assert cursor
    assert process.rows == batch.items == [0, 1]
    assert (start_of(window).before, end_of(window)) == (START, batch.position)
    assert (window["feed"], window["types"], window["count"]) == ("event", ["invoice.paid"], 2)
    assert (window["stripe_conn_id"], window["stripe_account"]) == ("stripe", "acct_0")
    claim = document(world)["claims"][0]
    assert (claim["run_id"], claim["map_index"], claim["done"]) == ("run 1", -1, False)
    assert claim["run_after"] == iso(process.task.run.after)


@pytest.mark.parametrize("fence", [5.0, 0.25])
def test_what_a_poll_costs(world: World, monkeypatch: pytest.MonkeyPatch, fence: float) -> None:
    """One read where nothing is new; a claim is one write, and one wait of the fence's length."""
    slept: list[float] = []
    sleep = Runs.sleep
    monkeypatch.setattr(_cursor, "FENCE_SECONDS", fence)

    def noted(runs: Runs, seconds: float) -> None:
        slept.append(seconds)
        sleep(runs, seconds)

    monkeypatch.setattr(Runs, "sleep", noted)
    claim = ["start", "read", "look", "is_running", "read", "write", "sleep", "read"]
    process = run(world)
    assert calls(process) == [*claim, "is_running", "push", "return"]
    assert calls(run(world))[1:4] == ["read", "states", "look"]
    assert calls(run(world))[1:3] == ["read", "look"]
    assert slept == [fence]


def test_a_run_that_comes_again(world: World) -> None:
    """It reads its own window, in each try and when it is cleared, and writes nothing."""
    process = run(world, "push")
    world.kill(process)
    add(world, 1)
    before = document(world)
    retry = world.go(world.start(process.task))
    cleared = again(world, process)
    assert retry.rows == cleared.rows == [0, 1]
    assert retry.outcome
    assert retry.outcome.batch is None
    assert document(world) == before


def test_done_is_noted_once_for_all(world: World) -> None:
    """The next poll notes a success, without a wait, and then no state changes that."""
    process = run(world)
    poller = run(world)
    assert "sleep" not in calls(poller)
    assert [claim["done"] for claim in document(world)["claims"]] == [True]
    world.clear(process.task)
    assert run(world).rows is None
    assert world.go(world.start(process.task)).rows == [0, 1]


def test_a_look_is_noted_once_a_day(world: World) -> None:
    """Where nothing is new, the document says when the list was last read, to the day."""
    run(world)
    run(world)
    before = document(world)
    world.now += 86_000
    run(world)
    assert document(world) == before
    world.now += 1_000
    assert "sleep" not in calls(run(world))
    assert document(world)["looked"] > before["looked"]
    assert document(world)["position"] == before["position"]


def test_the_last_object_was_deleted(world: World) -> None:
    """Another one has its place from then on, which is noted once, and claimed by nobody."""
    run(world)
    run(world)
    before = document(world)
    world.streams[0].dead.add(1)
    poller = run(world)
    assert (poller.rows, "sleep" in calls(poller)) == (None, False)
    assert document(world)["claims"] == before["claims"]
    assert document(world)["position"] == {**before["position"], "after": "0"}
    assert "write" not in calls(run(world))


def test_a_window_whose_rows_nobody_has_read(world: World) -> None:
    """It is claimed like any other; how many objects it holds is not known."""
    world.returns_windows = True
    process = run(world)
    assert process.rows == [0, 1]
    assert process.outcome
    assert process.outcome.window
    assert process.outcome.window["count"] is None


@pytest.mark.parametrize("state", [None, "failed", "up_for_retry", "skipped", "removed", "gone"])
def test_a_free_window(world: World, state: str | None) -> None:
    """A run that neither runs nor has succeeded leaves its window to the next one, unchanged."""
    process = run(world, "push")
    claim = document(world)["claims"][0]
    world.kill(process)
    process.task.state, process.task.run.deleted = state, state == "gone"
    add(world, 1)
    taker = run(world)
    assert taker.rows == [0, 1]
    assert calls(taker)[1:5] == ["read", "states", "states", "is_running"]
    assert [one["window"] for one in document(world)["claims"]] == [claim["window"]]
    assert document(world)["claims"][0]["run_id"] == "run 2"
    assert run(world).rows == [2]


@pytest.mark.parametrize("state", ["running", "restarting"])
def test_a_window_of_a_run_that_runs(world: World, state: str) -> None:
    """It stays with its run, and others go on behind it."""
    process = run(world, "push")
    process.task.state = state
    add(world, 1)
    assert run(world).rows == [2]
    assert [one["run_id"] for one in document(world)["claims"]] == ["run 1", "run 2"]


def test_one_free_window_for_each_run(world: World) -> None:
    """The oldest is taken first, whoever had it, and none together with another."""
    processes = []
    for _ in range(3):
        processes.append(run(world, "push"))
        add(world, 1)
    for process in processes:
        world.kill(process, final=True)
    before = document(world)
    put(world, {**before, "claims": before["claims"][::-1]})
    assert [run(world).rows for _ in range(5)] == [[0, 1], [2], [3], [4], None]


def test_the_windows_of_the_own_run_come_first() -> None:
    """Where the list of a mapped task has changed, a run keeps what its other index had."""
    with used(2) as world:
        one, other = world.streams
        older, newer = started(world, 2)
        world.go(older, "push")
        add(world, 1)
        world.go(newer, "push")
        world.kill(older, final=True)
        world.kill(newer, final=True)
        world.order = [other, one]
        assert world.go(world.start(newer.task.run.tasks[1])).rows == [2]


def test_what_the_document_forgets(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more claims than it keeps the oldest leave that are done; open ones never do."""
    monkeypatch.setattr(documents, "MOST_CLAIMS", 4)
    kept = run(world, "push")
    runs = []
    for count in range(1, 8):
        add(world, 1)
        runs.append(run(world))
        assert len(document(world)["claims"]) == min(count + 1, 4)
    assert [claim["run_id"] for claim in document(world)["claims"]] == [
        "run 1",
        *(f"run {number}" for number in (6, 7, 8)),
    ]
    assert document(world)["trimmed"] == iso(runs[3].task.run.after)
    assert world.go(kept).rows == [0, 1]


def test_a_run_that_is_forgotten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is cleared it fails for good, and gets nothing of what is new."""
    monkeypatch.setattr(documents, "MOST_CLAIMS", 4)
    runs = []
    for _ in range(7):
        runs.append(run(world))
        add(world, 1)
    before = document(world)
    forgotten = again(world, runs[2])
    assert "dag.new no longer knows what this run returned" in refusal(forgotten)
    assert document(world) == before
    assert again(world, runs[3]).rows == [4]
