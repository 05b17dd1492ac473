"""The floor under WSGI: an iterable of bytes that are ready (`/sse`), and of texts that are framed (`/framed`).

`/kept` keeps of streamkit's promises, by hand, those that cost something at each item.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from benchmarks.apps import burst_by_hand, sources
from tests.rig.sidedoor import open_side_door

open_side_door()

SSE = sources.of(lambda text: f"data: {text}\n\n".encode())
TEXTS = sources.of(lambda text: text)


def app(environ: Any, start_response: Any) -> Any:
    """Answer with a stream."""
    count = int(parse_qs(environ["QUERY_STRING"]).get("n", ["0"])[0])
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    kind, _, name = environ["PATH_INFO"].lstrip("/").partition("/")
    if kind == "kept":
        return burst_by_hand.kept(TEXTS[name](count), burst_by_hand.Figures())
    return map(_framed, TEXTS[name](count)) if kind == "framed" else SSE[name](count)


def _framed(text: str) -> bytes:
    """Do the least that any library does for an event, without a look for line breaks."""
    return f"data: {text}\n\n".encode()
