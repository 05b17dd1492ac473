"""The options of a middleware, checked, and the streams of the app that it wraps, which have them."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from dataclasses import replace
from typing import TypeVar

from streamkit._engine.clock import SYSTEM, Clock
from streamkit._engine.foreign.kinds import OPAQUE, ForeignBytes
from streamkit._engine.life import Life, OnClose
from streamkit._engine.limit import StreamLimit
from streamkit._engine.policy import StreamPolicy, check_policy
from streamkit._engine.signals import drain_on_signals
from streamkit._engine.source import Source
from streamkit._engine.stream import Stream

App = TypeVar("App", bound=Callable[..., object])


def check_app(app: App, interface: str) -> App:
    """Return `app` when it can be called.

    Raises:
        TypeError: It cannot.
    """
    if not callable(app):
        raise TypeError(f"app must be {interface} app, not {app!r:.200}")
    return app


class MiddlewareOptions:
    """The options of a middleware.

    Attributes:
        policy: How its streams behave.
        clock: The time to wait by.

    Raises:
        TypeError: An option is of the wrong kind.
    """

    def __init__(
        self,
        policy: StreamPolicy | None = None,
        limit: StreamLimit | None = None,
        on_close: OnClose | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        self.policy: StreamPolicy = StreamPolicy() if policy is None else check_policy(policy)
        self.clock = clock
        self._silent = replace(self.policy, keepalive=None)
        self._limit, self._on_close = limit, on_close
        self.life(OPAQUE)  # wrong options fail here
        drain_on_signals()

    @property
    def keepalive_asked(self) -> bool:
        """Whether the policy names seconds, and does not leave it to us."""
        return isinstance(self.policy.keepalive, int | float)

    def life(self, format: ForeignBytes) -> Life:
        """Return the life of a stream that starts now, in the present Context."""
        life = Life(copy_context())
        policy = self._policy_of(format)
        life.bind(policy, format, on_close=self._on_close, limit=self._limit, clock=self.clock)
        return life

    def stream(self, content: Source, format: ForeignBytes, *, fillers: bool) -> Stream:
        """Return the stream of an app's content.

        Args:
            content: What gives the bytes, and closes what the app is to have closed.
            format: What they are.
            fillers: Whether fillers may be sent.
        """
        stream = Stream(content)
        stream.bind(
            format=format,
            policy=self._policy_of(format) if fillers else self._silent,
            on_close=self._on_close,
            limit=self._limit,
            clock=self.clock,
        )
        stream.boundary = format.boundary()
        return stream

    def _policy_of(self, format: ForeignBytes) -> StreamPolicy:
        return self.policy if format.keepalive else self._silent
