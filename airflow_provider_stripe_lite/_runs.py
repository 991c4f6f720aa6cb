"""What the ledger asks of Airflow: the Variable, the states and the XComs of a task's runs."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskInstanceState
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType

from airflow_provider_stripe_lite._compat import (
    MARKER,
    ask_supervisor,
    comms,
    is_listed,
    previous_run,
)
from airflow_provider_stripe_lite.core import clock
from airflow_provider_stripe_lite.core.scrub import show
from airflow_provider_stripe_lite.errors import StripeCursorError, StripeInputError

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["CURSOR", "Runs"]

_log = logging.getLogger(__name__)

# The key of the XCom that every run pushes.
CURSOR = "cursor"
_DESCRIPTION = "Where a Stripe sensor stands: airflow-provider-stripe-lite, docs/guarantees.md"
_FAR_FUTURE = datetime(9999, 1, 1, tzinfo=UTC)
# Airflow asks with a URL, which holds so many run ids safely.
_RUNS_AT_ONCE = 100
# Airflow shows a Variable as *** whose name has one of these, and saves that where somebody edits
# it in the UI. The list is this package's own, so that a name stays what it is.
_MASKED = re.compile(
    "access_(key|token)|api_?key|auth_header|authorization|bearer|connection_string|dsn|keyfile_dict"
    "|passphrase|passw|private_key|prox(y|ies)|secret|service_(account|key)|token|webhook_url",
    re.IGNORECASE,
)
_LONGEST_KEY = 250
_PART = r"(?!\.+(?:/|$))[A-Za-z0-9_.:@-]+(?: [A-Za-z0-9_.:@-]+)*"
_NAME = re.compile(f"{_PART}(?:/{_PART})*")


class Runs:
    """The runs of one sensor task, seen from one of them.

    :param context: of the running task.
    :param conn_id: the connection and, where set, the account: in a mapped task each pair of them
        is a stream of its own, whatever its place in the list.
    :param account: see ``conn_id``.
    :param variable: the author's name for the Variable, or None.
    :ivar task: the task's name, for sentences.
    :ivar key: name of the Variable, and of the stream.
    :ivar run_after: as ISO 8601 text in UTC, with microseconds.
    """

    def __init__(
        self, context: Context, conn_id: str, account: str | None, variable: str | None
    ) -> None:
        self._ti: Any = context["ti"]
        ti = self._ti
        # The names of both may have dots in them, which only this slash tells apart.
        self.task, self.run_id = f"{ti.dag_id}/{ti.task_id}", ti.run_id
        self.map_index = -1 if ti.map_index is None else ti.map_index
        self.is_mapped = self.map_index >= 0
        # Airflow raises the number of tries when a task is cleared; an author may have lowered it.
        raised = (ti.max_tries or 0) > (context["task"].retries or 0)
        self.is_cleared = raised and ti.try_number > 1
        run_after = context["dag_run"].run_after.astimezone(UTC)
        self.run_after = run_after.isoformat(timespec="microseconds")
        # A native template may have made a number of it.
        name = None if variable is None else str(variable)
        self.key = _key(
            f"{ti.dag_id}.{ti.task_id}", name, (conn_id, account) if self.is_mapped else ()
        )

    def read(self) -> str | None:
        """Return the text of the Variable, or None where Airflow says that there is none.

        ``Variable.get`` asks the worker's secrets backends first, and answers with its default for
        every error. This asks the API server, and raises.
        """
        try:
            reply: Any = ask_supervisor(comms.GetVariable(key=self.key))
            if not isinstance(reply, comms.ErrorResponse):
                return str(reply.value)
            if reply.error == ErrorType.VARIABLE_NOT_FOUND:
                return None
            raise AirflowRuntimeError(reply)
        except AirflowRuntimeError as exc:
            raise StripeCursorError(
                f"Airflow does not read the Variable {self.key} now ({exc}); nothing was delivered."
            ) from exc

    def write(self, text: str) -> None:
        """Write the Variable, or raise: ``Variable.set`` below Airflow 3.3 only logs a failure."""
        # A write without a description would erase it.
        message = comms.PutVariable(key=self.key, value=text, description=_DESCRIPTION)
        try:
            ask_supervisor(message)
        except AirflowRuntimeError as exc:
            raise StripeCursorError(
                f"Airflow did not say that it has written the Variable {self.key} ({exc}); nothing "
                "was delivered, and the next try sees whether it has."
            ) from exc

    # The ledger waits through this class, so that a model of Airflow can act meanwhile.
    @staticmethod
    def sleep(seconds: float) -> None:
        """Wait until any other run that has read the cursor has written it, too."""
        _log.info("Waiting %g s, so that no other run can have the same objects.", seconds)
        clock.sleep(seconds)

    def is_absent(self) -> bool:
        """Tell whether the Variable is not there, as surely as this Airflow can say it."""
        try:
            return not is_listed(self.key)
        except AirflowRuntimeError as exc:
            raise StripeCursorError(
                f"Airflow does not say now whether the Variable {self.key} is there ({exc}); "
                "nothing was delivered."
            ) from exc

    def is_running(self) -> bool:
        """Tell whether this task is still the one that Airflow wants to run."""
        me = (self.run_id, self.map_index)
        return self.states([me]).get(me) == "running"

    def states(self, tasks: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str | None]:
        """Return the states of this task in other runs; a run that is gone has none."""
        tasks, states = list(tasks), dict[str, Any]()
        run_ids = sorted({run_id for run_id, _ in tasks})
        for at in range(0, len(run_ids), _RUNS_AT_ONCE):
            some = run_ids[at : at + _RUNS_AT_ONCE]
            ti = self._ti
            states |= ti.get_task_states(dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=some)
        found = {}
        for run_id, index in tasks:
            name = self._ti.task_id if index < 0 else f"{self._ti.task_id}_{index}"
            if name in states.get(run_id, ()):
                found[run_id, index] = states[run_id][name]
        return found

    def pushed(self, run_id: str, map_index: int) -> Any:
        """Return the XCom ``cursor`` of this task in another run, or None."""
        return self._pull(run_id=run_id, map_indexes=map_index)

    def cursors(self) -> list[Any]:
        """Return the XComs from which a run may go on where the Variable is gone.

        They are the newest by date up to this run, and those of the newest successes before it and
        of any date: each alone may be an old one where runs of several kinds mix. A mapped task has
        them for each of its indexes, and any of these may be of the stream.
        """
        ti, found = self._ti, []
        indexes = self._indexes()
        if ti.get_ti_count(dag_id=ti.dag_id, task_ids=[ti.task_id]) <= len(indexes):
            # This run is the only one, and a mapped task would ask for each index of each index.
            return []
        for index in indexes:
            found.append(self._pull(include_prior_dates=True, map_indexes=index))
            for date in (None, _FAR_FUTURE):
                success = previous_run(ti, index, date, TaskInstanceState.SUCCESS)
                if success is not None:
                    found.append(self._pull(run_id=success.run_id, map_indexes=index))
        return [cursor for cursor in found if cursor is not None]

    def has_succeeded(self) -> bool:
        """Tell whether a run of this task has ever succeeded."""
        ti, states = self._ti, [TaskInstanceState.SUCCESS]
        return bool(ti.get_ti_count(dag_id=ti.dag_id, task_ids=[ti.task_id], states=states))

    def _indexes(self) -> list[int]:
        """Return the map indexes of this task in this run, in the one before and in the newest."""
        if not self.is_mapped:
            return [-1]
        ti = self._ti
        # An expanded task has an index 0, and the newest run by date may be this one.
        before = [previous_run(ti, 0, date, None) for date in (None, _FAR_FUTURE)]
        run_ids = sorted({self.run_id, *(run.run_id for run in before if run)})
        states = ti.get_task_states(dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=run_ids)
        return list(range(max(map(len, states.values()), default=1)))

    def _pull(self, **where: Any) -> Any:
        return self._ti.xcom_pull(task_ids=self._ti.task_id, key=CURSOR, **where)


def _key(task: str, variable: str | None, stream: tuple[str | None, ...]) -> str:
    """Return the Variable of a stream.

    :raises StripeInputError: Airflow would mask the author's name for it, or take it for another.
    """
    if variable and (not _NAME.fullmatch(variable) or variable in ("keys", MARKER)):
        raise StripeInputError(
            f"cursor_variable must not be {show(variable)}: Airflow finds no cursor of such a name "
            "again. Use letters, digits and - _ . : / between them."
        )
    if variable and _MASKED.search(variable):
        raise StripeInputError(
            f"cursor_variable must not be {show(variable)}: Airflow masks the Variables of such "
            "names, and saving one in its UI would overwrite the cursor with ***."
        )
    key = ".".join((variable or f"stripe_cursor.{task}", *filter(None, stream)))
    # Airflow puts the name into a URL as it is, which ends before a "#" of a connection's id.
    if not _NAME.fullmatch(key) or _MASKED.search(key) or len(key) > _LONGEST_KEY:
        start = variable[:200] if variable else "stripe_cursor"
        return f"{start}.{hashlib.sha256(key.encode()).hexdigest()[:32]}"
    return key
