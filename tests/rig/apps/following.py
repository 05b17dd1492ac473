"""Numbered events from a file that the test appends numbers to, resumable, and a page that listens to them.

A worker that is started anew knows no more than the file, and the client's last id is all that it needs to go on.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from streamkit import Event
from streamkit.asgi import EventStreamResponse, last_event_id
from tests.rig.asgi import answer_lifespan
from tests.rig.sidedoor import open_side_door

if TYPE_CHECKING:
    from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, Scope

NUMBERS = "STREAMKIT_RIG_NUMBERS"

SOURCES = 4
_PAGE = f"""<!doctype html><title>Numbers</title><link rel="icon" href="data:,"><script>
const sources = Array.from({{length: {SOURCES}}}, () => {{
  const source = new EventSource("/numbers");
  source.seen = [];
  source.opened = 0;
  source.onopen = () => source.opened++;
  source.onmessage = event => source.seen.push(Number(event.data));
  return source;
}});
</script>"""

open_side_door()


async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Answer /numbers by the events after the client's last one, and any other path by the page."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
        return
    assert scope["type"] == "http"
    if scope["path"] == "/numbers":
        response: Any = EventStreamResponse(_numbers(int(last_event_id(scope) or 0)))  # type: ignore[arg-type]
        await response(scope, receive, send)
        return
    headers = [(b"content-type", b"text/html"), (b"content-length", b"%d" % len(_PAGE))]
    await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": _PAGE.encode(), "more_body": False})


async def _numbers(after: int) -> AsyncIterator[Event]:
    with open(os.environ[NUMBERS]) as numbers:  # noqa: ASYNC230 - a local file
        while True:
            while (line := numbers.readline()).endswith("\n"):
                if int(line) > after:
                    yield Event(int(line), id=int(line))
            numbers.seek(numbers.tell() - len(line))
            await asyncio.sleep(0.05)
