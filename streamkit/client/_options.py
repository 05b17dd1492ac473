"""When a stream is asked for again, and the other options of a reader. Pure; what waits and what is random is given."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypedDict

RETRY = 3000  # milliseconds, Chromium's too
MAX_RETRY = 2**31 - 1  # as in `Event`
DAY = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconnection:
    """When a stream that has ended or broken off is asked for again: after its `retry`, and later after failures.

    Args:
        retry: Milliseconds, as long as the stream has named none.
        backoff: Seconds more after a connection that brought no event; doubled by each further one, up to `longest`.
        longest: The most seconds that `backoff` grows to.
        jitter: The largest share of the pause that is added at random, so that clients do not all come back at once.
        attempts: How many connections in a row may bring no event before the last error is raised, or the loop ends
            where there was none. None is for ever, as in a browser.
        methods: The methods of requests that are sent again. Of others, twice may be once too often.
        on_reconnect: Called before each pause with the error, None where the stream has ended, and the seconds. What
            it raises ends the loop. Without it, one line is logged.
        sleep: Waits, if not `asyncio.sleep` or `time.sleep`; under Trio give `trio.sleep`.
        random: Returns a number from 0 to 1.

    Raises:
        ValueError: A number is out of its range, or `methods` is one name.
    """

    retry: int = RETRY
    backoff: float = 1.0
    longest: float = 60.0
    jitter: float = 0.5
    attempts: int | None = None
    methods: Collection[str] = ("GET",)
    on_reconnect: Callable[[Exception | None, float], object] | None = None
    sleep: Callable[[float], Any] | None = None
    random: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        for name, most in {"retry": MAX_RETRY, "backoff": DAY, "longest": DAY, "jitter": 1}.items():
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"{name} is a number from 0 to {most}; got {getattr(self, name)!r}")
        if self.attempts is not None and (not isinstance(self.attempts, int) or self.attempts < 1):
            raise ValueError(f"attempts is an int, 1 or more, or None; got {self.attempts!r}")
        if isinstance(self.methods, str):
            raise ValueError(f"methods is a collection of names, such as {{'POST'}}; got {self.methods!r}")

    def repeats(self, method: str) -> bool:
        """Tell whether a request of this method may be sent again."""
        return method.upper() in {name.upper() for name in self.methods}

    def pause(self, retry: int, in_vain: int) -> float:
        """Return the seconds to wait where the stream says `retry` and the last `in_vain` connections brought nothing.

        WHATWG HTML, 9.2.3: the reconnection time, and optionally some more.
        """
        more = min(self.longest, self.backoff * 2.0 ** min(in_vain - 1, 30)) if in_vain else 0.0
        return (retry / 1000 + more) * (1 + self.jitter * self.random())


LIKE_A_BROWSER = Reconnection()


class RequestOptions(TypedDict, total=False):
    """What goes to httpx with each request."""

    method: str
    headers: Any
    params: Any
    json: Any
    content: str | bytes
    data: Any
    auth: Any


class Options(RequestOptions, total=False):
    """The options of `connect`, where they are described."""

    reconnection: Reconnection | None
    idle_timeout: float | None
    last_event_id: str | int | None
    until: str | Callable[[Any], object] | None
    max_event_size: int | None
