"""Measure what one of each thing costs: one uvicorn worker, one Valkey, and clients on raw sockets.

What is counted is the processor time of the server's process, by its own clock, before and after so many of a thing; so
the machine's other work blurs it, and does not add to it. Each cost is the median of a few rounds.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from benchmarks.scale.app import KEEPALIVE, PROBE, URL
from benchmarks.scale.costs import Costs
from benchmarks.scale.crowd import Crowd, raise_limit_of_files
from streamkit import Event
from streamkit.channels import Channels
from streamkit.channels.redis import RedisLog
from tests.rig.servers import SERVERS, Server
from tests.rig.valkey import Valkey

APP = "benchmarks.scale.app:app"
NEVER = 100_000.0
DATA = "~" + "x" * 199
"""What is published: its first character stands nowhere else."""

TOKEN = b"token"

SETTLE = 2.0
"""Seconds in which a worker has subscribed to what its clients want, on a busy machine too."""

Spent = tuple[float, float]
"""Processor seconds of the worker and of Valkey."""


def cpu(pid: int) -> float:
    """Return the processor seconds that a process has used."""
    return time.clock_gettime((~pid << 3) | 2)  # the clock of another process: clock_getcpuclockid(3)


def events_in(piece: bytes) -> int:
    """Count the events of ours."""
    return piece.count(b"~")


class Bench:
    """A Valkey, and the parts of a measurement.

    Args:
        clients: How many connections stand for many.
        rounds: How often what can be measured again is.
    """

    def __init__(self, valkey: Valkey, clients: int, rounds: int) -> None:
        self.valkey, self.clients, self.rounds = valkey, clients, rounds
        self.channels = Channels(RedisLog(valkey.url))
        self.own = [(f"/channel/u{number}", None) for number in range(clients)]

    @contextlib.contextmanager
    def worker(self, *, keepalive: float = NEVER, probe: float = NEVER) -> Iterator[Server]:
        """Start a worker."""
        environment = {URL: self.valkey.url, KEEPALIVE: str(keepalive), PROBE: str(probe)}
        with Server(SERVERS["uvicorn-httptools"], APP, environment=environment) as server:
            yield server

    def spent(self, server: Server, call: Callable[[], object], count: int) -> Spent:
        """Return what a call cost the worker and Valkey, each of `count` of a thing."""
        time.sleep(0.2)
        before = cpu(server.pid), cpu(self.valkey.pid)
        call()
        time.sleep(0.2)
        return (cpu(server.pid) - before[0]) / count, (cpu(self.valkey.pid) - before[1]) / count

    def median(self, server: Server, call: Callable[[], object], count: int) -> Spent:
        """Return the medians over the rounds."""
        found = [self.spent(server, call, count) for _ in range(self.rounds)]
        return statistics.median(one for one, _ in found), statistics.median(other for _, other in found)

    def publish(self, channel: str) -> str:
        """Publish one event; return its id."""
        return self.channels.publish_sync(channel, Event(DATA))

    def memory_of_valkey(self) -> int:
        """Return what Valkey has allocated."""
        with self.valkey.client() as client:
            return int(client.info("memory")["used_memory"])

    def scripts(self) -> int:
        """Return how many scripts Valkey has run."""
        with self.valkey.client() as client:
            return int(client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"])


def memory(server: Server) -> int:
    """Return the bytes that a worker has in memory."""
    return int(psutil.Process(server.pid).memory_info().rss)


def kernel_memory() -> int:
    """Return the bytes of the kernel's small objects, a socket's among them; of the whole machine."""
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return int(lines["Slab"].split()[0]) * 1024


def shared(bench: Bench) -> dict[str, float]:
    """Measure many clients of one channel: memory, connecting, deliveries."""
    last = bench.publish("all")
    warm, clients = [("/channel/all", None)] * 50, [("/channel/all", last)] * bench.clients
    with bench.worker() as server, Crowd(server.port) as crowd:
        crowd.grow(warm)
        memory_before, kernel_before = memory(server), kernel_memory()

        def come() -> None:
            crowd.grow(clients)
            crowd.read(SETTLE)

        connect, _ = bench.spent(server, come, bench.clients)
        memory_each = (memory(server) - memory_before) / bench.clients
        kernel_each = (kernel_memory() - kernel_before) / bench.clients / 2  # the client's end is here too
        readers = len(warm) + len(clients)

        def deliver() -> None:
            bench.publish("all")
            crowd.read(30, events_in, readers)

        delivery, _ = bench.median(server, deliver, readers)
        bench.publish("all")
        frame = crowd.read(1.5) / readers - len(DATA)
    return {
        "shared_memory": memory_each,
        "kernel_memory": kernel_each,
        "shared_connect": connect,
        "delivery": delivery,
        "frame": frame,
    }


def own(bench: Bench) -> dict[str, float]:
    """Measure clients with a channel each: memory, connecting, events."""
    last = {path: bench.publish(path.rpartition("/")[2]) for path, _ in bench.own}
    with bench.worker() as server, Crowd(server.port) as crowd:
        crowd.grow([("/channel/warm", None)] * 50)
        before = memory(server)

        def come() -> None:
            crowd.grow(last.items())
            crowd.read(SETTLE)

        connect, valkey_connect = bench.spent(server, come, bench.clients)
        grown = memory(server) - before

        def publish_to_each() -> None:
            for path in last:
                bench.publish(path.rpartition("/")[2])
            crowd.read(30, events_in, bench.clients)

        event, _ = bench.median(server, publish_to_each, bench.clients)
    return {
        "worker_memory": float(before),
        "own_memory": grown / bench.clients,
        "connect": connect,
        "valkey_connect": valkey_connect,
        "own_event": event,
    }


def silent(bench: Bench) -> dict[str, float]:
    """Measure what keeps silent clients: keepalives, and the probes of their channels."""
    interval = 2.0
    with bench.worker(keepalive=interval) as server, Crowd(server.port) as crowd:
        crowd.grow([("/channel/all", None)] * bench.clients)
        crowd.read(1.5 * interval)
        keepalive, _ = bench.median(server, lambda: crowd.read(2 * interval), 2 * bench.clients)
    with bench.worker(probe=interval) as server, Crowd(server.port) as crowd:
        crowd.grow(bench.own)
        crowd.read(2 * interval)
        worker, valkey = [], []
        for _ in range(bench.rounds):
            before = bench.scripts()
            spent = bench.spent(server, lambda: crowd.read(2 * interval), 1)
            probes = bench.scripts() - before
            worker.append(spent[0] / probes)
            valkey.append(spent[1] / probes)
    return {"keepalive": keepalive, "probe": statistics.median(worker), "valkey_probe": statistics.median(valkey)}


def replayed(bench: Bench, many: int = 100) -> dict[str, float]:
    """Measure clients that come back to a worker which has nothing in memory, and have missed one event, or many."""
    clients = bench.clients // 4
    nothing, one, more = (_coming_back(bench, missed, clients) for missed in (0, 1, many))
    found = {}
    for name, place in (("", 0), ("valkey_", 1)):
        found[f"{name}replay"] = (more[place] - one[place]) / (many - 1)
        found[f"{name}read"] = one[place] - nothing[place] - found[f"{name}replay"]
    return found


def _coming_back(bench: Bench, missed: int, clients: int) -> Spent:
    """Return what one client costs that has missed so many."""
    channel = f"missed{missed}"
    first = bench.publish(channel)
    for _ in range(missed):
        bench.publish(channel)
    with bench.worker() as server, Crowd(server.port) as crowd:

        def come_back() -> None:
            begun = crowd.grow([(f"/channel/{channel}", first)] * clients)
            crowd.read(60, events_in, clients * missed - events_in(begun))

        crowd.grow([(f"/channel/{channel}", None)] * 10)
        return bench.spent(server, come_back, clients)


def tokens(bench: Bench) -> dict[str, float]:
    """Measure generators that yield twenty tokens in a second."""
    clients, seconds = 200, 3.0
    with bench.worker() as server, Crowd(server.port) as crowd:
        crowd.grow([("/tokens/100000", None)] * clients)
        crowd.read(1.0)
        found = []
        for _ in range(bench.rounds):
            before = cpu(server.pid)
            count = crowd.read(seconds, lambda piece: piece.count(TOKEN))
            found.append((cpu(server.pid) - before) / count)
        size = crowd.read(seconds)
    return {"token": statistics.median(found), "token_frame": size / (clients * seconds * 20) - len(TOKEN)}


def publishing(bench: Bench, count: int = 5_000) -> dict[str, float]:
    """Measure publishing where nobody listens, and what Valkey keeps of it."""
    bench.publish("kept")
    before = cpu(bench.valkey.pid), time.process_time(), bench.memory_of_valkey()
    for _ in range(count):
        bench.publish("kept")
    valkey, mine = cpu(bench.valkey.pid) - before[0], time.process_time() - before[1]
    kept = bench.memory_of_valkey() - before[2]
    empty = bench.memory_of_valkey()
    for number in range(count):
        bench.publish(f"one{number}")
    channel = (bench.memory_of_valkey() - empty) / count
    return {
        "publish": mine / count,
        "valkey_publish": valkey / count,
        "valkey_event": kept / count,
        "valkey_channel": channel,
    }


def message(bench: Bench, listeners: int = 50, count: int = 300) -> float:
    """Return what it costs Valkey to hand an event to one more process: bare subscribers, against none."""
    with contextlib.ExitStack() as stack:
        for _ in range(listeners):
            client = stack.enter_context(bench.valkey.client())
            subscriber: Any = stack.enter_context(client.pubsub())
            subscriber.subscribe("streamkit:{heard}@0")
        found = []
        for channel in ("heard", "unheard") * bench.rounds:
            before = cpu(bench.valkey.pid)
            for _ in range(count):
                bench.publish(channel)
            found.append((cpu(bench.valkey.pid) - before) / count)
    return (statistics.median(found[::2]) - statistics.median(found[1::2])) / listeners


def measure(clients: int = 2_000, rounds: int = 3) -> Costs:
    """Measure everything; a minute and a half."""
    raise_limit_of_files()
    with Valkey() as valkey:
        bench = Bench(valkey, clients, rounds)
        found = publishing(bench) | shared(bench) | own(bench) | silent(bench) | replayed(bench) | tokens(bench)
        found["valkey_message"] = message(bench)
        bench.channels.close()
    return Costs(**found)
