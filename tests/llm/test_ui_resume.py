"""Answers of useChat on detached streams: resumed, stopped, ended in every way, and found by the id of their chat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from streamkit import EventStream
from streamkit.channels import Detached, MemoryLog, SQLiteLog
from streamkit.channels._entry import write_payload
from streamkit.llm import ui_messages
from streamkit.llm._ui_resume import FORGOTTEN, GAP
from tests.channels.streams import Fed, Pair, clocked, until
from tests.engine.fake_clock import settle

DONE = "[DONE]"
LOST = "The server that wrote this answer has gone."


def start(id: str) -> list[dict[str, str]]:
    """Return how a message begins."""
    return [{"type": "start", "messageId": id}, {"type": "start-step"}, {"type": "text-start", "id": "text-1"}]


def word(text: str) -> dict[str, str]:
    """Return a piece of its text."""
    return {"type": "text-delta", "id": "text-1", "delta": text}


END = [{"type": "text-end", "id": "text-1"}, {"type": "finish-step"}, {"type": "finish"}]


def error(text: str) -> dict[str, str]:
    """Return an error part."""
    return {"type": "error", "errorText": text}


async def all_of(answer: AsyncIterator[Any] | None) -> list[Any]:
    """Read an answer to its end; the wire of each has a data line only."""
    assert answer is not None
    events = [event async for event in answer]
    for event in events:
        assert EventStream().encode(event).startswith(b"data: ")
    return [event.data for event in events]


def failing() -> Iterator[str]:
    """Fail after a word."""
    yield "a"
    raise ValueError("secret")


class TestEnds:
    """Each end of a detached stream, in the words of the protocol."""

    def test_whole_answer_is_replayed_the_same(self) -> None:
        """The id of the message too; also after its end, and for a client that comes while it is written."""

        async def main() -> None:
            streams, fed = Detached(MemoryLog()), Fed()
            await streams.start("m", ui_messages.stream(fed.items(), message_id="m"))
            early = asyncio.create_task(all_of(ui_messages.attach(streams, "m")))
            fed.pipe.put("a")
            await settle()
            fed.pipe.put("b")
            fed.pipe.close()
            assert await early == [*start("m"), word("a"), word("b"), *END, DONE]
            assert await all_of(ui_messages.attach(streams, "m")) == await early

        asyncio.run(main())

    @pytest.mark.parametrize(
        ("options", "told"),
        [({}, "The answer could not be completed."), ({"error": lambda exc: f"No: {exc}"}, "No: secret")],
    )
    def test_failure_is_told_once(self, options: dict[str, Any], told: str) -> None:
        """In the words of the stream, not in those of the detached stream's end as well."""

        async def main() -> None:
            streams = Detached(MemoryLog())
            await streams.start("m", ui_messages.stream(failing(), message_id="m", **options))
            assert await all_of(ui_messages.attach(streams, "m")) == [*start("m"), word("a"), error(told), DONE]

        asyncio.run(main())

    def test_failure_that_the_answer_did_not_tell_is_told(self) -> None:
        """As of an answer that is longer than its log keeps."""

        async def main() -> None:
            streams = Detached(MemoryLog(max_events=5))
            await streams.start("m", ui_messages.stream(["a", "b", "c"], message_id="m"))
            *got, told, done = await all_of(ui_messages.attach(streams, "m"))
            assert got == [*start("m"), word("a")]
            assert told == error("The answer is longer than its log keeps: 5 entries of a channel.")
            assert done == DONE

        asyncio.run(main())

    def test_cancelled_answer_is_aborted(self) -> None:
        """For who reads it, and who comes later."""

        async def main() -> None:
            streams, fed = Detached(MemoryLog()), Fed()
            await streams.start("m", ui_messages.stream(fed.items(), message_id="m"))
            early = asyncio.create_task(all_of(ui_messages.attach(streams, "m")))
            fed.pipe.put("a")
            await settle()
            await streams.cancel("m")
            assert await early == [*start("m"), word("a"), {"type": "abort"}, DONE]
            assert await all_of(ui_messages.attach(streams, "m")) == await early
            await until(fed.closed.is_set)

        asyncio.run(main())

    def test_answer_of_a_lost_process_is_an_error(self) -> None:
        """When its lease has run out."""

        async def main() -> None:
            clock, log = clocked()
            streams = Detached(log, lease=15, clock=clock)
            log.hold("detached:m", "a process that dies", 15)
            log.append("detached:m", b"tstarted\n", first=True)
            log.append("detached:m", b'j\n{"type":"start","messageId":"m"}')
            reader = asyncio.create_task(all_of(ui_messages.attach(streams, "m")))
            await clock.advance(21)
            assert await reader == [{"type": "start", "messageId": "m"}, error(LOST), DONE]

        asyncio.run(main())

    def test_answer_without_its_beginning_is_an_error(self) -> None:
        """What the log has dropped is never passed over."""

        async def main() -> None:
            clock, log = clocked(max_age=60)
            streams, fed = Detached(log, clock=clock), Fed()
            await streams.start("m", ui_messages.stream(fed.items(), message_id="m"))
            fed.pipe.put("a")
            await clock.advance(50)
            fed.pipe.put("b")
            await clock.advance(50)
            assert await all_of(ui_messages.attach(streams, "m")) == [error(GAP), DONE]
            fed.pipe.close()
            await until(fed.closed.is_set)

        asyncio.run(main())

    def test_answer_that_nobody_started_is_an_error(self) -> None:
        """Who has asked for its status knows; who has not is not shown an empty answer."""
        assert asyncio.run(all_of(ui_messages.attach(Detached(MemoryLog()), "m"))) == [error(FORGOTTEN), DONE]


