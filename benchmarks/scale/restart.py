"""Restart a real worker under clients that come back as browsers do: what the simulation is held against.

The clients are raw sockets on one event loop. Each reads its stream, remembers the last event ID and the `retry` that
it was told, and when the stream ends, or a connection is refused, waits for so long and connects again. Something is
published all the while, so that each has missed some when it comes back, as its position says.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from dataclasses import dataclass, field

from benchmarks.scale.app import KEEPALIVE, PROBE, URL
from benchmarks.scale.costs import Restart
from benchmarks.scale.crowd import raise_limit_of_files, request
from benchmarks.scale.measure import APP, DATA, NEVER
from benchmarks.scale.storm import BROWSER_RETRY, tenths
from streamkit import Event, EventDecoder
from streamkit.channels import Channels
from streamkit.channels.redis import RedisLog
from tests.rig.servers import SERVERS, Server, free_port
from tests.rig.valkey import Valkey

WITHIN = 120.0
EVERY = 0.5
"""Seconds between two events that are published."""


@dataclass(frozen=True)
class How:
    """What is done to the worker: by which signal it ends, and how many seconds later the next is started."""

    name: str
    signal: signal.Signals
    pause: float = 0.0


HOWS = (
    How("SIGTERM", signal.SIGTERM),
    How("SIGTERM, 2 s pause", signal.SIGTERM, pause=2.0),
    How("SIGKILL", signal.SIGKILL),
)


@dataclass
class Run:
    """What all clients share."""

    port: int
    signalled: float = float("inf")
    begun: list[float] = field(default_factory=list)
    refused: int = 0


class Client:
    """One EventSource."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.ready = asyncio.Event()
        self.back = asyncio.Event()
        self.is_away = False
        self._last_id: str | None = None
        self._retry = BROWSER_RETRY

    async def live(self) -> None:
        """Connect, read to the end, wait, again."""
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.run.port)
            except OSError:
                self.run.refused += 1
            else:
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):  # it is cut off by a kill
                    await self._follow(reader, writer)
            await asyncio.sleep(self._retry)

    async def _follow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(request("/channel/all", self._last_id))
            await reader.readuntil(b"\r\n\r\n")
            await self._read(reader)
        finally:
            writer.close()
            self.is_away = time.monotonic() > self.run.signalled

    async def _read(self, reader: asyncio.StreamReader) -> None:
        decoder = EventDecoder()
        while size := int(await reader.readuntil(b"\r\n"), 16):
            for event in decoder.feed((await reader.readexactly(size + 2))[:-2]):
                self._last_id = event.id or self._last_id
                self.ready.set()
                self._is_back()
        self._retry = self._retry if decoder.retry is None else decoder.retry / 1000

    def _is_back(self) -> None:
        """Note when the first event came after the restart: each client has missed one."""
        if self.is_away and not self.back.is_set():
            self.run.begun.append(time.monotonic() - self.run.signalled)
            self.back.set()


async def _publish(channels: Channels) -> None:
    """Publish for as long as this is not cancelled."""
    while True:
        await channels.publish("all", Event(DATA))
        await asyncio.sleep(EVERY)


async def _run(how: How, worker: Server, environment: dict[str, str], channels: Channels, count: int) -> Restart:
    run = Run(worker.port)
    clients = [Client(run) for _ in range(count)]
    tasks = [asyncio.create_task(client.live()) for client in clients]
    tasks.append(asyncio.create_task(_publish(channels)))
    try:
        async with asyncio.timeout(WITHIN):
            for client in clients:
                await client.ready.wait()
            run.refused, run.signalled = 0, time.monotonic()
            worker.signal(how.signal)
            gone = await asyncio.to_thread(worker.wait_until_gone, 30.0)
            await asyncio.sleep(how.pause)
            new = await asyncio.to_thread(_next, worker.port, environment)
            down = time.monotonic() - run.signalled
            try:
                for client in clients:
                    await client.back.wait()
                refused = run.refused
            finally:
                await asyncio.to_thread(new.stop)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    missed = sum(run.begun) / len(run.begun) / EVERY
    killed = how.signal is signal.SIGKILL
    times = round(gone, 2), round(down, 2), round(missed, 1)
    return Restart(how.name, killed, count, *times, tenths(run.begun), refused)


def _next(port: int, environment: dict[str, str]) -> Server:
    return Server(SERVERS["uvicorn-httptools"], APP, environment=environment, port=port)


def restart(how: How, count: int = 2_000) -> Restart:
    """Restart a worker under so many clients; a quarter of a minute."""
    raise_limit_of_files()
    with Valkey() as valkey:
        environment = {URL: valkey.url, KEEPALIVE: str(NEVER), PROBE: str(NEVER)}
        channels = Channels(RedisLog(valkey.url))
        worker = Server(SERVERS["uvicorn-httptools"], APP, environment=environment, port=free_port())
        try:
            return asyncio.run(_run(how, worker, environment, channels, count))
        finally:
            worker.stop()
            channels.close()
