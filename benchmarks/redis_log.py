"""What a `RedisLog` costs against bare Redis, on this machine: `python -m benchmarks.redis_log`.

Appends beside a bare XADD of the same bytes by redis-py, and the way of an entry to a watcher beside a bare PUBLISH to
a bare subscriber, each in one run against one server over loopback. The ratios are what counts.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

from streamkit.channels._entry import Entry
from streamkit.channels.redis import RedisLog
from tests.rig.valkey import Valkey

PAYLOAD = b"j\n" + b"x" * 200
APPENDS, DELIVERIES = 5_000, 1_000


def seconds_each(call: Callable[[], object], count: int) -> list[float]:
    """Return how long each of `count` calls took."""
    taken = []
    for _ in range(count):
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    return taken


def appends(valkey: Valkey) -> tuple[list[float], list[float], float]:
    """Return seconds of bare XADDs and of appends, in turns, and appends per second of four threads."""
    log, client = RedisLog(valkey.url), valkey.client()
    bare, ours = [], []
    for _ in range(APPENDS // 500):
        bare += seconds_each(lambda: client.xadd("bare", {"d": PAYLOAD}), 500)
        ours += seconds_each(lambda: log.append("orders", PAYLOAD), 500)
    threads = [
        threading.Thread(target=seconds_each, args=(lambda: log.append("orders", PAYLOAD), APPENDS // 4))
        for _ in range(4)
    ]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = APPENDS / (time.perf_counter() - begun)
    log.close()
    return bare, ours, rate


def delays(valkey: Valkey) -> tuple[list[float], list[float]]:
    """Return seconds from a bare PUBLISH to a bare subscriber, and from `append` to `tell`, one after the other."""
    client, log, heard = valkey.client(), RedisLog(valkey.url), threading.Event()
    at = 0.0

    def tell(entries: list[Entry] | None) -> None:
        nonlocal at
        at = time.perf_counter()
        heard.set()

    def wait(send: Callable[[], object]) -> float:
        heard.clear()
        begun = time.perf_counter()
        send()
        if not heard.wait(10):
            raise SystemExit("an entry was not told")
        return at - begun

    def listen() -> None:
        for _ in pubsub.listen():
            tell([])

    pubsub: Any = client.pubsub()  # type: ignore[no-untyped-call]
    pubsub.subscribe("bare")
    reader = threading.Thread(target=listen, daemon=True)
    wait(reader.start)
    bare = [wait(lambda: client.publish("bare", PAYLOAD)) for _ in range(DELIVERIES)]
    pubsub.unsubscribe()
    reader.join(10)
    log.page("orders", None)
    wait(lambda: log.watch("orders", tell))
    ours = [wait(lambda: log.append("orders", PAYLOAD)) for _ in range(DELIVERIES)]
    log.close()
    return bare, ours


def main() -> None:
    """Measure and print."""
    with Valkey() as valkey:
        bare, ours, rate = appends(valkey)
        _print("append, against a bare XADD", bare, ours)
        print(f"{'appends of one thread':40}{len(ours) / sum(ours):10.0f} / s")
        print(f"{'appends of four threads':40}{rate:10.0f} / s together")
        _print("append to tell, against a bare PUBLISH", *delays(valkey))


def _print(what: str, bare: list[float], ours: list[float]) -> None:
    one, other = statistics.median(bare) * 1e3, statistics.median(ours) * 1e3
    last = statistics.quantiles(ours, n=100)[94] * 1e3
    print(f"{what:40}{other / one:6.1f} times: {one:.2f} ms and {other:.2f} ms, p95 {last:.2f} ms")


if __name__ == "__main__":
    main()
