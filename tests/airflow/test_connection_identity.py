"""For whom a key acts, what its Test button says, and where it must not be seen."""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite import _connection
from airflow_provider_stripe_lite.core.keys import ApiKey
from airflow_provider_stripe_lite.core.session import bounded_session
from airflow_provider_stripe_lite.errors import StripeInputError
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.operators import StripeGetCustomerOperator
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.airflow.streams import new_customers, stream
from tests.conftest import SetConnection
from tests.harness import Run, variable
from tests.helpers import KEY, NOW, Clock

ORGANIZATION = "sk_org_test_0123456789abcdef"


def refusal(**options: Any) -> str:
    """Return why the connection cannot be used, or nothing."""
    try:
        StripeHook(**options).get_conn()
    except StripeInputError as error:
        return str(error)
    return ""


# --- The mode and the context


@pytest.mark.parametrize("livemode", [True, "true", False, "false"])
def test_a_key_of_the_other_mode_is_refused(
    fake: FakeStripe, set_connection: SetConnection, livemode: Any
) -> None:
    """Before any request; a key that does not show its mode passes."""
    is_live = str(livemode).lower() == "true"
    wrong, right = ("test", "live") if is_live else ("live", "test")
    set_connection(password=f"rk_{wrong}_0123456789abcdef", extra={"livemode": livemode})
    said = refusal()
    assert f"holds a {wrong} key" in said
    assert f"Live mode (livemode in the extra) is for {right} keys: put a {right} key there" in said
    for key in (f"rk_{right}_0123456789abcdef", "new_kind_of_key"):
        set_connection(password=key, extra={"livemode": livemode})
        assert refusal() == ""
    assert fake.calls == []


def test_a_key_of_an_organization_names_whom_it_acts_for(
    fake: FakeStripe, set_connection: SetConnection
) -> None:
    """In a header of its own, by the connection or the hook."""
    set_connection(password=ORGANIZATION)
    assert "name that as stripe_context" in refusal()
    assert refusal(stripe_context="acct_1") == ""
    set_connection(password=ORGANIZATION, extra={"stripe_context": "acct_1/acct_2"})
    StripeHook().test_connection()
    (request,) = fake.calls
    assert request.headers["stripe-context"] == "acct_1/acct_2"
    assert "stripe-account" not in request.headers


def test_an_account_and_a_context_exclude_each_other(set_connection: SetConnection) -> None:
    """A connected account stands in the context."""
    set_connection(extra={"stripe_context": "acct_1", "stripe_account": "acct_2"})
    assert "exclude each other" in refusal()
    assert "exclude each other" in refusal(stripe_account="acct_2", stripe_context="acct_1")
    # An argument takes the place of both.
    assert refusal(stripe_account="acct_3") == refusal(stripe_context="acct_3") == ""


def test_a_cursor_is_that_of_its_context(
    dag: DAG, fake: FakeStripe, set_connection: SetConnection, clock: Clock
) -> None:
    """Another one's is refused."""
    new_customers(dag, start_from="beginning", timeout=0)
    set_connection(extra={"stripe_context": "acct_1"})
    fake.add("customer", created=NOW - 100, account="acct_1")
    assert Run(dag, NOW).go().state("new") == "success"
    document = variable(stream(dag))
    assert (document["stripe_context"], document["account"]) == ("acct_1", "acct_1")
    set_connection(extra={"stripe_context": "acct_2"})
    (error,) = Run(dag, NOW + 1).go().errors
    assert "was made for stripe_account 'acct_1'" in str(error)


# --- The Test button


@pytest.mark.parametrize(
    ("status", "body", "good", "words"),
    [
        (200, {"object": "balance", "livemode": False}, True, "Connected to Stripe in test mode."),
        (200, {"object": "list", "data": []}, False, "not as Stripe does"),
        (200, {"welcome": "home"}, False, "not as Stripe does"),
        (
            403,
            {"error": {"type": "invalid_request_error", "code": "account_invalid",
                       "message": "The provided key does not have access to account 'acct_x'."}},
            False,
            "does not have access to account",
        ),
        (
            403,
            {"error": {"type": "invalid_request_error",
                       "message": "Having the 'rak_balance_read' permission would allow this."}},
            True,
            "lacks rak_balance_read, which only this test needs",
        ),
        (403, {"message": "Forbidden by the proxy"}, False, "403"),
    ],
)  # fmt: skip
def test_the_test_button_is_green_only_where_stripe_says_so(
    stripe: FakeStripe, status: int, body: dict[str, Any], good: bool, words: str
) -> None:
    """A 403 is good where it names the one permission that the test needs."""
    stripe.fault(path="/v1/balance", status=status, body=body)
    green, sentence = StripeHook().test_connection()
    assert green is good
    assert words in sentence


# --- What a person reads


def test_a_connection_that_does_not_exist_is_an_input_error(dag: DAG) -> None:
    """It fails at once, with what to do."""
    with dag:
        StripeGetCustomerOperator(
            task_id="act", stripe_conn_id="stripe_shop", customer_id="cus_1", retries=3
        )
    run = Run(dag, NOW).go()
    assert run.state("act") == "failed"
    assert "The connection stripe_shop does not exist: add it" in str(run.errors[-1])


