"""Turn a generator in a view into an HTTP stream: events, JSON lines, JSON sequences or text.

Here is what is the same under every framework: events, formats, policies, limits. Importing it loads the standard
library alone, and not asyncio. The rest is in modules of its own, which you import by name:

- `streamkit.flask`, `.django`, `.fastapi`, `.starlette`, `.wsgi`, `.asgi`: the responses, `StreamingMiddleware`,
  `last_event_id` and `primed`, by the same names in each; the options of a response are listed at
  `streamkit.wsgi.EventStreamResponse`
- `streamkit.channels`: publish elsewhere, subscribe in a view, resume; `Detached`, for answers that outlive a reader
- `streamkit.channels.redis`: `RedisLog`
- `streamkit.llm`: what the SDKs of language models read, and `relay`
- `streamkit.testing`: `open_stream` and `fake_clock` for tests; fixtures for pytest
- `streamkit.client`: `connect`, to read a stream as a browser does
- `streamkit.openapi`, `streamkit.rest_framework`: streams in an API's description, and in Django REST framework
- `streamkit.errors`: all that streamkit raises, and how it hangs together

`streamkit doctor URL`, in a shell, says what proxies do to a stream.
"""

from streamkit._engine.life import StreamStats
from streamkit._engine.limit import StreamLimit, set_max_threads
from streamkit._engine.policy import StreamPolicy
from streamkit._engine.register import Stats, close_streams, drain, stats
from streamkit._engine.signals import drain_on_signals
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


def __dir__() -> list[str]:  # what completion offers is the public names alone, here and in each adapter
    return __all__
