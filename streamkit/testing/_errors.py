"""What a test is told; each is an AssertionError, so that runners report it as a failure and not as an error.

StreamTestError       a StreamkitError, also an AssertionError
├── StreamTimeoutError    what was waited for did not come in time
├── StreamEndedError      the stream ended before it came
├── NotAStreamError       the response is no stream, but an error or a page
└── MalformedError        bytes that are not what the format asks for
"""

from __future__ import annotations

from streamkit.errors import StreamkitError


class StreamTestError(StreamkitError, AssertionError):
    """The base of what a test of a stream is told."""


class StreamTimeoutError(StreamTestError):
    """What was waited for did not come in time; the text says what it was and what had arrived."""


class StreamEndedError(StreamTestError):
    """The stream ended before what was waited for; the text says why, and its cause is what the app raised."""


class NotAStreamError(StreamTestError):
    """The response has no items: its status or its content type is that of an error or of a page."""


class MalformedError(StreamTestError):
    """A body breaks a rule of its format.

    Attributes:
        offset: Where in the body the line begins that does, in bytes from 0.
        line: That line.
        rule: What it breaks.
    """

    def __init__(self, rule: str, offset: int, line: bytes) -> None:
        super().__init__(rule, offset, line)
        self.rule = rule
        self.offset = offset
        self.line = line

    def __str__(self) -> str:
        return f"{self.rule}; at byte {self.offset}: {self.line!r:.200}"
