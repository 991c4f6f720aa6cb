"""A sensor's cursor: what every run pushes of it, what its Variable holds, and what it costs."""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite.core import client, ratelimit
from airflow_provider_stripe_lite.core.times import DAY
from airflow_provider_stripe_lite.errors import RateLimitWait
from airflow_provider_stripe_lite.sensors import StripeNewCustomerSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.airflow.streams import Asked, new_customers, stream
from tests.harness import ONCE, Run, variable
from tests.helpers import NOW, Clock

# --- What it holds


def test_the_cursor_says_where_the_stream_stands(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """Every run's XCom `cursor` has these keys, its times are ISO 8601, and no key is in it."""
    new_customers(dag)
    made = stripe.add_many("customer", 2, created=NOW)
    clock.now += 100
    run = Run(dag, NOW).go()
    window = {
        "types": None,
        "created_gte": "2026-02-02T02:40:00+00:00",
        "created_lt": "2026-02-02T02:40:01+00:00",
        "after": None,
        "last": made[-1],
        "count": 2,
    }
    claim = {
        "run_id": run.run_id,
        "run_after": "2026-02-02T02:40:00.000000+00:00",
        "map_index": -1,
        "window": window,
        "done": False,
    }
    kept = {
        "v": 2,
        "feed": "customer",
        "types": None,
        "livemode": False,
        "stripe_context": None,
        "position": {"created_gte": "2026-02-02T02:40:01+00:00", "after": made[-1]},
        "looked": "2026-02-02T02:41:40+00:00",
        "backlog_seconds": None,
        "claims": [claim],
    }
    pushed = run.xcom("new", "cursor")
    account, rev = pushed.pop("account"), pushed.pop("rev")
    assert (len(account), type(rev)) == (12, int)
    assert pushed == kept | {
        "stream": stream(dag),
        "window": window,
        "late_seconds": 100,
        "calls": 1,
        "waited_seconds": 0.0,
    }
    held = variable(stream(dag))
    assert len(held.pop("nonce")) == 32
    only_here = {"task": f"{dag.dag_id}/new", "trimmed": None}
    assert held == kept | only_here | {"account": account, "rev": rev}


def test_a_run_that_found_nothing_pushes_the_cursor_too(
    dag: DAG, stripe: FakeStripe, clock: Clock
) -> None:
    """It has no window, names the position, and the claims that nobody has seen delivered."""
    new_customers(dag)
    first = Run(dag, NOW).go()
    pushed = first.xcom("new", "cursor")
    assert (first.state("new"), pushed["window"], pushed["claims"]) == ("failed", None, [])
    assert pushed["position"] == {"created_gte": "2026-02-02T02:40:00+00:00", "after": None}
    assert (pushed["late_seconds"], pushed["calls"]) == (None, 1)
    # One that is running is nobody's to judge.
    stripe.add("customer", created=NOW)
    clock.now += 100
    claimed = Run(dag, NOW + 1).go().mark("new", "running")
    empty = Run(dag, NOW + 2).go().xcom("new", "cursor")
    assert empty["window"] is None
    assert [claim["run_id"] for claim in empty["claims"]] == [claimed.run_id]


class Busy:
    """A call limit whose next place is 2 s away, and which passes whoever waits for that."""

    def acquire(self, key: str, timeout: float | None = None) -> float:
        """Let pass who is ready to wait."""
        if timeout is not None and timeout < 2:
            raise RateLimitWait(2.0)
        return 2.0

    def push(self, key: str, seconds: float) -> None:
        """Do nothing."""


def test_the_cursor_says_how_late_a_run_is_and_what_it_took(
    dag: DAG, stripe: FakeStripe, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The age of the newest object delivered, the calls, and the seconds the limit has taken."""
    monkeypatch.setattr(ratelimit, "limiter_for", lambda *_, **__: Busy())
    seconds = count(0, 2)
    monkeypatch.setattr(client, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    new_customers(dag, start_from="beginning")
    stripe.add_many("customer", 150, created=NOW - 500)
    clock.now += 100
    pushed = Run(dag, NOW).go().xcom("new", "cursor")
    assert (pushed["late_seconds"], pushed["calls"]) == (600, len(stripe.calls))
    assert pushed["calls"] > 1
    assert pushed["waited_seconds"] == 2.0 * pushed["calls"]


# --- What it costs


def test_a_poll_with_nothing_new_costs_one_call_and_one_read(
    dag: DAG, stripe: FakeStripe, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes nothing but its XCom, and asks Airflow for no state, however often it looks."""
    new_customers(dag, timeout=3600, poke_interval=120)
    run = Run(dag, NOW).go()
    asked = Asked(monkeypatch)
    for _ in range(3):
        stripe.calls.clear()
        asked.clear()
        clock.now += 120
        assert run.again("new").state("new") == "up_for_reschedule"
        assert len(stripe.calls) == 1
        assert (asked.count("GetVariable"), asked.count("PutVariable")) == (1, 0)
        assert asked.count("GetTaskStates") == 0
        (pushed,) = [one for one in asked.messages if getattr(one, "key", "") == "cursor"][-1:]
        assert type(pushed).__name__ == "SetXCom"


def test_a_claim_is_one_write(
    dag: DAG, stripe: FakeStripe, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The document is read, read again, written and read back; the run before is judged once."""
    new_customers(dag)
    asked = Asked(monkeypatch)
    for number in range(3):
        stripe.add("customer", created=int(clock.now))
        clock.now += 100
        asked.clear()
        assert Run(dag, NOW + number).go().state("new") == "success"
    assert (asked.count("GetVariable"), asked.count("PutVariable")) == (3, 1)
    # One is of the run before, two of this run: before the write, and when it has waited.
    assert asked.count("GetTaskStates") == 3


# --- When it has looked


def test_a_quiet_stream_is_written_once_a_day(
    dag: DAG, stripe: FakeStripe, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nothing is new, `looked` moves in the Variable at most once a day."""
    new_customers(dag, timeout=10**9, poke_interval=120)
    run = Run(dag, NOW).go()
    asked = Asked(monkeypatch)
    for _ in range(12):
        clock.now += DAY // 4
        run.again("new")
    assert 2 <= asked.count("PutVariable") <= 3
    looked = variable(stream(dag))["looked"]
    assert looked >= "2026-02-04T02:40:00+00:00"
    assert run.xcom("new", "cursor")["looked"] >= looked


# --- What the log says


def test_the_log_of_a_poll_names_no_customer(
    dag: DAG, stripe: FakeStripe, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    """One line: how much, how late, which request, how many calls, how long the limit took."""
    with dag:
        StripeNewCustomerSensor(task_id="new", fields="*", **ONCE)
    stripe.add("customer", created=NOW, email="jenny@example.com", name="Jenny Rosen")
    clock.now += 100
    Run(dag, NOW).go()
    log = capfd.readouterr()
    said = [line for line in (log.out + log.err).splitlines() if "Returning 1" in line]
    (line,) = said
    words = ("the newest 100 s old", "feed customer", "request req_", "calls: 1", "limit: 0.0 s")
    assert all(word in line for word in words)
    assert "jenny" not in (log.out + log.err).lower()
    quiet = Run(dag, NOW + 1).go()
    log = capfd.readouterr()
    since = quiet.xcom("new", "cursor")["position"]["created_gte"]
    said = f"Nothing is new since {since} that is 60 s old (feed customer, request req_"
    assert said in log.out + log.err
