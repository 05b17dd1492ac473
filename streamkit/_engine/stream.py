"""What one response promises: how items become frames, what is said at the end, what happens to an error.

A `Stream` is made in the view, so that bad input fails there, and it copies the view's Context. It holds no thread,
loop or socket; the pumps and drains hold those and ask it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from contextvars import Context, copy_context
from dataclasses import InitVar, dataclass, field, replace
from operator import call
from typing import TYPE_CHECKING, Any

from streamkit._engine.clock import SYSTEM, Clock
from streamkit._engine.life import Life, OnClose
from streamkit._engine.policy import StreamPolicy, check_policy
from streamkit._engine.register import logger
from streamkit._engine.source import Source, check_source, close_async, close_sync, is_async, is_sync
from streamkit._format import Format
from streamkit.errors import EncodeError, InBandError, StreamCutError

if TYPE_CHECKING:
    from streamkit._engine.boundary import Boundary
    from streamkit._engine.limit import StreamLimit
    from streamkit._engine.producer import Producer

FIRST_KEEPALIVE = 1.0
"""Seconds after which a filler goes out when no item has come: some servers hold the head until the first byte."""

Encode = Callable[[object], bytes]


_NOTHING = nullcontext()


class Surroundings:
    """What a host puts around a source, in the thread or the task that runs it: here, nothing.

    It is entered in the stream's Context before the source is iterated, and left when the source has been closed, with
    the error that the source ended with, if nobody handled it.
    """

    def inline(self) -> AbstractContextManager[None]:
        """Return what to enter for a sync source that runs in the server's own thread."""
        return _NOTHING

    def in_thread(self) -> AbstractContextManager[None]:
        """Return what to enter for a sync source that runs in a thread of ours."""
        return _NOTHING

    def in_task(self) -> AbstractAsyncContextManager[None]:
        """Return what to enter for an async source, in its task."""
        return _NOTHING


PLAIN = Surroundings()


