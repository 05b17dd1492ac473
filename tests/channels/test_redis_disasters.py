"""A server that is killed, restored, wiped, short of memory or failed over: nothing is lost, or it is told exactly."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from streamkit.channels._history import Page
from streamkit.channels._position import Position
from streamkit.channels.redis import RedisLog
from tests.channels.ear import Ear
from tests.rig.relay import Relay
from tests.rig.requirements import needs
from tests.rig.servers import ROOT
from tests.rig.valkey import Valkey

pytestmark = needs("redis", "valkey")


@pytest.fixture
def server() -> Iterator[Valkey]:
    """A server that this test may harm; it writes what it has answered."""
    with Valkey(appendonly=True) as valkey:
        yield valkey


def publish(log: RedisLog, *numbers: int) -> list[Position]:
    """Publish numbers, return where they are."""
    return [log.append("a", b"t\n%d" % number).position for number in numbers]


def numbers(page: Page) -> list[int]:
    """Return the numbers of a page."""
    return [int((entry.payload or b"")[2:]) for entry in page.entries]


def read_on(log: RedisLog, at: Position | None) -> tuple[list[object], Position]:
    """Return what a reader sees from a position on, to the head: numbers, and where gaps are their reasons."""
    seen: list[object] = []
    while True:
        page = log.page("a", at)
        seen += [page.gap] if page.gap else []
        seen += numbers(page)
        at = page.entries[-1].position if page.entries else page.at
        if at == page.head:
            return seen, at


class TestRestart:
    def test_a_kill_loses_nothing(self, server: Valkey) -> None:
        """With append-only files: same epoch, same positions, no gap, publishing goes on."""
        log, ear = RedisLog(server.url), Ear()
        log.page("a", None)  # so that its beginning is no news
        log.watch("a", ear)
        ear.wait_for_look()
        before = publish(log, 1, 2, 3)
        server.restart()
        ear.wait_for_look(2)
        after = publish(log, 4)
        assert after[0].epoch == before[0].epoch
        assert read_on(log, before[0]) == ([2, 3, 4], after[0])
        ear.wait_for(lambda: ear.payloads[-1] == b"t\n4")
        log.close()

    def test_a_server_that_keeps_nothing_is_a_loss_that_is_told(self) -> None:
        """Without a file the channel begins anew, and each reader is told."""
        with Valkey() as server:
            log = RedisLog(server.url)
            before = publish(log, 1, 2, 3)
            server.restart()
            after = publish(log, 4)
            assert (after[0].epoch > before[0].epoch, after[0].offset) == (True, 1)
            assert read_on(log, before[1]) == (["reset", 4], after[0])
            log.close()


class TestRestore:
    def test_the_publisher_marks_the_loss_where_it_is(self, server: Valkey) -> None:
        """It knows of 4 and 5, which the snapshot has not: a fence is put behind 3, and each reader passes it."""
        log = RedisLog(server.url)
        old = publish(log, 1, 2, 3)
        copy = server.snapshot()
        lost = publish(log, 4, 5)
        server.restore(copy)
        new = publish(log, 6)
        assert (new[0].offset, new[0].epoch > old[0].epoch) == (5, True)  # the fence is at 4
        stranger = RedisLog(server.url)
        assert read_on(stranger, old[0]) == ([2, 3, "reset", 6], new[0])
        assert read_on(stranger, old[2]) == (["reset", 6], new[0])
        assert read_on(stranger, lost[1]) == (["reset", 6], new[0])
        assert read_on(stranger, None) == ([1, 2, 3, "reset", 6], new[0])

    def test_a_rollback_that_was_published_over_is_found(self, server: Valkey) -> None:
        """Others were faster and the offsets are as far as before: the tag at the known offset tells."""
        log = RedisLog(server.url)
        publish(log, 1, 2, 3)
        copy = server.snapshot()
        lost = publish(log, 4)
        server.restore(copy)
        unaware = RedisLog(server.url)
        publish(unaware, 40, 41)
        new = publish(log, 6)
        assert new[0].epoch > lost[0].epoch
        assert read_on(unaware, lost[0])[0] == ["reset", 40, 41, "reset", 6]

    def test_it_is_fenced_once(self, server: Valkey) -> None:
        """However many processes notice: they see that it was done."""
        logs = [RedisLog(server.url) for _ in range(3)]
        publish(logs[0], 1, 2)
        copy = server.snapshot()
        publish(logs[0], 3, 4)
        for log in logs:
            log.page("a", None)
        server.restore(copy)
        heads = {log.page("a", None).head for log in logs}
        assert {head.offset for head in heads} == {3}
        assert len(heads) == 1

    def test_a_sealed_channel_stays_sealed(self, server: Valkey) -> None:
        """A fence behind its end is no way in."""
        log, other = RedisLog(server.url), RedisLog(server.url)
        publish(log, 1)
        copy = server.snapshot()
        publish(log, 2, 3)
        server.restore(copy)
        other.append("a", b"t\nend", seal=True)
        page = log.page("a", None)
        assert page.sealed
        assert page.head.offset == 3
        with pytest.raises(RuntimeError, match="sealed"):
            publish(log, 4)

    def test_a_process_that_only_watches_notices(self, server: Valkey) -> None:
        """Nobody publishes: the lost connection has it look, and it puts in the fence."""
        log = RedisLog(server.url)
        positions = publish(log, 1, 2, 3)
        copy = server.snapshot()
        command = [sys.executable, "-c", WATCHER, server.url]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as watcher:
            assert watcher.stdout is not None
            try:
                assert watcher.stdout.readline() == "ready\n"
                lost = publish(log, 4, 5)
                assert json.loads(watcher.stdout.readline()) == [5, None]
                server.restore(copy)
                assert json.loads(watcher.stdout.readline()) == [4, "reset"]
            finally:
                watcher.kill()
        stranger = RedisLog(server.url)
        page = stranger.page("a", positions[2])
        assert (page.gap, page.head.offset) == ("reset", 4)
        assert stranger.page("a", lost[1]).gap == "reset"


# Watches a channel in another process, and prints its head and the gap whenever either is news.
WATCHER = """
import json, queue, sys
from streamkit.channels.redis import RedisLog
told = queue.Queue()
log = RedisLog(sys.argv[1])
at = log.page("a", None).head
log.watch("a", told.put)
told.get(timeout=10)
print("ready", flush=True)
while True:
    told.get(timeout=30)
    try:
        page = log.page("a", at)
    except ConnectionError:
        told.put(None)
        continue
    if page.gap or page.head.offset == 5 and at.offset != 5:
        print(json.dumps([page.head.offset, page.gap]), flush=True)
    at = page.head
