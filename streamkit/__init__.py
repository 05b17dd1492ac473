"""Turn a generator in a view into an HTTP stream: events, JSON lines, JSON sequences or text.

This module is the part that is the same under every framework; the responses are in `streamkit.flask`, `.django`,
`.starlette`, `.fastapi`, `.wsgi` and `.asgi`. Importing it loads the standard library alone, and not asyncio.
"""

from streamkit._engine.policy import StreamPolicy
from streamkit._engine.threads import set_max_threads
from streamkit._format import Format
from streamkit.decode import EventDecoder, JSONSeqDecoder, NDJSONDecoder
from streamkit.errors import (
    DecodeError,
    EncodeError,
    EventTooLargeError,
    InvalidEventError,
    NotAcceptableError,
    PipeClosedError,
    StreamkitError,
    TooManyStreamsError,
)
from streamkit.jsonseq import JSONSeq
from streamkit.ndjson import NDJSON
from streamkit.pipe import Pipe
from streamkit.sse import Event, EventStream
from streamkit.text import TextStream

__all__ = [
    "NDJSON",
    "DecodeError",
    "EncodeError",
    "Event",
    "EventDecoder",
    "EventStream",
    "EventTooLargeError",
    "Format",
    "InvalidEventError",
    "JSONSeq",
    "JSONSeqDecoder",
    "NDJSONDecoder",
    "NotAcceptableError",
    "Pipe",
    "PipeClosedError",
    "StreamPolicy",
    "StreamkitError",
    "TextStream",
    "TooManyStreamsError",
    "set_max_threads",
]
