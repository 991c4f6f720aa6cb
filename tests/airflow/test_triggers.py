"""The two triggers: an alarm clock that wakes sensors, and a watcher whose events are not lost."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk import Variable
from airflow.sdk.execution_time.comms import (
    ErrorResponse,
    GetVariable,
    GetVariableKeys,
    OKResponse,
    PutVariable,
    VariableKeysResult,
    VariableResult,
)
from airflow.sdk.execution_time.supervisor import set_supervisor_comms
from airflow.triggers.shared_stream import AckTimeout, SharedStreamManager

from airflow_provider_stripe_lite import _threads
from airflow_provider_stripe_lite.assets import stripe_asset
from airflow_provider_stripe_lite.core.window import Position, Window, is_empty, start_of
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.sensors import StripeNewObjectSensor
from airflow_provider_stripe_lite.testing import FakeStripe
from airflow_provider_stripe_lite.triggers import StripeEventTrigger, StripeSensorTrigger
from tests.conftest import SetConnection
from tests.harness import arguments_of
from tests.helpers import NOW, Clock

# Seconds between two looks.
TICK = 0.02
ALARM: dict[str, Any] = {
    "feed": "customer",
    "stripe_conn_id": "stripe_default",
    "since": NOW,
    "min_age": 60,
    "poll_interval": TICK,
    "stripe_account": None,
}
WATCHER: dict[str, Any] = {
    "name": "customers",
    "feed": "customer",
    "stripe_conn_id": "stripe_default",
    "poll_interval": TICK,
    "min_age": 60,
    "start_from": datetime.fromtimestamp(NOW, UTC).isoformat(),
    "stripe_account": None,
}
VARIABLE = "stripe_asset_customers"


class Supervisor:
    """The other side of a trigger's process: the Variables, perhaps out of reach for a while."""

    def __init__(self) -> None:
        self.variables: dict[str, str | None] = {}
        self.unreachable = 0
        self.refused = 0

    def send(self, message: Any) -> Any:
        """Answer one message, as the triggerer's supervisor does."""
        if self.unreachable > 0:
            self.unreachable -= 1
            self.refused += 1
            return ErrorResponse()
        if isinstance(message, GetVariableKeys):
            keys = [key for key in self.variables if key.startswith(message.prefix or "")]
            return VariableKeysResult(keys=keys, total_entries=len(keys))
        if isinstance(message, GetVariable) and message.key in self.variables:
            return VariableResult(key=message.key, value=self.variables[message.key])
        if isinstance(message, PutVariable):
            self.variables[message.key] = message.value
            return OKResponse(ok=True)
        return ErrorResponse()

    async def asend(self, message: Any) -> Any:
        """Answer one message on an event loop."""
        return self.send(message)

    @property
    def state(self) -> Window:
        """Return the watcher's position, as saved."""
        state: Window = json.loads(self.variables.get(VARIABLE) or "{}")
        return state


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    """Return the other side of the process."""
    with set_supervisor_comms(Supervisor()):
        from airflow.sdk.execution_time import task_runner

        yield task_runner.SUPERVISOR_COMMS


@pytest.fixture(autouse=True)
def events_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test wait for ten seconds between two events."""
    monkeypatch.setattr("airflow_provider_stripe_lite._window_producer._EVENT_SECONDS", TICK)


def run(main: Coroutine[Any, Any, Any], seconds: float = 20) -> Any:
    """Run a coroutine to its end, but not for ever."""
    return asyncio.run(asyncio.wait_for(main, seconds))


async def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    """Wait for something to come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        await asyncio.sleep(TICK / 4)


# --- Both


@pytest.mark.parametrize(
    ("trigger", "kwargs"), [(StripeSensorTrigger, ALARM), (StripeEventTrigger, WATCHER)]
)
def test_a_trigger_survives_the_database(trigger: Any, kwargs: dict[str, Any]) -> None:
    """Path and arguments are JSON and make the same trigger again; no other argument is taken."""
    path, arguments = trigger(**kwargs).serialize()
    assert path == f"{trigger.__module__}.{trigger.__qualname__}"
    assert arguments == kwargs == json.loads(json.dumps(arguments))
    assert trigger(**arguments).serialize() == (path, arguments)
    with pytest.raises(TypeError):
        trigger(**kwargs, unknown=1)


