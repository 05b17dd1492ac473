"""The probe: an app for a server, by which the doctor sees what the path does to a stream. Standard library only.

It is off until it is mounted. Around an app, in one line, whatever the framework:

    app.wsgi_app = WSGIProbe(app.wsgi_app, token="…")               # Flask
    application = WSGIProbe(get_wsgi_application(), token="…")      # Django, wsgi.py
    application = ASGIProbe(get_asgi_application(), token="…")      # Django, asgi.py
    app.add_middleware(ASGIProbe, token="…")                        # FastAPI, Starlette
    app = WSGIProbe(app, token="…")                                 # any WSGI app; ASGIProbe for any ASGI app

It then answers at /__stream_probe and passes on every other request. Without an app it is one itself, to mount where
the framework can: `app.mount("/__stream_probe", ASGIProbe(token="…"))`.

Rules: an answer is bounded in frames, bytes and time (`_contract`), their number by `max_streams`; with a token set,
nothing is answered without it; nothing is logged, stored or read; a client that leaves ends its answer at the next
frame. A probe asked to `cut` itself short raises `StreamCutError` to the server, which cuts the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from streamkit.doctor._contract import MARK, PATH, VERSION, ProbeRequest, encode, told
from streamkit.errors import StreamCutError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["ASGIProbe", "WSGIProbe"]


def __dir__() -> list[str]:
    return __all__


_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]
_Answer = tuple[int, str, bytes]  # status, media type, body


class _Probe:
    """What both apps share: who may ask, and how many at once."""

    def __init__(self, path: str, token: str | None, max_streams: int) -> None:
        if not path.startswith("/"):
            raise ValueError(f"path must begin with a slash; got {path!r}")
        if token == "":
            raise ValueError("token must not be empty; None lets everybody ask")
        if max_streams < 1:
            raise ValueError(f"max_streams must be at least 1; got {max_streams}")
        self._path = path.rstrip("/")
        self._token = token
        self._places = threading.BoundedSemaphore(max_streams)

    def _is_here(self, path: str) -> bool:
        return path.rstrip("/") == self._path

    def _refusal(self, method: str, query: str, authorization: str) -> _Answer | None:
        """Return why a request gets no probe, None where it does."""
        given = authorization.removeprefix("Bearer ") or parse_qs(query).get("token", [""])[0]
        if self._token is not None and not hmac.compare_digest(given.encode(), self._token.encode()):
            return 403, "text/plain", b"the probe wants its token\n"
        if method not in ("GET", "HEAD"):
            return 405, "text/plain", b"the probe answers GET and HEAD\n"
        return None

    def _asked(self, query: str, echo: dict[str, str]) -> ProbeRequest | _Answer:
        """Return the probe that is asked for; the card of the probe where none is; or what is wrong with the query."""
        try:
            request = ProbeRequest.parse(query)
        except ValueError as exc:
            return 400, "text/plain", f"{exc}\n".encode()
        if "n" not in parse_qs(query):
            return 200, "application/json", json.dumps({MARK: VERSION, "echo": echo}).encode()
        if not self._places.acquire(blocking=False):
            return 503, "text/plain", b"as many probes are open as the probe allows\n"
        return request

    def _done(self) -> None:
        self._places.release()


class _Frames:
    """The frames of one answer; `due` says when each is to leave."""

    def __init__(self, request: ProbeRequest, echo: dict[str, str]) -> None:
        self.request = request
        self.head_at = time.monotonic()
        self._first = {"of": request.n, "nonce": os.urandom(8).hex(), "head": round(self.head_at, 6), "echo": echo}

    def due(self) -> Iterator[tuple[int, float]]:
        for seq, after in enumerate(self.request.schedule()):
            yield seq, max(0.0, self.head_at + after - time.monotonic())

    def frame(self, seq: int) -> bytes:
        """Return the bytes of a frame that leaves now.

        Raises:
            StreamCutError: The probe is to be cut before this frame.
        """
        if self.request.cut and seq == self.request.cut:
            raise StreamCutError("streamkit doctor has asked the probe to fail here")
        value: dict[str, Any] = {"seq": seq} if seq else {"seq": seq, **self._first}
        if self.request.size:
            value["pad"] = os.urandom(self.request.size // 2).hex()
        value["sent"] = round(time.monotonic(), 6)
        return encode(self.request.kind, value)


class WSGIProbe(_Probe):
    """The probe as a WSGI app, alone or around another.

    Args:
        app: The app around which this one stands; None, and it answers whatever reaches it.
        path: Where it answers, when it stands around an app.
        token: Whoever knows it may ask, by `Authorization: Bearer …` or `?token=…`; None lets everybody.
        max_streams: How many answers may be open at once; further ones get 503.

    Raises:
        ValueError: The path does not begin with a slash, the token is empty, or no stream would be allowed.
    """

    def __init__(
        self,
        app: WSGIApplication | None = None,
        *,
        path: str = PATH,
        token: str | None = None,
        max_streams: int = 32,
    ) -> None:
        super().__init__(path, token, max_streams)
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if self._app is not None and not self._is_here(environ.get("PATH_INFO", "")):
            return self._app(environ, start_response)
        method, query = environ["REQUEST_METHOD"], environ.get("QUERY_STRING", "")
        headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name[:5] == "HTTP_"}
        echo = told(environ.get("SERVER_PROTOCOL", "").removeprefix("HTTP/"), headers)
        answer = self._refusal(method, query, headers.get("authorization", "")) or self._asked(query, echo)
        if not isinstance(answer, ProbeRequest):
            status, fields, body = answer[0], _plain_headers(answer), answer[2]
            start_response(f"{status} {HTTPStatus(status).phrase}", fields)
            return [] if method == "HEAD" else [body]
        start_response("200 OK", answer.headers())
        body_of = _WSGIBody(_Frames(answer, echo), self._done)
        if method == "HEAD":
            body_of.close()
            return []
        return body_of


class _WSGIBody:
    """The body of one answer; its place is given back once, whether the server iterates it or not."""

    def __init__(self, frames: _Frames, done: Callable[[], None]) -> None:
        self._frames, self._done = frames, done

    def __iter__(self) -> Iterator[bytes]:
        yield b""  # the head at once, where the server lets it go
        for seq, pause in self._frames.due():
            time.sleep(pause)
            yield self._frames.frame(seq)

    def close(self) -> None:
        done, self._done = self._done, lambda: None
        done()


class ASGIProbe(_Probe):
    """The probe as an ASGI app, alone or around another; the arguments are those of WSGIProbe."""

    def __init__(
        self, app: _ASGIApp | None = None, *, path: str = PATH, token: str | None = None, max_streams: int = 32
    ) -> None:
        super().__init__(path, token, max_streams)
        self._app = app

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Answer one request."""
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        if self._app is not None and not (scope["type"] == "http" and self._is_here(path)):
            await self._app(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            raise RuntimeError(f"the probe answers HTTP requests, and this is {scope['type']!r}")

    async def _answer(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        method, query = scope["method"], scope.get("query_string", b"").decode("latin-1")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        echo = told(scope.get("http_version", ""), headers)
        answer = self._refusal(method, query, headers.get("authorization", "")) or self._asked(query, echo)
        if not isinstance(answer, ProbeRequest):
            await send(_start(answer[0], _plain_headers(answer)))
            await send({"type": "http.response.body", "body": b"" if method == "HEAD" else answer[2]})
            return
        try:
            await send(_start(200, answer.headers()))
            if method == "HEAD":
                await send({"type": "http.response.body", "body": b""})
            else:
                await _send_frames(_Frames(answer, echo), receive, send)
        finally:
            self._done()


async def _send_frames(frames: _Frames, receive: _Receive, send: _Send) -> None:
    # Some servers hold the head until a body message comes.
    await send({"type": "http.response.body", "body": b"", "more_body": True})
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        for seq, pause in frames.due():
            await asyncio.wait((gone,), timeout=pause)
            if gone.done():
                return
            await send({"type": "http.response.body", "body": frames.frame(seq), "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await gone


async def _disconnected(receive: _Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _live(receive: _Receive, send: _Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


def _plain_headers(answer: _Answer) -> list[tuple[str, str]]:
    _, media_type, body = answer
    fields = [("Content-Type", media_type), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
    return [*fields, ("Allow", "GET, HEAD")] if answer[0] == 405 else fields


def _start(status: int, headers: list[tuple[str, str]]) -> _Message:
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return {"type": "http.response.start", "status": status, "headers": raw}