"""


class TestWipe:
    def test_a_wipe_is_told(self, server: Valkey) -> None:
        """What comes after has a later epoch, so that the reader knows what it has not seen."""
        log = RedisLog(server.url)
        before = publish(log, 1, 2)
        server.wipe()
        after = publish(log, 3)
        assert read_on(log, before[1]) == (["reset", 3], after[0])
        assert read_on(RedisLog(server.url), before[0]) == (["reset", 3], after[0])

    def test_scripts_that_the_server_forgot_are_sent_again(self, server: Valkey) -> None:
        """SCRIPT FLUSH, or another server behind the same address."""
        log = RedisLog(server.url)
        publish(log, 1)
        server.do("SCRIPT", "FLUSH")
        publish(log, 2)
        assert numbers(log.page("a", None)) == [1, 2]


class TestMemory:
    def test_an_evicted_channel_is_noticed(self) -> None:
        """Under allkeys-lru a channel goes as a whole: its readers are told, and it begins a new epoch."""
        with Valkey(("maxmemory", "6mb"), ("maxmemory-policy", "allkeys-lru")) as server:
            log = RedisLog(server.url)
            before = publish(log, *range(1, 6))
            with server.client() as client:
                for number in range(10_000):
                    client.set(f"other{number}", bytes(4096))
                    if number % 50 == 0 and not client.exists("streamkit:{a}"):
                        break
                else:
                    pytest.fail("nothing was evicted")
            after = publish(log, 6)
            assert after[0].epoch > before[0].epoch
            assert read_on(log, before[2]) == (["reset", 6], after[0])

    def test_a_server_without_room_refuses_and_stores_nothing(self) -> None:
        """Publishing says so; reading goes on."""
        with Valkey(("maxmemory-policy", "noeviction")) as server:
            log = RedisLog(server.url)
            before = publish(log, 1)
            server.do("CONFIG", "SET", "maxmemory", 1)
            with pytest.raises(ConnectionError, match=r"failed to publish to channel 'a': .*maxmemory"):
                publish(log, 2)
            assert numbers(log.page("a", None)) == [1]
            server.do("CONFIG", "SET", "maxmemory", 0)
            after = publish(log, 3)
            assert read_on(log, before[0]) == ([3], after[0])


class TestFailover:
    def test_a_replica_that_lagged_is_noticed(self) -> None:
        """It has not got 4 and 5 when it takes over: both are lost, and told where they are missing."""
        with Valkey() as primary, Valkey() as replica, Relay(primary.port) as relay, Relay(primary.port) as link:
            log, ear = RedisLog(f"redis://127.0.0.1:{relay.port}/0"), Ear()
            log.page("a", None)  # so that its beginning is no news
            log.watch("a", ear)
            ear.wait_for_look()
            kept = publish(log, 1, 2, 3)
            replica.follow(primary, link.port)
            link.frozen = True
            lost = publish(log, 4, 5)
            primary.kill()
            link.cut()
            replica.promote()
            relay.lead_to(replica.port)
            ear.wait_for_look(2)
            page = log.page("a", lost[1])
            assert (page.gap, page.head.offset, page.head.epoch > kept[0].epoch) == ("reset", 4, True)
            new = publish(log, 6)
            assert read_on(RedisLog(replica.url), kept[1]) == ([3, "reset", 6], new[0])
            ear.wait_for(lambda: b"t\n6" in ear.payloads)
            log.close()

    def test_a_replica_takes_nothing(self) -> None:
        """Whoever still talks to the server that was demoted is told."""
        with Valkey() as primary, Valkey() as replica:
            replica.follow(primary, primary.port)
            log = RedisLog(replica.url)
            with pytest.raises(ConnectionError, match=r"failed to publish .*(READONLY|read only|read-only)"):
                publish(log, 1)


class TestPause:
    @pytest.mark.parametrize("how", ["stopped", "paused"])
    def test_a_server_that_does_not_answer_fails_within_the_timeout(self, server: Valkey, how: str) -> None:
        """With a connection that is there and with a new one; afterwards all is as before."""
        log, fresh = RedisLog(server.url, timeout=1.0), RedisLog(server.url, timeout=1.0)
        publish(log, 1)
        if how == "stopped":
            server.pause()
        else:
            server.do("CLIENT", "PAUSE", 60_000, "ALL")
        for one in (log, fresh, log):
            begun = time.monotonic()
            with pytest.raises(ConnectionError, match="Timeout"):
                publish(one, 2)
            assert time.monotonic() - begun < 2.0  # the time-out of one attempt, not of two
        if how == "stopped":
            server.go_on()
        else:
            server.restart()
        until = time.monotonic() + 10.0
        while True:
            try:
                publish(log, 3)
                break
            except ConnectionError:
                assert time.monotonic() < until, "it does not come back"
        assert numbers(log.page("a", None))[-1] == 3
