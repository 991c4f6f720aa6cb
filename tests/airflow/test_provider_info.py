"""What Airflow reads about the package, by Airflow's own schema, services and commands."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import subprocess
import sys
from importlib.metadata import entry_points, metadata, version
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from airflow.sdk import BaseHook, BaseOperator, BaseOperatorLink

import airflow_provider_stripe_lite
from airflow_provider_stripe_lite._connection import connect
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.provider_info import get_provider_info
from tests.airflow.older import AIRFLOW

INFO = get_provider_info()
DISTRIBUTION = "airflow-provider-stripe-lite"

WITHOUT_AIRFLOW = """
import json, sys
sys.modules["airflow"] = None
from airflow_provider_stripe_lite.provider_info import get_provider_info
print(json.dumps([get_provider_info(), sorted(sys.modules)]))
"""


def test_the_dictionary_is_what_airflow_expects() -> None:
    """It is valid by Airflow's schema."""
    schema = json.loads((files("airflow") / "provider_info.schema.json").read_text())
    jsonschema.validate(INFO, schema)


def test_the_form_is_what_airflow_expects() -> None:
    """Each field has a label and a type that may be null, or the form would insist on it."""
    (connection,) = INFO["connection-types"]
    for field in connection["conn-fields"].values():
        assert set(field) <= {"label", "description", "schema"}
        assert field["schema"]["type"][1] == "null"
        jsonschema.Draft7Validator.check_schema(field["schema"])


def test_the_dictionary_is_made_without_airflow() -> None:
    """Airflow loads it while it starts itself: it must need neither Airflow nor anything slow."""
    command = [sys.executable, "-c", WITHOUT_AIRFLOW]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    info, loaded = json.loads(done.stdout)
    assert info == INFO
    assert {"requests", "urllib3", "orjson", "redis"}.isdisjoint(loaded)


def test_the_name_is_the_distribution_s() -> None:
    """Where the two differ, every airflow command dies."""
    (point,) = entry_points(
        group="apache_airflow_provider", module="airflow_provider_stripe_lite.provider_info"
    )
    assert point.name == "provider_info"
    assert point.load() is get_provider_info
    assert INFO["package-name"] == DISTRIBUTION == metadata(DISTRIBUTION)["Name"]
    assert INFO["versions"] == [version(DISTRIBUTION)] == [airflow_provider_stripe_lite.__version__]


def test_everything_listed_is_there() -> None:
    """All modules import, all links are links, and the hook says it is for this connection type."""
    for kind in ("hooks", "operators", "sensors", "triggers"):
        for integration in INFO[kind]:
            for module in integration["python-modules"]:
                importlib.import_module(module)
    for path in INFO["extra-links"]:
        module, _, name = path.rpartition(".")
        assert issubclass(getattr(importlib.import_module(module), name), BaseOperatorLink)
    (connection,) = INFO["connection-types"]
    assert connection["hook-class-name"] == f"{StripeHook.__module__}.{StripeHook.__qualname__}"
    assert connection["connection-type"] == StripeHook.conn_type
    assert connection["hook-name"] == StripeHook.hook_name


def test_everything_that_is_there_is_listed() -> None:
    """No operator, sensor or hook is in a public module that is not listed, and every link is."""
    listed = {
        module
        for kind in ("hooks", "operators", "sensors", "triggers")
        for entry in INFO[kind]
        for module in entry["python-modules"]
    } | {entry["python-module"] for entry in INFO["transfers"]}
    package = airflow_provider_stripe_lite.__name__
    public = [
        importlib.import_module(f"{package}.{path.name.removesuffix('.py')}")
        for path in files(package).iterdir()
        if path.name.endswith(".py") and not path.name.startswith("_")
    ]
    assert len(public) > 5
    for module in public:
        for name, value in vars(module).items():
            here = inspect.isclass(value) and value.__module__ == module.__name__
            if not here or name.startswith("_"):
                continue
            if issubclass(value, BaseOperator | BaseHook):
                assert module.__name__ in listed, name
            if issubclass(value, BaseOperatorLink):
                assert f"{module.__name__}.{name}" in INFO["extra-links"]


