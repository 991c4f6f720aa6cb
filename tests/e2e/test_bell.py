"""A bell rings, and a DAG's sensor reads everything: in a living Airflow, where things go wrong."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from dev.airflow_api import wait_for
from tests.e2e.conftest import KEY, MISTYPED
from tests.e2e.scenarios import SOON, rung, started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from dev.stack import AirflowStack
    from tests.e2e.scenarios import Stream

pytestmark = pytest.mark.e2e
PHASE = "calm"

EXACTLY = "0 lost, 0 twice"


def two_dags_on_one_bell(airflow: AirflowStack, stream: Callable[..., Stream]) -> None:
    """Objects arrive for a while: each of two DAGs on a bell gets every object once."""
    both = [stream("rung"), stream("rung_too", bell="rung")]
    first, _ = started(both)
    with first.arriving(1, seconds=30):
        pass
    for each in both:
        each.wait_for_all()
    print(f"\n{airflow.database}: {rung(*both)}")
    assert [each.verdict() for each in both] == [EXACTLY] * 2


def a_dag_that_was_paused_at_first(airflow: AirflowStack, stream: Callable[..., Stream]) -> None:
    """Unpaused, a DAG begins with what comes then: alone on its bell, and after a ring."""
    alone, first, second = stream("asleep"), stream("later"), stream("later_too", bell="later")
    started([first])
    alone.create(5)
    first.create(5)
    first.wait_for_all()
    # The bell has looked once more, and so begins behind these.
    first.wait_for_looks(2)
    started([alone])
    airflow.unpause(second.name)
    new = [each.create(3) for each in (alone, first)]
    for each, expected in zip((alone, second), new, strict=True):
        each.wait_for_all(expected=expected)
        assert each.verdict(expected) == EXACTLY
    first.wait_for_all()
    assert first.verdict() == EXACTLY
    print(f"\n{airflow.database}: {rung(first, second)}; {rung(alone)}")


def an_import_error_for_a_minute(airflow: AirflowStack, stream: Callable[..., Stream]) -> None:
    """What comes while the DAG's file cannot be loaded is there when it can: no object waits."""
    (broken,) = started([stream("broken")])
    wait_for_rest(broken)
    with broken_for_a_minute(airflow, broken.name):
        with broken.arriving(1, seconds=30):
            pass
        assert not broken.received()
    mended = time.monotonic()
    broken.wait_for_all()
    print(f"\n{airflow.database}: all {time.monotonic() - mended:.0f} s later; {rung(broken)}")
    assert broken.verdict() == EXACTLY


@contextmanager
def broken_for_a_minute(airflow: AirflowStack, name: str) -> Iterator[None]:
    """Give a DAG file an import error; mend it at the end, after a minute at least."""
    path, began = airflow.dags_folder / "breakable.py", time.monotonic()
    good = path.read_text()
    path.write_text(f"import nothing_of_this_name\n{good}")
    try:
        wait_for("the import error", airflow.import_errors)
        yield
        time.sleep(max(0.0, began + 60 - time.monotonic()))
    finally:
        path.write_text(good)
    wait_for("the file to be good again", lambda: not airflow.import_errors())


def a_backlog_of_five_batches(airflow: AirflowStack, stream: Callable[..., Stream]) -> None:
    """One ring for five times max_items: a window has them all, an outlet rings for the rest."""
    whole, again = started([stream("whole"), stream("again")])
    # A batch ends between two seconds. All become visible at once, for one ring.
    visible_at, made = int(time.time()) + 12, {whole: [], again: []}
    for _ in range(5):
        for each, names in made.items():
            names.extend(each.create(10, visible_at=visible_at))
        time.sleep(1)
    for each, names in made.items():
        each.wait_for_all(expected=names)
        print(f"\n{airflow.database}: {rung(each)}")
        assert each.verdict() == EXACTLY
    assert len(whole.received()) == 1
    assert len(again.received()) >= 5


def a_wrong_key_from_the_start(airflow: AirflowStack, stream: Callable[..., Stream]) -> None:
    """A wrong key from the start is one red run; mended, the bell goes on by itself."""
    wrong = stream("wrong_first")
    airflow.unpause(wrong.name)
    meet_wrong_key(wrong)


def a_wrong_key_in_the_middle(airflow: AirflowStack, stream: Callable[..., Stream]) -> None:
    """A key that becomes wrong is one red run; mended, the bell goes on by itself."""
    (wrong,) = started([stream("wrong_later")])
    made = wrong.create(3)
    wrong.wait_for_all(expected=made)
    # A run that the last ring has started would meet the wrong key, too.
    wait_for_rest(wrong)
    set_key(wrong, MISTYPED)
    meet_wrong_key(wrong)


def meet_wrong_key(wrong: Stream) -> None:
    """See one red run, however often the bell looks; mend the key, and see all objects come."""
    wait_for(f"a red run of {wrong.name}", lambda: failed(wrong), SOON)
    wrong.create(3)
    wrong.wait_for_looks(5)
    (run_id,) = failed(wrong)
    log = wrong.airflow.logs(wrong.name, run_id, "new")
    assert "Stripe does not accept the API key" in log, log
    set_key(wrong, KEY)
    wrong.wait_for_all()
    print(f"\n{wrong.airflow.database}: {rung(wrong)}")
    assert wrong.verdict() == EXACTLY
    assert failed(wrong) == [run_id]


def wait_for_rest(*streams: Stream) -> None:
    """Wait until the bell has rung for all that there is, and all its runs have ended."""

    def at_rest() -> bool:
        rings = streams[0].rings()
        streams[0].wait_for_looks(2)
        states = {state for stream in streams for state in stream.states().values()}
        return streams[0].rings() == rings and states <= {"success", "failed"}

    wait_for("the runs to end", at_rest, SOON)


def failed(stream: Stream) -> list[str]:
    """Return the runs that have failed."""
    return [run_id for run_id, state in stream.states().items() if state == "failed"]


def set_key(stream: Stream, key: str) -> None:
    """Change the API key in the stream's connection, as a person does in the form."""
    conn_id = f"stripe_{stream.bell}"
    kept = stream.airflow.call("GET", f"/connections/{conn_id}")
    changed = {**stream.fake.connection(key), "extra": kept["extra"]}
    stream.airflow.set_connection(conn_id, changed)


def at_least_every_bounds_what_is_left(
    airflow: AirflowStack, stream: Callable[..., Stream]
) -> None:
    """What was rung for while a DAG was paused comes in the next ring, without a new object."""
    first, second = started([stream("bounded"), stream("bounded_too", bell="bounded")])
    wait_for_rest(first, second)
    # Airflow does not notice a pause between two parses, and nobody rings at its end.
    airflow.pause(second.name)
    made = first.create(4)
    first.wait_for_all()
    paused = second.received()
    airflow.unpause(second.name)
    unpaused = time.monotonic()
    second.wait_for_all()
    seconds = time.monotonic() - unpaused
    print(f"\n{airflow.database}: {len(made)} objects {seconds:.0f} s after the unpausing")
    print(f"\n{airflow.database}: {rung(first, second)}")
    assert not paused
    assert [each.verdict() for each in (first, second)] == [EXACTLY] * 2


SCENARIOS = (
    a_wrong_key_in_the_middle,
    a_wrong_key_from_the_start,
    an_import_error_for_a_minute,
    a_dag_that_was_paused_at_first,
    at_least_every_bounds_what_is_left,
    a_backlog_of_five_batches,
    two_dags_on_one_bell,
)


def test_bell(outcome: Future[None]) -> None:
    """Hold the promise in the scenario's docstring."""
    outcome.result()
