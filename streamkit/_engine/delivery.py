"""What becomes of a send, and how a coroutine is stepped that sends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from types import coroutine as awaitable
from typing import Any

DONE = object()
"""What `next` is to return at the end of what it steps, which costs a tenth of a StopIteration."""


class DeliveryFailed(Exception):
    """The server's `send` raised; `__cause__` is what."""


class ClientLeft(DeliveryFailed):
    """The server refused bytes because the client has gone."""


@awaitable
def noting_waits(
    running: Generator[Any, Any, None], note: Callable[[], object], run: Callable[..., Any]
) -> Generator[Any, Any, None]:
    """Run `running` inside the present task, each step by `run`, and call `note` whenever it waits."""
    thrown: BaseException | None = None
    while True:
        try:
            awaited = run(next, running, DONE) if thrown is None else run(running.throw, thrown)
        except StopIteration:
            return
        if awaited is DONE:
            return
        note()
        thrown = None
        try:
            yield awaited
        except BaseException as exc:
            thrown = exc


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
