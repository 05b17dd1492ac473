"""What a subscription can be asked for, checked when it is made, and what it says of a gap."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from streamkit._engine.policy import check_int
from streamkit.channels._history import Reason
from streamkit.sse import Event


@dataclass(frozen=True, slots=True)
class Gap:
    """What is missing, as `on_gap` is told and as the event `gap` says.

    Attributes:
        channel: Where.
        requested: The id that cannot be gone on from.
        oldest: The id before the oldest event that the log still has.
        reason: `"evicted"`: the log has dropped what follows it. `"reset"`: the log was lost or rolled back.
            `"unknown"`: it is no id of this channel. `"overflow"`: the reader was too slow.
    """

    channel: str
    requested: str
    oldest: str
    reason: Reason


SHOWN = 200
"""Characters of a client's id that are repeated to it."""


def shown(id: str) -> str:
    """Return what is repeated of an id that a client sent: not all of it, and nothing that cannot be sent."""
    return id[:SHOWN].encode(errors="replace").decode()


OnGap = Literal["oldest", "live"] | Callable[[Gap], Any]
Visible = Callable[[Event], bool | Awaitable[bool]]


@dataclass(frozen=True, slots=True, eq=False)
class Options:
    """What a subscription was asked for; see `Channels.subscribe`."""

    after: str | None
    start: Literal["live", "oldest"]
    on_gap: OnGap
    overflow: Literal["disconnect", "drop_oldest"]
    buffer_size: int
    visible: Visible | None
    caught_up: bool

    def __post_init__(self) -> None:
        _check("start", self.start, ("live", "oldest"))
        _check("overflow", self.overflow, ("disconnect", "drop_oldest"))
        if not callable(self.on_gap) and self.on_gap not in ("oldest", "live"):
            raise ValueError(f"on_gap must be 'oldest', 'live' or a function of a Gap, not {self.on_gap!r:.200}")
        if self.visible is not None and not callable(self.visible):
            raise TypeError(f"visible must be a function of an Event, not {self.visible!r:.200}")
        if self.after is not None and not isinstance(self.after, str):
            raise TypeError(f"after must be the id that a client gave, a str, or None; not {self.after!r:.200}")
        check_int("buffer_size", self.buffer_size)


def _check(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be {' or '.join(map(repr, allowed))}, not {value!r:.200}")
