"""The pub/sub connection when it is lost, or half lost, and channels of which nothing is heard."""

from __future__ import annotations

import logging
import time

import pytest

from streamkit.channels._entry import Entry
from streamkit.channels.redis import RedisLog
from tests.channels.conftest import NewLog
from tests.channels.ear import Ear, named, subscriptions, threads, until
from tests.engine.fake_clock import FakeClock
from tests.rig.relay import Relay
from tests.rig.requirements import needs
from tests.rig.valkey import Valkey

pytestmark = needs("redis", "valkey")


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


def looks_again_after_each_silence(clock: FakeClock, log: RedisLog, ear: Ear) -> None:
    """See a channel told to look again whenever 30 seconds have passed."""
    for looks in (2, 3, 4):
        clock.move(30.0)
        log._live.here().wake()
        ear.wait_for_look(looks)


class TestProbe:
    def test_a_channel_that_is_lost_is_told_to_look(self, new_log: NewLog) -> None:
        """Within `probe` seconds of silence, and again after as many."""
        clock, ear = FakeClock(), Ear()
        log = new_log(clock=clock, probe=30.0, timeout=1e6)
        log.watch("a", ear)
        ear.wait_for_look()
        looks_again_after_each_silence(clock, log, ear)

    def test_a_silent_channel_is_told_to_look_only_where_it_ends_as_it_did_not(
        self, new_log: NewLog, valkey: Valkey, prefix: str
    ) -> None:
        """Not where its last entry was heard of, nor where it was seen; yes where an entry came unheard, or is gone."""
        clock, ear, key = FakeClock(), Ear(), f"{prefix}:{{a}}"
        log = new_log(clock=clock, timeout=1e6)
        log.page("a", None)
        log.watch("a", ear)
        ear.wait_for_look()
        position = log.append("a", b"t\n").position
        ear.wait_for(lambda: len(ear.entries) == 1)

        def probe() -> None:
            valkey.do("PEXPIRE", key, 1_000_000)
            clock.move(30.0)
            log._live.here().wake()
            until(lambda: valkey.do("PTTL", key) > 1_000_000)  # as after each look

        probe()
        probe()
        assert ear.looks == 1
        unheard = ("e", position.epoch, "p", position.tag, "b", 0, "d", "t\n")
        valkey.do("XADD", key, f"{position.offset + 1}-{position.tag + 1}", *unheard)
        probe()
        ear.wait_for_look(2)
        probe()
        probe()
        assert ear.looks == 2
        valkey.do("XDEL", key, f"{position.offset + 1}-{position.tag + 1}")
        probe()
        ear.wait_for_look(3)
        probe()
        log.append("a", b"t\n")  # what is heard is behind what the last look may have told
        ear.wait_for(lambda: len(ear.entries) == 2)
        assert ear.looks == 3

    def test_a_channel_of_which_nothing_can_be_told_is_read(self, new_log: NewLog, valkey: Valkey, prefix: str) -> None:
        """As where a user may not ask in one go: then each probe has it read."""
        valkey.do("ACL", "SETUSER", prefix, "on", ">pass", "allkeys", "allchannels", "+@all", "-script|exists")
        clock, ear = FakeClock(), Ear()
        log = new_log(f"redis://{prefix}:pass@127.0.0.1:{valkey.port}/0", clock=clock, timeout=1e6)
        log.append("a", b"t\n")
        log.watch("a", ear)
        ear.wait_for_look()
        looks_again_after_each_silence(clock, log, ear)

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