def cursor_of(part: Any) -> str | None:
    """Return the cursor that a part carries."""
    return part.get("providerMetadata", {}).get("streamkit", {}).get("cursor") if isinstance(part, dict) else None


class TestCursor:
    """Continuation after what a client has, for those that ask for it."""

    def test_rest_follows_each_cursor(self) -> None:
        """Of every part that carries one; parts of the client's own metadata keep that."""
        link = {"type": "source-url", "sourceId": "s", "url": "u", "providerMetadata": {"x": {"y": 1}}}

        async def main() -> None:
            streams = Detached(MemoryLog())
            await streams.start(
                "m", ui_messages.stream(["a", "b", link, {"type": "data-x", "data": 1}], message_id="m")
            )
            bare = await all_of(ui_messages.attach(streams, "m"))
            whole = await all_of(ui_messages.attach(streams, "m", cursor=True))
            assert [part["type"] for part in whole if cursor_of(part)] == [
                *("text-start", "text-delta", "text-delta", "text-end", "source-url")
            ]
            assert whole[6]["providerMetadata"]["x"] == {"y": 1}
            for place, part in enumerate(whole):
                if cursor := cursor_of(part):
                    assert await all_of(ui_messages.attach(streams, "m", cursor)) == bare[place + 1 :]

        asyncio.run(main())

    def test_cursor_of_another_answer_gives_all_of_this_one(self) -> None:
        """And so does one that is none."""

        async def main() -> None:
            streams = Detached(MemoryLog())
            for key in ("m", "n"):
                await streams.start(key, ui_messages.stream(["a"], message_id=key))
            other = cursor_of((await all_of(ui_messages.attach(streams, "n", cursor=True)))[3])
            whole = await all_of(ui_messages.attach(streams, "m"))
            assert other
            for cursor in (other, "garbage", ""):
                assert await all_of(ui_messages.attach(streams, "m", cursor)) == whole
            end = [event.id async for event in streams.attach("m")][-1]
            assert await all_of(ui_messages.attach(streams, "m", end)) == [DONE]

        asyncio.run(main())


