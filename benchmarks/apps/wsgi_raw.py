"""The floor under WSGI: an iterable of bytes that are ready."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from benchmarks.apps import sources
from tests.rig.sidedoor import open_side_door

open_side_door()

SSE = sources.of(lambda text: f"data: {text}\n\n".encode())


def app(environ: Any, start_response: Any) -> Any:
    """Answer with a stream."""
    count = int(parse_qs(environ["QUERY_STRING"]).get("n", ["0"])[0])
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    return SSE[environ["PATH_INFO"].rpartition("/")[2]](count)
