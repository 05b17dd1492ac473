"""What Django keeps by thread, and what of it a source needs where it runs.

asgiref decides in which thread the ORM's sync calls of a coroutine run, and so which database connection they use.
"""

from __future__ import annotations

from asyncio import get_running_loop
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from django.core.handlers.asgi import ThreadSensitiveContext  # type: ignore[attr-defined]
from django.core.handlers.base import async_to_sync, sync_to_async  # type: ignore[attr-defined]
from django.db import connections
from django.urls import get_script_prefix, get_urlconf, set_script_prefix, set_urlconf
from django.utils import timezone, translation

from streamkit._engine.background import on_background_loop
from streamkit._engine.source import is_async
from streamkit._engine.stream import Surroundings
from streamkit._engine.threads import running_loop

_close_orm = sync_to_async(connections.close_all)


async def _nothing() -> None:
    """Stand for any coroutine."""


_bridge = async_to_sync(_nothing)


class DjangoSurroundings(Surroundings):
    """The language, time zone and URLs of the view, and database connections that end with the source.

    asgiref's `Local`, which holds the former, hides in a thread what was set in another one, though the Context came
    along. So they are read here, in the view, and set again where the source runs.
    """

    def __init__(self) -> None:
        self._language = translation.get_language()
        self._timezone = timezone.get_current_timezone()
        self._prefix, self._urlconf = get_script_prefix(), get_urlconf()

    @contextmanager
    def inline(self) -> Iterator[None]:
        """Enter in the server's thread."""
        self._activate()
        yield

    @contextmanager
    def in_thread(self) -> Iterator[None]:
        """Enter in a pump's thread, which has database connections of its own."""
        self._activate()
        try:
            yield
        finally:
            connections.close_all()

    def _activate(self) -> None:
        if self._language is None:
            translation.deactivate_all()
        else:
            translation.activate(self._language)
        timezone.activate(self._timezone)
        set_script_prefix(self._prefix)
        set_urlconf(self._urlconf)

    @asynccontextmanager
    async def in_task(self) -> AsyncIterator[None]:
        """Enter in a pump's task.

        The Context of an async view below a sync middleware names the thread that waited for the view as the one for
        ORM calls; it has stopped waiting. Under ASGI the next in line is the request's own thread, whose connections
        Django closes. Under WSGI it would be one thread for the whole process, in which streams wait for each other
        and whose connections nobody closes: there each stream gets a thread, made at its first ORM call.
        """
        self._activate()
        _bridge.executors.current = None
        if not on_background_loop():
            yield
            return
        async with ThreadSensitiveContext() as own:
            try:
                yield
            finally:
                if own in _close_orm.context_to_thread_executor:
                    await _close_orm()


def on_lasting_loop() -> bool:
    """Tell whether the loop that runs here outlives the view: not the one that asgiref makes for it under WSGI."""
    return running_loop() is not None and get_running_loop() not in _bridge.loop_thread_executors


def handler_is_async(source: object) -> bool:
    """Guess which of Django's handlers will read a response that is built now, without its request."""
    if _close_orm.thread_sensitive_context.get(None) is not None:
        return True  # the ASGI handler has set it, also for sync views
    return running_loop() is not None and (on_lasting_loop() or is_async(source))
