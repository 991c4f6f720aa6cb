"""What random lives hit once in ten thousand is forced here: who makes which call after whom."""

from __future__ import annotations

from itertools import permutations, product

import pytest

from tests.core.ledger_lives import drain
from tests.core.ledger_schedules import (
    add,
    again,
    elsewhere,
    go_before,
    judging,
    rest,
    started,
    steps,
    used,
)
from tests.core.ledger_world import START, World, clock_of

# No try makes more calls, as long as nobody disturbs it.
CALLS = 13
FEW = range(0, CALLS, 2)


def check(world: World) -> None:
    """Hold everything that was delivered, in the end, against what there is."""
    drain(world)
    assert not any(world.problems().values()), world.log


@pytest.mark.parametrize("lie", [None, *range(8)])
def test_two_first_runs(lie: int | None) -> None:
    """Of two runs that begin at once one decides where, and each object is in one of them."""
    for *turns, last in product(FEW, FEW, FEW if lie is None else (0,), (0, 1)):
        world = World()
        world.start_from = None
        with clock_of(world):
            one = started(world, 1)[0]
            add(world, 1)
            other = started(world, 1)[0]
            add(world, 2)
            for process, count in zip((one, other, one), turns, strict=True):
                steps(world, process, count)
            first, second = (one, other) if last else (other, one)
            if lie is not None:
                # At this place Airflow says once more that there is no Variable.
                steps(world, first, lie)
                world.fault = "lie"
            rest(world, first, second)
            found = [process.rows for process in (one, other) if process.rows]
            assert found == [[0, 1, 2] if world.streams[0].start == START else [1, 2]]
            check(world)


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_two_pollers_and_a_free_window(order: tuple[int, ...]) -> None:
    """Whoever takes it, or its cleared run, returns it alone; what is new is in another run."""
    for before, after in product(range(CALLS), FEW):
        with used() as world:
            owner = started(world, 1)[0]
            world.kill(world.go(owner, "push"), final=True)
            add(world, 1)
            one, other = started(world, 2)
            steps(world, one, before)
            world.clear(owner.task)
            again = world.start(owner.task)
            assert again
            steps(world, other, after)
            rest(world, *([one, other, again][at] for at in order))
            found = [process.rows for process in (one, other, again) if process.rows]
            assert sorted(found) == [[0, 1], [2]]
            check(world)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_writers_in_a_row(count: int) -> None:
    """Pollers of one stream that stand side by side return each object once, in any order."""
    for order, ahead in product(permutations(range(count)), ("is_running", "write", "sleep")):
        with used() as world:
            processes = started(world, count)
            for process in processes:
                world.go(process, ahead)
            rest(world, *(processes[at] for at in order))
            assert [process.rows for process in processes if process.rows] == [[0, 1]]
            check(world)


@pytest.mark.parametrize("call", range(1, 12))
def test_a_variable_that_is_said_to_be_missing(call: int) -> None:
    """Airflow's "not found" for a Variable that is there changes nothing, wherever it comes."""
    with used() as world:
        process = started(world, 1)[0]
        steps(world, process, call)
        world.fault = "lie"
        rest(world, process)
        assert process.rows == [0, 1]
        check(world)


def test_a_first_run_that_is_late() -> None:
    """It overwrites no document that has come since, even where that is said to be missing."""
    world = World()
    with clock_of(world):
        late, other = started(world, 2)
        world.go(late, "is_running")
        add(world, 2)
        rest(world, other)
        world.step(late)
        world.fault = "lie"
        rest(world, late)
        assert other.rows == [0, 1]
        check(world)


@pytest.mark.parametrize("call", ["read", "is_absent", "cursors", "has_succeeded", "is_running"])
def test_a_first_run_that_is_overtaken(call: str) -> None:
    """It is no error that another run has begun, and succeeded, between any two of its calls."""
    world = World()
    with clock_of(world):
        late, other = started(world, 2)
        world.go(late, call)
        add(world, 2)
        rest(world, other)
        rest(world, late)
        assert (other.rows, late.error) == ([0, 1], None)
        check(world)


