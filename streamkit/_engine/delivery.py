"""Await one send to its end, whatever cancels the task that waits for it.

A task that is cancelled in the middle of `await send(…)` cannot know whether the bytes left. So the send is stepped
here by hand: most sends return at the first step and cost nothing extra. One that suspends is waited for through a
future of our own, so that a cancellation reaches us and not the send.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from operator import call
from types import CoroutineType
from types import coroutine as awaitable
from typing import Any

Stepped = tuple[Any, Any]
"""A send that has not returned, and what it awaits."""


class DeliveryFailed(Exception):
    """The server's `send` raised; `__cause__` is what."""


class ClientLeft(DeliveryFailed):
    """The server refused bytes because the client has gone."""


def first_step(sending: Awaitable[None]) -> Stepped | None:
    """Step a call of the server's `send`; None where it has returned, as most do, and there is nothing to await.

    Raises:
        ClientLeft: The send raised OSError, which is how a server says so (ASGI, "Disconnected Client").
        DeliveryFailed: The send raised anything else, which is no error of the source.
    """
    stepping: Any = sending if type(sending) is CoroutineType else _as_coroutine(sending)
    try:
        return stepping, stepping.send(None)
    except StopIteration:
        return None
    except OSError as exc:
        raise ClientLeft from exc
    except Exception as exc:
        raise DeliveryFailed from exc


async def deliver_whole(
    stepped: Stepped, cancel_wanted: Callable[[], bool], suspended: Callable[[], object] | None = None
) -> asyncio.CancelledError | None:
    """Await a send that has not returned to its end.

    Args:
        stepped: From `first_step`.
        cancel_wanted: Tells whether a cancellation that arrives is meant for the send. If not, the send goes on.
        suspended: Called whenever the send has to wait.

    Returns:
        The cancellation that is to be raised now that the bytes have left, if one is still standing: one that the
        send's own timeout had asked for is not.

    Raises:
        DeliveryFailed: As `first_step`.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        kept = await _step(*stepped, cancel_wanted, suspended)
    except OSError as exc:
        raise ClientLeft from exc
    except Exception as exc:
        raise DeliveryFailed from exc
    return kept if task is None or task.cancelling() > before else None


@awaitable
def noting_waits(
    running: Coroutine[Any, Any, None], note: Callable[[], object], run: Callable[..., Any] = call
) -> Generator[Any, Any, None]:
    """Run a coroutine inside the present task, each step by `run`, and call `note` whenever it waits."""
    step, given = running.send, None
    while True:
        try:
            awaited = run(step, given)
        except StopIteration:
            return
        note()
        step, given = running.send, None
        try:
            yield awaited
        except BaseException as exc:
            step, given = running.throw, exc


async def _as_coroutine(sending: Awaitable[None]) -> None:
    await sending


@awaitable
def _step(
    sending: Any, awaited: Any, cancel_wanted: Callable[[], bool], suspended: Callable[[], object] | None
) -> Generator[Any, None, asyncio.CancelledError | None]:
    """Run the coroutine `sending` inside the present task; return a cancellation that was not meant for it."""
    kept: asyncio.CancelledError | None = None
    while True:
        thrown: asyncio.CancelledError | None = None
        if suspended is not None:
            suspended()
        if awaited is not None:
            awaited._asyncio_future_blocking = False  # what a Task does when it takes over a future it was handed
        while thrown is None:
            try:
                yield from _wait(awaited)
            except asyncio.CancelledError as exc:
                if cancel_wanted():
                    thrown = exc
                else:
                    kept = exc
            else:
                break
        try:
            awaited = sending.send(None) if thrown is None else sending.throw(thrown)
        except StopIteration:
            return kept


def _wait(awaited: Any) -> Generator[Any, None, None]:
    """Wait until `awaited` is done (None: one turn of the loop), without being what cancels it."""
    if awaited is None:
        yield
        return
    if awaited.done():
        return
    proxy = asyncio.get_running_loop().create_future()

    def settle(_: object) -> None:
        if not proxy.done():
            proxy.set_result(None)

    awaited.add_done_callback(settle)
    try:
        yield from proxy
    finally:
        awaited.remove_done_callback(settle)
