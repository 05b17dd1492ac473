"""Keepalives of streams that an app makes: between events only, and never beside a message of the app."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest

from streamkit import StreamPolicy
from streamkit.decode import EventDecoder
from tests.engine.drive import run
from tests.engine.fake_clock import FakeClock
from tests.middleware.asgi.calls import EVENTS, Caller, begin, body, head, idle_after


def sent_when_idle(media_type: str, chunks: list[bytes], seconds: float, policy: StreamPolicy | None = None) -> Caller:
    """Return what has arrived some seconds after an app has sent `chunks`."""

    async def main() -> Caller:
        clock, caller = FakeClock(), Caller()
        task = begin(idle_after(head(media_type), *map(body, chunks)), caller, clock=clock, policy=policy)
        await clock.advance(seconds)
        seen = Caller()
        seen.events = list(caller.events)
        caller.leave()
        await clock.advance(2)
        await asyncio.wait({task})
        assert not caller.overlapped
        return seen

    return run(main())


def test_silent_event_stream_is_kept_alive() -> None:
    """The first filler leaves after a second, the others after fifteen."""
    assert sent_when_idle(EVENTS, [], 0.9).chunks == []
    assert sent_when_idle(EVENTS, [], 1).chunks == [b":\n"]
    assert sent_when_idle(EVENTS, [], 31).chunks == [b":\n"] * 3


def test_data_moves_the_next_keepalive() -> None:
    """A stream that has sent something is silent from then on."""
    assert sent_when_idle(EVENTS, [b"data: 1\n\n"], 14.9).chunks == [b"data: 1\n\n"]
    assert sent_when_idle(EVENTS, [b"data: 1\n\n"], 15).chunks == [b"data: 1\n\n", b":\n"]


@pytest.mark.parametrize(
    ("media_type", "policy", "filler"),
    [
        ("application/json-seq", None, b"\x1e"),
        ("application/x-ndjson", None, None),
        ("application/jsonl", StreamPolicy(keepalive=15), b"\n"),
        ("text/plain", StreamPolicy(keepalive=15), None),
        (EVENTS, StreamPolicy(keepalive=None), None),
    ],
)
def test_each_format_has_its_filler_or_none(media_type: str, policy: StreamPolicy | None, filler: bytes | None) -> None:
    """NDJSON is left alone unless asked, and bytes without a meaning always are."""
    wanted = [b"1\n"] + ([] if filler is None else [filler, filler])
    assert sent_when_idle(media_type, [b"1\n"], 30, policy).chunks == wanted


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_filler_never_falls_into_an_event_sent_in_pieces(line_end: bytes) -> None:
    """Whatever the line ends and the pieces, a filler stands between two events and changes none of them."""
    event = b"id: 7" + line_end + b"data: one" + line_end + b"data: two" + line_end * 2
    for cut in range(1, len(event)):
        assert sent_when_idle(EVENTS, [event[:cut]], 40).body == event[:cut]
    seen = sent_when_idle(EVENTS, [event[:9], event[9:]], 40).body
    assert seen == event + b":\n:\n"
    assert [e.data for e in EventDecoder().feed(seen + b"data: three\n\n")] == ["one\ntwo", "three"]


@pytest.mark.parametrize("piece", [b'{"a":', b'\x1e{"a":'])
def test_filler_never_falls_into_a_line(piece: bytes) -> None:
    """A JSON line or record that is sent in pieces stays whole."""
    media_type = "application/json-seq" if piece.startswith(b"\x1e") else "application/x-ndjson"
    policy = StreamPolicy(keepalive=5)
    assert sent_when_idle(media_type, [piece], 40, policy).body == piece
    assert (
        sent_when_idle(media_type, [piece, b"1}\n"], 12, policy).chunks[2:]
        == sent_when_idle(media_type, [b"1\n"], 12, policy).chunks[1:]
    )


def test_comments_of_the_app_leave_room_for_fillers() -> None:
    """A lone comment line after an event, the keepalive of another library, ends nothing and begins nothing."""
    assert sent_when_idle(EVENTS, [b"data: 1\n\n", b": ping\n"], 15).chunks[2:] == [b":\n"]
    assert sent_when_idle(EVENTS, [b"data: 1\n", b": ping\n"], 15).chunks[2:] == []


def test_filler_that_cannot_be_sent_ends_nothing() -> None:
    """The app has not sent it, and hears of its client by itself."""

    async def main() -> None:
        clock, caller = FakeClock(), Caller()
        task = begin(idle_after(head(), body(b"data: 1\n\n")), caller, clock=clock)
        await caller.arrived(1)
        caller.send_error = ValueError("planned")
        await clock.advance(1)
        caller.send_error = None
        await clock.advance(15)
        assert caller.chunks == [b"data: 1\n\n", b":\n"]
        caller.leave()
        await clock.advance(1)
        await task

    run(main())


def test_filler_leaves_in_the_context_of_its_request() -> None:
    """Where another middleware's `send` asks whose request it is, as it does for what the app sends."""
    who: ContextVar[str] = ContextVar("who", default="nobody")

    class Looking(Caller):
        async def send(self, event: Any) -> None:
            seen.append(who.get())
            await super().send(event)

    async def main() -> None:
        clock, caller = FakeClock(), Looking()
        who.set("ann")
        task = begin(idle_after(head(), body(b"data: 1\n\n")), caller, clock=clock)
        await caller.arrived(1)
        who.set("bob")
        await clock.advance(15)
        assert caller.chunks == [b"data: 1\n\n", b":\n"]
        caller.leave()
        await clock.advance(1)
        await task

    seen: list[str] = []
    run(main())
    assert set(seen) == {"ann"}


def test_filler_waits_for_no_send_and_no_send_overlaps_it() -> None:
    """While a client does not read, no filler joins the queue; the app's next message waits for one under way."""

    async def main() -> None:
        clock, caller, more = FakeClock(), Caller(), asyncio.Event()

        async def app(_scope: Any, _receive: Any, send: Any) -> None:
            await send(head())
            await more.wait()
            await send(body(b"data: 1\n\n"))
            await send(body(b"", more=False))

        task = begin(app, caller, clock=clock)
        await caller.began(2)
        caller.stop_reading()
        await clock.advance(1)
        assert caller.sending == 3  # the first filler
        more.set()
        await clock.advance(20)
        assert caller.sending == 3
        caller.read_on()
        await task
        assert caller.chunks == [b":\n", b"data: 1\n\n"]
        assert not caller.overlapped

    run(main())
