"""What a sensor remembers: how the position travels from one run to the next.

A run *claims* a window in its own state store, which survives retries, clears and reschedules; so
the run gets the same window again whatever happens to it. It also pushes the window as the XCom
``cursor``, from which the next run goes on: behind the window, or at its beginning if the run that
claimed it failed. A stale read loses nothing: every position says only what has been delivered, so
the furthest one counts.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskInstanceState, Variable
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_stripe_lite._compat import NEVER_EXPIRE
from airflow_provider_stripe_lite.core.window import (
    Position,
    Source,
    Window,
    checked,
    end_of,
    refuse_foreign,
    start_of,
    stretch,
)
from airflow_provider_stripe_lite.errors import StripeInputError

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["Cursor", "CursorChain"]

# Both the XCom and the entry in the run's state store have this key.
CURSOR = "cursor"
Cursor = dict[str, Any]
# This entry of the state store says how far the runs before it had come.
_START = "start"
_FAR_FUTURE = datetime(9999, 1, 1, tzinfo=UTC)
_FAILED = ("failed", "upstream_failed", "skipped", "removed")
# The search for the oldest run without a cursor ends after so many runs.
_ATTEMPTS = 100

_START_OVER_HINT = (
    "To start afresh on purpose, give the task another task_id (and cursor_variable another name, "
    "if it is set): it then begins at start_from."
)
_KEEP_ORDER_HINT = "To go on, keep the order of what the sensor expands over."


class CursorChain:
    """The cursors of one sensor task, over its runs.

    :param source: feed, connection, account and mode of the task.
    :param advance_after: ``sensor`` or ``dag_run``: what must have succeeded for a window to count
        as delivered.
    :param variable: Airflow Variable that keeps the cursor too; each index of a mapped task has its
        own.
    """

    def __init__(
        self, context: Context, source: Source, *, advance_after: str, variable: str | None
    ) -> None:
        self._ti: Any = context["ti"]
        self._store: Any = context["task_state_store"]
        self._source, self._after_dag_run = source, advance_after == "dag_run"
        self._mapped = self._ti.map_index is not None and self._ti.map_index >= 0
        mapped = f"_{self._ti.map_index}" if self._mapped else ""
        self._variable = f"{variable}{mapped}" if variable else None
        self._name = f"{self._ti.dag_id}.{self._ti.task_id}"

    def claimed(self) -> Cursor | None:
        """Return the cursor that this run has claimed in an earlier try, or None."""
        cursor = self._checked(self._store.get(CURSOR))
        return None if cursor is None else {**cursor, "again": True}

    def previous(self) -> Position | None:
        """Return how far the runs of this task have come, or None for the first run.

        The furthest of all that is known counts, and a run never falls behind what it once knew:
        clearing the run before it, for instance, makes that one's cursor uncertain for a while.
        """
        pinned = self._store.get(_START)
        if pinned:
            pinned = checked(pinned, f"The start that {self._name} keeps", _START_OVER_HINT)
        furthest = start_of(pinned) if pinned else None
        candidates = self._candidates()
        if furthest is not None and not candidates:
            # First run, second try: Airflow deletes a task's XComs before each try, so the start
            # is pushed again.
            self.begin(furthest)
        for cursor in sorted(candidates, key=lambda cursor: -end_of(cursor["window"]).before):
            if furthest is None or furthest.before < end_of(cursor["window"]).before:
                known = filter(None, (furthest, self._reached(cursor)))
                furthest = max(known, key=lambda position: position.before)
        if furthest is not None and (not pinned or start_of(pinned) != furthest):
            self._store.set(_START, self._window(furthest, furthest, 0))
        return furthest

    def first_attempt(self, run_after: datetime) -> datetime:
        """Return the date of the oldest run without a cursor: this one, or one that died.

        A first run killed before it pushed a cursor must not move "now" forward.
        """
        for _ in range(_ATTEMPTS):
            before = self._ti.get_previous_ti(logical_date=run_after, map_index=self._ti.map_index)
            if before is None or before.logical_date is None:
                break
            run_after = before.logical_date
        return run_after

    def claim(self, start: Position, end: Position, count: int | None) -> Cursor:
        """Make the window this run's own, before anything of it is delivered."""
        state = self._state(self._ti.run_id)
        if state in (*_FAILED, "success"):
            # Somebody marked the task by hand; Airflow kills its process only seconds later.
            raise AirflowFailException(
                f"This task was marked {state} while it ran, so it claims no window."
            )
        cursor = self._cursor(start, end, count)
        self._store.set(CURSOR, cursor, retention=NEVER_EXPIRE)
        return cursor

    def begin(self, start: Position) -> None:
        """Publish where the first run began: it may find nothing and fail."""
        self.publish(self._cursor(start, start, 0))

    def publish(self, cursor: Cursor) -> None:
        """Hand the cursor on to the next run; the Variable only ever moves forward."""
        if self._variable:
            known = self._from_variable()
            if known is None or self._reached(known).before < end_of(cursor["window"]).before:
                cursor_of = {"task": self._name, **cursor}
                Variable.set(self._variable, cursor_of, serialize_json=True)
        self._ti.xcom_push(CURSOR, cursor)

    def _cursor(self, start: Position, end: Position, count: int | None) -> Cursor:
        return {
            "v": 1,
            "window": self._window(start, end, count),
            "looked": end.looked,
            "run_id": self._ti.run_id,
            "map_index": self._ti.map_index,
        }

    def _window(self, start: Position, end: Position, count: int | None) -> Window:
        return stretch(self._source, start, end, count)

    def _candidates(self) -> list[Cursor]:
        """Return the cursors that may be the newest.

        They are the newest one that Airflow shows to this run, that of the newest success of any
        date, and the Variable's. The first is the newest by date before this run's (on PostgreSQL a
        run without a logical date comes first), so in a DAG with runs of several kinds it alone may
        be an old one. Runs without a logical date are ordered by push time, so a cleared old run
        looks newest: if the newest cursor is such a repeat, all of them are compared.
        """
        index = self._ti.map_index
        found = [self._checked(self._pull(include_prior_dates=True, map_indexes=index))]
        if found[0] is not None and found[0].get("again"):
            rest = self._pull(include_prior_dates=True)
            found += [self._checked(cursor) for cursor in rest if cursor.get("map_index") == index]
        success = self._ti.get_previous_ti(
            state=TaskInstanceState.SUCCESS, logical_date=_FAR_FUTURE, map_index=index
        )
        if success is not None and (found[0] is None or found[0]["run_id"] != success.run_id):
            found.append(self._checked(self._pull(run_id=success.run_id, map_indexes=index)))
        found.append(self._from_variable())
        return [cursor for cursor in found if cursor is not None]

    def _pull(self, **where: Any) -> Any:
        """Return one cursor, or without ``map_indexes`` those of all runs, in no order."""
        found = self._ti.xcom_pull(task_ids=self._ti.task_id, key=CURSOR, **where)
        return found if "map_indexes" in where or isinstance(found, list) else [found]

    def _from_variable(self) -> Cursor | None:
        if not self._variable:
            return None
        cursor = Variable.get(self._variable, default=None)
        # Airflow's own decoding would give None for a text that is no JSON.
        with contextlib.suppress(TypeError, ValueError):
            cursor = json.loads(cursor)
        if isinstance(cursor, dict) and cursor.get("task") != self._name:
            raise StripeInputError(
                f"The Variable {self._variable} holds the cursor of {cursor.get('task')}, not of "
                f"{self._name}: give each sensor a cursor_variable of its own."
            )
        return self._checked(cursor)

    def _checked(self, cursor: Any) -> Cursor | None:
        """Refuse a cursor that this task cannot go on from (P10)."""
        if cursor is None:
            return None
        window = cursor.get("window") if isinstance(cursor, dict) else None
        if window is None or cursor.get("v") != 1 or not isinstance(cursor.get("run_id"), str):
            raise StripeInputError(
                f"The XCom or Variable of {self._name} holds no cursor of this provider. "
                f"{_START_OVER_HINT}"
            )
        window = checked(window, f"The cursor of {self._name}", _START_OVER_HINT)
        remedy = _KEEP_ORDER_HINT if self._mapped else _START_OVER_HINT
        refuse_foreign(window, self._source, "cursor", remedy)
        conn_id = self._source.stripe_conn_id
        if self._mapped and window["stripe_conn_id"] != conn_id:
            raise StripeInputError(
                f"This cursor was made for connection {window['stripe_conn_id']!r}, but map index "
                f"{self._ti.map_index} now stands for {conn_id!r}; nothing was delivered. {remedy}"
            )
        return {**cursor, "window": window}

    def _reached(self, cursor: Cursor) -> Position:
        """Return where the next run resumes: the window's end, or its start after a failure.

        A running or cleared task counts as done: it reads its own window again.
        """
        run_id, window = cursor["run_id"], cursor["window"]
        # A run may be green although its sensor is not.
        counts = self._state(run_id) not in _FAILED
        if counts and self._after_dag_run:
            counts = self._ti.get_dagrun_state(self._ti.dag_id, run_id) == "success"
        looked = cursor.get("looked")
        end = replace(end_of(window), looked=looked if isinstance(looked, int) else None)
        return end if counts else start_of(window)

    def _state(self, run_id: str) -> str:
        """Return the state of this task in a run.

        It is ``None`` for a task that was cleared, ``removed`` for one that is gone.
        """
        ti, index = self._ti, self._ti.map_index if self._mapped else None
        states = ti.get_task_states(
            dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[run_id], map_index=index
        )
        name = ti.task_id if index is None else f"{ti.task_id}_{index}"
        return str(states.get(run_id, {}).get(name, "removed"))
