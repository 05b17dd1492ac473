"""What an `SQLiteLog` does in a second, and what it costs while nothing happens: `python -m benchmarks.sqlite_log`.

Appends by one process and by four at once; how long an entry takes to another process; and the share of a core that a
process with 1,000 subscribers needs while nobody publishes.
"""

from __future__ import annotations

import multiprocessing
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamkit.channels import SQLiteLog
from streamkit.channels._entry import Entry

PAYLOAD = b"j\n" + b"x" * 200
APPENDS, DELIVERIES, SUBSCRIBERS, IDLE = 20_000, 400, 1_000, 10.0
SPAWN = multiprocessing.get_context("spawn")


def append_many(path: str, channel: str, count: int, payload: bytes) -> None:
    log = SQLiteLog(path, timeout=30)
    for _ in range(count):
        log.append(channel, payload)
    log.close()


def append_stamped(path: str, count: int) -> None:
    """Append the time, at moments that keep no step with anybody's looks."""
    log = SQLiteLog(path)
    for _ in range(count):
        time.sleep(random.uniform(0.005, 0.045))
        log.append("stamped", b"t\n%f" % time.monotonic())
    log.close()


@contextmanager
def fresh_path() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as directory:
        yield str(Path(directory) / "log.db")


def appends_per_second(processes: int, payload: bytes, *, one_channel: bool = False) -> float:
    """Return the appends of all processes together."""
    with fresh_path() as path:
        append_many(path, "warm", 1, payload)
        each = APPENDS // processes
        if processes == 1:
            begun = time.perf_counter()
            append_many(path, "orders", each, payload)
            return each / (time.perf_counter() - begun)
        ready = SPAWN.Barrier(processes + 1)
        channels = ["orders" if one_channel else f"orders {number}" for number in range(processes)]
        workers = [SPAWN.Process(target=_wait_and_append, args=(ready, path, each, payload, name)) for name in channels]
        for worker in workers:
            worker.start()
        ready.wait(30)
        begun = time.perf_counter()
        for worker in workers:
            worker.join()
        return each * processes / (time.perf_counter() - begun)


def _wait_and_append(ready: threading.Barrier, path: str, count: int, payload: bytes, channel: str) -> None:
    ready.wait(30)
    append_many(path, channel, count, payload)


def delays() -> list[float]:
    """Return the seconds from an append in another process until a watcher was told."""
    with fresh_path() as path:
        log = SQLiteLog(path)
        found: list[float] = []
        ready, done = threading.Event(), threading.Event()

        def tell(entries: list[Entry] | None) -> None:
            now = time.monotonic()
            ready.set()
            found.extend(now - float((entry.payload or b"")[2:]) for entry in entries or ())
            if len(found) >= DELIVERIES:
                done.set()

        log.watch("stamped", tell)
        ready.wait(10)
        worker = SPAWN.Process(target=append_stamped, args=(path, DELIVERIES))
        worker.start()
        if not done.wait(60):
            sys.exit(f"only {len(found)} of {DELIVERIES} entries were told")
        worker.join()
        log.close()
        return found


def idle_share(subscribers: int) -> float:
    """Return the share of a core that a process needs to watch, while nothing is published."""
    with fresh_path() as path:
        log = SQLiteLog(path)
        told = threading.Semaphore(0)
        for number in range(subscribers):
            log.watch(f"channel {number}", lambda _: told.release())
        for _ in range(subscribers):
            told.acquire(timeout=10)
        cpu, wall = time.process_time(), time.perf_counter()
        time.sleep(IDLE)
        share = (time.process_time() - cpu) / (time.perf_counter() - wall)
        log.close()
        return share


def main() -> None:
    """Measure and print."""
    print(f"appends of {len(PAYLOAD)} bytes")
    print(f"{'one process':44}{appends_per_second(1, PAYLOAD):10.0f} / s")
    print(f"{'four processes, a channel each':44}{appends_per_second(4, PAYLOAD):10.0f} / s together")
    print(f"{'four processes, one channel':44}{appends_per_second(4, PAYLOAD, one_channel=True):10.0f} / s together")
    cuts = statistics.quantiles(delays(), n=100)
    print(f"{'to another process':44}{cuts[49] * 1e3:8.1f} ms median {cuts[94] * 1e3:8.1f} ms p95")
    for subscribers in (1, SUBSCRIBERS):
        print(f"{f'idle, watching {subscribers} channels':44}{idle_share(subscribers) * 100:10.2f} % of a core")


if __name__ == "__main__":
    main()
