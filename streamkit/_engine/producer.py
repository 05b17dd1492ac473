"""What all pumps that fill a handoff have in common: the handoff, its end, and the hold of a primed one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamkit._engine.handoff import Handoff
from streamkit._engine.hold import Hold
from streamkit.errors import PipeClosedError

if TYPE_CHECKING:
    from streamkit._engine.stream import Stream


class Producer:
    """A pump that fills a handoff.

    `over` ends when the source has been closed. `in_source` tells whether a thread is inside the source now, where
    nothing can interrupt it.

    Args:
        stream: The stream.
        hold: What keeps the pump at its first item, when it is primed.
    """

    share = 1
    """The handoff gets the buffer divided by this."""

    in_source = False

    completed = False
    """Whether everything that the source gave was put, to the end."""

    def __init__(self, stream: Stream, hold: Hold | None) -> None:
        self.stream = stream
        self.handoff: Handoff[bytes] = Handoff(self._limit(), len)
        self.over: Handoff[None] = Handoff(1)
        self._hold = hold

    def _limit(self) -> int:
        return max(1, self.stream.policy.buffer_size // self.share)

    def reader_is_slow(self) -> PipeClosedError:
        """End the stream of a reader that has left the buffer full for `send_timeout`."""
        self.stream.life.end("slow_client")
        return PipeClosedError("the reader is too slow")

    def release(self) -> None:
        """Let a primed source go on, by the options that its stream is bound to now."""
        self.handoff.limit = self._limit()
        if self._hold is not None:
            self._hold.bound.end()

    def stop(self) -> None:
        """Say that the client has left; from any thread. The source is closed as soon as it can be interrupted."""
        self.handoff.close()
        if self._hold is not None:
            self._hold.bound.close()

    def stop_after_these(self) -> None:
        """End the source as `stop` does, but let the reader have what is encoded already; then the handoff ends."""
        self.handoff.close(keep=True)