class TestChats:
    """Answers that are found by the id of their chat."""

    def test_last_answer_is_resumed_and_there_may_be_none(self) -> None:
        """204 for a chat without one; of two, the second."""

        async def main() -> None:
            chats = ui_messages.Chats(Detached(MemoryLog()))
            assert await chats.resume("c") is None
            for id in ("m", "n"):
                got = await all_of(await chats.start("c", [id], message_id=id))
                assert got == [*start(id), word(id), *END, DONE]
            assert await all_of(await chats.resume("c")) == got
            assert await chats.resume("d") is None

        asyncio.run(main())

    def test_id_of_the_message_is_made_and_stays(self) -> None:
        """A replay is known by it."""

        async def main() -> None:
            chats = ui_messages.Chats(Detached(MemoryLog()))
            first = (await all_of(await chats.start("c", ["a"])))[0]
            assert len(first["messageId"]) == 32
            assert (await all_of(await chats.resume("c")))[0] == first

        asyncio.run(main())

    def test_answer_that_is_saved_or_seen_is_not_sent_again(self) -> None:
        """Once it has ended; before, whoever has a part of it needs the rest."""

        async def main() -> None:
            fed = Fed()
            chats = ui_messages.Chats(Detached(MemoryLog()), cursor=True)
            answer = await chats.start("c", fed.items(), message_id="m")
            fed.pipe.put("a")
            assert await chats.resume("c", saved="m") is not None
            fed.pipe.close()
            await all_of(answer)
            assert await chats.resume("c", saved="m") is None
            assert await chats.resume("c", saved="l") is not None
            end = [event.id async for event in chats.streams.attach("m")][-1]
            assert await chats.resume("c", end) is None
            assert await chats.resume("c", "garbage") is not None

        asyncio.run(main())

    def test_stop_aborts_the_last_answer(self) -> None:
        """Once, and in a chat that has one."""

        async def main() -> None:
            fed, chats = Fed(), ui_messages.Chats(Detached(MemoryLog()))
            answer = await chats.start("c", fed.items(), message_id="m")
            assert [await chats.stop(id) for id in ("d", "c", "c")] == [False, True, False]
            assert (await all_of(answer))[-2:] == [{"type": "abort"}, DONE]
            await until(fed.closed.is_set)

        asyncio.run(main())

    def test_next_answer_stops_the_one_before(self) -> None:
        """Nobody could find it any more, nor stop it."""

        async def main() -> None:
            fed, chats = Fed(), ui_messages.Chats(Detached(MemoryLog()))
            before = await chats.start("c", fed.items())
            await all_of(await chats.start("c", ["a"]))
            assert (await all_of(before))[-2:] == [{"type": "abort"}, DONE]
            await until(fed.closed.is_set)

        asyncio.run(main())

    def test_answer_that_another_process_starts_meanwhile_is_stopped_too(self) -> None:
        """Between the look at the chat and the entry in it, as where a page sends its request to two workers."""

        class Log(MemoryLog):
            is_alone = True

            def append(self, channel: str, payload: bytes, **options: Any) -> Any:
                if channel == "chat:c" and self.is_alone:
                    self.is_alone = False
                    super().append(channel, write_payload("meanwhile", None))
                return super().append(channel, payload, **options)

        async def main() -> None:
            streams, fed = Detached(Log()), Fed()
            await streams.start("meanwhile", ui_messages.stream(fed.items(), message_id="meanwhile"))
            meanwhile = asyncio.create_task(all_of(ui_messages.attach(streams, "meanwhile")))
            await all_of(await ui_messages.Chats(streams).start("c", ["a"]))
            assert (await asyncio.wait_for(meanwhile, 10))[-2:] == [{"type": "abort"}, DONE]
            await until(fed.closed.is_set)

        asyncio.run(main())

    def test_request_that_is_sent_twice_has_one_answer(self) -> None:
        """Where the message's id is the client's."""

        async def main() -> None:
            chats = ui_messages.Chats(Detached(MemoryLog()))
            first = await chats.start("c", ["a"], message_id="m")
            second = await chats.start("c", ["b"], message_id="m")
            assert await all_of(first) == await all_of(second) == [*start("m"), word("a"), *END, DONE]

        asyncio.run(main())

    def test_answer_is_found_also_where_the_view_was_cancelled(self) -> None:
        """As where the page is reloaded while it is started."""

        async def main() -> None:
            chats = ui_messages.Chats(Detached(MemoryLog()))
            view = asyncio.create_task(chats.start("c", ["a"], message_id="m"))
            await asyncio.sleep(0)
            view.cancel()
            await settle()
            assert view.cancelled()
            assert await all_of(await chats.resume("c")) == [*start("m"), word("a"), *END, DONE]

        asyncio.run(main())

    def test_sync_methods_refuse_an_event_loop(self) -> None:
        """They would block it, and say what to await."""

        async def main() -> None:
            chats = ui_messages.Chats(Detached(MemoryLog()))
            for call in (chats.resume_sync, chats.stop_sync, lambda id: chats.start_sync(id, [])):
                with pytest.raises(
                    RuntimeError, match=r"would block the event loop of this thread: await (resume|stop|start)"
                ):
                    call("c")

        asyncio.run(main())

    def test_other_process_resumes_and_stops(self) -> None:
        """Whoever shares the log."""

        async def main() -> None:
            pair, fed = Pair(), Fed()
            here, there = ui_messages.Chats(pair.producing), ui_messages.Chats(pair.reading)
            await here.start("c", fed.items(), message_id="m")
            fed.pipe.put("a")
            reader = asyncio.create_task(all_of(await there.resume("c")))
            await settle()
            assert await there.stop("c")
            assert await reader == [*start("m"), word("a"), {"type": "abort"}, DONE]
            await until(fed.closed.is_set)

        asyncio.run(main())

    def test_sync_views_have_the_same(self, tmp_path: Path) -> None:
        """On a log that blocks, outside of any event loop."""
        fed, log = Fed(), SQLiteLog(tmp_path / "chats.db")
        chats = ui_messages.Chats(Detached(log))
        try:
            assert chats.resume_sync("c") is None
            assert not chats.stop_sync("c")
            before = chats.start_sync("c", fed.items_sync(), message_id="l")
            answer = chats.start_sync("c", ["a"], message_id="m")
            assert asyncio.run(all_of(before))[-2:] == [{"type": "abort"}, DONE]
            whole = asyncio.run(all_of(answer))
            assert whole == [*start("m"), word("a"), *END, DONE]
            assert asyncio.run(all_of(chats.start_sync("c", ["b"], message_id="m"))) == whole
            assert asyncio.run(all_of(chats.resume_sync("c"))) == whole
            assert chats.resume_sync("c", saved="m") is None
            cursors = ui_messages.Chats(Detached(log), cursor=True)
            given = asyncio.run(all_of(cursors.resume_sync("c")))
            place = next(place for place, part in enumerate(given) if cursor_of(part))
            rest = asyncio.run(all_of(cursors.resume_sync("c", cursor_of(given[place]))))
            assert [part["type"] for part in rest[:-1]] == [part["type"] for part in given[place + 1 : -1]]
            assert not chats.stop_sync("c")
        finally:
            fed.pipe.close()
            log.close()

    @pytest.mark.parametrize("id", ["", "x" * 251, "\ud800", 7])
    def test_id_that_cannot_be_used_is_refused(self, id: Any) -> None:
        """The source is closed unstarted, and the log is not asked."""

        class Words(list[str]):
            closed = False

            def close(self) -> None:
                self.closed = True

        async def main() -> None:
            words, chats = Words("a"), ui_messages.Chats(Detached(MemoryLog()))
            with pytest.raises(TypeError if id == 7 else ValueError, match="chat_id must"):
                await chats.start(id, words)
            assert words.closed
            for call in (chats.resume, chats.stop):
                with pytest.raises(TypeError if id == 7 else ValueError, match="chat_id must"):
                    await call(id)

        asyncio.run(main())

    def test_error_must_be_a_function(self) -> None:
        """It is said when the chats are made, not when an answer fails."""
        with pytest.raises(TypeError, match=r"error must be a function of an exception, not 'x'"):
            ui_messages.Chats(Detached(MemoryLog()), error="x")  # type: ignore[arg-type]

    def test_asking_for_a_chat_leaves_no_trace(self) -> None:
        """Or anybody could fill the log."""
        log = MemoryLog()
        asyncio.run(ui_messages.Chats(Detached(log)).resume("c"))
        assert not log.exists("chat:c")