@pytest.mark.parametrize("name", ["lost", "late"])
@pytest.mark.parametrize("write", [1, 2])
def test_a_write_that_took_effect_although_it_failed(name: str, write: int) -> None:
    """The next try of the run returns what the failed one has claimed, and writes nothing more."""
    world = World()
    with clock_of(world):
        add(world, 2)
        process = started(world, 1)[0]
        for _ in range(write):
            world.go(process, "write")
        world.fault = name
        assert isinstance(world.go(process).error, RuntimeError)
        again = world.start(process.task)
        assert again
        if world.late:
            assert again.is_blocked
            world.land()
        document = world.streams[0].document
        rest(world, again)
        assert again.rows == [0, 1]
        assert (world.streams[0].document == document) == (write == 2)
        check(world)


def test_a_write_that_failed() -> None:
    """Nothing is claimed by it: the next try begins anew."""
    with used() as world:
        process = world.go(started(world, 1)[0], "write")
        world.fault = "before"
        assert isinstance(world.go(process).error, RuntimeError)
        add(world, 1)
        again = world.start(process.task)
        assert again
        assert world.go(again).rows == [0, 1, 2]
        check(world)


@pytest.mark.parametrize("name", ["late", "again"])
def test_a_write_that_lands_while_others_wait(name: str) -> None:
    """Whoever has written in between finds out by its wait, and claims anew."""
    with used() as world:
        slow, other = started(world, 2)
        world.go(slow, "write")
        if name == "late":
            world.go(other, "is_running")
        world.fault = name
        world.step(slow)
        add(world, 1)
        world.go(other, "sleep")
        world.step(other)
        assert other.is_blocked
        if world.late:
            world.land()
        rest(world, other, *([] if slow.is_over else [slow]))
        assert other.rows == ([0, 1] if name == "late" else [2])
        check(world)


@pytest.mark.parametrize("call", ["read", "pushed", "states", "is_running"])
def test_a_mapped_task_that_ends_while_it_is_judged(call: str) -> None:
    """What it pushed before, when it had found nothing, is not taken for what it delivered."""
    with used(2) as world:
        world.now -= 10
        owner, poller = started(world, 2)
        assert world.go(owner).waiting
        owner.waiting = False
        world.now += 10
        world.go(owner, "push")
        steps(world, poller, 1)
        go_before(world, poller, call)
        rest(world, owner)
        rest(world, poller)
        assert (owner.rows, poller.rows) == ([0, 1], None)
        check(world)


@pytest.mark.parametrize("call", ["read", "pushed", "states", "is_running"])
def test_a_mapped_task_that_has_delivered_another_window(call: str) -> None:
    """Its success says nothing about the window that an earlier try has claimed elsewhere."""
    with used(2) as world:
        one, other = world.streams
        _, again = elsewhere(world)
        world.go(again, "push")
        world.order = [one, other]
        poller = judging(world, call)
        rest(world, again)
        rest(world, poller)
        assert again.rows == [0]
        check(world)
        assert [task.rows.get(one) for task in world.tasks].count([0, 1]) == 1


@pytest.mark.parametrize("call", ["states", "pushed", "is_running"])
def test_a_mapped_task_that_is_cleared_while_it_is_judged(call: str) -> None:
    """Where it starts again its XCom goes away, and its success says nothing any more."""
    with used(2) as world:
        one, other = world.streams
        owner, again = elsewhere(world)
        world.go(again)
        world.order = [one, other]
        poller = judging(world, call)
        world.order = [other, one]
        world.clear(owner.task)
        last = world.start(owner.task)
        assert last
        steps(world, last, 2)
        world.order = [one, other]
        rest(world, poller)
        rest(world, last)
        check(world)


@pytest.mark.parametrize("streams", [0, 2])
def test_a_taker_that_is_slow(streams: int) -> None:
    """A run that comes back when its window was judged to be free, and not taken yet, keeps it."""
    with used(streams) as world:
        owner = started(world, 1)[0]
        world.kill(world.go(owner, "push"))
        taker = judging(world, "states")
        world.step(taker)
        # It may ask for the XComs of many claims meanwhile.
        taker.leave_way()
        back = world.go(world.start(owner.task))
        rest(world, taker)
        assert (back.rows, taker.rows) == ([0, 1], None)
        check(world)


def test_a_taker_of_a_success_that_comes_back() -> None:
    """A mapped task that has succeeded elsewhere, and now with this window, keeps it, too."""
    with used(2) as world:
        one, other = world.streams
        owner, moved = elsewhere(world)
        world.go(moved)
        world.order = [one, other]
        taker = judging(world, "pushed")
        steps(world, taker, 1)
        taker.leave_way()
        back = again(world, owner)
        rest(world, taker)
        assert (back.rows, taker.rows) == ([0, 1], None)
