"""What differs between the Airflows from 3.1 on, and Airflow's inner names that this package uses.

No other module asks for a version, or for a name that is not public in every one of them
(``airflow.sdk``). With the oldest Airflow a branch goes, and with the last one this module: what is
left of it is imported from Airflow itself. What it imports under its own name is for others.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskInstanceState, Variable
from airflow.sdk.definitions.param import DagParam as DagParam
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import comms as comms

# The Variable that tells Airflows below 3.3 that Variables can be read.
MARKER = "stripe_cursors"
_AIRFLOW = tuple(int(part) for part in version("apache-airflow-core").split(".")[:2])


def ask_supervisor(message: Any) -> Any:
    """Send a message to the process that watches over this task, and return its answer."""
    from airflow.sdk.execution_time import task_runner

    return task_runner.SUPERVISOR_COMMS.send(message)


def is_no_connection(conn_id: str) -> bool:
    """Tell whether there is no such connection, as surely as Airflow can say it.

    "Not found" is also its answer where a secrets backend, its API server or that one's database
    has failed: so another question has to be answered behind it.
    """
    from airflow.sdk.execution_time import task_runner

    if not hasattr(task_runner, "SUPERVISOR_COMMS"):
        # Nobody is asked outside of tasks.
        return True
    backends = (("secrets", "backend"), ("workers", "secrets_backend"))
    if any(conf.get(section, name, fallback=None) for section, name in backends):
        return False
    try:
        answer = ask_supervisor(comms.GetConnection(conn_id=conn_id))
    except AirflowRuntimeError as exc:
        answer = exc.error
    if getattr(answer, "error", None) != ErrorType.CONNECTION_NOT_FOUND:
        return False
    try:
        return not is_listed(f"{MARKER}.none")
    except AirflowRuntimeError:
        return False


if TYPE_CHECKING or _AIRFLOW >= (3, 2):
    from airflow.sdk import conf as conf
    from airflow.sdk import exceptions as exceptions

    def connection_form(hook: Any, fields: Any, others: Any) -> None:
        """Leave a hook's class as it is: Airflow makes the form of what ``provider_info`` says."""

    def previous_run(ti: Any, index: int, date: Any, state: TaskInstanceState | None) -> Any:
        """Return the newest run of a task before a date, or before its own where that is None."""
        return ti.get_previous_ti(state=state, logical_date=date, map_index=index)

else:  # pragma: no cover
    from airflow import exceptions
    from airflow.configuration import conf as conf

    def connection_form(hook, fields, others):
        """Give a hook's class the methods of which Airflow 3.1 makes the form."""
        shown = {name.replace("-", "_"): value for name, value in others.items()}
        hook.get_connection_form_widgets = staticmethod(lambda: _widgets(fields))
        hook.get_ui_field_behaviour = staticmethod(lambda: shown)

    def _widgets(fields):
        import wtforms
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
        from wtforms.validators import Optional, any_of

        made = {}
        for name, field in fields.items():
            schema, rules = field["schema"], [Optional()]
            if "enum" in schema:
                rules.append(any_of(schema["enum"]))
            # A field of text takes a number with a fraction, too; there is none for these.
            make = {"integer": wtforms.IntegerField}.get(schema["type"][0], wtforms.StringField)
            texts = {"description": field["description"], "widget": BS3TextFieldWidget()}
            made[name] = make(field["label"], validators=rules, **texts)
        return made

    def previous_run(ti, index, date, state):  # noqa: ARG001
        """Ask for the run of the DAG, as nobody is told of the task's."""
        date = date or ti.get_template_context()["dag_run"].logical_date
        ask = date and comms.GetPreviousDagRun(dag_id=ti.dag_id, logical_date=date, state=state)
        return ask and ask_supervisor(ask).dag_run


if TYPE_CHECKING or _AIRFLOW >= (3, 3):
    # The stubs of airflow.sdk have forgotten the first one.
    from airflow.sdk import NEVER_EXPIRE as NEVER_EXPIRE  # type: ignore[attr-defined]
    from airflow.sdk import RetryDecision as RetryDecision
    from airflow.sdk import RetryPolicy as RetryPolicy

    class RetriedOperator:
        """An operator of which Airflow itself asks the retry policy."""

    def is_listed(key: str) -> bool:
        """Tell whether there is a Variable, by the list of keys, which never guesses."""
        return key in Variable.keys(prefix=key)

else:  # pragma: no cover
    from contextlib import contextmanager
    from enum import Enum
    from functools import wraps
    from typing import NamedTuple

    NEVER_EXPIRE = None
    RetryAction = Enum("RetryAction", {"RETRY": "retry", "FAIL": "fail", "DEFAULT": "default"})

    class RetryDecision(NamedTuple):
        """What a retry policy says."""

        action: RetryAction
        retry_delay: Any = None
        reason: str | None = None

        fail = classmethod(lambda cls, reason: cls(RetryAction.FAIL, None, reason))
        retry = classmethod(lambda cls, delay, reason: cls(RetryAction.RETRY, delay, reason))
        default = classmethod(lambda cls: cls(RetryAction.DEFAULT))

    class RetryPolicy:
        """What decides about the next try."""

    class RetriedOperator:
        """Ask the retry policy: it may end the task, and its waits are those of ``retry_delay``."""

        def __init__(self, *, retry_policy=None, **kwargs):
            super().__init__(**kwargs)
            self.retry_policy = retry_policy

        def __init_subclass__(cls, **kwargs):
            super().__init_subclass__(**kwargs)
            if execute := vars(cls).get("execute"):

                @wraps(execute)
                def judged(self, context, *args, **kwargs):
                    with _judging(self, context):
                        return execute(self, context, *args, **kwargs)

                cls.execute = judged

        def resume_execution(self, next_method, next_kwargs, context):
            # Within it, soft_fail would make a skip of what is raised here.
            with _judging(self, context):
                return super().resume_execution(next_method, next_kwargs, context)

    @contextmanager
    def _judging(task, context):
        try:
            yield
        except Exception as exc:
            ti, policy = context["ti"], task.retry_policy
            decision = policy and policy.evaluate(exc, ti.try_number, ti.max_tries, context)
            if decision and decision.action is RetryAction.FAIL:
                reason = f"{type(exc).__name__}: {exc} ({decision.reason})"
                raise exceptions.AirflowFailException(reason) from exc
            raise

    def is_listed(key):
        """Ask once more, behind another Variable that is there: there is no list of keys.

        Airflow's API server says "not found", too, where its database stumbles. Where neither can
        be read, the Variable counts as listed, as nobody knows.
        """
        if not _is_found(MARKER):
            ask_supervisor(comms.PutVariable(key=MARKER, value="1", description="For sensors"))
            if not _is_found(MARKER):
                return True
        return _is_found(key)

    def _is_found(key):
        answer = ask_supervisor(comms.GetVariable(key=key))
        if getattr(answer, "error", None) not in (None, ErrorType.VARIABLE_NOT_FOUND):
            raise AirflowRuntimeError(answer)
        return not isinstance(answer, comms.ErrorResponse)
