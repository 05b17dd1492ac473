"""Answer one ASGI request: with a stream, or with why there is none."""

from __future__ import annotations

from collections.abc import Callable

from streamkit._engine.asgi_headers import accepted
from streamkit._engine.foreign.mark import cut_off, step_aside
from streamkit._engine.response import Answer, HeaderList, StreamOptions, refusal
from streamkit._engine.serve import Message, Receive, Send, body_of, check_asyncio, serve, start_of
from streamkit.errors import TooManyStreamsError

Scope = Message


async def respond(  # noqa: PLR0917 - the last three are an ASGI app's own
    options: StreamOptions,
    status: int,
    headers: Callable[[], HeaderList],
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Answer one request with the stream, or with why there is none.

    Args:
        options: Of the response.
        status: The status code.
        headers: Returns the headers of the stream, once its format is known.
        scope: Of the request, with the two callables of an ASGI app.
        receive: See `scope`.
        send: See `scope`.

    Raises:
        RuntimeError: The request is not HTTP, or the server does not run on asyncio.
        Exception: What the source raised.
    """
    if scope["type"] != "http":
        raise RuntimeError(
            f"a stream answers HTTP requests, and this is {scope['type']!r}: over a WebSocket, send the items yourself"
        )
    check_asyncio()
    step_aside(scope)
    method, accept = scope["method"], accepted(scope)
    answer = options._negotiate(accept)
    if answer is None and method == "HEAD":
        answer = Answer(status, headers(), b"")
    if answer is None:
        try:
            options._stream.life.asked_by(method, accept)
            await serve(options._stream, start_of(status, headers()), receive, send)
            return
        except TooManyStreamsError as exc:
            answer = refusal(options._stream.life, exc.limit, headers())
        except BaseException:
            if options._stream.begun:
                cut_off(scope)
            raise
    options._discard()
    await send(start_of(answer.status, answer.headers))
    await send(body_of(answer.body, more=False))