def test_what_matters_to_the_look_is_the_sensor_s(stripe: FakeStripe) -> None:
    """Every argument but `since` is one of the sensor's, so the two cannot drift apart."""
    # The sensor calls it poke_interval.
    sensor = {*inspect.signature(StripeNewObjectSensor).parameters, "poll_interval"}
    assert set(StripeSensorTrigger(**ALARM).serialize()[1]) - {"since"} <= sensor


# --- The alarm


def comes(fake: FakeStripe, clock: Clock) -> Callable[[Any], None]:
    """Return a hook by which an object comes, and more than a minute passes."""

    def hook(request: Any) -> None:
        fake.add("customer", created=NOW + 1)
        clock.now += 100

    return hook


async def fire(**kwargs: Any) -> Any:
    """Let an alarm run until it fires."""
    async for event in StripeSensorTrigger(**(ALARM | kwargs)).run():
        return event.payload
    return None


def test_the_alarm_fires_when_something_is_new(stripe: FakeStripe, clock: Clock) -> None:
    """It looks, sees nothing, looks again, and fires when an object has come."""
    stripe.fault(path="/v1/customers", skip=2, hook=comes(stripe, clock))
    assert run(fire()) == {"feed": "customer"}
    # By the third call, Stripe's clock is not known to have moved.
    assert len(stripe.calls) == 4
    assert all(dict(request.query)["limit"] == "1" for request in stripe.calls)


async def looks_on(fake: FakeStripe, **kwargs: Any) -> None:
    """Pass if an alarm has not fired after its third look."""
    alarm = asyncio.create_task(fire(**kwargs))
    await until(lambda: len(fake.calls) > 3 or alarm.done())
    assert not alarm.done()
    alarm.cancel()


@pytest.mark.parametrize("age", [None, 1, 1000])
def test_the_alarm_does_not_fire_for_what_is_old(stripe: FakeStripe, age: int | None) -> None:
    """No object, or only such as were there before its position: it goes on looking."""
    if age:
        stripe.add("customer", created=NOW - age)
    run(looks_on(stripe))


def test_the_alarm_does_not_fire_for_what_is_too_young(stripe: FakeStripe, clock: Clock) -> None:
    """An object that the worker could not deliver yet, by Stripe's clock, wakes it later."""
    clock.now = time.time()
    start = int(clock.now)
    stripe.add("customer", created=start + 1)
    run(looks_on(stripe, since=start))
    # Stripe's clock is far ahead of ours, which the second look knows.
    clock.now += 100
    assert run(fire(since=start)) == {"feed": "customer"}


@pytest.mark.parametrize("status", [401, 403, 400])
def test_the_alarm_fires_for_what_the_worker_must_see(stripe: FakeStripe, status: int) -> None:
    """A permanent error wakes the sensor, which meets it itself and fails with its type."""
    stripe.fault(path="/v1/customers", status=status, body={"error": {"message": "no"}}, every=1)
    assert run(fire()) == {"feed": "customer"}
    assert len(stripe.calls) == 1


def test_the_alarm_fires_when_the_connection_is_gone(set_connection: SetConnection) -> None:
    """So does a connection that has been deleted meanwhile."""
    assert run(fire(stripe_conn_id="nowhere")) == {"feed": "customer"}


def test_the_alarm_keeps_passing_failures_to_itself(stripe: FakeStripe, clock: Clock) -> None:
    """Four server errors in a row are nobody's business; the fifth wakes the sensor."""
    stripe.fault(path="/v1/customers", status=503, times=4)
    stripe.fault(path="/v1/customers", skip=2, hook=comes(stripe, clock))
    assert run(fire()) == {"feed": "customer"}
    assert len(stripe.calls) == 8
    stripe.calls.clear()
    stripe.fault(path="/v1/customers", status=503, every=1)
    assert run(fire(since=NOW + 100)) == {"feed": "customer"}
    assert len(stripe.calls) == 5


