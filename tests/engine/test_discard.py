"""A source that is never going to be streamed is closed without having been asked for an item."""

from __future__ import annotations

import threading

from streamkit._engine.background import background_loop
from streamkit._engine.bodies import discard
from streamkit._engine.stream import Stream


class Source:
    """An async iterator, but no generator, that counts its items and tells when it was closed."""

    def __init__(self) -> None:
        self.pulled = 0
        self.closed = threading.Event()

    def __aiter__(self) -> Source:
        return self

    async def __anext__(self) -> int:
        self.pulled += 1
        return self.pulled

    async def aclose(self) -> None:
        """Tell."""
        self.closed.set()


def test_discarded_async_source_is_closed_and_never_pulled() -> None:
    """Also where the loop that closes it runs in another thread and is quicker than ours."""
    background_loop()
    for _ in range(100):
        source = Source()
        discard(Stream(source))
        assert source.closed.wait(5)
        assert source.pulled == 0
