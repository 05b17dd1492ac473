"""Everything streamkit raises of its own accord; each carries what a caller needs in order to act.

    StreamkitError
    ├── InvalidEventError    also a ValueError       an Event that must not be built
    ├── EncodeError          also a ValueError       an item that has no bytes in the format
    ├── DecodeError          also a ValueError       bytes that are not what the format promises
    │   └── EventTooLargeError                       an event or line over the decoder's limit
    ├── NotAcceptableError   also a ValueError       the client takes none of the formats on offer
    ├── StreamCutError       also a ConnectionResetError  a stream that had to end before it was whole
    ├── PipeClosedError      also a BrokenPipeError  the client has left; stop producing
    ├── TooManyStreamsError  also a RuntimeError     a limit on open streams is reached
    ├── LogUnavailableError  also a ConnectionError  the log of a channel does not answer
    ├── LogFullError         also a RuntimeError     a log is at its limit and may not drop what it holds
    ├── SealedError          also a RuntimeError     a channel takes nothing more: its last entry said so
    ├── UnknownStreamError   also a LookupError      no detached stream has this key
    └── InBandError          also a RuntimeError     a source that has failed, and what tells its client so

Catch StreamkitError for all of them, or the built-in where your code knows that one already.
"""

import errno
from collections.abc import Sequence
from typing import Any


class StreamkitError(Exception):
    """The base of every error that streamkit raises."""


class InvalidEventError(StreamkitError, ValueError):
    """An `Event` was given a field that no event stream can carry; nothing was built or sent."""

    def __init__(self, field: str, value: object, reason: str) -> None:
        super().__init__(field, value, reason)
        self.field = field
        self.value = value
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.field} {self.reason}; got {self.value!r:.200}"


class EncodeError(StreamkitError, ValueError):
    """An item cannot be written in its format; the stream that sent it fills in `index`, counted from 0."""

    def __init__(self, item_type: str, detail: str, index: int | None = None) -> None:
        super().__init__(item_type, detail, index)
        self.item_type = item_type
        self.detail = detail
        self.index = index

    def __str__(self) -> str:
        where = "" if self.index is None else f"item {self.index}: "
        return f"{where}cannot encode {self.item_type}: {self.detail}"


class DecodeError(StreamkitError, ValueError):
    """A received line or record (`unit`) is not UTF-8 or not JSON; `number` counts them from 1."""

    def __init__(self, unit: str, number: int, detail: str) -> None:
        super().__init__(unit, number, detail)
        self.unit = unit
        self.number = number
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.unit} {self.number}: {self.detail}"


class EventTooLargeError(DecodeError):
    """An event, line or record grew over the decoder's `max_event_size`; the decoder takes nothing further."""

    def __init__(self, unit: str, number: int, limit: int) -> None:
        super().__init__(unit, number, f"larger than max_event_size, {limit} bytes")
        self.args: tuple[Any, ...] = (unit, number, limit)
        self.limit = limit


class NotAcceptableError(StreamkitError, ValueError):
    """The request's Accept header names none of the formats; answer 406 with the text of this error."""

    def __init__(self, accept: str, offered: tuple[str, ...]) -> None:
        super().__init__(accept, offered)
        self.accept = accept
        self.offered = offered

    def __str__(self) -> str:
        return f"Accept is {self.accept!r:.200}, but this resource is offered as {', '.join(self.offered)}"


class PipeClosedError(StreamkitError, BrokenPipeError):
    """The stream behind a pipe has ended or its client has left; what was put is not sent."""


class StreamCutError(StreamkitError, ConnectionResetError):
    """A stream had to end before it was whole, for `reason`; raised to the server, so that it cuts the connection.

    Servers take it for a client that has left, most without a record in their log.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.errno: int | None = errno.ECONNRESET
        self.reason = reason

    def __str__(self) -> str:
        return f"the stream was cut: {self.reason}"


class TooManyStreamsError(StreamkitError, RuntimeError):
    """As many streams are open as `limit` allows."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return f"the limit of {self.limit} open streams is reached"


class LogUnavailableError(StreamkitError, ConnectionError):
    """A log did not answer within its timeout, or refused; `operation` may or may not have been carried out.

    A publish that is repeated with its idempotency key is stored once, whatever became of the first.
    """

    def __init__(self, log: str, operation: str, detail: str) -> None:
        super().__init__(log, operation, detail)
        self.log = log
        self.operation = operation
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.log} failed to {self.operation}: {self.detail}"


class LogFullError(StreamkitError, RuntimeError):
    """A channel holds as much as its log's `limit` allows, and was asked to drop nothing; nothing was stored."""

    def __init__(self, channel: str, limit: str) -> None:
        super().__init__(channel, limit)
        self.channel = channel
        self.limit = limit

    def __str__(self) -> str:
        return f"channel {self.channel!r:.200} is full: its log keeps {self.limit}"


class SealedError(StreamkitError, RuntimeError):
    """A channel was sealed by its last entry; nothing was stored."""

    def __init__(self, channel: str) -> None:
        super().__init__(channel)
        self.channel = channel

    def __str__(self) -> str:
        return f"channel {self.channel!r:.200} is sealed and takes nothing more"


class UnknownStreamError(StreamkitError, LookupError):
    """No detached stream was started under this key, or its log has forgotten it; answer 404."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return f"no detached stream has the key {self.key!r:.200}"


class InBandError(StreamkitError, RuntimeError):
    """A source has failed with `error`; `items`, in the words of its protocol, tell the client and are sent last.

    A stream whose source raises it logs `error`, sends the items and ends cleanly, with the reason "error"; `on_error`
    is not asked. `primed` raises `error` itself.
    """

    def __init__(self, error: Exception, items: Sequence[object]) -> None:
        super().__init__(error, items)
        self.error = error
        self.items = items
