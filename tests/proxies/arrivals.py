"""What a client sees of a stream of stamped frames, and what that shape is called.

The app sends a frame when the one before has arrived, or has not for long enough. So a stream that flows is slow on a
slow machine, and still flows; one that is held back is held back on any.
"""

from __future__ import annotations

import contextlib
import json
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any
from urllib.parse import urlencode

from streamkit import EventDecoder, NDJSONDecoder
from tests.proxies.setup import Mechanism
from tests.rig.http import HTTPStream
from tests.rig.sidedoor import SideDoor
from tests.rig.stream import Stalled

PATIENCE = 5.0
"""Seconds after which a frame that ought to have come counts as held back."""
IMPATIENCE = 0.25
"""The same where it is expected to be held back."""

CORK = 0.18
"""Seconds by which each frame is late where frames are collected for a fixed time: that of Linux's cork is 0.2."""

BEHIND: dict[Mechanism, int] = {"streamed": 0, "headers-late": 0, "time-quantum": 0, "tail-lag": 1}
"""How many frames are still to come when the next one leaves, where that is told."""

_NONCES = count(1)


@dataclass(frozen=True)
class Frame:
    """A frame's number, when it left the app and when the last of it arrived."""

    number: int
    emitted: float
    arrived: float


class Client:
    """One request for stamped frames, read as it arrives.

    Args:
        port: of the proxy.
        path: /sse or /ndjson.
        encoding: what it accepts.
        order: of tests/rig/apps/stamped.py; each has a URL of its own, unless told otherwise.
    """

    def __init__(self, port: int, path: str = "/sse", *, encoding: str = "gzip", **order: Any) -> None:
        order = {"nonce": next(_NONCES), **order}
        query = urlencode({name: json.dumps(value) for name, value in order.items()})
        accept = "text/event-stream" if path == "/sse" else "application/x-ndjson"
        self.stream = HTTPStream(
            port, f"{path}?{query}", headers={"Accept": accept, "Accept-Encoding": encoding, "User-Agent": "test"}
        )
        self.frames: list[Frame] = []
        self._decoder = EventDecoder() if path == "/sse" else NDJSONDecoder()
        self._unzip: Callable[[bytes], bytes] | None = None

    @property
    def compressed(self) -> bool:
        """Whether the body came compressed."""
        return self.stream.head().get("content-encoding") == "gzip"

    def has_head(self, within: float = PATIENCE) -> bool:
        """Say whether the head arrives in time."""
        with contextlib.suppress(Stalled):
            self.stream.head(within)
        return self.stream.status is not None

    def wait(self, ready: Callable[[], bool], within: float) -> bool:
        """Read until `ready`; False where the stream ended before, or time ran out."""
        until = time.monotonic() + within
        while not ready():
            if self.stream.silent_for(max(until - time.monotonic(), 0.0)):
                return False
            piece = self.stream.piece()
            if piece is None:
                return ready()
            self._take(piece.data, piece.at)
        return True

    def has(self, count: int, within: float = PATIENCE) -> bool:
        """Say whether so many frames arrive in time."""
        return self.wait(lambda: len(self.frames) >= count, within)

    def read_to_end(self, within: float = PATIENCE) -> None:
        """Read until the body ended."""
        self.wait(lambda: self.stream.ending != "open", within)

    def _take(self, data: bytes, at: float) -> None:
        if self.compressed:
            self._unzip = self._unzip or zlib.decompressobj(wbits=31).decompress
            data = self._unzip(data)
        for item in self._decoder.feed(data):
            value = item if isinstance(item, dict) else json.loads(item.data)
            self.frames.append(Frame(value["number"], value["emitted"], at))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.leave()


def follow(client: Client, door: SideDoor, count: int, expected: Mechanism) -> Mechanism:
    """Let the app send `count` frames, each after the one before was seen or waited for; name what has become of them.

    Args:
        client: has just asked.
        door: of the app.
        count: how many the client has asked for.
        expected: tells how long to wait for what, so that a busy machine is not taken for a proxy that holds back.

    Raises:
        AssertionError: Not all have arrived, whole and in order, when the stream has ended.
    """
    head_comes_first = client.has_head(PATIENCE if expected in {"streamed", "time-quantum"} else IMPATIENCE)
    for sent in range(1, count + 1):
        door.allow(sent)
        client.has(sent - BEHIND.get(expected, sent))
        client.has(sent, IMPATIENCE)
    client.read_to_end()
    assert [frame.number for frame in client.frames] == list(range(count)), client.stream.describe()
    mechanism = shape(client.frames)
    return mechanism if head_comes_first or mechanism != "streamed" else "headers-late"


def shape(frames: list[Frame]) -> Mechanism:
    """Name what happened to frames: how many later ones had left the app when each arrived."""
    behind = [sum(later.emitted < frame.arrived for later in frames[frame.number + 1 :]) for frame in frames]
    if not any(behind):
        # The last one leaves with the end of the body, which waits for nothing.
        return "time-quantum" if min(frame.arrived - frame.emitted for frame in frames[:-1]) > CORK else "streamed"
    if frames[0].arrived > frames[-1].emitted:
        return "whole-body"
    # The last frame waits for the end of the body, which follows at once.
    return "tail-lag" if set(behind[:-1]) == {1} else "byte-quantum"
