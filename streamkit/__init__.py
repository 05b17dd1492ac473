"""Turn a generator in a view into an HTTP stream: events, JSON lines, JSON sequences or text.

This module is the part that is the same under every framework; the responses are in `streamkit.flask`, `.django`,
`.starlette`, `.fastapi`, `.wsgi` and `.asgi`. Importing it loads the standard library alone, and not asyncio.
"""

from streamkit._engine.life import StreamStats
from streamkit._engine.limit import StreamLimit
from streamkit._engine.policy import StreamPolicy
from streamkit._engine.register import Stats, close_streams, drain, stats
from streamkit._engine.signals import drain_on_signals
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
    StreamCutError,
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
    "Stats",
    "StreamCutError",
    "StreamLimit",
    "StreamPolicy",
    "StreamStats",
    "StreamkitError",
    "TextStream",
    "TooManyStreamsError",
    "close_streams",
    "drain",
    "drain_on_signals",
    "set_max_threads",
    "stats",
]
