"""What the responses of all adapters have in common: their options, and the answers given instead of a stream.

Each option is a keyword and a class attribute; the keyword wins. A subclass with attributes of its own is how an app
sets its defaults.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Mapping
from http import HTTPStatus
from inspect import getattr_static
from types import FunctionType
from typing import Any, NamedTuple, TypedDict

from streamkit._engine.bodies import discard
from streamkit._engine.clock import SYSTEM, Clock
from streamkit._engine.life import Life, OnClose
from streamkit._engine.limit import StreamLimit
from streamkit._engine.policy import StreamPolicy
from streamkit._engine.prime import Primed
from streamkit._engine.stream import Stream
from streamkit._format import Format
from streamkit._headers import response_headers
from streamkit._negotiation import choose
from streamkit.errors import NotAcceptableError
from streamkit.jsonseq import JSONSeq
from streamkit.ndjson import NDJSON
from streamkit.sse import EventStream

OnError = Callable[[Exception], object]
HeaderList = list[tuple[str, str]]
Headers = Mapping[str, str] | HeaderList | None

RETRY_AFTER = (2, 10)
"""Seconds after which a client that was refused may come back: a range, so that they do not all come at once."""


class Answer(NamedTuple):
    """A short response instead of a stream."""

    status: int
    headers: HeaderList
    body: bytes


def status_line(status: int) -> str:
    """Return a status as WSGI has it."""
    return f"{int(status)} {HTTPStatus(status).phrase}"


class Options(TypedDict, total=False):
    """The options of a response that may be given as keywords."""

    format: Format | None
    policy: StreamPolicy | None
    end: object
    on_error: OnError | None
    on_close: OnClose | None
    key: Hashable
    limit: StreamLimit | None
    formats: tuple[Format, ...] | None


OPTIONS = tuple(Options.__annotations__)

_ARGUMENTS = {"on_error": 1, "on_close": 2}
"""How many arguments an option takes that is a function."""


def class_option(holder: object, name: str) -> Any:
    """Return an option that is an attribute of the holder's class, where a plain function is no method."""
    raw = getattr_static(type(holder), name)
    plain = isinstance(raw, FunctionType) and raw.__code__.co_argcount == _ARGUMENTS.get(name)
    return raw if plain else getattr(holder, name)


class StreamOptions:
    """The options of one response, bound to its stream; `streamkit.wsgi.EventStreamResponse` says what each does."""

    format: Format = EventStream()
    policy: StreamPolicy = StreamPolicy()
    end: object = None
    on_error: OnError | None = None
    on_close: OnClose | None = None
    key: Hashable = None
    limit: StreamLimit | None = None
    formats: tuple[Format, ...] = ()
    _stream: Stream
    _clock: Clock = SYSTEM

    def _prepare(self, content: object, **given: object) -> None:
        """Check the content and the options in the view, where a mistake is easiest to find.

        Raises:
            TypeError: The content cannot be streamed, or an option is of the wrong kind.
            ValueError: The policy asks for something that a format cannot do.
            EncodeError: `end` cannot be written in a format.
        """
        if not isinstance(status := given.pop("status", None), int | str | None):
            raise TypeError(f"status must be a number, not {status!r:.200}; a request is given as request=…")
        if name := min(given.keys() - OPTIONS, default=""):
            known = f"policy=StreamPolicy({name}=…)" if hasattr(StreamPolicy, name) else ", ".join(OPTIONS)
            raise TypeError(f"{type(self).__name__}() has no option {name!r}; it takes {known}")
        self._given = {name: value for name, value in given.items() if value is not None}
        self._stream = content._claim() if isinstance(content, Primed) else Stream(content)
        self._content = content  # a primed source is closed when nobody holds it any more
        if not isinstance(formats := self._option("formats"), tuple):
            raise TypeError(f"formats must be a tuple such as (EventStream(), NDJSON()), not {formats!r:.200}")
        self.formats = formats
        for format in (*self.formats[1:], *self.formats[:1]) or (self._option("format"),):
            self._bind(format)
        if not formats:
            del self._given  # nothing is bound again

    def _negotiate(self, accept: str | None) -> Answer | None:
        """Bind the format that an Accept header asks for; return the answer 406 where it is none of them.

        Only for a response that has `formats`; any other keeps its one format.
        """
        if not self.formats:
            return None
        try:
            self._bind(choose(accept, self.formats))
        except NotAcceptableError as exc:
            text = f"{exc}\n".encode()
            return Answer(406, [("Content-Type", "text/plain; charset=utf-8"), ("Vary", "Accept")], text)
        return None

    def _stream_headers(self, user: Headers = None) -> HeaderList:
        """Return the headers of the stream, the user's own among them."""
        return response_headers(self._stream.format, user, vary_accept=bool(self.formats))

    def _discard(self) -> None:
        """Close a source that is never going to be started."""
        self._stream.life.retire()
        discard(self._stream)

    def _option(self, name: str) -> Any:
        if name in self._given:
            return self._given[name]
        return class_option(self, name)

    def _bind(self, format: Format) -> None:
        others = {name: self._option(name) for name in OPTIONS if name not in {"format", "formats"}}
        self._stream.bind(format=format, clock=self._clock, **others)


class Negotiated(StreamOptions):
    """The option of a response whose format the request chooses."""

    formats: tuple[Format, ...] = (EventStream(), NDJSON(), JSONSeq())


def refusal(life: Life, most: int, headers: HeaderList | None = None) -> Answer:
    """Return the answer to a stream over the limit of `most`; with the stream's own `headers`, if the host needs them.

    A browser's EventSource never comes back after a status other than 200, so it gets an empty event stream and the
    time to reconnect (WHATWG HTML, 9.2.3 and 9.2.6). Any other client gets 503 with Retry-After (RFC 9110, 10.2.3).
    """
    seconds = random.uniform(*RETRY_AFTER)  # noqa: S311 - spreads load, guards nothing
    if life.is_browser and life.format.media_type.startswith("text/event-stream"):
        own = [(name, value) for name, value in headers or () if name.lower() != "content-encoding"]
        return Answer(200, own or response_headers(life.format), b"retry: %d\n" % (seconds * 1000))
    text = f"As many streams are open here as allowed ({most}); try again later.\n".encode()
    return Answer(503, [("Content-Type", "text/plain; charset=utf-8"), ("Retry-After", str(round(seconds)))], text)
