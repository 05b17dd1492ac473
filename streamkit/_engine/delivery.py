"""Await one send to its end, whatever cancels the task that waits for it.

A task that is cancelled in the middle of `await send(…)` cannot know whether the bytes left. So what sends is driven
from here: a send that returns at once, as most do, is a plain `await` and costs nothing extra. One that suspends is
waited for through a future of our own, so that a cancellation reaches us and not the send.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from types import coroutine as awaitable
from typing import Any, Protocol


class DeliveryFailed(Exception):
    """The server's `send` raised; `__cause__` is what."""


class ClientLeft(DeliveryFailed):
    """The server refused bytes because the client has gone."""


class Sends(Protocol):
    """What calls the server's `send`.

    Attributes:
        sending: Whether the code that runs now is inside such a call.
        waited: Set whenever the loop gets a turn.
    """

    sending: bool
    waited: bool

    def wait(self, awaited: Any) -> Generator[Any, None, None]:
        """Wait for what the send awaits; raise the CancelledError that is meant for the send."""


@awaitable
def sending_whole(
    running: Coroutine[Any, Any, object], sends: Sends, stepped: tuple[Any] | None = None
) -> Generator[Any, Any, None]:
    """Run a coroutine inside the present task, and let `sends` wait for what its sends await.

    Args:
        running: The coroutine.
        sends: What it sends with.
        stepped: What it awaits, where it was stepped already.
    """
    step = running.send
    try:
        awaited = step(None) if stepped is None else stepped[0]
        while True:
            thrown: BaseException | None = None
            sends.waited = True
            try:
                if sends.sending:
                    yield from sends.wait(awaited)
                else:
                    yield awaited
            except BaseException as exc:
                thrown = exc
            awaited = step(None) if thrown is None else running.throw(thrown)
    except StopIteration:
        return


@awaitable
def noting_waits(
    running: Coroutine[Any, Any, None], note: Callable[[], object], run: Callable[..., Any]
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


def until_done(awaited: Any) -> Generator[Any, None, None]:
    """Wait until `awaited` is done (None: one turn of the loop), without being what cancels it."""
    if awaited is None:
        yield
        return
    awaited._asyncio_future_blocking = False  # what a Task does when it takes over a future it was handed
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