def test_a_sentence_names_the_connection_and_the_form_s_field(
    set_connection: SetConnection,
) -> None:
    """As people see them."""
    set_connection("stripe_shop", host="ftp://x")
    said = refusal(stripe_conn_id="stripe_shop")
    assert said.startswith("The connection stripe_shop cannot be used. The API base URL")


@pytest.mark.parametrize("url", ["https://api.stripe.com/v1", "https://api.stripe.com/v1/"])
def test_the_version_in_a_base_url_is_dropped(set_connection: SetConnection, url: str) -> None:
    """Every path begins with it."""
    set_connection(host=url)
    assert StripeHook().get_conn().base_url == "https://api.stripe.com"


# --- Secrets


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": "ftp://x"},
        {"extra": {"timeout": 0}},
        {"extra": {"rate_limit_url": "ftp://x"}},
        {"extra": {"livemode": True}},
        {"extra": "{"},
        {"password": f"{KEY} "[:-5] + " abcd"},
        {"password": f"pk_{KEY[3:]}"},
    ],
)
def test_no_frame_of_an_error_holds_the_key(
    set_connection: SetConnection, wrong: dict[str, Any]
) -> None:
    """Error trackers store the locals of each frame."""
    set_connection(**wrong)
    with pytest.raises(StripeInputError) as caught:
        StripeHook().get_conn()
    for error in (caught.value, caught.value.__context__):
        frames = traceback.walk_tb(error.__traceback__ if error else None)
        ours = [frame for frame, _ in frames if "airflow_provider_stripe_lite" in str(frame)]
        assert KEY[10:30] not in json.dumps([repr(frame.f_locals) for frame in ours])


@pytest.mark.parametrize(
    ("variables", "used"),
    [
        ({}, True),
        ({"SSL_CERT_FILE": "ca.pem"}, "ca.pem"),
        ({"SSL_CERT_FILE": "ca.pem", "REQUESTS_CA_BUNDLE": "other.pem"}, True),
    ],
)
def test_a_ca_of_one_s_own_counts(
    variables: dict[str, str], used: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever variable names its file; requests itself reads one of them."""
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert bounded_session(ApiKey(KEY), {}).verify == used


# --- The call limit


def test_the_configuration_sets_the_limit_of_all_connections(
    set_connection: SetConnection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A connection's extra wins."""
    monkeypatch.setenv("AIRFLOW__STRIPE__RATE_LIMIT_URL", f"file://{tmp_path}/all")
    monkeypatch.setenv("AIRFLOW__STRIPE__RATE_LIMIT_CALLS", "7")
    set_connection(extra={"rate_limit_url": "", "rate_limit_calls": None})
    limiter: Any = StripeHook().get_conn()._limiter
    assert (str(limiter), limiter.calls) == (f"{tmp_path}/all of this host", 7)
    set_connection(extra={"rate_limit_url": f"file://{tmp_path}/one", "rate_limit_calls": 8})
    limiter = StripeHook().get_conn()._limiter
    assert (str(limiter), limiter.calls) == (f"{tmp_path}/one of this host", 8)
    monkeypatch.setenv("AIRFLOW__STRIPE__RATE_LIMIT_CALLS", "none")
    set_connection(extra={"rate_limit_calls": None})
    assert (
        "Call limit (rate_limit_calls in the connection's extra, or the configuration)" in refusal()
    )


@pytest.mark.parametrize(
    ("executor", "is_named", "warns"),
    [
        ("LocalExecutor", False, False),
        ("CeleryExecutor", False, True),
        ("LocalExecutor,KubernetesExecutor", False, True),
        ("airflow.providers.celery.executors.celery_executor.CeleryExecutor", False, True),
        ("airflow.executors.local_executor.LocalExecutor", False, False),
        ("LocalExecutor in a pod", False, True),
        ("CeleryExecutor", True, False),
    ],
)
def test_each_process_says_once_where_the_limit_is_kept(
    set_connection: SetConnection,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    executor: str,
    is_named: bool,
    warns: bool,
) -> None:
    """It warns where hosts would have a limit each."""
    monkeypatch.setattr(_connection, "_told", set())
    if executor.endswith("in a pod"):
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor.split(maxsplit=1)[0])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    set_connection(extra={"rate_limit_url": f"file://{tmp_path}" if is_named else ""})
    for _ in range(2):
        StripeHook().get_conn()
    said = capfd.readouterr().out
    assert said.count("The call limit is kept in ") == 1
    assert ("has a limit of its own" in said) is warns


def test_the_limit_is_that_of_the_connection(
    fake: FakeStripe, set_connection: SetConnection
) -> None:
    """Whatever accounts it acts for; another connection, or another account's key, has its own."""

    def key(conn_id: str = "stripe_default", **options: Any) -> str:
        return StripeHook(conn_id, **options).get_conn().limit_key

    set_connection()
    set_connection("stripe_shop")
    mine = key()
    assert key(stripe_account="acct_2") == key(stripe_context="acct_3") == mine
    assert key("stripe_shop") != mine
    set_connection(password=KEY.replace("AbCd", "ZzZz"))
    assert key() != mine
