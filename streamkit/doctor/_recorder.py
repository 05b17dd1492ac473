"""Bytes of one answer in, an observation out: what came when, and what it was. No socket and no clock of its own.

Memory is bounded: of an event nothing is kept but when it came, of a body that is no stream its first 16 KB.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

from streamkit.client._reader import DECODERS
from streamkit.doctor._contract import MARK
from streamkit.doctor._failures import content_type
from streamkit.doctor._observation import Arrival, Ending, Frame, Observation, Variant
from streamkit.errors import DecodeError

KEPT = 16_384  # bytes of a body that is no stream
MOST = 2**24  # bytes of one body, once decompressed
LATEST = 1e12  # seconds on the clock of a probe


class Enough(Exception):
    """There is no need to read on."""


class Recorder:
    """Note what comes of one request."""

    def __init__(self, variant: Variant) -> None:
        self.seen: Observation = Observation(variant)
        self.is_stream: bool = False
        self._fields: dict[str, Any] = {"variant": variant}
        self._arrivals: list[Arrival] = []
        self._frames: list[Frame] = []
        self._body = b""
        self._size = 0
        self._decoder: Any = None
        self._unzip: Any = None

    def head(self, at: float, status: int, version: str, headers: Mapping[str, str]) -> None:
        """Note the head."""
        self._fields.update(head_at=at, status=status, http_version=version, headers=dict(headers))
        seen = Observation(**self._fields)
        kind = content_type(seen)
        self.is_stream = status == 200 and kind in DECODERS
        if seen.encoding in ("gzip", "x-gzip", "deflate"):
            self._unzip = zlib.decompressobj(47)  # either header, as the first bytes say
        elif seen.encoding:
            self._fields["fault"] = f"Content-Encoding: {seen.encoding:.40}, which was not asked for"
            self.is_stream = False
        if self.is_stream:
            self._decoder = DECODERS[kind]()

    def read(self, at: float, raw: bytes) -> None:
        """Note what came in one read.

        Raises:
            Enough: The body is longer than anybody wants to read, or its events are no events.
        """
        try:
            data = raw if self._unzip is None else self._unzip.decompress(raw, MOST)
        except zlib.error as exc:
            self._fields["fault"] = f"the body is not what its Content-Encoding says: {exc}"
            raise Enough from exc
        self._size += len(data)
        if not self.is_stream:
            self._body = (self._body + data)[:KEPT]
            if len(self._body) >= KEPT:
                raise Enough
            return
        frames = self._decode(at, data)
        if data:
            self._arrivals.append(Arrival(at, len(data), frames, not data.endswith((b"\n", b"\r"))))
        if "fault" in self._fields or self._size >= MOST:
            raise Enough

    def _decode(self, at: float, data: bytes) -> int:
        try:
            items = self._decoder.feed(data)
        except DecodeError as exc:
            self._fields["fault"] = f"the events cannot be read: {exc}"
            return 0
        for item in items:
            self._frame(at, item if isinstance(item, dict) else _json(getattr(item, "data", None)))
        return len(items)

    def _frame(self, at: float, value: object) -> None:
        """Note one frame; those of the probe say when they were sent."""
        if not isinstance(value, dict) or not _is_time(value.get("sent")):
            self._frames.append(Frame(at))
            return
        seq = value.get("seq")
        self._frames.append(Frame(at, value["sent"], seq if isinstance(seq, int) else 0))
        if isinstance(value.get("nonce"), str) and _is_time(value.get("head")):
            self._fields.update(nonce=value["nonce"], head_sent=value["head"], echo=_texts(value.get("echo")))

    @property
    def frames(self) -> int:
        """How many frames have come."""
        return len(self._frames)

    @property
    def arrivals(self) -> int:
        """How many reads brought something."""
        return len(self._arrivals)

    def end(self, at: float, ending: Ending, fault: str = "") -> Observation:
        """Return the observation."""
        fields = {**self._fields, "ending": ending, "ended_at": at}
        fields.setdefault("fault", fault)
        return Observation(**fields, arrivals=tuple(self._arrivals), frames=tuple(self._frames), body=self._body)


def _is_time(value: object) -> bool:
    """Tell whether a value may be the time of a probe; JSON has numbers too large to reckon with."""
    return isinstance(value, float) and abs(value) < LATEST


def _json(text: object) -> object:
    try:
        return json.loads(text) if isinstance(text, str) and text.startswith("{") else None
    except (ValueError, RecursionError):
        return None


def _texts(value: object) -> dict[str, str]:
    return {str(key): str(text)[:200] for key, text in value.items()} if isinstance(value, dict) else {}


def is_card(seen: Observation) -> bool:
    """Whether the answer to a bare GET is the card of a probe."""
    card = _json(seen.body.decode(errors="replace"))
    return seen.status == 200 and isinstance(card, dict) and MARK in card
