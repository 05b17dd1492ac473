"""The pub/sub connection: one for each process, only while somebody watches, and what it does when it is lost."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from streamkit.channels._entry import Entry
from streamkit.channels.redis import RedisLog
from tests.channels.conftest import NewLog
from tests.channels.ear import Ear
from tests.engine.fake_clock import FakeClock
from tests.rig.relay import Relay
from tests.rig.requirements import needs
from tests.rig.servers import ROOT
from tests.rig.valkey import Valkey

pytestmark = needs("redis", "valkey")


def until(ready: Callable[[], object], within: float = 10.0) -> None:
    """Wait until something holds that nobody tells of."""
    end = time.monotonic() + within
    while not ready():
        assert time.monotonic() < end, f"not within {within} s"
        time.sleep(0.01)


def threads() -> list[str]:
    """Return the threads of RedisLog in this process."""
    return [thread.name for thread in threading.enumerate() if thread.name == "streamkit-redis"]


def subscriptions(valkey: Valkey, name: str) -> list[int]:
    """Return how many channels each connection to a database's log has; `name` is the client's."""
    return [int(line["sub"]) for line in valkey.listeners() if line["name"] == name]


def named(valkey: Valkey, prefix: str) -> str:
    """Return a URL by which the server can tell the connections of this test."""
    return f"{valkey.url}?client_name={prefix}"


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
        assert log.known("a") == published[-1]

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


class TestLosses:
    def test_a_severed_connection_has_the_log_read(self, new_log: NewLog, valkey: Valkey, prefix: str) -> None:
        """What is published meanwhile is found in the stream: nothing is missed."""
        log, other, ear = new_log(named(valkey, prefix)), new_log(), Ear()
        last = log.page("a", None).head
        log.watch("a", ear)
        ear.wait_for_look()
        for round_ in range(3):
            assert valkey.sever() >= 1
            for _ in range(20):
                other.append("a", b"t\n")
            ear.wait_for_look(round_ + 2)
            page = log.page("a", last)
            assert page.gap is None
            assert [entry.position.offset for entry in page.entries] == list(range(last.offset + 1, last.offset + 21))
            last = page.head
        assert subscriptions(valkey, prefix) == [1]

    def test_a_connection_that_says_nothing_is_given_up(
        self, new_log: NewLog, valkey: Valkey, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A network that swallows everything closes nothing: a PING that is not answered tells."""
        clock, ear = FakeClock(), Ear()
        with Relay(valkey.port) as relay:
            log = new_log(f"redis://127.0.0.1:{relay.port}/0", clock=clock, probe=1e6)
            log.watch("a", ear)
            ear.wait_for_look()
            relay.frozen = True
            with caplog.at_level(logging.WARNING):
                while "no answer to PING" not in caplog.text:  # it asks, and waits in vain
                    clock.move(5.0)
                    log._live.here().wake()
                    time.sleep(0.05)
            relay.frozen = False
            clock.move(5.0)
            log._live.here().wake()
            ear.wait_for_look(2)
            log.append("a", b"t\n1")
            ear.wait_for(lambda: ear.payloads == [b"t\n1"])

    def test_an_answered_ping_keeps_the_connection(self, new_log: NewLog, valkey: Valkey, prefix: str) -> None:
        """A quiet server is not a dead one."""
        clock, ear, answers = FakeClock(), Ear(), []

        def count(data: bytes) -> bytes:
            answers.extend([data] * (b"pong" in data))
            return data

        with Relay(valkey.port, reply=count) as relay:
            url = f"redis://127.0.0.1:{relay.port}/0?client_name={prefix}"
            log = new_log(url, clock=clock, probe=1e6, timeout=60.0)
            log.watch("a", ear)
            ear.wait_for_look()
            first = [line["id"] for line in valkey.listeners() if line["name"] == prefix]
            while len(answers) < 20:
                clock.move(1.0)
                log._live.here().wake()
                time.sleep(0.005)
            assert [line["id"] for line in valkey.listeners() if line["name"] == prefix] == first
            assert ear.looks == 1
            log.close()

    def test_a_fault_in_the_thread_is_logged_and_got_over(
        self, new_log: NewLog, caplog: pytest.LogCaptureFixture
    ) -> None:
        """With its traceback; the connection is made anew."""
        log, ear = new_log(), Ear()
        live = log._live.here()
        told = live.told

        def fail(channel: str, messages: list[bytes] | None) -> None:
            live.told = told
            raise RuntimeError("a fault of the test's")

        live.told = fail
        with caplog.at_level(logging.WARNING):
            log.watch("a", ear)
            ear.wait_for_look()
        assert "a fault of the test's" in caplog.text
        assert "Traceback" in caplog.text

    def test_a_server_that_is_down_is_tried_again_ever_more_rarely(self, caplog: pytest.LogCaptureFixture) -> None:
        """Bounded, said once, and with the clock's time: when it is back, each channel is told to look."""
        clock, a, b, late = FakeClock(), Ear(), Ear(), Ear()
        with Valkey() as server:
            log = RedisLog(server.url, clock=clock)
            log.watch("a", a)
            a.wait_for_look()
            with caplog.at_level(logging.WARNING):
                server.kill()
                until(lambda: "is not heard" in caplog.text)
                log.watch("a", late)
                log.watch("b", b)
                for _ in range(10):
                    clock.move(5.0)
                    log._live.here().wake()
                assert (late.looks, b.looks) == (0, 0)
                server.start()
                clock.move(5.0)
                log._live.here().wake()
                a.wait_for_look(2)
                b.wait_for_look()
                late.wait_for_look()
            log.append("b", b"t\n1")
            b.wait_for(lambda: b.payloads == [b"t\n1"])
            assert len([line for line in caplog.messages if "is not heard" in line]) <= 2
            log.close()
            until(lambda: not threads())


