"""Runs of a DAG in this process, one step at a time.

`dag.test()` runs one DAG run to its end, waiting where a scheduler would. These tests look in
between: what a task's second try gets, what a cleared task gets, what a sensor does that is poked
again. So this module has the same loop, one step at a time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from airflow.models.asset import AssetEvent, AssetModel
from airflow.models.dagrun import DagRun
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance, clear_task_instances
from airflow.models.taskreschedule import TaskReschedule
from airflow.models.variable import Variable
from airflow.models.xcom import XComModel
from airflow.sdk import DAG, AssetWatcher
from airflow.sdk.definitions.dag import _run_task
from airflow.sdk.execution_time import supervisor
from airflow.serialization.serialized_objects import LazyDeserializedDAG
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import delete, select

try:
    from airflow.serialization.definitions.dag import SerializedDAG
    from airflow.serialization.serialized_objects import DagSerialization
except ImportError:
    # In Airflow 3.1 one class did both.
    from airflow.serialization.serialized_objects import SerializedDAG

    DagSerialization = SerializedDAG

# Before Airflow 3.3 every task would get an API server of its own, which takes seconds to make.
supervisor.in_process_api_server = cache(supervisor.in_process_api_server)

BUNDLE = "dags-folder"
# The arguments of a sensor that looks once in each run.
ONCE: dict[str, Any] = {"timeout": 0, "poke_interval": 0, "allow_fast_polling": True}


def ids(rows: Iterable[dict[str, Any]] | None) -> list[str]:
    """Return the ids of rows, in their order."""
    return [row["id"] for row in rows or ()]


def dies_once(folder: Path) -> Callable[[Any, Any], None]:
    """Return a ``post_execute`` that fails the first time: the work is done, Airflow not told."""
    marker = folder / "died"

    def post_execute(context: Any, result: Any = None) -> None:
        if not marker.exists():
            marker.touch()
            raise RuntimeError("killed")

    return post_execute


def register(dag: DAG) -> Any:
    """Make the DAG known to the database, as the DAG processor would."""
    lazy = LazyDeserializedDAG.from_dag(dag)
    with create_session() as session:
        SerializedDAG.bulk_write_to_db(BUNDLE, None, [lazy], session=session)
        SerializedDagModel.write_dag(lazy, bundle_name=BUNDLE, session=session)
    return DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))


def arguments_of(watcher: AssetWatcher) -> dict[str, Any]:
    """Return the arguments of an asset watcher's trigger."""
    trigger = watcher.trigger
    found: dict[str, Any] = (
        trigger["kwargs"] if isinstance(trigger, dict) else trigger.serialize()[1]
    )
    return found


def variable(key: str) -> Any:
    """Return what a Variable of Airflow's database holds, decoded where it is JSON, or None."""
    with create_session() as session:
        found = session.scalars(select(Variable).where(Variable.key == key)).one_or_none()
        text = found.get_val() if found else "null"
    try:
        return json.loads(text or "")
    except ValueError:
        return text


def set_variable(key: str, value: Any) -> None:
    """Set a Variable, as ``airflow variables set`` does: to a text, or to JSON."""
    delete_variable(key)
    with create_session() as session:
        session.add(Variable(key, value if isinstance(value, str) else json.dumps(value)))


def delete_variable(key: str) -> None:
    """Delete a Variable."""
    with create_session() as session:
        session.execute(delete(Variable).where(Variable.key == key))