def test_waiting_sensors_share_their_looks(stripe: FakeStripe, clock: Clock) -> None:
    """Thirty sensors that wait for one feed of one connection cost one call a look, not thirty."""
    stripe.fault(path="/v1/customers", skip=2, hook=comes(stripe, clock))

    async def all_of_them() -> Any:
        return await asyncio.gather(*(fire(since=NOW - number) for number in range(30)))

    assert run(all_of_them()) == [{"feed": "customer"}] * 30
    assert len(stripe.calls) == 4


def test_sensors_of_two_accounts_share_no_look(stripe: FakeStripe) -> None:
    """What has come to one connected account wakes no sensor of another one."""
    stripe.add("customer", created=NOW, account="acct_1")

    async def both() -> None:
        other = asyncio.create_task(fire(stripe_account="acct_2"))
        assert await fire(stripe_account="acct_1") == {"feed": "customer"}
        await until(lambda: looked().count("acct_2") > 2)
        assert not other.done()
        other.cancel()

    def looked() -> list[str]:
        return [call.headers["stripe-account"] for call in stripe.calls]

    run(both())
    assert set(looked()) == {"acct_1", "acct_2"}


def test_an_alarm_without_a_position_only_waits(stripe: FakeStripe) -> None:
    """Where the call limit kept the worker from polling, the trigger does not call either."""
    start = time.monotonic()
    assert run(fire(since=None, poll_interval=0.1)) == {"feed": "customer"}
    assert time.monotonic() - start >= 0.1
    assert stripe.calls == []


def test_an_alarm_waits_for_the_call_limit(fake: FakeStripe, set_connection: SetConnection) -> None:
    """Its looks are calls as well: they keep to the connection's limit, and hold no thread."""
    set_connection(extra={"rate_limit_calls": 1, "rate_limit_period": 1})
    fake.add("customer", created=NOW)
    StripeHook().get_conn().get("/v1/balance")
    start = time.monotonic()
    assert run(fire()) == {"feed": "customer"}
    assert time.monotonic() - start > 0.9


# --- The watcher


class Triggerer:
    """What the triggerer does for a watcher: its shared stream, and to say what is stored."""

    def __init__(self, watcher: Mapping[str, Any] = WATCHER, **options: Any) -> None:
        self._trigger = StripeEventTrigger(**watcher)
        self._key = self._trigger.shared_stream_key()
        self._manager = SharedStreamManager(**options)
        stream = self._manager.subscribe(trigger_id=1, trigger=self._trigger, key=self._key)
        self._events = self._trigger.filter_shared_stream(stream)
        self._stored: list[int] = []

    async def event(self) -> dict[str, Any]:
        """Return the next event; it is not in the database yet."""
        payload = (await anext(self._events)).payload
        number = self._manager.bind_pending_event(trigger_id=1, key=self._key)
        assert number is not None, "the stream is not in ack mode"
        self._stored.append(number)
        return dict(payload)

    def store(self) -> None:
        """Say that all events so far are in the database."""
        self._manager.confirm_persisted(self._stored)


@asynccontextmanager
async def triggerer(*watcher: Mapping[str, Any], **options: Any) -> AsyncIterator[Triggerer]:
    """Start a triggerer, which is killed in the end."""
    running = Triggerer(*watcher, **options)
    try:
        yield running
    finally:
        await running._manager.stop_all()


@asynccontextmanager
async def going_on(running: Triggerer) -> AsyncIterator[asyncio.Task[dict[str, Any]]]:
    """Let the triggerer ask for the next event, while something else happens."""
    task = asyncio.create_task(running.event())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task


def test_the_position_is_saved_when_the_event_is_stored(
    stripe: FakeStripe, clock: Clock, supervisor: Supervisor
) -> None:
    """Until Airflow has the event in its database, the saved position is that from before it."""
    made = stripe.add_many("customer", 3, created=NOW)
    clock.now += 100

    async def main() -> None:
        async with triggerer() as running:
            payload = await running.event()
            assert payload["ids"] == made
            async with going_on(running):
                await asyncio.sleep(10 * TICK)
                assert start_of(supervisor.state) == Position(NOW, None)
                running.store()
                await until(lambda: is_empty(supervisor.state))
                assert start_of(supervisor.state) == Position(NOW + 40, made[-1])

    run(main())


