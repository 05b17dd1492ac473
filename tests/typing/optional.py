"""Channels, detached streams, tests, the client, and the protocols of language models."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

import httpx
from flask.testing import FlaskClient

import streamkit.flask
from streamkit import Event
from streamkit.channels import Channels, Detached, Gap, MemoryLog, SQLiteLog, Status, Subscription
from streamkit.client import AsyncReader, Reader, connect, connect_sync
from streamkit.llm import chat_completions, relay, ui_messages
from streamkit.testing import FakeClock, OpenStream, fake_clock, open_stream


async def tokens() -> AsyncIterator[str]:
    """Give text."""
    yield "one"


def snapshot(gap: Gap) -> dict[str, Any]:
    """Return what a client needs after a gap."""
    return {"since": gap.requested}


async def channels() -> None:
    """What is published gives its id; what is subscribed to is content for a response."""
    shop = Channels(SQLiteLog("events.db", max_age=None))
    assert_type(await shop.publish("orders", {"id": 1}, key="1"), str)
    assert_type(shop.publish_sync("orders", Event(1, event="order")), str)
    assert_type(await shop.position("orders"), str)
    events = shop.subscribe("orders", "news", after=None, start="oldest", on_gap=snapshot, overflow="drop_oldest")
    assert_type(events, Subscription)
    streamkit.flask.EventStreamResponse(events)
    Channels("events.db")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    shop.subscribe(["orders"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    shop.subscribe("orders", start="now")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    shop.subscribe("orders", after=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    shop.publish_sync("orders", 1, id=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def detached() -> None:
    """A stream is started by its key, and attached to as an iterator of events."""
    answers = Detached(MemoryLog(), lease=5)
    assert_type(await answers.start("7", tokens()), bool)
    assert_type(answers.start_sync("7", tokens()), bool)
    assert_type(await answers.status("7"), Status)
    assert_type(await answers.cancel("7"), bool)
    async for event in answers.attach("7"):
        assert_type(event, Event)
    Detached(MemoryLog(), at_limit="drop")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def tests(client: FlaskClient) -> None:
    """A stream is opened by `with`, and a clock too."""
    with fake_clock() as clock, open_stream(client, "POST", "/chat", json={}) as events:
        assert_type(clock, FakeClock)
        assert_type(events, OpenStream)
        assert_type(events.status_code, int)
        assert_type(events.closed_reason, str | None)
        clock.advance(15)
    open_stream("/chat")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def client() -> None:
    """What is read is what the server's type says."""
    async with connect("https://example.com/news", headers={"X-A": "b"}, until="done") as events:
        assert_type(events, AsyncReader)
    with connect_sync("https://example.com/news") as lines:
        assert_type(lines, Reader)
    connect("https://example.com", timeout=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    connect("https://example.com", client=httpx.Client())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def words() -> Iterator[str]:
    """Give text."""
    yield "one"


def models(upstream: httpx.Client) -> None:
    """Each protocol makes content for a response."""
    streamkit.flask.EventStreamResponse(chat_completions.stream(words(), model="mine"))
    streamkit.flask.EventStreamResponse(ui_messages.stream(tokens()), headers=ui_messages.HEADERS)
    streamkit.flask.EventStreamResponse(relay(upstream.stream("POST", "https://example.com"), end="[DONE]"))
    chat_completions.stream(words())  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    relay(upstream.stream("POST", "https://example.com"), end=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
