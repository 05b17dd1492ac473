"""Serve one stream on ASGI: the head at once, then what the pump sends, until either side ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any, cast

from streamkit._engine.async_pump import AsyncPump
from streamkit._engine.bodies import stop_and_wait
from streamkit._engine.delivery import ClientLeft, DeliveryFailed
from streamkit._engine.ending import Ending
from streamkit._engine.foreign.mark import cut_off
from streamkit._engine.handoff import take_in_loop
from streamkit._engine.loop_pump import start_pump
from streamkit._engine.message import DISCONNECT, Message, Receive, Send, body_of
from streamkit._engine.producer import Producer
from streamkit._engine.register import logger
from streamkit._engine.stream import Stream
from streamkit._engine.transport import abort_connection
from streamkit.errors import StreamCutError

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


def serve(stream: Stream, start: Message, scope: Message, receive: Receive, send: Send) -> Awaitable[None]:
    """Start the source; return what sends `start`, the body and its end, and is to be awaited at once.

    That raises what the source raised: before the head, so that the host can answer; or in the body, so that the host
    logs it and cuts the connection.

    Raises:
        TooManyStreamsError: The limit of the stream is reached, or there is no thread left for a sync source.
    """
    with stream.life.opening(asyncio.get_running_loop()) as opened:
        pump = _new_pump(stream)
    stream.life.stoppable_by(pump.end_early)
    return _serve(stream, pump, start, scope, receive, send, opened=opened)


async def _serve(  # noqa: PLR0917 - the last three are an ASGI app's own
    stream: Stream, pump: AsyncPump, start: Message, scope: Message, receive: Receive, send: Send, *, opened: bool
) -> None:
    whole = True
    try:
        await pump.begun()
        if (error := pump.error) is not None:
            raise error
        stream.begun = True
        await _send(send, start)
        await _send(send, body_of(b"", more=True))  # some servers hold the head until the first of these
        del start  # as long as the stream lasts nobody needs it any more
        pump.open(send, to_server=True)
        await _until_over(pump, receive)
        await _send_end(pump, receive, send)
    except ClientLeft:
        pass
    except BaseException as exc:
        if stream.begun:
            cut_off(scope)
        if isinstance(exc, StreamCutError):
            whole = False
            if pump.stalled:
                abort_connection(send, receive)
        raise
    finally:
        pump.stop()
        try:
            await pump.finished()
        finally:  # a server may cancel that too
            if opened:
                done = pump.completed and whole
                stream.life.close("error" if pump.error is not None else "completed" if done else "disconnected")


async def _until_over(pump: AsyncPump, receive: Receive) -> None:
    """Wait until the source has been closed, because it has ended or because its client has left.

    Thousands of streams do this most of the time, so no second task does it for each: when the source has been closed,
    the pump cancels this one in its wait for the client, as `asyncio.timeout` does when the time is up.
    """
    pump.watcher = task = cast("asyncio.Task[Any]", asyncio.current_task())
    before = task.cancelling()
    try:
        while pump.closed is None and (await receive())["type"] != DISCONNECT:
            pass
        if pump.watcher is not None:
            pump.stop()
    except asyncio.CancelledError:
        if pump.watcher is not None or task.cancelling() > before + 1:
            raise  # the server's own
    except Exception as exc:
        _receive_failed(exc)
        pump.stop()
    finally:
        if pump.watcher is None:
            task.uncancel()
        pump.watcher = None
    await pump.finished()


async def _send_end(pump: AsyncPump, receive: Receive, send: Send) -> None:
    life = pump.stream.life
    watcher = asyncio.create_task(_left(receive))
    watcher.add_done_callback(lambda _: pump.stop())
    try:
        if life.clean and not pump.completed:
            await _last(pump, pump.flush_last(pump.stream.last_words()))
        if (error := pump.error) is not None:
            raise error
        if life.ending and not (life.clean or pump.completed):
            raise StreamCutError(str(life.reason))
        if life.clean or not pump.stopping:
            await _last(pump, pump.finish())
    finally:
        watcher.cancel()


async def _last(pump: AsyncPump, sending: Awaitable[None]) -> None:
    """Await one of the sends that end the body.

    Raises:
        ClientLeft: It has.
        StreamCutError: It does not read, and `stop` has given up on it.
    """
    life, task = pump.stream.life, asyncio.current_task()
    try:
        await sending
    except asyncio.CancelledError:
        if not pump.given_up or task is None or task.cancelling() > 1:
            raise  # the server's own
        task.uncancel()
        if life.ending and not life.clean:
            raise StreamCutError(str(life.reason)) from None
        raise ClientLeft from None
    except ClientLeft:
        raise
    except DeliveryFailed as failure:
        raise failure.__cause__ or failure from None


async def _send(send: Send, message: Message) -> None:
    try:
        await send(message)
    except OSError as exc:
        raise ClientLeft from exc


async def _left(receive: Receive) -> None:
    """Wait until the client leaves."""
    try:
        while (await receive())["type"] != DISCONNECT:
            pass
    except Exception as exc:
        _receive_failed(exc)


def _receive_failed(error: Exception) -> None:
    logger.debug("receive() failed, which is taken for a client that has left: %r", error)


def _new_pump(stream: Stream) -> AsyncPump:
    if stream.producer is None and stream.goes_async(prefer=True):
        return AsyncPump(stream)
    return AsyncPump(stream.relayed(_batches(start_pump(stream), stream)), grace=FIRST_ERROR_GRACE)


async def _batches(producer: Producer, stream: Stream) -> AsyncIterator[bytes]:
    ending = Ending(stream, producer)
    try:
        while taken := await take_in_loop(producer.handoff):
            yield b"".join(taken)
        if last := ending.last():
            yield last
    finally:
        await stop_and_wait(producer, stream)
