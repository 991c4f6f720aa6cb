"""How the position travels from one run of a sensor to the next.

A run *claims* a window, ``from`` one position ``to`` another, in its own state store, which survives retries, clears
and reschedules; so the run gets the same window again whatever happens to it. It also pushes the window as the XCom
``cursor``, from which the next run goes on: behind the window, or at its beginning if the run that claimed it failed.
A stale read loses nothing: every position says only what has been handed over, so the furthest one counts.
"""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskInstanceState, Variable
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.execution_time.context import NEVER_EXPIRE

from airflow_provider_stripe_lite.errors import StripeInputError
from airflow_provider_stripe_lite.polling import Position

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_stripe_lite.hooks import StripeHook

CURSOR = "cursor"  # the XCom key, and the key in the run's state store
Cursor = dict[str, Any]
_START = "start"  # in the run's state store: how far the runs before it had come
_ANY_DATE = datetime(9999, 1, 1, tzinfo=UTC)
_FAILED = ("failed", "upstream_failed", "skipped", "removed")
_ATTEMPTS = 100  # earlier runs that are looked at

_AFRESH = (
    "To start afresh on purpose, give the task another task_id (and cursor_variable another name, if it is set): "
    "it then begins at start_from."
)


class CursorChain:
    """The cursors of one sensor task, over its runs.

    :param advance_after: ``sensor`` or ``dag_run``: what must have succeeded for a window to count as handed over.
    :param variable: Airflow Variable that keeps the cursor too; each index of a mapped task has its own.
    """

    def __init__(
        self, context: Context, hook: StripeHook, feed: str, *, advance_after: str, variable: str | None
    ) -> None:
        self._ti: Any = context["ti"]
        self._store: Any = context["task_state_store"]
        self._hook, self._feed, self._after_dag_run = hook, feed, advance_after == "dag_run"
        self._mapped = self._ti.map_index is not None and self._ti.map_index >= 0
        mapped = f"_{self._ti.map_index}" if self._mapped else ""
        self._variable = f"{variable}{mapped}" if variable else None
        self._name = f"{self._ti.dag_id}.{self._ti.task_id}"

    def claimed(self) -> Cursor | None:
        """The window that this run has claimed in an earlier try, or None."""
        cursor = self._checked(self._store.get(CURSOR))
        return None if cursor is None else {**cursor, "again": True}

    def previous(self) -> Position | None:
        """How far the runs of this task have come, or None for the first run.

        The furthest of all that is known counts, and a run never falls behind what it once knew: clearing the run
        before it, for instance, makes that one's cursor uncertain for a while.
        """
        pinned = self._store.get(_START)
        furthest = Position.from_dict(pinned) if pinned else None
        candidates = self._candidates()
        if furthest is not None and not candidates:  # the first run; at a retry Airflow deletes what it had told
            self.begin(furthest)
        for cursor in sorted(candidates, key=lambda cursor: -Position.from_dict(cursor.get("to")).until):
            if furthest is None or furthest.until < cursor["to"]["until"]:
                furthest = max(filter(None, (furthest, self._reached(cursor))), key=lambda position: position.until)
        if furthest is not None and furthest.as_dict() != pinned:
            self._store.set(_START, furthest.as_dict())
        return furthest

    def first_attempt(self, run_after: datetime) -> datetime:
        """When the first run began: this one, or an earlier one that died before it could tell.

        A run that is killed in its first seconds leaves no cursor; what came since it was due is not to be missed.
        """
        for _ in range(_ATTEMPTS):
            before = self._ti.get_previous_ti(logical_date=run_after, map_index=self._ti.map_index)
            if before is None or before.logical_date is None:
                break
            run_after = before.logical_date
        return run_after

    def claim(self, start: Position, end: Position, count: int) -> Cursor:
        """Make the window this run's own, before anything of it is handed over."""
        state = self._state(self._ti.run_id)
        if state in (*_FAILED, "success"):  # somebody marked it by hand; Airflow kills the process only seconds later
            raise AirflowFailException(f"This task was marked {state} while it ran, so it claims no window.")
        cursor = self._cursor(start, end) | {"count": count}
        self._store.set(CURSOR, cursor, retention=NEVER_EXPIRE)
        return cursor

    def begin(self, start: Position) -> None:
        """Tell the next run where this one, the first, began: it may find nothing and fail."""
        self.publish(self._cursor(start, start))

    def publish(self, cursor: Cursor) -> None:
        """Hand the cursor on; the Variable only ever moves forward."""
        if self._variable:
            known = self._from_variable()
            if known is None or self._reached(known).until < Position.from_dict(cursor["to"]).until:
                Variable.set(self._variable, {"task": self._name, **cursor}, serialize_json=True)
        self._ti.xcom_push(CURSOR, cursor)

    def _cursor(self, start: Position, end: Position) -> Cursor:
        client = self._hook.client
        return {
            "v": 1,
            "feed": self._feed,
            "account": client.account,
            "mode": client.mode,
            "conn_id": self._hook.stripe_conn_id,
            "from": start.as_dict(),
            "to": end.as_dict(),
            "run_id": self._ti.run_id,
            "map_index": self._ti.map_index,
        }

    def _candidates(self) -> list[Cursor]:
        """The newest cursor that Airflow shows to this run, that of the newest success of any date, the Variable's.

        The first is the newest by date before this run's (on PostgreSQL a run without a logical date comes first), so
        in a DAG with runs of several kinds it alone may be an old one. One that was pushed again, when its run was
        cleared, may be an old one among runs without a date, which Airflow sorts by time: then all are looked at.
        """
        found = [self._checked(self._pull(include_prior_dates=True, map_indexes=self._ti.map_index))]
        if found[0] is not None and found[0].get("again"):
            rest = self._pull(include_prior_dates=True)
            found += [self._checked(cursor) for cursor in rest if cursor.get("map_index") == self._ti.map_index]
        success = self._ti.get_previous_ti(
            state=TaskInstanceState.SUCCESS, logical_date=_ANY_DATE, map_index=self._ti.map_index
        )
        if success is not None and (found[0] is None or found[0]["run_id"] != success.run_id):
            found.append(self._checked(self._pull(run_id=success.run_id, map_indexes=self._ti.map_index)))
        found.append(self._from_variable())
        return [cursor for cursor in found if cursor is not None]

    def _pull(self, **where: Any) -> Any:
        """One cursor, or without ``map_indexes`` those of all runs and indexes, in no order."""
        found = self._ti.xcom_pull(task_ids=self._ti.task_id, key=CURSOR, **where)
        return found if "map_indexes" in where or isinstance(found, list) else [found]

    def _from_variable(self) -> Cursor | None:
        if not self._variable:
            return None
        cursor = Variable.get(self._variable, default=None)
        with contextlib.suppress(TypeError, ValueError):  # Airflow's own decoding takes what is no JSON for nothing
            cursor = json.loads(cursor)
        if isinstance(cursor, dict) and cursor.get("task") != self._name:
            raise StripeInputError(
                f"The Variable {self._variable} holds the cursor of {cursor.get('task')}, not of {self._name}: "
                "give each sensor a cursor_variable of its own."
            )
        return self._checked(cursor)

    def _checked(self, cursor: Any) -> Cursor | None:
        """Refuse a cursor that this task cannot go on from (P10)."""
        if cursor is None:
            return None
        if not isinstance(cursor, dict) or cursor.get("v") != 1 or not isinstance(cursor.get("run_id"), str):
            raise StripeInputError(f"The XCom or Variable of {self._name} holds no cursor of this provider. {_AFRESH}")
        self._hook.refuse_foreign(cursor, self._feed, "cursor", _AFRESH)
        conn_id = self._hook.stripe_conn_id
        if self._mapped and cursor.get("conn_id") != conn_id:  # the expanded list has changed its order
            raise StripeInputError(
                f"This cursor was made for connection {cursor.get('conn_id')!r}, but map index {self._ti.map_index} "
                f"now stands for {conn_id!r}; nothing was handed over: keep the order of what the sensor expands over."
            )
        return cursor

    def _reached(self, cursor: Cursor) -> Position:
        """How far the cursor counts: to the end of its window unless what claimed it has failed.

        A run that is not over yet, or was cleared, will hand its window over itself.
        """
        run_id = cursor["run_id"]
        counts = self._state(run_id) not in _FAILED  # a run may be green although its sensor is not
        if counts and self._after_dag_run:
            counts = self._ti.get_dagrun_state(self._ti.dag_id, run_id) == "success"
        return Position.from_dict(cursor.get("to" if counts else "from"))

    def _state(self, run_id: str) -> str:
        """The state of this task in a run: ``None`` for one that was cleared, ``removed`` for one that is gone."""
        ti, index = self._ti, self._ti.map_index if self._mapped else None
        states = ti.get_task_states(dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[run_id], map_index=index)
        name = ti.task_id if index is None else f"{ti.task_id}_{index}"
        return str(states.get(run_id, {}).get(name, "removed"))


def first_second(start_from: str | datetime, now: datetime) -> int:
    """The epoch second where reading begins.

    :param start_from: ``"now"``, ``"beginning"``, or a date-time (ISO 8601; UTC where it has no offset).
    :param now: what ``"now"`` stands for.
    :raises StripeInputError: something else.
    """
    if start_from == "beginning":
        return 0
    start: object = now if start_from == "now" else start_from
    if isinstance(start, str):
        with contextlib.suppress(ValueError):
            start = datetime.fromisoformat(start.strip())
    if not isinstance(start, datetime):
        raise StripeInputError(
            f'start_from must be "now", "beginning" or a date-time such as 2026-01-31T00:00:00Z, got {start!r:.60}.'
        )
    return int((start if start.tzinfo else start.replace(tzinfo=UTC)).timestamp())
