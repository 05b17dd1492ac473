"""What a test has in its hands of a clock: it lets time pass, and keepalives and ages come when the clock gets there.

A clock is found by the streams that are made in its Context, so the code under test is not changed and other threads
and tests keep the system's time. Here is only what a test may call; how time passes is in `_clock`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Token
from typing import Any

from streamkit._engine.clock import TIME, Clock
from streamkit.testing._clock import ManualClock


class _Held:
    """What both kinds of clock tell."""

    def __init__(self) -> None:
        self._clock = ManualClock()

    def now(self) -> float:
        """Return the time that the test has set, in seconds; only differences mean something."""
        return self._clock.now()

    @property
    def pending(self) -> list[float]:
        """The seconds in which calls on loops are due, such as keepalives, soonest first."""
        return self._clock.pending

    @property
    def sleeping(self) -> int:
        """How many threads wait."""
        return self._clock.sleeping


class FakeClock(_Held):
    """What `with fake_clock()` gives to a sync test."""

    def advance(self, seconds: float) -> None:
        """Let time pass for every stream that goes by this clock, step by step.

        What becomes due is done in order: with a keepalive of 15 s, 60 make four. When this returns, all of it has
        happened, unless the app has kept its loop or thread busy for ten of the system's seconds.

        Args:
            seconds: From 0.

        Raises:
            ValueError: `seconds` is negative: time does not go back.
        """
        self._clock.advance_elsewhere(seconds)


class AsyncFakeClock(_Held):
    """What `async with fake_clock()` gives to an async test."""

    async def advance(self, seconds: float) -> None:
        """See `FakeClock`."""
        await self._clock.advance_here(seconds)


class fake_clock:
    """Have the streams that are made inside `with` or `async with` live by a clock that only the test moves.

    It reaches responses that a view builds; what it does not reach is listed in docs/testing.md.
    """

    _token: Token[Callable[[Any], Clock]]

    def __enter__(self) -> FakeClock:
        clock = FakeClock()
        self._begin(clock)
        return clock

    def __exit__(self, *error: object) -> None:
        TIME.reset(self._token)

    async def __aenter__(self) -> AsyncFakeClock:
        clock = AsyncFakeClock()
        self._begin(clock)
        return clock

    async def __aexit__(self, *error: object) -> None:
        TIME.reset(self._token)

    def _begin(self, clock: _Held) -> None:
        self._token = TIME.set(lambda _: clock_of(clock))


def clock_of(fake: object) -> Clock:
    """Return the engine's clock behind one that a test holds.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(fake, _Held):
        raise TypeError(f"clock must be one of fake_clock(), not {fake!r:.200}")
    return fake._clock
