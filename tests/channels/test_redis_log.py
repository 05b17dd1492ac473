"""What a channel looks like in Redis, and what one script does: positions, limits, idempotency keys, leases."""

from __future__ import annotations

import threading
import time

import pytest

from streamkit.channels._history import Page
from streamkit.channels._log import Log
from streamkit.channels._position import Position
from streamkit.errors import LogFullError, SealedError
from tests.channels.conftest import NewLog
from tests.rig.relay import Relay
from tests.rig.requirements import needs
from tests.rig.valkey import Valkey

pytestmark = needs("redis", "valkey")


def offsets(page: Page) -> list[int]:
    """Return the offsets of a page's entries."""
    return [entry.position.offset for entry in page.entries]


class Now:
    """A time that the test sets."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def __call__(self) -> float:
        """Return it."""
        return self.time


class TestEntries:
    def test_a_channel_begins_with_a_fence(self, new_log: NewLog, valkey: Valkey, prefix: str) -> None:
        """The first look at a channel gives it an epoch, which is its floor and its head."""
        page = new_log().page("a", None)
        assert page.floor == page.head == Position(page.head.epoch, 0, page.head.tag)
        assert valkey.do("XRANGE", f"{prefix}:{{a}}", "-", "+")[0][0] == f"0-{page.head.tag}".encode()

    def test_asking_whether_a_channel_exists_does_not_make_it(self, new_log: NewLog) -> None:
        """Looking at it does, and publishing."""
        log = new_log()
        assert not log.exists("a")
        assert not log.exists("a")
        log.page("a", None)
        log.append("b", b"t\n")
        assert log.exists("a")
        assert log.exists("b")
        assert log.last("a") is None
        assert (log.last("b") or pytest.fail("nothing is there")).payload == b"t\n"

    def test_publishing_returns_where_the_entry_is(self, new_log: NewLog) -> None:
        """A position that was returned is one to go on from."""
        log = new_log()
        first, second = (log.append("a", payload).position for payload in (b"t\n1", b"j\n\xff\0"))
        assert (first.offset, second.offset) == (1, 2)
        assert first.epoch == second.epoch
        assert first.tag < second.tag
        page = log.page("a", first)
        assert [(entry.position, entry.prev, entry.payload) for entry in page.entries] == [
            (second, first.tag, b"j\n\xff\0")
        ]

    def test_tags_are_the_servers_time(self, new_log: NewLog) -> None:
        """Several publishers agree on the time, whatever their own clocks say."""
        log, before = new_log(), time.time()
        log._now = lambda: 1_000_000.0  # this process's clock is far off
        tag = log.append("a", b"t\n1").position.tag
        assert before - 1 < tag / 1e6 < time.time() + 1

    def test_a_clock_that_was_set_back_changes_no_order(self, new_log: NewLog, valkey: Valkey, prefix: str) -> None:
        """Tags grow all the same, and so does the epoch of a channel that was lost."""
        now = Now()
        log = new_log(now=now)
        before = log.append("a", b"t\n").position
        now.time -= 1000.0
        after = log.append("a", b"t\n").position
        assert after.tag > before.tag
        valkey.do("DEL", f"{prefix}:{{a}}")
        anew = log.append("a", b"t\n").position
        assert (anew.epoch > after.epoch, anew.tag > after.tag) == (True, True)

    def test_publishers_at_the_same_time_leave_no_hole(self, new_log: NewLog) -> None:
        """Each entry names the one before, whoever published it."""
        logs = [new_log() for _ in range(4)]

        def publish(log: Log) -> None:
            for _ in range(100):
                log.append("a", b"t\n")

        threads = [threading.Thread(target=publish, args=(log,)) for log in logs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30.0)
        page = logs[0].page("a", None, 1000)
        assert offsets(page) == list(range(1, 401))
        assert all(after.follows(entry.position) for entry, after in zip(page.entries, page.entries[1:], strict=False))

    def test_a_page_ends_at_its_bytes_but_not_before_the_second_entry(self, new_log: NewLog) -> None:
        """A reader of large events takes them two at a time."""
        log = new_log(max_bytes=2**30)
        for _ in range(4):
            log.append("a", b"t\n" + bytes(2**20))
        assert offsets(log.page("a", None)) == [1, 2]


class TestLimits:
    def test_entries_over_the_number_go_from_the_stream(self, new_log: NewLog, valkey: Valkey, prefix: str) -> None:
        """The oldest are trimmed, and a reader that stands before them is told."""
        log = new_log(max_events=3)
        positions = [log.append("a", b"t\n").position for _ in range(10)]
        assert valkey.do("XLEN", f"{prefix}:{{a}}") == 3
        assert offsets(log.page("a", None)) == [8, 9, 10]
        assert log.page("a", None).floor == positions[6]
        assert log.page("a", positions[6]).gap is None
        assert log.page("a", positions[5]).gap == "evicted"

    def test_bytes_over_the_limit_go_from_the_stream(self, new_log: NewLog, valkey: Valkey, prefix: str) -> None:
        """What is counted is the payload and 100 bytes; one large entry takes the place of many small ones."""
        log = new_log(max_bytes=1000)
        for _ in range(20):
            log.append("a", bytes(100))
        assert valkey.do("XLEN", f"{prefix}:{{a}}") == 5
        log.append("a", bytes(500))
        assert offsets(log.page("a", None)) == [19, 20, 21]
        with pytest.raises(LogFullError, match="1000 bytes"):
            log.append("a", bytes(901))

    def test_entries_that_are_too_old_go(self, new_log: NewLog, valkey: Valkey, prefix: str) -> None:
        """A view leaves them out at once; publishing trims them; the last stays in the stream, for its position."""
        now = Now()
        log = new_log(max_age=60.0, now=now)
        for _ in range(5):
            last = log.append("a", b"t\n").position
            now.time += 10.0
        now.time += 30.0  # the first is now 80 seconds old, the last 40
        assert offsets(log.page("a", None)) == [3, 4, 5]
        now.time += 50.0
        page = log.page("a", None)
        assert page.entries == []
        assert page.floor == page.head == last
        log.append("a", b"t\n")
        assert valkey.do("XLEN", f"{prefix}:{{a}}") == 1
        assert log.page("a", last).gap is None

    def test_the_last_entry_is_never_trimmed(self, new_log: NewLog, valkey: Valkey, prefix: str) -> None:
        """However old it is: its position says which history this is."""
        now = Now()
        log = new_log(max_age=60.0, now=now)
        last = log.append("a", b"t\n").position
        now.time += 100.0
        assert log.page("a", last).gap is None
        assert valkey.do("XLEN", f"{prefix}:{{a}}") == 2  # and the fence

    def test_keep_refuses_rather_than_drops(self, new_log: NewLog) -> None:
        """A channel that must not lose anything says that it is full; its end still fits in."""
        log = new_log(max_events=2)
        log.append("a", b"t\n", keep=True)
        log.append("a", b"t\n", keep=True)
        with pytest.raises(LogFullError, match="2 entries"):
            log.append("a", b"t\n", keep=True)
        with pytest.raises(LogFullError, match="250 bytes"):
            new_log(max_bytes=250).append("a", bytes(60), keep=True)
        assert offsets(log.page("a", None)) == [1, 2]
        log.append("a", b"t\nend", keep=True, seal=True)
        assert log.page("a", None).sealed

    def test_a_channel_expires_after_twice_the_age(self, new_log: NewLog, valkey: Valkey, prefix: str) -> None:
        """Publishing and reading put its end off; where nothing ages, nothing expires."""
        key, log = f"{prefix}:{{a}}", new_log(max_age=100.0)
        for use in (lambda: log.append("a", b"t\n", key="k"), lambda: log.page("a", None)):
            valkey.do("PERSIST", key)
            use()
            assert 190_000 < valkey.do("PTTL", key) <= 200_000
        assert 190_000 < valkey.do("PTTL", f"{key}:key:k") <= 200_000
        log = new_log(max_age=None)
        log.append("b", b"t\n", key="k")
        assert valkey.do("PTTL", f"{prefix}:{{b}}") == -1
        assert valkey.do("PTTL", f"{prefix}:{{b}}:key:k") > 80_000_000

    def test_a_refused_entry_leaves_nothing_that_stays_for_ever(
        self, new_log: NewLog, valkey: Valkey, prefix: str
    ) -> None:
        """The channel that it began expires too."""
        with pytest.raises(LogFullError):
            new_log(max_bytes=100).append("a", b"t\n")
        assert valkey.do("PTTL", f"{prefix}:{{a}}") > 0


class TestOnce:
    def test_a_publish_whose_reply_was_lost_is_stored_once(self, new_log: NewLog, valkey: Valkey) -> None:
        """It fails, is repeated with its key, and returns the position of the first."""
        lost: list[bytes] = []

        def lose(data: bytes) -> bytes:
            if b"stored" not in data or lost:
                return data
            lost.append(data)
            return b""

        with Relay(valkey.port, reply=lose) as relay:
            log = new_log(f"redis://127.0.0.1:{relay.port}/0", timeout=1.0)
            log.page("a", None)
            with pytest.raises(ConnectionError, match=r"failed to publish to channel 'a'"):
                log.append("a", b"t\nonce", key="7")
            again = log.append("a", b"t\nonce", key="7")
            assert lost
            assert not again.stored
            assert [entry.position for entry in log.page("a", None).entries] == [again.position]

    def test_a_key_is_the_channels_own(self, new_log: NewLog) -> None:
        """The same key in another channel is another entry, and so is another key here."""
        log = new_log()
        stored = [
            log.append(channel, b"t\n", key=key).stored
            for channel, key in (("a", "k"), ("b", "k"), ("a", "k "), ("a", "k"))
        ]
        assert stored == [True, True, True, False]

    def test_a_key_is_known_for_as_long_as_its_entry(self, new_log: NewLog, valkey: Valkey, prefix: str) -> None:
        """Once it is evicted or too old, or the channel is gone, the same key stores again, record or not."""
        now = Now()
        log = new_log(max_events=2, max_age=60.0, now=now)
        assert log.append("a", b"t\n", key="k").stored
        log.append("a", b"t\n")
        log.append("a", b"t\n")
        assert log.append("a", b"t\n", key="k").stored
        now.time += 61.0
        assert log.append("a", b"t\n", key="k").stored
        valkey.do("DEL", f"{prefix}:{{a}}")
        assert log.append("a", b"t\n", key="k").stored
        assert not log.append("a", b"t\n", key="k").stored

    def test_first_is_stored_only_in_a_channel_that_never_had_one(self, new_log: NewLog) -> None:
        """The second is told where the head is."""
        log = new_log(max_events=1)
        assert log.append("a", b"t\n", first=True).stored
        head = log.append("a", b"t\n").position
        assert log.append("a", b"t\n", first=True) == (head, False)

    def test_nothing_follows_a_seal(self, new_log: NewLog) -> None:
        """Also for a process that has not seen it."""
        log = new_log()
        log.append("a", b"t\nend", seal=True, key="end")
        with pytest.raises(SealedError):
            new_log().append("a", b"t\n")
        assert not log.append("a", b"t\nend", seal=True, key="end").stored
        assert new_log().page("a", None).sealed
        assert new_log().page("a", None).entries[0].sealed


class TestLeases:
    def test_a_lease_is_one_owners_until_it_ends(self, new_log: NewLog) -> None:
        """Only its owner renews it or gives it back; when its time is over anybody takes it."""
        now = Now()
        log, other = new_log(now=now), new_log(now=now)
        assert log.hold("a", "me", 10.0)
        assert not other.hold("a", "you", 10.0)
        assert other.holder("a") == "me"
        now.time += 9.0
        assert log.hold("a", "me", 10.0)
        other.release("a", "you")
        now.time += 9.0
        assert other.holder("a") == "me"
        now.time += 2.0
        assert other.holder("a") is None
        assert other.hold("a", "you {}\n 💡", 10.0)
        assert log.holder("a") == "you {}\n 💡"
        other.release("a", "you {}\n 💡")
        assert log.holder("a") is None

    def test_a_lease_that_nobody_renews_is_cleaned_up(self, new_log: NewLog, valkey: Valkey, prefix: str) -> None:
        """Its key has an end, and the server's time says when."""
        log = new_log()
        log.hold("a", "me", 100.0)
        assert 90_000 < valkey.do("PTTL", f"{prefix}:{{a}}:lease") <= 100_000
        log.hold("b", "me", 0.001)
        until = time.monotonic() + 5.0
        while log.holder("b") is not None:
            assert time.monotonic() < until, "the lease does not end"