class Run:
    """One run of a DAG.

    :param at: its logical date and the earliest time at which it runs, as epoch seconds.
    :param kind: what has started it.
    :param events: the payloads of the asset events that have, by the asset's name.
    :param interval: its data interval, as epoch seconds; None makes one without length.
    """

    def __init__(
        self,
        dag: DAG,
        at: float,
        *,
        logical: bool = True,
        conf: Mapping[str, Any] | None = None,
        kind: DagRunType = DagRunType.MANUAL,
        events: Mapping[str, Sequence[Any]] | None = None,
        interval: tuple[float, float] | None = None,
    ) -> None:
        self.dag = dag
        self._known = register(dag)
        when = datetime.fromtimestamp(at, UTC)
        start, end = (datetime.fromtimestamp(second, UTC) for second in interval or (at, at))
        with create_session() as session:
            run = self._known.create_dagrun(
                run_id=f"run_{when:%Y-%m-%dT%H:%M:%S}",
                logical_date=when if logical else None,
                data_interval=(start, end) if logical else None,
                run_after=when,
                conf=dict(conf or {}),
                run_type=kind,
                state=DagRunState.RUNNING,
                triggered_by=DagRunTriggeredByType.TEST,
                triggering_user_name="tests",
                start_date=when,
                session=session,
            )
            self.run_id: str = run.run_id
            for name, payloads in (events or {}).items():
                asset = session.scalars(select(AssetModel).where(AssetModel.name == name)).one()
                run.consumed_asset_events += [
                    AssetEvent(asset_id=asset.id, extra={"from_trigger": True, "payload": payload})
                    for payload in payloads
                ]
        self.errors: list[BaseException] = []

    @classmethod
    def whole(cls, dag: DAG, at: float) -> Run:
        """Run a DAG by `dag.test()`, which goes on to the end of the run."""
        run, when = cls.__new__(cls), datetime.fromtimestamp(at, UTC)
        run.dag, run._known, run.errors = dag, register(dag), []
        run.run_id = dag.test(logical_date=when, run_after=when).run_id
        return run

    def go(self) -> Run:
        """Run what is due, retries included, until nothing is; what waits for a time stays."""
        while due := self._due():
            for ti in due:
                self._execute(ti)
        return self

    def again(self, task_id: str, map_index: int = -1) -> Run:
        """Run a task although its time has not come."""
        self._execute(self._ti(task_id, map_index))
        return self

    def clear(self, *task_ids: str) -> Run:
        """Clear tasks, as the button does."""
        with create_session() as session:
            run = self._run(session)
            run.dag = self._known
            tis = [ti for ti in run.get_task_instances(session=session) if ti.task_id in task_ids]
            clear_task_instances(tis, session, dag_run_state=DagRunState.RUNNING)
        return self

    def mark(self, task_id: str, state: str, map_index: int = -1) -> Run:
        """Mark a task, as the button does."""
        with create_session() as session:
            ti = self._run(session).get_task_instance(task_id, map_index=map_index, session=session)
            assert ti is not None
            ti.set_state(state, session=session)
        return self

    def state(self, task_id: str | None = None, map_index: int = -1) -> str:
        """Return the state of a task, or of the run."""
        with create_session() as session:
            found = self._ti(task_id, map_index) if task_id else self._run(session)
            return str(found.state or "")

    def names(self, task_id: str) -> list[str | None]:
        """Return what the indexes of a mapped task are called."""
        with create_session() as session:
            tis = self._run(session).get_task_instances(session=session)
            found = {ti.map_index: ti.rendered_map_index for ti in tis if ti.task_id == task_id}
        return [found[index] for index in sorted(found)]

    def states(self, task_id: str) -> dict[int, str]:
        """Return the states of a task by its map indexes."""
        with create_session() as session:
            tis = self._run(session).get_task_instances(session=session)
            return {ti.map_index: str(ti.state or "") for ti in tis if ti.task_id == task_id}

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """Return the decoded XCom of a task, or None."""
        ti = self._ti(task_id, map_index)
        with create_session() as session:
            run = XComModel.dag_id == ti.dag_id, XComModel.run_id == self.run_id
            task = XComModel.task_id == task_id, XComModel.map_index == map_index
            found = session.scalars(
                select(XComModel).where(*run, *task, XComModel.key == key)
            ).first()
            return XComModel.deserialize_value(found) if found else None

    def forget_xcoms(self) -> None:
        """Delete the run's XComs, as ``airflow db clean`` does."""
        with create_session() as session:
            mine = XComModel.dag_id == self.dag.dag_id, XComModel.run_id == self.run_id
            session.execute(delete(XComModel).where(*mine))

    def rendered(self, task_id: str) -> dict[str, Any]:
        """Return the task's rendered fields, as the UI shows them."""
        from airflow.models.renderedtifields import RenderedTaskInstanceFields

        return RenderedTaskInstanceFields.get_templated_fields(self._ti(task_id, -1)) or {}

    def link(self, task_id: str, name: str, map_index: int = -1) -> str | None:
        """Return the address behind one of a task's buttons, from where the UI reads it."""
        task = self.dag.task_dict[task_id]
        (key,) = [link.xcom_key for link in task.operator_extra_links if link.name == name]
        found: str | None = self.xcom(task_id, key, map_index)
        return found

    def waits(self, task_id: str) -> float:
        """Return the seconds until a rescheduled task is due again."""
        ti = self._ti(task_id, -1)
        with create_session() as session:
            all_of_it = select(TaskReschedule).where(TaskReschedule.ti_id == ti.id)
            found = session.scalars(all_of_it.order_by(TaskReschedule.id.desc())).first()
            assert found is not None
            return (found.reschedule_date - datetime.now(UTC)).total_seconds()

    def delete(self) -> None:
        """Delete the run, and with it its XComs and states."""
        with create_session() as session:
            session.delete(self._run(session))

    def _run(self, session: Any) -> DagRun:
        where = DagRun.dag_id == self.dag.dag_id, DagRun.run_id == self.run_id
        run = session.scalars(select(DagRun).where(*where)).one()
        run.dag = self._known
        return run

    def _ti(self, task_id: str, map_index: int) -> TaskInstance:
        with create_session() as session:
            ti = self._run(session).get_task_instance(task_id, map_index=map_index, session=session)
            assert ti is not None, f"{task_id}[{map_index}] is not in the run"
            return ti

    def _due(self) -> list[TaskInstance]:
        with create_session() as session:
            run = self._run(session)
            due, _ = run.update_state(session=session)
            for ti in due:
                if ti.state != TaskInstanceState.UP_FOR_RESCHEDULE:
                    ti.try_number += 1
                ti.state = TaskInstanceState.SCHEDULED
            session.commit()
            return list(due)

    def _execute(self, ti: TaskInstance) -> None:
        result = _run_task(ti=ti, task=self.dag.task_dict[ti.task_id], run_triggerer=True)
        if result is not None and result.error is not None:
            # Below Airflow 3.3 what ends a task is told as an AirflowFailException.
            told = type(result.error).__name__ == "AirflowFailException" and result.error.__cause__
            self.errors.append(told or result.error)
