"""Publishing, and what is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from streamkit import EncodeError, Event, EventStream, InvalidEventError
from streamkit.channels import Channels, Detached, MemoryLog, Subscription
from streamkit.errors import LogUnavailableError
from tests.channels.subscribed import TroubledLog, WaitingLog, opened, publish, take, told
from tests.engine.drive import run, until


def test_completion_offers_what_a_user_may_call() -> None:
    """What the parts of the package ask of each other is no method of these."""

    def offered(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    both = {"publish", "position"}
    assert offered(Channels) == {*both, *(f"{name}_sync" for name in both), "subscribe", "subscribers", "close"}
    assert offered(Subscription) == {"aclose"}
    both = {"start", "cancel", "status"}
    assert offered(Detached) == {*both, *(f"{name}_sync" for name in both), "attach", "close"}


class TestPublish:
    """One item for all who subscribe."""

    def test_payload_is_encoded_once_for_all_subscribers(self) -> None:
        """The encoder is called by the publisher alone, and a frame is written once."""
        calls = []

        def dumps(value: object) -> str:
            calls.append(value)
            return json.dumps(value)

        async def work() -> None:
            channels = Channels(MemoryLog(), dumps=dumps)
            readers = [await opened(channels, "a") for _ in range(20)]
            await channels.publish("a", {"n": 1})
            events = [(await take(reader, 1))[0] for reader in readers]
            assert calls == [{"n": 1}]
            assert len({id(event) for event in events}) == 1
            assert len({id(EventStream().encode(event)) for event in events}) == 1
            for reader in readers:
                await reader.aclose()

        run(work())

    def test_publish_returns_the_id_of_the_event(self) -> None:
        """A reader that begins behind it gets the next."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            first, second = await publish(channels, "a", 1, 2)
            assert [event.id for event in await take(channels.subscribe("a", start="oldest"), 2)] == [first, second]
            assert told(await take(channels.subscribe("a", after=first), 1)) == [2]

        run(work())

    def test_item_with_a_known_key_is_stored_once(self) -> None:
        """The id is that of the first."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            first = await channels.publish("a", 1, key="k")
            assert await channels.publish("a", 2, key="k") == first
            assert told(await take(channels.subscribe("a", start="oldest", caught_up=True), 2)) == [1, "caught-up"]

        run(work())

    def test_sync_code_publishes_and_asks(self) -> None:
        """The same without a loop."""
        channels = Channels(MemoryLog())
        first = channels.publish_sync("a", Event({"n": 1}, event="kind"))
        assert channels.position_sync("a") == first
        event = run(take(channels.subscribe("a", start="oldest"), 1))[0]
        assert (event.data, event.event, event.id) == ({"n": 1}, "kind", first)

    def test_sync_calls_on_a_running_loop_are_refused(self) -> None:
        """The error says what to await, and nothing is stored."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            with pytest.raises(RuntimeError, match=r"await publish\(…\) instead"):
                channels.publish_sync("a", 1)
            with pytest.raises(RuntimeError, match=r"await position\(…\) instead"):
                channels.position_sync("a")
            assert ".0." in await channels.position("a")
            await asyncio.to_thread(channels.publish_sync, "a", 1)
            assert ".1." in await channels.position("a")

        run(work())

    def test_publisher_without_a_pause_lets_its_readers_read(self) -> None:
        """Ten times what a reader may leave waiting arrives, since the publisher gives it turns."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            reader = await opened(channels, "a", buffer_size=2_000)
            reading = asyncio.create_task(take(reader, 200))
            await publish(channels, "a", *range(200))
            assert told(await reading) == list(range(200))
            await reader.aclose()

        run(work())

    def test_log_that_is_down_is_a_clear_error(self) -> None:
        """From the loop and from sync code."""
        for log in (TroubledLog(), WaitingLog()):
            channels = Channels(log)
            log.down = True
            with pytest.raises(LogUnavailableError, match="failed to append: it is down"):
                run(channels.publish("a", 1))
            with pytest.raises(LogUnavailableError, match="it is down"):
                channels.publish_sync("a", 1)
            with pytest.raises(LogUnavailableError, match="it is down"):
                run(channels.position("a"))

    def test_publisher_does_not_wait_for_readers_of_a_slow_log(self) -> None:
        """Reads may fill all their threads: publishing has its own."""

        async def work() -> None:
            log = WaitingLog()
            channels = Channels(log)
            log.gate.clear()
            readers = [channels.subscribe("a", after="x") for _ in range(20)]
            tasks = [asyncio.ensure_future(anext(reader)) for reader in readers]
            await until(lambda: log.waiting >= 4)
            async with asyncio.timeout(2):
                await channels.publish("a", 1)
            log.gate.set()
            await asyncio.gather(*tasks)
            for reader in readers:
                await reader.aclose()

        run(work())


Call = Callable[[Channels], Any]

BAD_CALLS: list[tuple[Call, type[Exception], str]] = [
    (lambda c: c.publish_sync("", 1), ValueError, "1 to 255 bytes in UTF-8, and this has 0: ''"),
    (lambda c: c.publish_sync("x" * 256, 1), ValueError, "and this has 256: 'xxx"),
    (lambda c: c.publish_sync("\ud800", 1), ValueError, r"lone surrogate; got '\ud800'"),
    (lambda c: c.publish_sync(b"a", 1), TypeError, "must be a str, not b'a'"),  # type: ignore[arg-type]
    (lambda c: c.publish_sync("a", b"x"), EncodeError, "decode it to str first"),
    (lambda c: c.publish_sync("a", Event("x", id=7)), InvalidEventError, "id is given by the log; got '7'"),
    (lambda c: c.publish_sync("a", Event("x", event="gap")), InvalidEventError, "got 'gap'"),
    (lambda c: c.publish_sync("a", 1, key=""), ValueError, "key must be a str of 1 to 255 characters, not ''"),
    (lambda c: c.publish_sync("a", 1, key="k" * 256), ValueError, "not 'kkk"),
    (lambda c: c.publish_sync("a", 1, key="\ud800"), ValueError, r"not '\ud800'"),
    (lambda c: c.publish_sync("a", 1, key=7), ValueError, "not 7"),  # type: ignore[arg-type]
    (lambda c: c.subscribe(), ValueError, "1 to 100 channels, not ()"),
    (lambda c: c.subscribe(*map(str, range(101))), ValueError, "1 to 100 channels, not ('0', '1'"),
    (lambda c: c.subscribe(["a"]), TypeError, "must be a str, not ['a']"),  # type: ignore[arg-type]
    (lambda c: c.subscribe("a", after=7), TypeError, "the id that a client gave, a str, or None; not 7"),  # type: ignore[arg-type]
    (lambda c: c.subscribe("a", start="now"), ValueError, "start must be 'live' or 'oldest', not 'now'"),  # type: ignore[arg-type]
    (lambda c: c.subscribe("a", overflow="wait"), ValueError, "'disconnect' or 'drop_oldest', not 'wait'"),  # type: ignore[arg-type]
    (lambda c: c.subscribe("a", on_gap="fail"), ValueError, "'live' or a function of a Gap, not 'fail'"),  # type: ignore[arg-type]
    (lambda c: c.subscribe("a", visible=True), TypeError, "a function of an Event, not True"),  # type: ignore[arg-type]
    (lambda c: c.subscribe("a", buffer_size=0), ValueError, "buffer_size"),
    (lambda c: c.subscribe("a", buffer_size="1"), ValueError, "buffer_size"),  # type: ignore[arg-type]
    (lambda c: c.position_sync(), ValueError, "position() takes the names of 1 to 100 channels, not ()"),
    (lambda c: c.subscribers(""), ValueError, "and this has 0"),
    (lambda _: Channels("memory"), TypeError, "a log such as MemoryLog(), not 'memory'"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("call", "error", "text"), BAD_CALLS)
def test_what_cannot_be_is_refused_at_once(call: Call, error: type[Exception], text: str) -> None:
    """The error comes from the call itself, names the thing and shows the value; nothing is stored."""
    channels = Channels(MemoryLog())
    with pytest.raises(error) as raised:
        call(channels)
    assert text in str(raised.value)
    assert ".0." in channels.position_sync("a")
