"""The fake Stripe as a process of its own: how it starts, what it imports, how it ends."""

from __future__ import annotations

import importlib
import json
import pkgutil
import signal
import subprocess
import sys

import pytest
import requests

from airflow_provider_stripe_lite import testing


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_it_is_served_as_a_process_and_ends_quietly(host: str) -> None:
    """The URL comes first, the connection on stderr; Ctrl-C leaves no trace.

    Where it listens on every address, both name this machine: the provider speaks plain http to no
    other one.
    """
    command = [sys.executable, "-m", "airflow_provider_stripe_lite.testing", "--port", "0"]
    command += ["--host", host, "--inflow", "checkout.session:50"]
    # What a shell starts in the background ignores Ctrl-C, and so would this child.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            assert process.stderr
            url = process.stdout.readline().strip()
            connection = process.stderr.readline().strip()
            assert requests.get(url + "/_fake/calls", timeout=10).json() == []
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
            assert (process.stdout.read(), process.stderr.read()) == ("", "")
        finally:
            process.kill()
            signal.signal(signal.SIGINT, before)
    name, _, value = connection.partition("=")
    assert name == "AIRFLOW_CONN_STRIPE_DEFAULT"
    assert json.loads(value.strip("'"))["host"] == url
    assert url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--inflow charges:1", 'did you mean "charge"'),
        ("--inflow charge", "--inflow charge is no inflow: it takes KIND:PER_SECOND"),
        ("--inflow charge:nan", "nan objects per second is no inflow."),
        ("--inflow charge:inf", "inf objects per second is no inflow."),
        ("--inflow charge:1 --lateness nan", "lateness=nan: it takes seconds"),
        ("--port 99999", "--port 99999 is no port: it takes 0 to 65535."),
        ("--port -1", "--port -1 is no port"),
    ],
)
def test_a_wrong_argument_is_one_sentence(arguments: str, words: str) -> None:
    """A process that cannot start says why."""
    command = [sys.executable, "-m", "airflow_provider_stripe_lite.testing", "--port", "0"]
    done = subprocess.run(
        [*command, *arguments.split()], capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_neither_airflow_nor_requests_is_imported() -> None:
    """The fake needs the standard library, the host's clock and the table of lists."""
    code = "import sys; sys.modules['airflow'] = sys.modules['requests'] = None\n"
    code += "import airflow_provider_stripe_lite.testing.__main__ as fake\n"
    code += (
        "ours = [name for name in sys.modules if name.startswith('airflow_provider_stripe_l')]\n"
    )
    code += "print([name for name in ours if '.testing' not in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(
        [
            "airflow_provider_stripe_lite",
            "airflow_provider_stripe_lite.core",
            "airflow_provider_stripe_lite.core.clock",
            "airflow_provider_stripe_lite.core.resources",
        ]
    ), done.stderr


def test_every_module_says_what_is_public() -> None:
    """An empty `__all__` where nothing is."""
    names = [module.name for module in pkgutil.iter_modules(testing.__path__)]
    modules = {name: importlib.import_module(f"{testing.__name__}.{name}") for name in names}
    assert [name for name, module in modules.items() if not hasattr(module, "__all__")] == []
    assert modules["__main__"].__all__ == []
