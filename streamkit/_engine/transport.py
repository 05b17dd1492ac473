"""Reach the connection under an ASGI server's callables, where the server lets it be reached.

ASGI has no message that resets a connection. A client that does not read keeps what was written for it, its socket, and
at a shutdown the server, until it reads or dies. uvicorn's `send` and `receive` are methods of an object that has the
asyncio transport; other servers have none to be found.
"""

from __future__ import annotations

from typing import Any


def transport_of(method: object) -> Any:
    """Return the transport of the object whose method the server has handed out, or None."""
    return getattr(getattr(method, "__self__", None), "transport", None)


def abort_connection(*methods: object) -> None:
    """Close the connection at once, and let go of what waits for a client that does not read."""
    for method in methods:
        abort = getattr(transport_of(method), "abort", None)
        if callable(abort):
            abort()
            return
