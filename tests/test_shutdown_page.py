"""docs/shutdown.md: the filter that keeps cuts out of uvicorn's log, on uvicorn."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from streamkit import StreamCutError, close_streams
from streamkit.asgi import EventStreamResponse
from tests.rig.requirements import needs
from tests.test_how_to import BLOCK, run

TEXT = (Path(__file__).parents[1] / "docs" / "shutdown.md").read_text(encoding="utf-8")
(FILTER,) = [block for block in BLOCK.findall(TEXT) if "uvicorn.error" in block]


async def source(path: str) -> AsyncIterator[str]:
    """Fail after an item, or wait to be cut."""
    yield "a"
    if path == "/fault":
        await asyncio.sleep(0)
        raise RuntimeError("a fault of the app")
    await asyncio.Event().wait()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Stream; whoever knows the path may cut it."""
    await EventStreamResponse(source(scope["path"]), key=scope["path"])(scope, receive, send)


@contextmanager
def served() -> Iterator[str]:
    """Serve the app by uvicorn in a thread."""
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listener:  # whoever comes before uvicorn accepts is kept waiting
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


@needs("uvicorn", "httpx")
def test_filter_leaves_out_cuts_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    """Without it both are there; the client sees a broken body each time."""
    logger = logging.getLogger("uvicorn.error")
    before = list(logger.filters)
    try:
        with served() as url:
            seen = []
            for with_filter in False, True:
                if with_filter:
                    run(FILTER)
                for path in "/cut", "/fault":
                    with httpx.stream("GET", url + path, timeout=20) as response:
                        body = response.iter_bytes()
                        assert next(body) == b"data: a\n\n"
                        close_streams(path)
                        with pytest.raises(httpx.RemoteProtocolError):
                            next(body)
                seen.append([type(record.exc_info[1]) for record in caplog.records if record.exc_info])
                caplog.clear()
    finally:
        logger.filters[:] = before
    assert seen == [[StreamCutError, RuntimeError], [RuntimeError]]
