"""The one reader of a server's `receive` while a stream runs, so that a disconnect is heard though the app is deaf.

Until a stream starts, the app's calls go straight to the server. From then on a task of ours reads, as soon as no call
of the app is inside, and the app is served from what it has read. At most one message of request body is read ahead
while more of it is to come; none is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from streamkit._engine.message import DISCONNECT, Message, Receive
from streamkit._engine.register import logger
from streamkit._engine.transport import transport_of


class Inbox:
    """What the app of one request receives.

    Attributes:
        left: The server has said that the client left, or that the response is over.
        told: The app is to be told that the client left, whether it has or not.
        heard: The app has been told.
    """

    left: bool = False
    told: bool = False
    heard: bool = False
    # Few requests are streams, and each has an inbox: what most never set is no part of it.
    _straight = True  # the app's calls go to the server
    _watched = _hidden = False
    _inside = 0
    _ahead: Message | None = None
    _changed: asyncio.Future[None] | None = None
    _on_left: Callable[[], object] | None = None
    _watcher: asyncio.Task[None] | None = None

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    @property
    def transport(self) -> object:
        """The server's connection, for a streamkit response that looks for it here; or None."""
        return transport_of(self._receive)

    async def receive(self) -> Message:
        """Return the app's next message."""
        if self._straight:
            self._inside += 1
            try:
                message = await self._receive()
            except BaseException:
                self._inside -= 1
                self._watch_if_idle()
                raise
            self._inside -= 1
            if not self._watched:
                return message
            if message["type"] != DISCONNECT:
                self._watch_if_idle()
                return message
            self._note_left()
        return await self._next()

    async def _next(self) -> Message:
        while True:
            if self._ahead is not None:
                message, self._ahead = self._ahead, None
                self._wake()
                return message
            if self.told or (self.left and not self._hidden):
                self.heard = True
                return {"type": DISCONNECT}
            await self._change()

    def watch(self, on_left: Callable[[], object]) -> None:
        """Call `on_left` once when the client has left."""
        self._on_left, self._watched = on_left, True
        self._watch_if_idle()

    def hide(self) -> None:
        """Keep from the app that the client has left, or that the response is over, until it is told."""
        self._hidden = self._watched = True

    def stop(self) -> None:
        """Read no further for the app."""
        if self._watcher is not None:
            self._watcher.cancel()

    def tell(self) -> bool:
        """Tell the app that the client has left; False when it waits for the server, and so cannot be told."""
        self.told, self._straight = True, False
        self._wake()
        return not self._inside

    def _watch_if_idle(self) -> None:
        if self._on_left is not None and self._watcher is None and not self._inside:
            self._straight = False
            self._watcher = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        try:
            while (message := await self._receive())["type"] != DISCONNECT:
                self._ahead = message
                self._wake()
                while self._ahead is message and message.get("more_body"):
                    await self._change()
        except Exception as exc:
            logger.debug("receive() failed, which is taken for a client that has left: %r", exc)
        self._note_left()

    def _note_left(self) -> None:
        first, self.left = not self.left, True
        if first and self._on_left is not None:
            self._on_left()
        self._wake()

    async def _change(self) -> None:
        if self._changed is None:
            self._changed = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._changed)

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set_result(None)
            self._changed = None
