r"""What one frame costs: `python -m benchmarks.encode`.

In process, one item at a time, as the view of each library hands it over. The floor is `b"data: %b\n\n"` over a text
that is ready, or over orjson's bytes: no check, so it would let a line break in the data forge a field. Every case is
timed in short pieces and the quickest piece of a round counts, which leaves out what the rest of the machine does; the
figures are ratios of the medians over the rounds.

`by hand` is one function, which keeps what streamkit promises of a dict and does nothing else: how near to the floor a
library can come. No target is compared with it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import orjson

from benchmarks.harness import Plot, Report, Settings, alone, best_of, medians, rounds
from streamkit import NDJSON, Event, EventStream, _json

COVERS = (
    "token-floor",
    "token-peer",
    "dict-floor",
    "dict-peer",
    "lines-floor",
    "lines-peer",
    "dict-standard-peer",
    "event-peer",
)

TOKEN = " hello"
CHUNK = {"id": 17, "delta": " hello", "done": False}
LINES = ("x" * 200 + "\n") * 20
FULL: dict[str, Any] = {"event": "token", "id": "17", "retry": 3000}
SUBJECTS = {"token": TOKEN, "dict": CHUNK, "lines": LINES, "event": TOKEN}

Encode = Callable[[Any], object]
PIECE = 0.0005
"""Seconds that a piece lasts: shorter than what the scheduler gives a process at a time."""


def floors() -> dict[str, Encode]:
    """Return the least that any library could do for each subject."""
    return {
        "token": lambda text: b"data: %b\n\n" % text.encode(),
        "dict": lambda value: b"data: %b\n\n" % orjson.dumps(value),
        "lines": lambda text: b"data: %b\n\n" % text.encode().replace(b"\n", b"\ndata: "),
        "event": lambda text: (
            f"event: {FULL['event']}\nid: {FULL['id']}\nretry: {FULL['retry']}\ndata: {text}\n\n".encode()
        ),
    }


def streamkit() -> dict[str, Encode]:
    """Encode as the pump does what a view yields."""
    encode = EventStream().encode
    return {**dict.fromkeys(SUBJECTS, encode), "event": lambda text: encode(Event(text, **FULL))}


def by_hand(value: object) -> bytes:
    """Encode a dict that orjson can write, and see that nothing was hidden or forged.

    Raises:
        ValueError: A closer look is needed: for a NaN that became null, a line separator, a line break of a Fragment.
    """
    line = orjson.dumps(value)
    if b"u"[0] in line or not line.isascii() or b"\n"[0] in line or b"\r"[0] in line:
        raise ValueError(line)
    return line.join((b"data: ", b"\n\n"))


def sse_starlette() -> dict[str, Encode]:
    """Encode as its response does what its documentation has a view yield: a dict of fields, or its event classes."""
    from sse_starlette import JSONServerSentEvent, ServerSentEvent
    from sse_starlette.event import ensure_bytes

    return {
        "token": lambda text: ensure_bytes(text, "\r\n"),
        "dict": lambda value: ensure_bytes(JSONServerSentEvent(value), "\r\n"),
        "lines": lambda text: ensure_bytes(text, "\r\n"),
        "event": lambda text: ensure_bytes(ServerSentEvent(text, **FULL), "\r\n"),
    }


def litestar() -> dict[str, Encode]:
    """Encode as its event stream does; JSON by its own encoder, msgspec."""
    from litestar.response.sse import ServerSentEvent, ServerSentEventMessage
    from litestar.serialization import encode_json

    ensure: Any = ServerSentEvent(iter(())).iterator.ensure_bytes  # type: ignore[union-attr]
    return {
        "token": lambda text: ensure(text, "\r\n"),
        "dict": lambda value: ensure(encode_json(value), "\r\n"),
        "lines": lambda text: ensure(text, "\r\n"),
        "event": lambda text: ensure(ServerSentEventMessage(data=text, **FULL), "\r\n"),
    }


def fastapi() -> dict[str, Encode]:
    """Encode by the public functions that its routing calls for a yielded item; the routing itself cannot be called."""
    import json

    from fastapi.encoders import jsonable_encoder
    from fastapi.sse import ServerSentEvent, format_sse_event

    def yielded(item: Any) -> bytes:
        if isinstance(item, ServerSentEvent):
            data = item.raw_data if item.raw_data is not None else json.dumps(jsonable_encoder(item.data))
            fields = {"event": item.event, "id": item.id, "retry": item.retry, "comment": item.comment}
            return format_sse_event(data_str=data, **fields)  # type: ignore[arg-type]
        return format_sse_event(data_str=json.dumps(jsonable_encoder(item)))

    return {
        "token": lambda text: yielded(ServerSentEvent(raw_data=text)),
        "dict": yielded,
        "lines": lambda text: yielded(ServerSentEvent(raw_data=text)),
        "event": lambda text: yielded(ServerSentEvent(raw_data=text, **FULL)),
    }


def aiohttp_sse() -> dict[str, Encode]:
    """Await `send`, with a write that does nothing; JSON by the standard library, which its examples use."""
    import json

    from aiohttp_sse import EventSourceResponse

    response = EventSourceResponse()

    async def write(_: bytes) -> None:
        """Take the bytes."""

    response.write = write

    def sent(text: str, **fields: Any) -> object:
        return response.send(text, **fields)

    return {
        "token": sent,
        "dict": lambda value: sent(json.dumps(value)),
        "lines": sent,
        "event": lambda text: sent(text, **FULL),
    }


PEERS = {
    "sse-starlette": sse_starlette,
    "Litestar": litestar,
    "FastAPI": fastapi,
    "aiohttp-sse": aiohttp_sse,
}


def nanoseconds(encode: Encode, item: object, pieces: int) -> float:
    """Return what one call takes in the quickest of so many pieces."""
    count, taken = 1, 0.0
    while taken < PIECE:
        count *= 2
        taken = _seconds(encode, item, count)
    return min(_seconds(encode, item, count) for _ in range(pieces)) / count * 1e9


def _seconds(encode: Encode, item: object, count: int) -> float:
    calls = range(count)
    begun = time.perf_counter()
    for _ in calls:
        encode(item)
    return time.perf_counter() - begun


async def _nanoseconds_awaited(encode: Callable[[Any], Any], item: object, pieces: int) -> float:
    count, quickest = 200, float("inf")
    for _ in range(pieces):
        begun = time.perf_counter()
        for _ in range(count):
            await encode(item)
        quickest = min(quickest, time.perf_counter() - begun)
    return quickest / count * 1e9


def cases(pieces: int) -> dict[str, Callable[[], float]]:
    """Return a measurement for each library and subject, named `library/subject`."""
    libraries = {"floor": floors(), "streamkit": streamkit(), **{name: make() for name, make in PEERS.items()}}
    found: dict[str, Callable[[], float]] = {}
    for library, encoders in libraries.items():
        for subject, encode in encoders.items():
            if library == "aiohttp-sse":
                found[f"{library}/{subject}"] = lambda e=encode, i=SUBJECTS[subject]: asyncio.run(  # type: ignore[misc]
                    _nanoseconds_awaited(e, i, pieces)
                )
            else:
                found[f"{library}/{subject}"] = lambda e=encode, i=SUBJECTS[subject]: nanoseconds(e, i, pieces)  # type: ignore[misc]
    found["by hand/dict"] = lambda: nanoseconds(by_hand, CHUNK, pieces)
    found["streamkit/standard"] = lambda: _without_orjson(EventStream().encode, pieces)
    found["streamkit/null"] = lambda: nanoseconds(EventStream().encode, {**CHUNK, "stop": None}, pieces)
    found["streamkit/ndjson"] = lambda: nanoseconds(NDJSON().encode, CHUNK, pieces)
    found["floor/ndjson"] = lambda: nanoseconds(
        lambda value: orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE), CHUNK, pieces
    )
    return found


def _without_orjson(encode: Encode, pieces: int) -> float:
    with mock.patch.object(_json, "write", _json._standard):
        return nanoseconds(encode, CHUNK, pieces)


def measure(settings: Settings) -> Report:
    """Measure every library on every subject."""
    taken = medians(rounds(cases(settings.pick(40, 3)), settings.pick(15, 2)))
    report = Report("Encoding, ns a frame", ["", "token", "dict", "4 KB, 20 line breaks", "full event"])
    for library in ("floor", "by hand", "streamkit", *PEERS):
        cells = (taken.get(f"{library}/{subject}") for subject in SUBJECTS)
        report.rows.append([library, *("" if cell is None else f"{cell:.0f}" for cell in cells)])
    for subject in SUBJECTS:
        ours = taken[f"streamkit/{subject}"]
        peer, best = best_of(taken, [f"{name}/{subject}" for name in PEERS])
        if subject != "event":
            report.figures[f"{subject}-floor"] = ours / taken[f"floor/{subject}"]
        report.figures[f"{subject}-peer"] = best / ours
        report.notes.append(f"{subject}: the best peer is {peer.split('/')[0]}.")
    without = ["sse-starlette/dict", "FastAPI/dict", "aiohttp-sse/dict"]
    report.figures["dict-standard-peer"] = best_of(taken, without)[1] / taken["streamkit/standard"]
    plain, null, lines = (taken[f"streamkit/{case}"] for case in ("standard", "null", "ndjson"))
    report.notes.append(
        f"A dict without orjson: {plain:.0f} ns, compared with the best peer that does without, as Litestar does not. A"
        f" dict that holds None, with orjson: {null:.0f} ns, since that null might have been a NaN. A dict as NDJSON:"
        f" {lines:.0f} ns, floor {taken['floor/ndjson']:.0f} ns."
    )
    report.plots.append(_plot(taken))
    return report


def _plot(taken: dict[str, float]) -> Plot:
    series = {
        library: [(number, taken[f"{library}/{subject}"]) for number, subject in enumerate(SUBJECTS)]
        for library in ("floor", "streamkit", *PEERS)
    }
    return Plot("encode", "One frame", "", "ns", series, ticks=["token", "dict", "4 KB", "full event"])


if __name__ == "__main__":
    alone(measure, COVERS)
