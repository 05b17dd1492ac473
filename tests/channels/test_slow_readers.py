"""A reader that is too slow: cut off, or told what it misses; never more than its buffer, and nobody else waits."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from streamkit import StreamCutError, StreamPolicy
from streamkit.channels import Channels, MemoryLog, Subscription
from streamkit.channels._entry import OVERHEAD, Entry
from streamkit.channels._outbox import Note
from streamkit.channels._tail import RECENT_BYTES
from tests.channels.subscribed import opened, publish, rest, take, told
from tests.engine.drive import Client, run, start
from tests.engine.lives import Ends, eventually

ITEM = "x" * (1_000 - OVERHEAD - len("t\n"))
"""An item that counts 1,000 bytes."""


def waiting(reader: Subscription) -> int:
    """Return how many bytes of entries wait in an outbox."""
    return sum(item[1].size for item in reader._outbox.items if isinstance(item, tuple))


def entries_alive() -> int:
    """Return how many entries this process holds, for whatever reason."""
    gc.collect()
    return sum(type(thing) is Entry for thing in gc.get_objects())


class TestDisconnect:
    """The default: the client comes back for the rest."""

    def test_reader_for_whom_too_much_waits_is_cut_off(self) -> None:
        """Up to its buffer it may be behind; one entry more ends it, and what waited is let go."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            reader = await opened(channels, "a", buffer_size=5_000)
            await publish(channels, "a", *[ITEM] * 5)
            assert waiting(reader) == 5_000
            assert channels.subscribers("a") == 1
            await publish(channels, "a", ITEM)
            assert channels.subscribers("a") == 0
            assert waiting(reader) == 0
            for _ in range(2):
                with pytest.raises(StreamCutError) as raised:
                    await take(reader, 1)
                assert raised.value.reason == "slow_client"

        run(work())

    def test_client_that_was_cut_off_comes_back_for_the_rest(self) -> None:
        """Its last id leads on exactly."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            reader = await opened(channels, "a", buffer_size=3_000)
            await publish(channels, "a", 1)
            last = (await take(reader, 1))[0].id
            await publish(channels, "a", *[ITEM] * 10)
            with pytest.raises(StreamCutError):
                await take(reader, 1)
            again = channels.subscribe("a", after=last, buffer_size=3_000, caught_up=True)
            assert told(await take(again, 11)) == [*[ITEM] * 10, "caught-up"]
            await again.aclose()

        run(work())

    def test_one_event_may_be_larger_than_the_buffer(self) -> None:
        """Else nobody could ever be sent it."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            reader = await opened(channels, "a", buffer_size=100)
            await publish(channels, "a", ITEM)
            assert told(await take(reader, 1)) == [ITEM]
            await reader.aclose()

        run(work())

    def test_stream_of_a_slow_client_is_cut_and_says_why(self) -> None:
        """The reason of its end is slow_client, and `on_error` is not asked for a last item."""

        async def work() -> None:
            channels, client, ends, errors = Channels(MemoryLog()), Client(), Ends(), list[Exception]()
            source = channels.subscribe("a", buffer_size=5_000)
            policy = StreamPolicy(buffer_size=1_000, keepalive=None)
            task = start(source, client, on_close=ends, on_error=errors.append, policy=policy)
            await eventually(lambda: b"cursor" in client.body)
            client.stop_reading()
            await publish(channels, "a", *[ITEM] * 20)
            assert channels.subscribers("a") == 0
            client.read_on()
            with pytest.raises(StreamCutError):
                await task
            assert (ends.reasons, errors, client.ended) == (["slow_client"], [], False)

        run(work())


