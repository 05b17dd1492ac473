"""Call a WSGI application as a server does, one step at a time and in the thread of the test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class Call:
    """One request to `app`; the body is iterated by whoever made the call, who also closes it.

    Args:
        app: The application.
        path: With the query.
        threads: What the server says of itself: whether other requests run beside this one.
        method: The request's method.
        headers: The request's headers.
    """

    def __init__(
        self,
        app: WSGIApplication,
        path: str = "/",
        *,
        threads: bool = False,
        method: str = "GET",
        headers: dict[str, str] | None = None,
    ) -> None:
        builder = EnvironBuilder(path, method=method, headers=Headers(headers), multithread=threads)
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body: Iterable[bytes] = app(builder.get_environ(), self._start)
        self._items: Iterator[bytes] | None = None

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        self.status = int(status[:3])
        self.headers = dict(headers)

    def take(self) -> bytes:
        """Return the next bytes that are not empty; b"" at the end."""
        if self._items is None:
            self._items = iter(self.body)
        return next((data for data in self._items if data), b"")

    def read(self) -> bytes:
        """Read to the end and close."""
        try:
            return b"".join(iter(self.take, b""))
        finally:
            self.close()

    def close(self) -> None:
        """End the request, whether the body was read or not."""
        close = getattr(self.body, "close", None)
        if close is not None:
            close()
