"""When a stream is asked for again, after how long, and with which position (WHATWG HTML, 9.2.3)."""

from __future__ import annotations

import json
import logging
from typing import Any

import httpx
import pytest

from streamkit import Event
from tests.client.reading import Kind, read
from tests.client.scripted import Answer, Asked, ScriptedServer
from tests.rig.servers import free_port

pytestmark = pytest.mark.parametrize("kind", ["async", "sync"])


def test_stream_is_resumed_until_the_server_says_that_it_is_over(kind: Kind) -> None:
    """Each connection names the last id, after the stream's retry, and 204 is the end."""
    script = Answer(b"data: 1\nid: 1\n\n"), Answer(b"retry: 250\nid: 2\ndata: 2\n\n"), Answer(b"data: 3\n\n")
    with ScriptedServer(*script) as server:
        reading = read(kind, server.url)
    assert reading.items == [Event("1", id="1"), Event("2", id="2"), Event("3", id="2")]
    assert server.positions == [None, "1", "2", "2"]
    assert reading.pauses == [3.0, 0.25, 0.25]
    assert (reading.told, reading.error) == ([None, None, None], None)
    assert reading.reader is not None
    assert reading.reader.retry == 250


def test_half_event_before_a_cut_is_never_handed_out(kind: Kind) -> None:
    """Neither its data nor its id count; the stream is resumed after the last whole event."""
    with ScriptedServer(Answer(b"id: 1\ndata: 1\n\nid: 2\ndata: half\n", "cut")) as server:
        reading = read(kind, server.url)
    assert (reading.data, server.positions) == (["1"], [None, "1"])
    assert reading.told == ["RemoteProtocolError"]


def test_position_is_sent_as_it_is_kept(kind: Kind) -> None:
    """In UTF-8; moved by an event without data; cleared by an empty id, of which nothing is sent."""
    script = Answer("data: 1\nid: é7\n\n".encode()), Answer(b"data: 2\n\nid:  8\n\n"), Answer(b"data: 3\nid\n\n")
    with ScriptedServer(*script) as server:
        reading = read(kind, server.url)
    assert server.positions == [None, "é7", "8", None]
    assert [item.id for item in reading.items] == ["é7", "é7", ""]


def test_reading_begins_after_the_id_that_is_given(kind: Kind) -> None:
    """What another process has kept goes on here; an int is an id too."""
    with ScriptedServer(Answer(b"data: 8\n\n")) as server:
        reading = read(kind, server.url, last_event_id=7)
    assert server.positions == ["7", "7"]
    assert reading.items == [Event("8", id="7")]


def test_position_is_that_of_the_event_that_was_handed_out_last(kind: Kind) -> None:
    """What had arrived behind it is not lost to who goes on from there."""
    with ScriptedServer(Answer(b"".join(b"id: %d\ndata: x\n\n" % n for n in (1, 2, 3)), "hold")) as server:
        reading = read(kind, server.url, take=2)
    assert reading.reader is not None
    assert reading.reader.last_event_id == "2"


def test_refused_connections_are_retried_later_each_time(kind: Kind) -> None:
    """The reconnection time, and a pause that doubles up to its bound; at last the error is raised."""
    reading = read(kind, f"http://127.0.0.1:{free_port()}/", rules={"backoff": 1, "longest": 3, "attempts": 5})
    assert reading.pauses == [4.0, 5.0, 6.0, 6.0]
    assert reading.told == ["ConnectError"] * 4
    assert type(reading.error).__name__ == "ConnectError"


def test_an_event_ends_the_back_off(kind: Kind) -> None:
    """The pause after a stream that brought something is the reconnection time alone."""
    script = Answer(), Answer(), Answer(b"data: 1\n\n"), Answer()
    with ScriptedServer(*script) as server:
        reading = read(kind, server.url, rules={"backoff": 1, "retry": 0})
    assert reading.pauses == [1.0, 2.0, 0.0, 1.0]


def test_pauses_are_spread_by_chance(kind: Kind) -> None:
    """Up to a half is added, never taken away."""
    with ScriptedServer(Answer(b"retry: 1000\n"), Answer(b"data: 1\n\n")) as server:
        reading = read(kind, server.url, rules={"jitter": 0.5, "random": lambda: 1.0})
    assert reading.pauses == [1.5, 1.5]


