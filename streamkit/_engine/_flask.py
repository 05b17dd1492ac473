"""The part of the engine that knows Flask: the contexts that its proxies look for where a source runs."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager

import flask
from flask.globals import app_ctx, request_ctx

from streamkit._engine.stream import Surroundings


class FlaskSurroundings(Surroundings):
    """Contexts of the stream's own, made of those that were live when its response was built."""

    @contextmanager
    def inline(self) -> Iterator[None]:
        """Enter in the server's thread."""
        with ExitStack() as stack:
            if flask.has_app_context():
                fresh = app_ctx.app.app_context()
                fresh.g = copy.copy(app_ctx.g)
                stack.enter_context(fresh)
            if flask.has_request_context():
                stack.enter_context(request_ctx.copy())
            yield

    in_thread = inline

    @asynccontextmanager
    async def in_task(self) -> AsyncIterator[None]:
        """Enter in a pump's task."""
        with self.inline():
            yield
