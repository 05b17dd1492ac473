"""The pub/sub connection: one for each process, only while somebody watches, also under gevent."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

from tests.channels.conftest import NewLog
from tests.channels.ear import Ear, named, subscriptions, threads, until
from tests.rig.requirements import needs
from tests.rig.servers import ROOT
from tests.rig.valkey import Valkey

pytestmark = needs("redis", "valkey")


class TestWatching:
    def test_a_watcher_is_told_to_look_and_then_hears_everything(self, new_log: NewLog) -> None:
        """What another process publishes, in order, once nothing is missed any more."""
        log, ear = new_log(), Ear()
        log.watch("a", ear)
        ear.wait_for_look()
        published = [new_log().append("a", b"t\n%d" % number, seal=number == 9).position for number in range(10)]
        ear.wait_for(lambda: len(ear.entries) == 10)
        assert [entry.position for entry in ear.entries] == published
        assert all(one.follows(before.position) for before, one in zip(ear.entries, ear.entries[1:], strict=False))
        assert [entry.sealed for entry in ear.entries] == [False] * 9 + [True]
        assert log._known("a") == published[-1]

    def test_each_watcher_of_a_channel_is_told_to_look(self, new_log: NewLog) -> None:
        """The second too, though the subscription is there."""
        log, first, second = new_log(), Ear(), Ear()
        log.watch("a", first)
        first.wait_for_look()
        log.watch("a", second)
        assert second.looks == 1

    def test_a_thousand_channels_share_one_connection(self, new_log: NewLog, valkey: Valkey, prefix: str) -> None:
        """And one thread; both are gone when nobody watches."""
        log, ear = new_log(named(valkey, prefix)), Ear()
        names = [f"channel {number}" for number in range(1000)]
        for name in names:
            log.watch(name, ear)
        ear.wait_for_look(1000)
        assert subscriptions(valkey, prefix) == [1000]
        assert threads() == ["streamkit-redis"]
        for name in names[1:]:
            log.unwatch(name, ear)
        until(lambda: subscriptions(valkey, prefix) == [1])
        log.append(names[500], b"t\nunheard")
        log.append(names[0], b"t\nheard")
        ear.wait_for(lambda: bool(ear.entries))
        assert ear.payloads == [b"t\nheard"]
        log.unwatch(names[0], ear)
        until(lambda: not subscriptions(valkey, prefix) and not threads())

    def test_whoever_comes_and_goes_misses_nothing(self, new_log: NewLog) -> None:
        """A channel that is watched again and again is told to look each time before it hears anything new."""
        log, other = new_log(), new_log()
        keep = Ear()
        log.watch("other", keep)
        for number in range(50):
            ear = Ear()
            log.watch("a", ear)
            if number % 3:
                ear.wait_for_look()
                position = other.append("a", b"t\n").position
                ear.wait_for(lambda ear=ear, at=position: at in [one.position for one in ear.entries])  # type: ignore[misc]
            log.unwatch("a", ear)

    def test_close_ends_thread_and_connections(self, new_log: NewLog, valkey: Valkey, prefix: str) -> None:
        """Those of publishing too; a later call opens anew."""
        log, ear = new_log(named(valkey, prefix)), Ear()
        log.watch("a", ear)
        ear.wait_for_look()
        log.append("a", b"t\n1")
        with valkey.client(decode_responses=True) as client:
            assert len([line for line in client.client_list() if line["name"] == prefix]) == 2
            log.close()
            until(lambda: not threads() and not [line for line in client.client_list() if line["name"] == prefix])
        log.append("a", b"t\n2")
        log.watch("b", ear)
        ear.wait_for_look(2)

    def test_whoever_watched_before_close_hears_again(self, new_log: NewLog) -> None:
        """Once the log is used: it is told to look first, as after any loss."""
        log, ear = new_log(), Ear()
        log.watch("a", ear)
        ear.wait_for_look()
        log.close()
        until(lambda: not threads())
        log.page("a", None)
        ear.wait_for_look(2)
        log.append("a", b"t\n1")
        ear.wait_for(lambda: ear.payloads == [b"t\n1"])

    def test_a_fence_has_watchers_look(self, new_log: NewLog, valkey: Valkey, prefix: str) -> None:
        """Where another process has found a loss, nobody waits for the next event to learn of it."""
        log, ear = new_log(probe=1e6), Ear()
        log.append("a", b"t\n")
        log.watch("a", ear)
        ear.wait_for_look()
        valkey.do("DEL", f"{prefix}:{{a}}")
        new_log().page("a", None)
        ear.wait_for_look(2)

    def test_a_watchers_fault_ends_nothing(self, new_log: NewLog, caplog: pytest.LogCaptureFixture) -> None:
        """It is logged, and the others hear on."""
        log, ear = new_log(), Ear()

        def fail(entries: object) -> None:
            raise RuntimeError("a fault of the test's")

        with caplog.at_level(logging.ERROR):
            log.watch("a", fail)
            log.watch("a", ear)
            ear.wait_for_look()
            log.append("a", b"t\n1")
            log.append("a", b"t\n2")
            ear.wait_for(lambda: len(ear.entries) == 2)
        assert "a fault of the test's" in caplog.text

    def test_what_is_none_of_ours_has_the_log_read(self, new_log: NewLog, valkey: Valkey, prefix: str) -> None:
        """Anybody may publish on the pub/sub channel: nothing but the stream is believed."""
        log, ear = new_log(), Ear()
        log.watch("a", ear)
        ear.wait_for_look()
        for text in ("", "1 2 3", "a b c d -\n", "\n\n"):
            looks = ear.looks
            assert valkey.do("PUBLISH", f"{prefix}:{{a}}@0", text) == 1
            ear.wait_for_look(looks + 1)
        log.append("a", b"t\n1")
        ear.wait_for(lambda: ear.payloads == [b"t\n1"])

    def test_entries_of_megabytes_are_heard(self, new_log: NewLog) -> None:
        """They come in many pieces."""
        log, ear = new_log(), Ear()
        log.watch("a", ear)
        ear.wait_for_look()
        payload = b"t\n" + bytes(range(256)) * 2**13
        for _ in range(3):
            log.append("a", payload)
        ear.wait_for(lambda: len(ear.entries) == 3)
        assert ear.payloads == [payload] * 3


GEVENT = """
from gevent import monkey; monkey.patch_all()
import gevent, json, sys, threading, psutil
from streamkit.channels import Channels
from streamkit.channels._entry import Entry
from streamkit.channels.redis import RedisLog
from streamkit._engine.background import background_loop
from streamkit.channels._native import start_thread
import asyncio