def test_an_event_that_was_not_stored_comes_again(
    stripe: FakeStripe, clock: Clock, supervisor: Supervisor
) -> None:
    """After a crash the very same window is announced again, and then what has come meanwhile."""
    made = stripe.add_many("customer", 3, created=NOW)
    clock.now += 100

    async def main() -> None:
        async with triggerer() as running:
            first = await running.event()
        more = stripe.add_many("customer", 2, created=int(clock.now))
        clock.now += 100
        async with triggerer() as running:
            assert await running.event() == first
            running.store()
            second = await running.event()
        assert (first["ids"], second["ids"]) == (made, more)
        assert second["id"] != first["id"]

    run(main())


def test_an_event_that_could_not_be_stored_comes_again(
    stripe: FakeStripe, clock: Clock, supervisor: Supervisor
) -> None:
    """When Airflow gives up on an event, nothing is saved; the next stream announces it again."""
    made = stripe.add_many("customer", 3, created=NOW)
    clock.now += 100

    async def main() -> None:
        async with triggerer(ack_timeout=0.1) as running:
            first = await running.event()
            with pytest.raises(AckTimeout):
                await running.event()
        assert start_of(supervisor.state) == Position(NOW, None)
        async with triggerer() as running:
            assert await running.event() == first
        assert first["ids"] == made

    run(main())


