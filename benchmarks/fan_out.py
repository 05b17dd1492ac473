"""How long one event takes to the last of 1,000 clients: `python -m benchmarks.fan_out [rounds]`.

Two servers (uvicorn with httptools and uvloop, one worker each) have 1,000 clients each, over real sockets. One serves
channels on a `MemoryLog`; the other is a raw ASGI app that puts one frame, encoded once, into an `asyncio.Queue` of
each client: the least that any app must do. They are measured in turn, from the request that publishes to the last
client that has the event; the figure is the ratio of the medians.

Then one client more comes to the channels, and does not read. 32 MB are published to it alone, twice: the table says
what that costs the process, and then what it costs the others, again in turn with the raw app.
"""

from __future__ import annotations

import asyncio
import resource
import select
import socket
import statistics
import sys
import time
from typing import Any
from urllib.parse import parse_qs

import psutil

from streamkit import StreamPolicy
from streamkit.asgi import EventStreamResponse
from streamkit.channels import Channels, MemoryLog
from tests.rig.asgi import answer_lifespan
from tests.rig.servers import SERVERS, Server
from tests.rig.sidedoor import open_side_door

CLIENTS, ROUNDS = 1_000, 25
FILLING, PIECE = 32 * 2**20, "x" * 16_384
GET = "GET {} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"

# -- what is served ------------------------------------------------------------------------------------------------

queues: set[asyncio.Queue[bytes]] = set()
channels = Channels(MemoryLog(max_bytes=2**20))


async def _answer(send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


async def raw(scope: Any, receive: Any, send: Any) -> None:
    """Do by hand what can be left out no more."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
    elif scope["path"] == "/publish":
        (number,) = parse_qs(scope["query_string"])[b"n"]
        frame = b'id: 1skjwar.hoilhxcjh4.11.hoilhxcmgy\ndata: {"n":%b}\n\n' % number
        for queue in queues:
            queue.put_nowait(frame)
        await _answer(send)
    else:
        await _stream_raw(send)


async def _stream_raw(send: Any) -> None:
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    queues.add(queue)
    try:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b": hello\n\n", "more_body": True})
        while True:
            await send({"type": "http.response.body", "body": await queue.get(), "more_body": True})
    finally:
        queues.discard(queue)


async def ours(scope: Any, receive: Any, send: Any) -> None:
    """Serve channels."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
    elif scope["path"] == "/publish":
        await channels.publish("a", {"n": int(parse_qs(scope["query_string"])[b"n"][0])})
        await _answer(send)
    elif scope["path"] == "/fill":
        for _ in range(FILLING // len(PIECE)):
            await channels.publish("filling", PIECE)
        assert channels.subscribers("filling") == 1
        await _answer(send)
    elif scope["path"] == "/unread":
        source = channels.subscribe("a", "filling", overflow="drop_oldest")
        policy = StreamPolicy(send_timeout=600)  # it is to stay, for as long as this measures
        await EventStreamResponse(source, policy=policy)(scope, receive, send)
    else:
        await EventStreamResponse(channels.subscribe("a"))(scope, receive, send)


open_side_door()

# -- who reads -----------------------------------------------------------------------------------------------------


class Clients:
    """The clients of one server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        for _ in range(CLIENTS):
            client = self.connect("/events")
            self._sockets[client.fileno()] = client
            client.setblocking(False)
            self._poll.register(client.fileno(), select.EPOLLIN)
        self._until_all_have(b"\n\n")

    def connect(self, path: str) -> socket.socket:
        """Send a request."""
        connection = socket.create_connection(("127.0.0.1", self.server.port), 60)
        connection.sendall(GET.format(path).encode())
        return connection

    def ask(self, path: str) -> None:
        """Send a request, and wait for its answer."""
        with self.connect(path) as connection:
            assert connection.recv(1_000).startswith(b"HTTP/1.1 200")

    def fan_out(self, number: int) -> float:
        """Publish a number; return the ms until the last client has it."""
        begun = time.perf_counter()
        with self.connect(f"/publish?n={number}") as publisher:
            self._until_all_have(b'"n":%d}' % number)
            took = time.perf_counter() - begun
            publisher.recv(1_000)
        return took * 1_000

    def _until_all_have(self, wanted: bytes) -> None:
        missing = set(self._sockets)
        while missing:
            ready = self._poll.poll(30)
            assert ready, f"{len(missing)} clients did not get {wanted!r}"
            missing -= {file for file, _ in ready if wanted in self._sockets[file].recv(65_536)}

    def close(self) -> None:
        """Leave."""
        for client in self._sockets.values():
            client.close()
        self._poll.close()


def kilobytes(server: Server) -> int:
    """Return what the process of a server has in memory."""
    return int(psutil.Process(server.pid).memory_info().rss) // 1024


def in_turn(one: Clients, other: Clients, numbers: range) -> tuple[list[float], list[float]]:
    """Return the times of both."""
    pairs = [(one.fan_out(number), other.fan_out(number)) for number in numbers]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def fill(clients: Clients) -> int:
    """Publish to the client that does not read; return how many KiB the process has grown by."""
    before = kilobytes(clients.server)
    clients.ask("/fill")
    return kilobytes(clients.server) - before


def show(name: str, times: list[float], raw_times: list[float]) -> None:
    """Print one line of the table."""
    ratio = statistics.median(times) / statistics.median(raw_times)
    print(f"{name:42}{statistics.median(times):8.1f} ms{min(times):8.1f} ms{ratio:8.2f}")


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    kind = SERVERS["uvicorn-httptools"]
    with Server(kind, "benchmarks.fan_out:raw") as one, Server(kind, "benchmarks.fan_out:ours") as other:
        by_hand, by_channels = Clients(one), Clients(other)
        before = in_turn(by_hand, by_channels, range(rounds))
        with by_channels.connect("/unread") as silent:
            silent.recv(1_000)
            grown = fill(by_channels), fill(by_channels)
            after = in_turn(by_hand, by_channels, range(rounds, 2 * rounds))
        by_hand.close()
        by_channels.close()
    print(f"{'one event to the last of 1,000 clients':42}{'median':>11}{'least':>11}{'ratio':>8}")
    show("raw ASGI, one frame for all", before[0], before[0])
    show("channels", before[1], before[0])
    show("raw ASGI, once more", after[0], after[0])
    show("channels, one client more does not read", after[1], after[0])
    print(f"memory, for each {FILLING // 2**20} MB published to that client: {grown[0]:+} KiB, {grown[1]:+} KiB")


if __name__ == "__main__":
    main()