log = RedisLog(sys.argv[1], prefix=sys.argv[2])
told = []
log.watch("a", told.append)
with gevent.Timeout(10):
    while not told: gevent.sleep(0.01)
    spawned = [gevent.spawn(log.append, "a", b"t\\n%d" % n) for n in range(20)]
    gevent.joinall(spawned, raise_error=True)
    while sum(len(entries or ()) for entries in told) < 20: gevent.sleep(0.01)
heard = [entry.position.offset for entries in told for entry in entries or ()]
log.unwatch("a", told.append)

channels = Channels(log)
async def follow():
    async for event in channels.subscribe("b", after=None):
        if event.event != "cursor": return event.data
future = asyncio.run_coroutine_threadsafe(follow(), background_loop())
with gevent.Timeout(10):
    while not channels.subscribers("b"): gevent.sleep(0.01)
    while not future.done():
        channels.publish_sync("b", "hello")
        gevent.sleep(0.05)
fds = psutil.Process().num_fds()
ended = []
def work():
    log.append("d", b"t")
    ended.append(True)
for n in range(15):
    told.clear()
    log.watch("c", told.append)
    with gevent.Timeout(10):
        while not told: gevent.sleep(0.01)
    log.unwatch("c", told.append)
    start_thread(work, "a worker")
with gevent.Timeout(10):
    while len(ended) < 15 or psutil.Process().num_fds() > fds + 2: gevent.sleep(0.05)
print(json.dumps({"heard": heard, "followed": future.result()}))
"""


@needs("gevent", "psutil")
def test_watching_works_under_gevent(valkey: Valkey, prefix: str) -> None:
    """The thread is the system's own, greenlets publish side by side, and threads that end leave nothing open."""
    command = [sys.executable, "-X", "dev", "-c", GEVENT, valkey.url, prefix]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert "ResourceWarning" not in done.stderr
    result = json.loads(done.stdout)
    assert result["heard"] == list(range(1, 21))
    assert result["followed"] == "hello"