def test_the_start_is_durable_before_the_first_event(
    stripe: FakeStripe, clock: Clock, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """start_from="now" is when the watcher first ran, also if it was killed before it found any."""
    monkeypatch.setitem(WATCHER, "start_from", "now")
    clock.now = time.time()

    async def main() -> None:
        async with triggerer() as running, going_on(running):
            await until(lambda: stripe.calls)
        start = start_of(supervisor.state).before
        assert abs(start - time.time()) < 5
        made = stripe.add_many("customer", 2, created=start + 1)
        clock.now += 1000
        async with triggerer() as running:
            assert (await running.event())["ids"] == made

    run(main())


def test_a_position_that_cannot_be_read_is_not_a_first_start(
    stripe: FakeStripe, clock: Clock, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow says "no such Variable" also when its API is out of reach: the watcher waits."""
    made = stripe.add_many("customer", 2, created=NOW)
    clock.now += 100

    async def main() -> None:
        async with triggerer() as running:
            assert (await running.event())["ids"] == made
        monkeypatch.setitem(WATCHER, "start_from", "now")
        supervisor.unreachable = 5
        async with triggerer() as running:
            assert (await running.event())["ids"] == made
        assert supervisor.refused == 5

    run(main())


def test_a_burst_is_one_event(stripe: FakeStripe, clock: Clock, supervisor: Supervisor) -> None:
    """250 objects are one event of ids and a window, without contents, which the hook reads."""
    made = stripe.add_many("customer", 250, created=NOW, spread=20, email="jenny@example.com")
    clock.now += 100

    async def main() -> dict[str, Any]:
        async with triggerer() as running:
            return await running.event()

    payload = run(main())
    assert payload["ids"] == made
    assert set(payload) == {"id", "ids", *Window.__annotations__}
    assert (payload["feed"], payload["livemode"], payload["count"]) == ("customer", False, 250)
    assert "jenny" not in json.dumps(payload)
    assert [item["id"] for item in StripeHook().read(payload)] == made


def test_events_come_one_at_a_time(
    stripe: FakeStripe, clock: Clock, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However fast it polls: of two events at once, a scheduler would keep one for later."""
    monkeypatch.setattr("airflow_provider_stripe_lite._window_producer._EVENT_SECONDS", 0.5)

    async def main() -> float:
        stripe.add_many("customer", 1, created=NOW)
        clock.now += 100
        async with triggerer() as running:
            await running.event()
            stripe.add_many("customer", 1, created=int(clock.now))
            clock.now += 100
            began = time.monotonic()
            running.store()
            await running.event()
            return time.monotonic() - began

    assert run(main()) >= 0.5


def test_the_watcher_does_not_end(stripe: FakeStripe, clock: Clock, supervisor: Supervisor) -> None:
    """Airflow restarts a watcher that ends again and again, so an error only makes it wait."""
    made = stripe.add_many("customer", 2, created=NOW)
    clock.now += 100
    stripe.fault(path="/v1/customers", status=401, body={"error": {"message": "no"}}, times=2)
    stripe.fault(path="/v1/customers", status=503)
    stripe.fault(path="/v1/customers", status=200, body="<html>", saved=False)

    async def main() -> None:
        async with triggerer() as running:
            assert (await running.event())["ids"] == made

    run(main())
    assert len(stripe.calls) == 5


def test_what_a_trigger_logs_in_a_thread_is_in_its_context(
    stripe: FakeStripe, clock: Clock, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow tells by a context variable to which trigger a line belongs; the threads see it."""
    trigger = ContextVar[int | None]("trigger", default=None)
    seen: list[Any] = []
    original = _threads.connect

    def connect(*args: Any, **kwargs: Any) -> Any:
        seen.append((trigger.get(), threading.current_thread() is threading.main_thread()))
        return original(*args, **kwargs)

    monkeypatch.setattr(_threads, "connect", connect)

    async def main() -> None:
        trigger.set(7)
        async with triggerer():
            await until(lambda: seen)

    run(main())
    assert set(seen) == {(7, False)}


def test_the_triggerer_ends_although_its_supervisor_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When the supervisor dies while the watcher asks for the Variable, that call never ends."""
    asked, silence = threading.Event(), threading.Event()

    def get(*_: Any, **__: Any) -> None:
        asked.set()
        silence.wait()

    monkeypatch.setattr(Variable, "get", get)

    async def main() -> None:
        async with triggerer():
            await until(asked.is_set)

    process = threading.Thread(target=run, args=(main(),), daemon=True)
    process.start()
    process.join(10)
    ended = not process.is_alive()
    silence.set()
    assert asked.is_set()
    assert ended


def test_a_position_of_another_account_is_not_gone_on_from(
    stripe: FakeStripe,
    clock: Clock,
    supervisor: Supervisor,
    set_connection: SetConnection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The watcher announces nothing of another account; the log says what to do."""
    stripe.add_many("customer", 2, created=NOW)
    clock.now += 100

    async def main() -> None:
        async with triggerer() as running:
            await running.event()
        set_connection(extra={"stripe_account": "acct_2"})
        stripe.add_many("customer", 2, created=NOW, account="acct_2")
        async with triggerer() as running, going_on(running) as event:
            await until(lambda: "Delete it to start afresh" in caplog.text)
            assert not event.done()

    run(main())


def test_an_asset_watches_a_connected_account(
    fake: FakeStripe, clock: Clock, supervisor: Supervisor, set_connection: SetConnection
) -> None:
    """stripe_account of an asset goes with every poll, and wins over the connection's."""
    set_connection(extra={"stripe_account": "acct_1"})
    (watcher,) = stripe_asset(
        "customers",
        feed="customer",
        stripe_account="acct_2",
        start_from=WATCHER["start_from"],
        poll_interval=TICK,
        allow_fast_polling=True,
    ).watchers
    fake.add_many("customer", 1, created=NOW, account="acct_1")
    made = fake.add_many("customer", 2, created=NOW, account="acct_2")
    clock.now += 100

    async def main() -> dict[str, Any]:
        async with triggerer(arguments_of(watcher)) as running:
            return await running.event()

    event = run(main())
    assert (event["ids"], event["stripe_account"]) == (made, "acct_2")
    assert {call.headers["stripe-account"] for call in fake.calls} == {"acct_2"}


def test_watchers_with_the_same_arguments_share_a_stream() -> None:
    """The stream's key is that of the arguments: another asset, feed or account has its own."""
    key = StripeEventTrigger(**WATCHER).shared_stream_key()
    assert key == StripeEventTrigger(**WATCHER).shared_stream_key()
    for name, value in (
        ("name", "b"),
        ("feed", "charge"),
        ("stripe_conn_id", "b"),
        ("stripe_account", "acct_2"),
        ("start_from", "beginning"),
    ):
        assert StripeEventTrigger(**(WATCHER | {name: value})).shared_stream_key() != key
