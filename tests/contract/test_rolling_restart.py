"""Contract point 10 from the client's side: a restart is a pause, after which it has every event exactly once."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from streamkit import EventDecoder
from tests.rig.apps.following import NUMBERS, SOURCES
from tests.rig.browser import headless_chromium
from tests.rig.nginx import Nginx
from tests.rig.requirements import needs
from tests.rig.servers import SERVERS, Server, free_port

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("shutdown"), needs("uvicorn", "httptools", "uvloop")]

CLIENTS = 200
WITHIN = 20.0
ALL_OPEN = "sources.every(source => source.readyState === EventSource.OPEN)"


class Numbers:
    """A file to which a thread appends 1, 2, 3 and so on, one every 50 ms; a context manager that ends it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.last = 0
        path.touch()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def _write(self) -> None:
        with self.path.open("a") as file:
            for number in count(1):
                file.write(f"{number}\n")
                file.flush()
                self.last = number
                if self._stop.wait(0.05):
                    return

    def end(self) -> list[int]:
        """Write no more; return all that was written."""
        self._stop.set()
        self._thread.join()
        return list(range(1, self.last + 1))

    def __enter__(self) -> Numbers:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def _worker(numbers: Numbers, port: int) -> Server:
    environment = {NUMBERS: str(numbers.path)}
    return Server(SERVERS["uvicorn-httptools"], "tests.rig.apps.following:app", environment=environment, port=port)


def _restart(worker: Server, numbers: Numbers) -> Server:
    worker.signal(signal.SIGTERM)
    worker.wait_until_gone(10.0)
    worker.stop()
    return _worker(numbers, worker.port)


@contextmanager
def _workers(numbers: Numbers, *ports: int) -> Iterator[list[Server]]:
    workers: list[Server] = []
    try:
        workers.extend(_worker(numbers, port) for port in ports)
        yield workers
    finally:
        for worker in workers:
            worker.stop()


@pytest.mark.browser
@needs("nginx", "playwright", "chromium")
@pytest.mark.timeout(120)
def test_page_misses_nothing_when_all_workers_restart(tmp_path: Path) -> None:
    """Chromium comes back by itself, to whichever worker nginx finds, and goes on after the last id."""
    with (
        Numbers(tmp_path / "numbers") as numbers,
        _workers(numbers, free_port(), free_port()) as workers,
        Nginx([worker.port for worker in workers]) as nginx,
        headless_chromium() as chromium,
    ):
        page = chromium.new_page()
        page.set_default_timeout(WITHIN * 1000)
        page.goto(nginx.url)
        page.wait_for_function("sources.every(source => source.seen.length > 10)")
        for place, worker in enumerate(workers):
            workers[place] = _restart(worker, numbers)
            page.wait_for_function(ALL_OPEN)
        written = numbers.end()
        page.wait_for_function(f"sources.every(source => source.seen.at(-1) === {written[-1]})")
        assert page.evaluate("sources.map(source => source.seen)") == [written] * SOURCES
        assert all(opened > 1 for opened in page.evaluate("sources.map(source => source.opened)"))


class Client:
    """An EventSource on a bare socket: what it was sent, and how it was told to go on."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.retry: int | None = None
        self.started = asyncio.Event()
        self._last_id = "0"

    async def listen(self, port: int, *, until: int | None = None) -> None:
        """Read to the clean end of the stream, or until a number was seen."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"GET /numbers HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n"
            b"Last-Event-ID: %s\r\n\r\n" % self._last_id.encode()
        )
        try:
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            await reader.readuntil(b"\r\n\r\n")
            await self._read_chunks(reader, until)
        finally:
            writer.close()

    async def _read_chunks(self, reader: asyncio.StreamReader, until: int | None) -> None:
        decoder = EventDecoder()
        while size := int(await reader.readline(), 16):
            for event in decoder.feed((await reader.readexactly(size + 2))[:-2]):
                self.seen.append(int(event.data))
                self.started.set()
                self._last_id = event.id or self._last_id
            if until is not None and self.seen and self.seen[-1] >= until:
                return
        self.retry = decoder.retry


def test_two_hundred_clients_are_sent_away_for_different_times_and_miss_nothing(tmp_path: Path) -> None:
    """They come back in the order of their `retry`, spread over four seconds; here, without the pauses."""

    async def listen_until_sent_away(worker: Server) -> None:
        listening = asyncio.gather(*(client.listen(worker.port) for client in clients))
        async with asyncio.timeout(WITHIN):
            await asyncio.gather(*(client.started.wait() for client in clients))
            worker.signal(signal.SIGTERM)
            await listening

    async def come_back(worker: Server, last: int) -> None:
        async with asyncio.timeout(WITHIN):
            await asyncio.gather(*(client.listen(worker.port, until=last) for client in clients))

    clients = [Client() for _ in range(CLIENTS)]
    with Numbers(tmp_path / "numbers") as numbers, _workers(numbers, free_port()) as workers:
        asyncio.run(listen_until_sent_away(workers[0]))
        retries = [client.retry for client in clients if client.retry is not None]
        assert len(retries) == CLIENTS
        assert 1000 <= min(retries) < 2000
        assert 4000 < max(retries) <= 5000
        assert len(set(retries)) > 100
        workers[0] = _restart(workers[0], numbers)
        clients.sort(key=lambda client: client.retry or 0)
        last = numbers.last + 20
        asyncio.run(come_back(workers[0], last))
        written = numbers.end()
    for client in clients:
        assert client.seen[-1] >= last
        assert client.seen == written[: len(client.seen)]