def test_streams_that_end_empty_are_given_up_without_an_error(kind: Kind) -> None:
    """After so many attempts the loop is over; nothing has failed."""
    with ScriptedServer(*[Answer(b": nothing\n")] * 3) as server:
        reading = read(kind, server.url, rules={"attempts": 2})
    assert (len(server.asked), reading.items, reading.error) == (2, [], None)


def test_silent_connection_counts_as_lost(kind: Kind) -> None:
    """After `idle_timeout` seconds without a byte the stream is asked for again."""

    def answer(asked: Asked) -> Answer:
        return Answer(b"data: 2\nid: 2\n\n") if asked.position == "1" else Answer(b"data: 1\nid: 1\n\n", "hold")

    with ScriptedServer(*[answer] * 10) as server:
        reading = read(kind, server.url, idle_timeout=0.5, until=lambda item: item.id == "2")
        assert server.left.wait(10)
    assert reading.data[-2:] == ["1", "2"]
    assert set(reading.told) == {"ReadTimeout"}


def test_request_with_effects_is_sent_once(kind: Kind) -> None:
    """A POST that breaks off raises; one that may be repeated is, with its body and its position."""
    answer = Answer(b"id: 1\ndata: 1\n\n", "cut")
    with ScriptedServer(answer) as server:
        reading = read(kind, server.url, method="POST", json={"a": 1})
    assert (reading.data, len(server.asked)) == (["1"], 1)
    assert type(reading.error).__name__ == "RemoteProtocolError"
    with ScriptedServer(answer) as server:
        reading = read(kind, server.url, method="POST", json={"a": 1}, rules={"methods": {"post"}})
    assert [(asked.method, json.loads(asked.body), asked.position) for asked in server.asked] == [
        ("POST", {"a": 1}, None),
        ("POST", {"a": 1}, "1"),
    ]
    assert (reading.data, reading.error) == (["1"], None)


def test_stream_is_read_once_where_that_is_asked_for(kind: Kind) -> None:
    """Without a `Reconnection` a clean end is the end."""
    with ScriptedServer(Answer(b"data: 1\n\n")) as server:
        reading = read(kind, server.url, reconnection=None)
    assert (reading.data, len(server.asked), reading.error) == (["1"], 1, None)


def test_reconnections_are_logged_where_nobody_is_told(kind: Kind, caplog: pytest.LogCaptureFixture) -> None:
    """An end is worth INFO, a failure WARNING."""
    with ScriptedServer(Answer(b"retry: 1000\n"), Answer(b"", "cut")) as server, caplog.at_level(logging.INFO):
        read(kind, server.url, rules={"on_reconnect": None})
    first, second = [record for record in caplog.records if record.name == "streamkit"]
    assert (first.levelno, second.levelno) == (logging.INFO, logging.WARNING)
    assert first.getMessage() == f"{server.url}: the stream has ended; connecting again in 1.0 s"
    assert "RemoteProtocolError" in second.getMessage()


def test_on_reconnect_may_end_it(kind: Kind) -> None:
    """What it raises comes out of the loop."""

    def give_up(*_: Any) -> None:
        raise LookupError

    with ScriptedServer(Answer(b"data: 1\n\n")) as server:
        reading = read(kind, server.url, rules={"on_reconnect": give_up})
    assert isinstance(reading.error, LookupError)
    assert reading.data == ["1"]


def test_largest_retry_is_what_a_browser_could_wait(kind: Kind) -> None:
    """A number beyond all timers does not end in an error of the clock."""
    with ScriptedServer(Answer(b"retry: 9999999999999999\n")) as server:
        reading = read(kind, server.url)
    assert reading.pauses == [2147483.647]


def test_request_that_can_never_be_sent_is_not_repeated(kind: Kind) -> None:
    """Where the fault is in the request itself, time does not heal it."""
    client = httpx.AsyncClient() if kind == "async" else httpx.Client()
    reading = read(kind, "ftp://127.0.0.1/", client=client, rules={"attempts": 3})
    assert type(reading.error).__name__ == "UnsupportedProtocol"
    assert reading.pauses == []
