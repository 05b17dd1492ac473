"""A stand-in for an OpenAI-compatible server: it has no model, says so in each answer, and misbehaves when asked to.

The `model` of a request names what happens: "whole" is a complete answer, "cut" ends cleanly without [DONE],
"refused" is a 429 with Retry-After, and "endless" goes on until its client has left, which sets `left`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WORDS = ("I ", "am ", "a ", "stand-in,\n", "no ", "model.")
REFUSAL = {"error": {"message": "this stand-in refuses", "type": "invalid_request_error"}}


class StandIn(ThreadingHTTPServer):
    """The server; `asked` are the bodies it was sent, `left` is set when a client of "endless" has gone."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, Any]] = []
        self.left = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append({"path": self.path, "authorization": self.headers["Authorization"], **asked})
        if asked["model"] == "refused":
            self._head(429, "application/json", {"Retry-After": "7", "Set-Cookie": "upstream=1"})
            self.wfile.write(json.dumps(REFUSAL).encode())
            return
        self._head(200, "text/event-stream")
        for word in WORDS:
            self._event(json.dumps(chunk(word)))
        if asked["model"] == "whole":
            self._event("[DONE]")
        while asked["model"] == "endless":
            try:
                self._event(json.dumps(chunk("x" * 1000)))
            except OSError:
                self.server.left.set()
                return
            self.server.left.wait(0.01)

    def _head(self, status: int, content_type: str, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": content_type, "Connection": "close", **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()

    def _event(self, data: str) -> None:
        self.wfile.write(f"data: {data}\n\n".encode())
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the output of the tests clean."""


def chunk(word: str) -> dict[str, Any]:
    """Return one piece of an answer as the API has it."""
    choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
    return {"id": "stand-in", "object": "chat.completion.chunk", "model": "none: a stand-in", "choices": [choice]}


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """Serve the stand-in in a thread."""
    with StandIn() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.left.set()
            server.shutdown()
            thread.join(5)
