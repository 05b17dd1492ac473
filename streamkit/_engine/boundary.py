"""Where a stream that somebody else has encoded stands: between two of its frames, or inside one. Pure: bytes in.

Only between two frames may a filler be sent, or the stream be ended as if it were whole. For an event stream that is
after a blank line (WHATWG HTML, 9.2.5); comments, such as fillers, change nothing. A CR may be the first half of CRLF,
and what came between the halves would make one more blank line of the second, so only CR CR is sure. For JSON lines and
JSON sequences it is after a line feed, and after the RS that a filler is (RFC 7464). Of other bytes nothing is known.
"""

from __future__ import annotations

import re

_LINE_END = re.compile(rb"\r\n|\n|\r")


class Boundary:
    """Says that a stream never stands between two frames; for bytes that nothing is known of."""

    at = False
    """Whether the stream stands between two frames now."""

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes, split anywhere; return `at`."""
        return self.at


class EventBoundary(Boundary):
    """For server-sent events."""

    def __init__(self) -> None:
        self.at = True
        self._in_event = False  # a field was sent and no blank line since
        self._line = b""  # the first byte of the line that has begun
        self._after_cr = False

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes, split anywhere, also between CR and LF."""
        if not chunk:
            return self.at
        after_cr, self._after_cr = self._after_cr, chunk.endswith(b"\r")
        half = self._after_cr and not (chunk.endswith(b"\r\r") or (after_cr and chunk == b"\r"))
        if after_cr:
            chunk = chunk.removeprefix(b"\n")
        # What ends in a blank line, as most chunks do, needs no look at what is before it.
        _, blank, rest = (self._line + chunk).rpartition(b"\n\n")
        *lines, begun = _LINE_END.split(rest)
        in_event = self._in_event and not blank
        for line in lines:
            in_event = bool(line) and (in_event or not line.startswith(b":"))
        self._in_event, self._line = in_event, begun[:1]
        self.at = not (in_event or begun or half)
        return self.at


class LineBoundary(Boundary):
    """For JSON lines and JSON sequences."""

    at = True

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes."""
        if chunk:
            self.at = chunk.endswith((b"\n", b"\x1e"))
        return self.at
