"""A hand-written WSGI application, so that the rig can be judged without streamkit."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from tests.rig.recorder import recorder
from tests.rig.sidedoor import open_side_door

if TYPE_CHECKING:
    from wsgiref.types import StartResponse

open_side_door()


def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Answer /finite, /silent, /cut and /endless."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["REQUEST_METHOD"] == "HEAD":
        return []
    return _body(environ["PATH_INFO"])


def _body(path: str) -> Iterator[bytes]:
    with recorder.recording(path) as record:
        yield b""
        if path == "/silent":
            time.sleep(0.5)
        yield record.pull(b"one\n")
        if path == "/cut":
            raise RuntimeError("planned failure")
        while path == "/endless":
            yield record.pull(b"more\n")
            time.sleep(0.05)
        time.sleep(0.1)
        yield record.pull(b"two\n")