class TestProbe:
    def test_a_silent_channel_is_told_to_look(self, new_log: NewLog) -> None:
        """Within `probe` seconds of silence, and again after as many."""
        clock, ear = FakeClock(), Ear()
        log = new_log(clock=clock, probe=30.0, timeout=1e6)
        log.watch("a", ear)
        ear.wait_for_look()
        for looks in (2, 3, 4):
            clock.move(30.0)
            log._live.here().wake()
            ear.wait_for_look(looks)

    def test_a_channel_that_is_heard_is_not_probed(self, new_log: NewLog) -> None:
        """Entries that follow each other say that all is well."""
        clock, ear, quiet = FakeClock(), Ear(), Ear()
        log = new_log(clock=clock, probe=30.0, timeout=1e6)
        log.page("a", None)
        log.watch("a", ear)
        log.watch("quiet", quiet)
        ear.wait_for_look()
        quiet.wait_for_look()
        for number in range(1, 10):
            clock.move(14.0)
            log.append("a", b"t\n")
            ear.wait_for(lambda number=number: len(ear.entries) == number)  # type: ignore[misc]
        quiet.wait_for_look(3)
        assert ear.looks == 1

    def test_channels_are_not_probed_all_at_once(self, new_log: NewLog) -> None:
        """Those that began together would otherwise read the log together for ever."""
        clock, ear = FakeClock(), Ear()
        log = new_log(clock=clock, probe=30.0, timeout=1e6)
        for number in range(200):
            log.watch(f"channel {number}", ear)
        ear.wait_for_look(200)
        probed = []
        for _ in range(30):
            clock.move(1.0)
            before = ear.looks
            log._live.here().wake()
            time.sleep(0.01)
            probed.append(ear.looks - before)
        ear.wait_for_look(400)
        assert max(probed) < 60

    def test_what_is_watched_does_not_expire(self, new_log: NewLog, valkey: Valkey, prefix: str) -> None:
        """Where entries are kept for a short time, it is probed, and so read, well before."""
        clock = FakeClock()
        log = new_log(clock=clock, probe=1000.0, max_age=20.0, timeout=1e6)
        log.append("a", b"t\n")
        read, ear = Ear(), Ear()

        def read_on(entries: list[Entry] | None) -> None:
            ear(entries)
            log.page("a", None)
            read(entries)

        log.watch("a", read_on)
        read.wait_for_look()
        valkey.do("PEXPIRE", f"{prefix}:{{a}}", 15_000)
        clock.move(20.0)
        log._live.here().wake()
        read.wait_for_look(2)
        assert valkey.do("PTTL", f"{prefix}:{{a}}") > 30_000

    def test_a_wiped_channel_is_noticed_without_a_publish(self, new_log: NewLog, valkey: Valkey, prefix: str) -> None:
        """The probe has the log read, which finds another epoch."""
        clock, ear = FakeClock(), Ear()
        log = new_log(clock=clock, timeout=1e6)
        position = log.append("a", b"t\n").position
        log.watch("a", ear)
        ear.wait_for_look()
        valkey.do("DEL", f"{prefix}:{{a}}")
        clock.move(30.0)
        log._live.here().wake()
        ear.wait_for_look(2)
        page = log.page("a", position)
        assert page.gap == "reset"
        assert page.head.epoch > position.epoch


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
        return bytes(event.encoded) if hasattr(event, "encoded") else True
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
print(json.dumps({"heard": heard, "followed": bool(future.result())}))
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
    assert result["followed"]