class TestDropOldest:
    """Stay connected, and be told what is missing."""

    def test_oldest_are_dropped_and_told_before_the_next(self) -> None:
        """The gap says from where to where, and its id leads on without what was dropped."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            reader = await opened(channels, "a", buffer_size=5_000, overflow="drop_oldest")
            ids = await publish(channels, "a", *[f"{n:03}{ITEM[3:]}" for n in range(8)])
            assert waiting(reader) == 5_000
            events = await take(reader, 6)
            assert [event.data[:3] for event in events[1:]] == ["003", "004", "005", "006", "007"]
            gap = events[0]
            assert (gap.event, gap.data["reason"]) == ("gap", "overflow")
            assert (gap.data["oldest"], gap.id) == (ids[2], ids[2])
            again = channels.subscribe("a", after=gap.id, caught_up=True)
            assert len(await take(again, 6)) == 6
            await again.aclose()
            await reader.aclose()

        run(work())

    def test_gap_names_the_last_event_that_was_sent(self) -> None:
        """So that what is missing can be fetched elsewhere."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            reader = await opened(channels, "a", buffer_size=2_000, overflow="drop_oldest")
            sent = (await publish(channels, "a", 1))[0]
            assert told(await take(reader, 1)) == [1]
            await publish(channels, "a", *[ITEM] * 4)
            gap = (await take(reader, 1))[0]
            assert gap.data["requested"] == sent
            await reader.aclose()

        run(work())

    def test_what_the_subscription_says_itself_is_not_dropped(self) -> None:
        """Notes that wait to be sent still are, before what is left of the rest."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            reader = await opened(channels, "a", buffer_size=3_000, overflow="drop_oldest")
            for data in ("first", "second"):
                reader._outbox.note(Note(None, data, "snapshot"))
            await publish(channels, "a", *[ITEM] * 9)
            events = await take(reader, 6)
            assert [event.data for event in events[:2]] == ["first", "second"]
            assert told(events[2:]) == ["gap", ITEM, ITEM, ITEM]
            await reader.aclose()

        run(work())

    def test_dropping_in_one_channel_leaves_the_other_exact(self) -> None:
        """A client that comes back with an id from before the gap is told gets what was dropped."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            reader = await opened(channels, "a", "b", buffer_size=3_000, overflow="drop_oldest")
            await publish(channels, "a", "a1")
            await publish(channels, "b", *[ITEM] * 4)
            events = await take(reader, 3)
            assert [event.event for event in events] == ["gap", None, None]
            assert events[0].data["channel"] == "b"
            again = channels.subscribe("a", "b", after=events[2].id, caught_up=True)
            assert told(await take(again, 3)) == ["a1", ITEM, "caught-up"]
            await publish(channels, "a", "a2")
            assert [
                event.data if event.event is None else event.data["channel"] for event in await take(reader, 3)
            ] == [
                ITEM,
                "a",
                "a2",
            ]
            await reader.aclose()
            await again.aclose()

        run(work())


class TestReplay:
    """What is read from the log is bounded too."""

    def test_replay_holds_no_more_than_the_buffer(self) -> None:
        """A reader that comes back after long and reads slowly has a part of it in memory, never all."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            start = await channels.position("a")
            await publish(channels, "a", *[ITEM] * 50)
            reader = channels.subscribe("a", after=start, buffer_size=10_000)
            for _ in range(50):
                assert told(await take(reader, 1)) == [ITEM]
                assert waiting(reader) <= 5_000
            await reader.aclose()

        run(work())

    def test_replay_of_one_channel_does_not_cut_off_a_reader_of_another(self) -> None:
        """A full page and a live event together are not too much."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            start = await channels.position("a", "b")
            await publish(channels, "b", *[ITEM] * 50)
            reader = channels.subscribe("a", "b", after=start, buffer_size=10_000)
            seen = await take(reader, 1)
            await publish(channels, "a", *[ITEM] * 4)
            seen += await take(reader, 53)
            assert told(seen) == [ITEM] * 54
            await reader.aclose()

        run(work())


def test_reader_that_stops_delays_nobody_and_costs_at_most_its_buffer() -> None:
    """Among five: the others have each event at once, and what waits for the one is bounded."""

    async def work() -> None:
        before = entries_alive()
        channels = Channels(MemoryLog(max_events=10))
        policy = StreamPolicy(buffer_size=1_000, keepalive=None)
        clients = [Client() for _ in range(5)]
        sources = [channels.subscribe("a", buffer_size=20_000, overflow="drop_oldest") for _ in clients]
        tasks = [start(source, client, policy=policy) for source, client in zip(sources, clients, strict=True)]
        await eventually(lambda: all(b"cursor" in client.body for client in clients))
        clients[0].stop_reading()
        for number in range(350):
            await channels.publish("a", f"{number:03}{ITEM[3:]}")
            wanted = b"data: %03d" % number
            await eventually(lambda wanted=wanted: all(wanted in c.events[-1]["body"] for c in clients[1:]))  # type: ignore[misc]
        # What the log, the one reader's outbox and the tail may hold, of which much is the same.
        assert waiting(sources[0]) == 20_000
        assert entries_alive() - before <= 10 + 20 + RECENT_BYTES // 1_000 + 1
        clients[0].leave()
        for client in clients:
            client.leave()
        clients[0].read_on()
        await asyncio.gather(*tasks)
        assert channels.subscribers("a") == 0

    run(work())


@pytest.mark.parametrize("overflow", ["disconnect", "drop_oldest"])
def test_event_that_is_being_judged_may_be_dropped(overflow: Any) -> None:
    """A filter that waits while the buffer overflows neither fails nor shows what is gone."""

    async def work() -> None:
        channels = Channels(MemoryLog())
        gate = asyncio.Event()

        async def visible(_: object) -> bool:
            await gate.wait()
            return True

        reader = await opened(channels, "a", buffer_size=3_000, overflow=overflow, visible=visible)
        await publish(channels, "a", "first")
        reading = asyncio.ensure_future(rest(reader) if overflow == "disconnect" else take(reader, 4))
        await asyncio.sleep(0)
        await publish(channels, "a", *[ITEM] * 5)
        gate.set()
        if overflow == "disconnect":
            with pytest.raises(StreamCutError):
                await reading
        else:
            assert told(await reading) == ["gap", ITEM, ITEM, ITEM]
            await reader.aclose()

    run(work())
