"""Serve one stream on ASGI: the head at once, then what the pump sends, until either side ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from streamkit._engine.async_pump import AsyncPump
from streamkit._engine.bodies import stop_and_wait
from streamkit._engine.delivery import ClientLeft
from streamkit._engine.handoff import take_in_loop
from streamkit._engine.loop_pump import start_pump
from streamkit._engine.producer import Producer
from streamkit._engine.stream import Stream, logger

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

FIRST_ERROR_GRACE = 0.05
"""Seconds that the head waits for a sync source, so that one which refuses at once gets the host's error response."""


def check_asyncio() -> None:
    """Raise RuntimeError unless asyncio runs the caller."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "streamkit needs asyncio, and this server runs the app on trio or another loop: start its asyncio worker"
        ) from None


async def serve(stream: Stream, start: Message, receive: Receive, send: Send) -> None:
    """Send `start`, the body and its end.

    Raises:
        TooManyStreamsError: There is no thread left for a sync source; nothing was sent.
        Exception: What the source raised. Before the head, so that the host can answer; or in the body, so that the
            host logs it and cuts the connection.
    """
    pump = _new_pump(stream)
    try:
        await asyncio.shield(pump.first_turn)
        if (error := pump.error) is not None:
            raise error
        await _send_all(pump, start, receive, send)
    except ClientLeft:
        pass
    finally:
        pump.stop()
        await pump.finished()


async def _send_all(pump: AsyncPump, start: Message, receive: Receive, send: Send) -> None:
    await _send(send, start)
    await _send(send, _body(b"", more=True))  # some servers hold the head until the first of these
    pump.open(lambda chunk: send(_body(chunk, more=True)), fillers=True)
    watcher = asyncio.create_task(_watch(receive, pump))
    try:
        await pump.finished()
    finally:
        watcher.cancel()
    if (error := pump.error) is not None:
        raise error
    if not pump.stopping:
        await _send(send, _body(b"", more=False))


async def _send(send: Send, message: Message) -> None:
    try:
        await send(message)
    except OSError as exc:
        raise ClientLeft from exc


def _body(chunk: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": chunk, "more_body": more}


async def _watch(receive: Receive, pump: AsyncPump) -> None:
    """Stop the pump when the client leaves."""
    try:
        while (await receive())["type"] != "http.disconnect":
            pass
    except Exception as exc:
        logger.debug("receive() failed, which is taken for a client that has left: %r", exc)
    pump.stop()


def _new_pump(stream: Stream) -> AsyncPump:
    if stream.producer is None and stream.goes_async(prefer=True):
        return AsyncPump(stream)
    return AsyncPump(stream.relayed(_batches(start_pump(stream), stream)), grace=FIRST_ERROR_GRACE)


async def _batches(producer: Producer, stream: Stream) -> AsyncIterator[bytes]:
    try:
        while taken := await take_in_loop(producer.handoff):
            yield b"".join(taken)
    finally:
        await stop_and_wait(producer, stream)
