"""Answer one ASGI request: with a stream, or with why there is none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from streamkit._engine.asgi_headers import accepted
from streamkit._engine.foreign.mark import step_aside
from streamkit._engine.message import Message, Receive, Send, body_of, start_of
from streamkit._engine.response import Answer, HeaderList, StreamOptions, refusal
from streamkit._engine.serve import check_asyncio, serve
from streamkit.errors import TooManyStreamsError

Scope = Message


def respond(  # noqa: PLR0917 - the last three are an ASGI app's own
    options: StreamOptions,
    status: int,
    headers: Callable[[], HeaderList],
    scope: Scope,
    receive: Receive,
    send: Send,
) -> Awaitable[None]:
    """Answer one request with the stream, or with why there is none.

    Args:
        options: Of the response.
        status: The status code.
        headers: Returns the headers of the stream, once its format is known.
        scope: Of the request, with the two callables of an ASGI app.
        receive: See `scope`.
        send: See `scope`.

    Returns:
        What is to be awaited at once, and raises what the source has raised.

    Raises:
        RuntimeError: The request is not HTTP, or the server does not run on asyncio.
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
        stream = options._stream
        stream.life.asked_by(method, accept)
        try:
            return serve(stream, start_of(status, headers()), scope, receive, send)
        except TooManyStreamsError as exc:
            answer = refusal(stream.life, exc.limit, headers())
    options._discard()
    return _send(answer, send)


async def _send(answer: Answer, send: Send) -> None:
    await send(start_of(answer.status, answer.headers))
    await send(body_of(answer.body, more=False))
