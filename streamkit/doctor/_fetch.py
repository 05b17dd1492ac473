"""One request on a connection of its own, read until it ends, is enough, or the time is up. Needs httpx.

Nothing that a server does raises here: what went wrong is the `fault` of the observation, in one line.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies

from streamkit.client._reader import ACCEPT
from streamkit.doctor._httpx import httpx
from streamkit.doctor._observation import Ending, Observation, Variant
from streamkit.doctor._recorder import Enough, Recorder

PAGE_SECONDS = 2.0  # for a body that is no stream

ClientT = TypeVar("ClientT")
Stop = Callable[[float, int, int], bool]  # seconds, frames and arrivals so far -> whether it is enough


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked, and how.

    Args:
        url: http or https.
        headers: More headers of each request.
        token: Of the probe.
        insecure: Whether certificates are taken as they are.
        timeout: Seconds for everything but the silence of `idle`.
        idle: Seconds of silence to test; 0 for none.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    token: str | None = None
    insecure: bool = False
    timeout: float = 30.0
    idle: float = 0.0


class Client:
    """Sends the requests of one target, each on a connection of its own."""

    def __init__(self, target: Target) -> None:
        self.target = target
        secure = urlsplit(target.url).scheme == "https"
        self._clients = {http2: _client(target, http2=http2) for http2 in ((False, True) if secure else (False,))}
        self._headers = {"Accept": ACCEPT, "User-Agent": "streamkit-doctor", **target.headers}
        if target.token is not None:
            self._headers["Authorization"] = f"Bearer {target.token}"

    async def observe(
        self,
        variant: Variant,
        url: str,
        *,
        accept: str,
        until: float,
        http2: bool = False,
        enough: Stop | None = None,
        patience: float | None = None,
    ) -> Observation:
        """Send one request and return what came.

        Args:
            variant: What the observation is of.
            url: Where to.
            accept: The Accept-Encoding.
            until: When to give up, by time.monotonic().
            http2: Whether to offer HTTP/2.
            enough: Tells when to leave a stream that goes on.
            patience: Seconds after the head at which to give up; None is no such limit.
        """
        recorder = Recorder(variant)
        headers = {**self._headers, "Accept-Encoding": accept}
        begun = time.monotonic()
        ending: Ending = "none"
        fault = ""
        try:
            async with asyncio.timeout(max(0.0, until - begun)) as limit:
                request = self._clients[http2].stream("GET", url, headers=headers, follow_redirects=False)
                async with request as response:
                    ending = "cut"
                    head = time.monotonic() - begun
                    if patience is not None:
                        loop = asyncio.get_running_loop()
                        limit.reschedule(min(limit.when() or math.inf, loop.time() + patience))
                    recorder.head(head, response.status_code, response.http_version, _lower(response.headers))
                    ending = await _read(response, recorder, begun, enough)
        except TimeoutError:
            fault = "" if ending != "none" else f"there was no answer within {time.monotonic() - begun:.0f} s"
            ending = "timeout"
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError) as exc:
            fault = why(exc)
        return recorder.end(time.monotonic() - begun, ending, fault)

    async def close(self) -> None:
        """Close what is open."""
        for client in self._clients.values():
            await client.aclose()


@contextlib.asynccontextmanager
async def client_of(target: Target) -> AsyncIterator[Client]:
    """Yield a client, and close it."""
    client = Client(target)
    try:
        yield client
    finally:
        await client.close()


def _client(target: Target, *, http2: bool) -> httpx.AsyncClient:
    # One context each: httpcore writes the protocols that it offers into the context. Certificates take time to load.
    secure = urlsplit(target.url).scheme == "https"
    context = httpx.create_ssl_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if target.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    # No timeout of its own: `until` bounds everything.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    return made(httpx.AsyncClient, http2=http2, verify=context, timeout=None, limits=limits)


def made(kind: Callable[..., ClientT], **options: Any) -> ClientT:
    """Return a client of httpx, which looks into the environment for proxies.

    Raises:
        OSError: It names one that cannot be used.
    """
    try:
        return kind(**options)
    except (ImportError, ValueError, httpx.InvalidURL) as exc:
        raise OSError(f"the proxy that the environment names cannot be used: {' '.join(str(exc).split())}") from exc


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


async def _read(response: Any, recorder: Recorder, begun: float, enough: Stop | None) -> Ending:
    try:
        # A page may go on for ever, as a download does; its first bytes are all that is asked of it.
        async with asyncio.timeout(None if recorder.is_stream else PAGE_SECONDS) as page:
            async for raw in response.aiter_raw():
                at = time.monotonic() - begun
                recorder.read(at, raw)
                if enough is not None and enough(at, recorder.frames, recorder.arrivals):
                    return "left"
    except Enough:
        return "left"
    except TimeoutError:
        if not page.expired():
            raise
        return "left"
    return "clean"


def why(exc: BaseException) -> str:
    """Return, in one line, what an exception of a connection means."""
    for cause in _causes(exc):
        if isinstance(cause, socket.gaierror):
            return f"the name of the host cannot be resolved: {cause.strerror}"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"TLS failed: {cause.verify_message or cause.reason}; --insecure takes it as it is"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed: {(cause.reason or str(cause)).replace('_', ' ').lower()}"
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused: nothing listens there"
    text = " ".join(str(exc).split()) or type(exc).__name__
    return f"the connection failed: {text:.200}"


def _causes(exc: BaseException) -> list[BaseException]:
    """Return an exception and all behind it; connection attempts that failed together come as a group."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [exc]
    while waiting and len(found) < 50:
        one = waiting.pop(0)
        if one is not None and one not in found:
            found.append(one)
            waiting += [one.__cause__, one.__context__]
            waiting += one.exceptions if isinstance(one, BaseExceptionGroup) else ()
    return found


async def unresolvable(url: str, until: float) -> str:
    """Return why the name in `url` cannot be resolved, "" where it can.

    In a daemon thread: a resolver that hangs would keep the event loop's own from ending, and the command with it.
    """
    parts = urlsplit(url)
    if getproxies():
        return ""  # it is the proxy that resolves
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()
    thread = threading.Thread(target=_resolve, args=(parts.hostname or "", loop, answer), daemon=True)
    thread.start()
    try:
        async with asyncio.timeout(max(0.0, until - time.monotonic())):
            return await answer
    except TimeoutError:
        return "the name of the host cannot be resolved: the resolver does not answer"


def _resolve(host: str, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[str]) -> None:
    try:
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        result = ""
    except (OSError, UnicodeError) as exc:
        result = f"the name of the host cannot be resolved: {getattr(exc, 'strerror', None) or exc}"
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(lambda: None if answer.done() else answer.set_result(result))