@pytest.mark.parametrize("module", ["operators", "sensors"])
def test_every_link_has_a_task(module: str) -> None:
    """Each task class has both links, so that the buttons are there."""
    names = vars(importlib.import_module(f"airflow_provider_stripe_lite.{module}"))
    tasks = [
        value
        for name, value in names.items()
        if name.startswith("Stripe") and inspect.isclass(value) and issubclass(value, BaseOperator)
    ]
    assert len(tasks) >= 5
    for value in tasks:
        links = {link.name for link in value.operator_extra_links}
        assert links == {"Open in Stripe", "Stripe request log"}


@pytest.fixture(scope="module")
def form() -> dict[str, Any]:
    """Return what the UI asks for when somebody adds a connection."""
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

    (meta,) = [
        meta for meta in HookMetaService.hook_meta_data() if meta.connection_type == "stripe"
    ]
    return dict(meta.model_dump(mode="json", by_alias=True))


def test_the_form_relabels_and_hides(form: dict[str, Any]) -> None:
    """The password is the API key, the host the base URL; login, schema and port are not shown."""
    assert form["hook_name"] == "Stripe"
    assert form["hook_class_name"] == "airflow_provider_stripe_lite.hooks.StripeHook"
    fields = form["standard_fields"]
    assert fields["password"]["title"] == "API key"
    assert fields["password"]["placeholder"].startswith("sk_")
    assert fields["host"]["title"] == "API base URL"
    assert fields["host"]["placeholder"] == "https://api.stripe.com"
    hidden = {name for name, field in fields.items() if field and field["hidden"]}
    assert hidden == {"login", "url_schema", "port"}


def test_the_form_has_the_options(form: dict[str, Any]) -> None:
    """Every option is a field with a label and a sentence, and none has to be filled in."""
    fields = form["extra_fields"]
    # The form of Airflow 3.1 has no field for a number with a fraction.
    number = "number" if AIRFLOW >= (3, 2) else "string"
    assert {name: field["schema"]["type"] for name, field in fields.items()} == {
        "api_version": ["string", "null"],
        "stripe_account": ["string", "null"],
        "stripe_context": ["string", "null"],
        "livemode": ["string", "null"],
        "timeout": [number, "null"],
        "rate_limit_calls": ["integer", "null"],
        "rate_limit_period": [number, "null"],
        "rate_limit_url": ["string", "null"],
    }
    assert all(field["schema"]["title"] and field["description"] for field in fields.values())
    assert all(field["value"] is None for field in fields.values())


@pytest.fixture(scope="module")
def airflow(database: None) -> Any:
    """Return the command line, in a process that finds the package by its entry point."""

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "airflow", *arguments]
        environment = {
            name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
        }
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_the_commands_know_the_provider(airflow: Any) -> None:
    """`airflow providers list`, `get` and `hooks` show it."""
    listed = {
        row["package_name"]: row["version"]
        for row in json.loads(airflow("providers", "list", "-o", "json"))
    }
    assert listed[DISTRIBUTION] == version(DISTRIBUTION)
    assert "Stripe" in airflow("providers", "get", DISTRIBUTION, "--full", "-o", "json")
    (hook,) = [
        row
        for row in json.loads(airflow("providers", "hooks", "-o", "json"))
        if row["connection_type"] == "stripe"
    ]
    assert hook["class"] == "airflow_provider_stripe_lite.hooks.StripeHook"
    assert hook["conn_id_attribute_name"] == "stripe_conn_id"
    assert hook["hook_name"] == "Stripe"


def test_a_connection_can_be_added_by_command(airflow: Any) -> None:
    """`airflow connections add --conn-type stripe` makes one that the hook accepts."""
    extra = json.dumps({"api_version": "2020-08-27", "timeout": 7})
    airflow(
        "connections",
        "add",
        "added",
        "--conn-type",
        "stripe",
        "--conn-password",
        "sk_test_0123456789",
        "--conn-extra",
        extra,
    )
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        connection = session.scalars(select(Connection).where(Connection.conn_id == "added")).one()
        client = connect(connection, StripeHook("added").log)
    assert (client.api_version, client.livemode) == ("2020-08-27", False)
