"""What stands between this package and the Airflows that it runs on."""

from __future__ import annotations

import ast
from contextlib import nullcontext
from pathlib import Path

import airflow.sdk
import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import comms

from airflow_provider_stripe_lite import _compat
from tests.airflow.older import AIRFLOW

PACKAGE = Path(_compat.__file__).parent
# Airflow's public interface in 3.1, as far as this package uses it.
PUBLIC = {
    "airflow.sdk",
    "airflow.sdk.exceptions",
    "airflow.sdk.io",
    "airflow.sdk.log",
    "airflow.sdk.types",
    "airflow.triggers.base",
}


def imported(path: Path) -> set[str]:
    """Return the modules of Airflow that a file imports from, wherever in it."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    found = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    found |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return {name for name in found if name.split(".")[0] == "airflow"}


def test_one_module_knows_airflow_s_inner_names() -> None:
    """Whatever an Airflow moves or adds, one file changes."""
    others = [path for path in PACKAGE.rglob("*.py") if path.name != "_compat.py"]
    inner = {path.name: imported(path) - PUBLIC for path in others}
    assert {name: names for name, names in inner.items() if names} == {}


def test_one_module_asks_for_the_version() -> None:
    files = PACKAGE.rglob("*.py")
    asking = [path.name for path in files if "apache-airflow-core" in path.read_text()]
    assert asking == ["_compat.py"]


@pytest.mark.skipif(AIRFLOW < (3, 3), reason="what is public by now, the newest tells")
def test_what_is_public_by_now() -> None:
    """When Airflow makes a name public, this test says so: then less is left of ``_compat``."""
    names = {name for name in vars(_compat) if name in airflow.sdk.__all__}
    assert names == {
        *("NEVER_EXPIRE", "RetryDecision", "RetryPolicy"),
        *("TaskInstanceState", "Variable", "conf"),
    }


NOT_FOUND = ErrorType.VARIABLE_NOT_FOUND


@pytest.mark.skipif(AIRFLOW >= (3, 3), reason="there is a list of keys")
@pytest.mark.parametrize(
    ("answers", "listed"),
    [
        ([None, NOT_FOUND], False),
        ([None, None], True),
        ([NOT_FOUND, None, None, NOT_FOUND], False),
        # Neither can be read, so nobody knows.
        ([NOT_FOUND, None, NOT_FOUND], True),
        ([ErrorType.GENERIC_ERROR], None),
        ([None, ErrorType.API_SERVER_ERROR], None),
    ],
)
def test_what_is_said_to_be_missing_is_believed_behind_what_is_there(
    monkeypatch: pytest.MonkeyPatch, answers: list[ErrorType | None], listed: bool | None
) -> None:
    """Each other error is raised, and no answer is left over."""

    def ask(_: object) -> object:
        error = answers.pop(0)
        return comms.ErrorResponse(error=error) if error else None

    monkeypatch.setattr(_compat, "ask_supervisor", ask)
    with pytest.raises(AirflowRuntimeError) if listed is None else nullcontext():
        assert _compat.is_listed("a.cursor") is listed
    assert answers == []
