"""Several channels on one stream: a vector of positions in one id."""

from __future__ import annotations

from typing import Any

import pytest

from streamkit.channels import Channels, MemoryLog
from tests.channels.subscribed import publish, take, told
from tests.engine.drive import run


class TestSeveralChannels:
    """A vector of positions in one id."""

    def test_each_id_leads_on_in_every_channel(self) -> None:
        """Whichever event is the last that a client has seen."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            start = await channels.position("a", "b")
            await publish(channels, "a", "a1", "a2")
            await publish(channels, "b", "b1", "b2")
            everything = await take(channels.subscribe("a", "b", after=start), 4)
            assert sorted(told(everything)) == ["a1", "a2", "b1", "b2"]
            for seen in range(1, 4):
                reader = channels.subscribe("a", "b", after=everything[seen - 1].id, caught_up=True)
                rest = told(await take(reader, 5 - seen))
                assert sorted([*told(everything[:seen]), *rest[:-1]]) == ["a1", "a2", "b1", "b2"]
                await reader.aclose()

        run(work())

    def test_page_that_has_one_channel_more_begins_there(self) -> None:
        """It is given an id for both before anything else, and goes on exactly in the one it had."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            old, _ = await publish(channels, "a", "a1", "a2")
            await publish(channels, "b", "b1")
            reader = channels.subscribe("a", "b", after=old)
            events = await take(reader, 2)
            assert told(events) == ["cursor", "a2"]
            assert all((event.id or "").count(",") == 1 for event in events)
            await publish(channels, "b", "b2")
            assert told(await take(reader, 1)) == ["b2"]
            again = channels.subscribe("a", "b", after=events[0].id, caught_up=True)
            assert told(await take(again, 3)) == ["a2", "b2", "caught-up"]
            await reader.aclose()
            await again.aclose()

        run(work())

    def test_page_that_has_one_channel_less_goes_on_in_the_other(self) -> None:
        """What it no longer names is left out."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            both = await channels.position("a", "b")
            await publish(channels, "a", "a1")
            await publish(channels, "b", "b1")
            reader = channels.subscribe("b", after=both, caught_up=True)
            assert told(await take(reader, 2)) == ["b1", "caught-up"]
            await reader.aclose()

        run(work())

    @pytest.mark.parametrize("on_gap", ["oldest", "live", lambda _: "all"])
    def test_client_cut_off_between_two_gaps_is_told_of_both_again(self, on_gap: Any) -> None:
        """No id is sent that has a place in one channel and none in the other."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            await publish(channels, "a", "a1")
            await publish(channels, "b", "b1")
            reader = channels.subscribe("a", "b", after="garbage", on_gap=on_gap, caught_up=True)
            last, gaps = None, []
            while last is None:
                event = (await take(reader, 1))[0]
                last = event.id
                gaps += [event.data["channel"]] if event.event == "gap" else []
            assert gaps == ["a", "b"]
            await reader.aclose()
            again = channels.subscribe("a", "b", after=last, caught_up=True)
            expected = ["a1", "b1", "caught-up"] if on_gap == "oldest" else ["caught-up"]
            assert told(await take(again, len(expected))) == expected
            await again.aclose()

        run(work())

    def test_gap_of_one_channel_names_it_and_leaves_the_other_exact(self) -> None:
        """The vector says where the client stands in the rest."""

        async def work() -> None:
            channels = Channels(MemoryLog(max_events=5))
            start = await channels.position("a", "b")
            await publish(channels, "a", *range(10))
            await publish(channels, "b", "b1")
            events = await take(channels.subscribe("a", "b", after=start), 7)
            assert told(events) == ["gap", 5, 6, 7, 8, 9, "b1"]
            assert (events[0].data["channel"], events[0].data["reason"]) == ("a", "evicted")

        run(work())

    def test_a_hundred_channels_in_one_subscription(self) -> None:
        """Each is counted once, and each event has an id that leads on in all."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            names = [f"channel {number}" for number in range(100)]
            start = await channels.position(*names)
            reader = channels.subscribe(*names, after=start, caught_up=True)
            assert told(await take(reader, 1)) == ["caught-up"]
            for name in names:
                await channels.publish(name, name)
            events = await take(reader, 100)
            assert told(events) == names
            assert {channels.subscribers(name) for name in names} == {1}
            half = channels.subscribe(*names, after=events[49].id, caught_up=True)
            assert told(await take(half, 51)) == [*names[50:], "caught-up"]
            await reader.aclose()
            await half.aclose()
            assert {channels.subscribers(name) for name in names} == {0}

        run(work())
