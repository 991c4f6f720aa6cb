"""Call Stripe from the triggerer's event loop: in threads that its end does not wait for."""

from __future__ import annotations

import asyncio
import logging
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from typing import TypeVar

from airflow_provider_stripe_lite._connection import connect
from airflow_provider_stripe_lite.core.client import StripeClient
from airflow_provider_stripe_lite.errors import RateLimitWait
from airflow_provider_stripe_lite.hooks import StripeHook

__all__ = ["call_stripe"]

_T = TypeVar("_T")


async def call_stripe(
    conn_id: str, stripe_account: str | None, call: Callable[[StripeClient], _T]
) -> _T:
    """Run a call in a thread, with a fresh client; wait for the call limit on the event loop.

    A fresh client sees a rotated key, and threads share no session. It is made on the event loop,
    so that the thread does nothing but HTTP: who reads a connection or masks a secret asks the
    triggerer's supervisor, and where a thread does so beside the event loop, one may get the answer
    to the other. Airflow 3.1 then ends the whole triggerer ("Response read out of order").
    """
    log, asker = logging.getLogger(__name__), uuid.uuid4().hex
    while True:
        connection = await StripeHook.aget_connection(conn_id)
        client = connect(connection, log, stripe_account=stripe_account, tries=1)
        client.ask_as(asker)
        try:
            return await _in_daemon_thread(partial(call, client))
        except RateLimitWait as exc:
            await asyncio.sleep(exc.seconds)


async def _in_daemon_thread(call: Callable[[], _T]) -> _T:
    """Run a blocking call in a daemon thread and return what it returns.

    Not `asyncio.to_thread`: its threads are few, so that slow answers would keep every other call
    waiting, and they are joined at exit, so that one would keep the triggerer from ending.
    """
    answer: Future[_T] = Future()
    # A waiter that is cancelled does not cancel the answer under the thread.
    answer.set_running_or_notify_cancel()

    def in_thread() -> None:
        try:
            answer.set_result(call())
        except Exception as exc:  # noqa: BLE001
            answer.set_exception(exc)

    # The context tells Airflow to which trigger a line in the log belongs.
    run = copy_context().run
    threading.Thread(target=run, args=(in_thread,), name="stripe", daemon=True).start()
    return await asyncio.wrap_future(answer)