class _Frames(Format):
    """Frames that are ready to be sent."""

    def __init__(self, format: Format) -> None:
        self.media_type = format.media_type
        self.keepalive = format.keepalive

    def encode(self, item: object) -> bytes:
        return item  # type: ignore[return-value]


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class Stream:
    """One source on its way to one client: made with the source, then bound to the options of a response."""

    content: InitVar[object]
    source: Source = field(init=False)
    context: Context = field(default_factory=copy_context)
    producer: Producer | None = None  # what runs the source already, when it was primed
    around: Surroundings = PLAIN
    format: Format = field(default_factory=Format)
    policy: StreamPolicy = field(default_factory=StreamPolicy)
    interval: float | None = None
    end_frame: bytes = b""
    on_error: Callable[[Exception], object] | None = None
    clock: Clock = SYSTEM
    begun: bool = False  # its head has been sent
    in_place: bool = False  # runs in the Context of whoever iterates it: it may have entered something there before
    life: Life = field(init=False)
    counts: bool = True  # what its pump encodes are the items of the view
    boundary: Boundary | None = None  # where frames are not ours: knows where they end
    measures: bool = True  # its drain counts bytes
    leads: bool = True  # its drain says the last word where the stream ends before its time

    def __post_init__(self, content: object) -> None:
        """Check the source.

        Raises:
            TypeError: `content` cannot be streamed.
        """
        self.source = check_source(content)
        self.life = Life(self.context)

    def bind(
        self,
        *,
        format: Format,
        policy: StreamPolicy,
        end: object = None,
        on_error: Callable[[Exception], object] | None = None,
        on_close: OnClose | None = None,
        key: Hashable = None,
        limit: StreamLimit | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        """Set the options of the response.

        Args:
            format: Turns an item into a frame.
            policy: How the stream behaves while it runs.
            end: An item sent after the source has completed, and only then; None for none.
            on_error: Given the exception that ends the source; the item it returns is sent last.
            on_close: Given the reason of the end and the figures of the stream.
            key: Whose stream it is.
            limit: What counts it, together with others.
            clock: The time to wait by.

        Raises:
            TypeError: An option is of the wrong kind.
            ValueError: The policy asks for something that the format cannot do.
            EncodeError: `end` cannot be written in this format.
        """
        if not isinstance(format, Format) or type(format).encode is Format.encode or not hasattr(format, "media_type"):
            raise TypeError(f"format must be a Format with media_type and encode(), such as NDJSON(), not {format!r}")
        if on_error is not None and not callable(on_error):
            raise TypeError(f"on_error must be a function of an exception that returns the last item, not {on_error!r}")
        self.format = format
        self.policy = check_policy(policy)
        self.interval = policy._keepalive_interval(format)
        self.end_frame = b"" if end is None else format.encode(end)
        self.on_error = on_error
        self.life.bind(self.policy, format, on_close=on_close, key=key, limit=limit, clock=clock)
        self.clock = self.life.clock

    def relayed(self, batches: Source) -> Stream:
        """Return a stream of bytes that another pump has made of this one's items."""
        twin = Stream(batches)
        twin.format = _Frames(self.format)
        # The other pump has the buffer, and reports a source that is stuck.
        twin.policy = replace(self.policy, retry=None, buffer_size=1, cleanup_timeout=1.0)
        twin.interval, twin.clock = self.interval, self.clock
        twin.life, twin.counts, twin.measures, twin.leads = self.life, False, self.measures, False
        twin.boundary = self.boundary
        return twin

    def wrapped(self, chunks: Source) -> Stream:
        """Return a stream of what somebody else has made of this one's bytes, fillers and last words among them."""
        twin = self.relayed(chunks)
        twin.interval, twin.measures, twin.boundary = None, False, None
        return twin

    def runner(self) -> Callable[..., Any]:
        """Return what calls a function where the source is at home, in the thread that calls it."""
        return call if self.in_place else self.context.run

    def goes_async(self, *, prefer: bool) -> bool:
        """Tell whether the source is iterated with `async for`; `prefer` decides where both would do."""
        return is_async(self.source) and (prefer or not is_sync(self.source))

    def close(self, items: object = None) -> None:
        """Close the source, and `items`, its iterator, where there is one yet; a failure is logged."""
        try:
            close_sync(self.source if items is None else items, self.source)
        except Exception:
            logger.exception("Closing %r failed", self.source)

    async def aclose(self, items: object = None) -> None:
        """Do what `close` does for an async source."""
        try:
            await close_async(self.source if items is None else items, self.source)
        except Exception:
            logger.exception("Closing %r failed", self.source)

    def encoder(self) -> Encode:
        """Return the function that turns this stream's items into frames, in order."""
        encode, retry = self.format.encode, self.policy.retry
        if retry is None:
            return encode
        pending = True

        def encode_with_retry(item: object) -> bytes:
            nonlocal pending
            frame = encode(item)
            if pending:
                plain, frame = frame, self.format.with_retry(frame, retry)
                pending = frame is plain and not plain.startswith(b"retry:") and b"\nretry:" not in plain
            return frame

        return encode_with_retry

    def patience(self, *, started: bool) -> float | None:
        """Return the seconds of silence after which a filler is due; the first one comes sooner."""
        if self.interval is None:
            return None
        return self.interval if started else min(FIRST_KEEPALIVE, self.interval)

    @property
    def between_frames(self) -> bool:
        """Whether what the host has taken ends with a whole frame."""
        return self.boundary is None or self.boundary.at

    def filler(self) -> bytes:
        """Return what is sent when a filler is due: nothing inside a frame."""
        return self.format.keepalive if self.between_frames else b""

    def last_words(self) -> bytes:
        """Return what a stream that ends before its time says last.

        Raises:
            StreamCutError: Nothing: its client must not take what it has for the whole.
        """
        if not (self.life.clean and self.between_frames):
            raise StreamCutError(str(self.life.reason))
        self.life.has_taken_leave = True
        return self.life.farewell()

    def failed(self, error: Exception, index: int) -> bytes:
        """Return the last frame of a stream whose source raised `error` at item `index`.

        Raises:
            Exception: `error` itself when nobody handles it, so that the host logs it once and cuts the connection:
                a failed stream must not look like one that has ended.
        """
        if isinstance(error, EncodeError) and error.index is None:
            error.index = index
        if isinstance(error, StreamCutError):  # the client is too slow for the source
            self.life.reason = self.life.reason or "slow_client"
            raise error
        if isinstance(error, InBandError):
            logger.error("A stream failed; the last items of its source say so", exc_info=error.error)
            self.life.failed = True
            return b"".join(map(self.format.encode, error.items))
        if self.on_error is None:
            raise error
        logger.error("A stream failed; on_error sends its last item", exc_info=error)
        self.life.failed = True
        item = self.on_error(error)
        return b"" if item is None else self.format.encode(item)
