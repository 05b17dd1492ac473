"""A server upstream that speaks OpenAI's chat completions, misbehaves when asked to, and notes when its client leaves.

The `model` of a request names what happens: "whole" is a complete answer with usage, "cut" ends cleanly without a
finish reason, "breaks" sends an error in the middle, "limited" is a 429 with Retry-After and headers that are nobody's
business, "endless" goes on for ever, and "silent" sends one word, and then nothing until `go` is set. `left` is set
when the client of one of the latter has gone.
"""

from __future__ import annotations

import json
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WORDS = ["Hel", "lo,\n", " wor", "ld\u2028"]
USAGE = {"prompt_tokens": 1, "completion_tokens": 4, "total_tokens": 5}
LIMITED = {"error": {"message": "too many requests", "type": "requests", "code": "rate_limit", "param": None}}
RETRY_AFTER = "7"
BROKEN = {"error": {"message": "the model fell over", "type": "server_error", "code": "overloaded", "param": None}}


class Upstream(ThreadingHTTPServer):
    """The server."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.left = threading.Event()
        self.go = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Upstream

    def do_POST(self) -> None:
        model = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["model"]
        if model == "limited":
            self._head(
                429, "application/json", {"Retry-After": RETRY_AFTER, "Set-Cookie": "mine=1", "X-Internal": "yes"}
            )
            self.wfile.write(json.dumps(LIMITED).encode())
            return
        self._head(200, "text/event-stream")
        self._event(chunk({"role": "assistant", "content": ""}))
        getattr(self, f"_{model}")()

    def _whole(self) -> None:
        self._cut()
        self._event(chunk({}, "stop"))
        self._event({**chunk({}), "choices": [], "usage": USAGE})
        self._event("[DONE]")

    def _cut(self) -> None:
        for word in WORDS:
            self._event(chunk({"content": word}))

    def _breaks(self) -> None:
        self._cut()
        self._event(BROKEN)

    def _endless(self) -> None:
        self._until_left(lambda: True)

    def _silent(self) -> None:
        self._event(chunk({"content": "a"}))
        self._until_left(self.server.go.is_set)

    def _until_left(self, sends: Any) -> None:
        """Go on until the client is seen to have gone, by its connection or by what is sent to it."""
        try:
            while not (select.select([self.connection], [], [], 0.02)[0] and not self.connection.recv(1)):
                if sends():
                    self._event(chunk({"content": "x" * 1000}))
        except OSError:
            pass
        self.server.left.set()

    def _head(self, status: int, content_type: str, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": content_type, "Connection": "close", **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()

    def _event(self, data: dict[str, Any] | str) -> None:
        self.wfile.write(f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode())
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the output of the tests clean."""


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    """Return a chunk that no other server would make: with a field of its own."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "up", "object": "chat.completion.chunk", "created": 1, "model": "up", "choices": [choice]}


@contextmanager
def upstream() -> Iterator[Upstream]:
    """Serve it in a thread."""
    with Upstream() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.go.set()
            server.shutdown()
            thread.join(5)
