"""Help for tests of streams: open one on the test client of any framework, read it item by item, leave, own its time.

    with open_stream(client, "POST", "/chat", json={"prompt": "hi"}) as events:
        assert events.take(2) == [Event("Hel"), Event("lo")]

The app runs in this process, without a server. Nothing here waits without a bound. It works in pytest, whose plugin
registers fixtures, and in unittest. Importing it loads no framework and not asyncio.
"""

from streamkit.testing._errors import (
    MalformedError,
    NotAStreamError,
    StreamEndedError,
    StreamTestError,
    StreamTimeoutError,
)
from streamkit.testing._fake_clock import AsyncFakeClock, FakeClock, fake_clock
from streamkit.testing._form import assert_well_formed
from streamkit.testing._known import Headers
from streamkit.testing._opened import AsyncOpenStream, OpenStream
from streamkit.testing._opening import open_stream
from streamkit.testing._reading import ReceivedEvent

__all__ = [
    "AsyncFakeClock",
    "AsyncOpenStream",
    "FakeClock",
    "Headers",
    "MalformedError",
    "NotAStreamError",
    "OpenStream",
    "ReceivedEvent",
    "StreamEndedError",
    "StreamTestError",
    "StreamTimeoutError",
    "assert_well_formed",
    "fake_clock",
    "open_stream",
]


def __dir__() -> list[str]:
    return __all__
