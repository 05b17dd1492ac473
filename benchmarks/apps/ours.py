"""streamkit on plain ASGI: responses, keepalive and disconnects as they are by default, and no framework."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from benchmarks.apps import sources
from streamkit import StreamPolicy
from streamkit.asgi import EventStreamResponse, NDJSONResponse
from streamkit.channels import Channels, MemoryLog
from tests.rig.asgi import answer_lifespan
from tests.rig.sidedoor import open_side_door

open_side_door()

SSE = sources.of(lambda text: text)
LINES = sources.of(lambda text: {"id": 17, "delta": text, "done": False})
POLICY = StreamPolicy(keepalive=sources.KEEPALIVE)
FILLING, PIECE = 32 * 2**20, "x" * 16_384

channels = Channels(MemoryLog(max_bytes=2**20))


async def _publish(kind: str, query: dict[str, str]) -> None:
    """Publish a text to all, or one to each of so many channels, or many large ones for who does not read."""
    if kind == "publish":
        await channels.publish("a", f"{query['n']}~")
    elif kind == "publish_to_each":
        for number in range(int(query["channels"])):
            await channels.publish(f"c{number}", f"{query['n']}~")
    elif kind == "fill":
        for _ in range(FILLING // len(PIECE)):
            await channels.publish("filling", PIECE)


def _stream(kind: str, name: str, query: dict[str, str]) -> Any:
    """Return the response of a path that streams, or None."""
    if kind == "subscribe":
        return EventStreamResponse(channels.subscribe(query["channel"]), policy=POLICY)
    if kind == "unread":  # it is to stay, for as long as this measures
        source = channels.subscribe("a", "filling", overflow="drop_oldest")
        return EventStreamResponse(source, policy=StreamPolicy(send_timeout=600))
    if kind == "sse" and name == "fan_out":
        return EventStreamResponse(channels.subscribe("a"), policy=POLICY)
    if kind == "sse":
        return EventStreamResponse(SSE[name](int(query.get("n", 0))), policy=POLICY)
    return NDJSONResponse(LINES[name](int(query.get("n", 0)))) if kind == "lines" else None


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer by the path."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
        return
    kind, _, name = scope["path"][1:].partition("/")
    query = {key: values[0] for key, values in parse_qs(scope["query_string"].decode()).items()}
    if response := _stream(kind, name, query):
        await response(scope, receive, send)
        return
    await _publish(kind, query)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
