"""Every client of docs/clients.md: what runs it, what it needs, and what it is expected to make of each trap.

A whole stream must be heard exactly, by every client. The three ways in which a stream can stop before its end are
declared, in the words of `judge`, because clients differ there and an app must know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Framework = Literal["Flask", "Django", "FastAPI"]

SITES: dict[Framework, tuple[str, str]] = {
    "Flask": ("gunicorn-gthread", "tests.rig.apps.clients_flask:app"),
    "Django": ("uvicorn-h11", "tests.rig.apps.clients_django:app"),
    "FastAPI": ("uvicorn-httptools", "tests.rig.apps.clients_fastapi:app"),
}
"""Framework -> the server, and the app."""

TRAPS = {
    "tokens": "Tokens that are a line break or a space, begin with spaces, or look like a field or like `[DONE]`.",
    "bare": "The same tokens as bare text, without JSON; for clients that leave the data to their user.",
    "separators": "U+2028, U+2029 and U+0085 in a token.",
    "silence": "An id, and then a silence with keepalives.",
    "retry": "A `retry` in the policy, and then a silence with keepalives.",
    "error": "The source fails in the middle, and `on_error`, or `error` of `streamkit.llm`, says why.",
    "cut": "The source fails in the middle, and neither is set.",
    "closed": "`close_streams` ends the stream in the middle of a silence, as a shutdown does.",
}

LINES = ("tokens", "separators", "error", "cut")
"""The traps of JSON lines, which have neither ids nor keepalives of their own."""


@dataclass(frozen=True)
class Client:
    """A client, and what it is expected to do.

    Args:
        name: As its users call it; the first cell of its row.
        runner: Where it runs.
        shape: What it reads, a key of SHAPES.
        package: Where its version is from: `pip`, `npm` or `run`, and the name.
        needs: What its user must know; Markdown.
        error: What it makes of an error that the protocol tells.
        cut: What it makes of a connection that is cut.
        closed: What it makes of a stream that was ended by the server.
        bare: What it makes of tokens that are not JSON, and not exact in every client.
        parts: Names of PARTS without which it cannot run.
    """

    name: str
    runner: Literal["python", "node", "chromium"]
    shape: str
    package: str
    needs: str
    error: str
    cut: str
    closed: str = ""
    bare: str = "pass"
    parts: tuple[str, ...] = ()

    @property
    def traps(self) -> tuple[str, ...]:
        """The traps that it is led into."""
        if self.shape in {"ndjson", "jsonseq"}:
            return LINES
        return tuple(trap for trap in TRAPS if trap != "bare" or self.shape == "events")

    @property
    def done(self) -> list[str]:
        """The events, in the words of `Heard`, that end a whole stream."""
        return ["done {}"] if self.shape == "events" else []

    def expected(self, trap: str) -> str:
        """Return what the judge must say."""
        return {"bare": self.bare, "error": self.error, "cut": self.cut, "closed": self.closed}.get(trap, "pass")


FAILED = "`failed` with the text"
BACK = "comes back, exactly once"
ROW = "a last row with the text"

EVENTS = [
    Client(
        *("EventSource", "chromium", "events", "run chromium"),
        needs="Only GET, and no header of its own. Every status other than 200 stops it for good.",
        error=FAILED,
        cut=BACK,
        closed="comes back",
    ),
    Client(
        *("fetch, eventsource-parser", "chromium", "events", "npm eventsource-parser"),
        needs="Call it again with the last id: what has arrived, but was not read before the cut, is lost to `fetch`.",
        error=FAILED,
        cut="raises `TypeError`; by hand, exactly once",
        closed="ends",
    ),
    Client(
        *("@microsoft/fetch-event-source", "chromium", "events", "npm @microsoft/fetch-event-source"),
        needs="`openWhenHidden: true`, or it asks again whenever the tab is shown. JSON: it drops leading line breaks."
        " It takes a clean end for the end: raise in `onclose` unless the last event was seen.",
        error=FAILED,
        cut=BACK,
        closed="ends",
        bare="changes them",
    ),
    Client(
        *("htmx, htmx-ext-sse", "chromium", "html", "npm htmx-ext-sse"),
        needs="An event type for each `sse-swap`, and one for `sse-close`. Data is HTML. A"
        " [recipe](how-to/other-protocols.md).",
        error="shown with the text",
        cut=BACK,
        closed="comes back",
    ),
    Client(
        *("Turbo, `<turbo-stream-source>`", "chromium", "turbo", "npm @hotwired/turbo"),
        needs="No event type. Data is a `<turbo-stream>`; the last one removes the source. A"
        " [recipe](how-to/other-protocols.md).",
        error="shown with the text",
        cut=BACK,
        closed="comes back",
    ),
    Client(
        *("eventsource (npm)", "node", "events", "npm eventsource"),
        needs="Nothing.",
        error=FAILED,
        cut=BACK,
        closed="comes back",
    ),
    Client(
        *("eventsource-parser, Node", "node", "events", "npm eventsource-parser"),
        needs="Call it again with the last id.",
        error=FAILED,
        cut="raises `TypeError`; by hand, exactly once",
        closed="ends",
    ),
    Client(
        *("streamkit.client", "python", "events", "pip streamkit-http"),
        needs="`until=` the last event. See [Read a stream from Python](client.md).",
        error=FAILED,
        cut=BACK,
        closed="comes back",
        parts=("httpx",),
    ),
    Client(
        *("httpx-sse", "python", "events", "pip httpx-sse"),
        needs="Call it again with the last id, which it keeps.",
        error=FAILED,
        cut="raises `RemoteProtocolError`; by hand, exactly once",
        closed="ends",
        parts=("httpx", "httpx-sse"),
    ),
    Client(
        *("httpx2, `client.sse()`", "python", "events", "pip httpx2"),
        needs="Call it again with the last id. An event of more than 1 MiB is an error.",
        error=FAILED,
        cut="raises `RemoteProtocolError`; by hand, exactly once",
        closed="ends",
        parts=("httpx2",),
    ),
    Client(
        *("sseclient-py", "python", "events", "pip sseclient-py"),
        needs="Call it again with the last id, which you keep: an event without one has none.",
        error=FAILED,
        cut="raises `RemoteProtocolError`; by hand, exactly once",
        closed="ends",
        parts=("httpx", "sseclient-py"),
    ),
    Client(
        *("aiohttp-sse-client", "python", "events", "pip aiohttp-sse-client"),
        needs="JSON: it strips spaces. It comes back after a clean end alone, and later each time.",
        error=FAILED,
        cut="raises `ClientPayloadError`",
        closed="comes back",
        bare="changes them",
        parts=("aiohttp-sse-client",),
    ),
]

MODELS = [
    Client(
        *("openai, Python", "python", "openai", "pip openai"),
        needs="JSON in every event, also in one that has an id or a `retry` alone; `[DONE]` last. Only the text of the"
        " error object is raised. `streamkit.llm.chat_completions` does it.",
        error="raises `APIError` with the text",
        cut="raises `APIError`",
        closed="raises `APIConnectionError`",
        parts=("openai",),
    ),
    Client(
        *("openai, npm", "node", "openai", "npm openai"),
        needs="As in Python.",
        error="raises `APIError` with the text",
        cut="raises `APIError`",
        closed="raises `TypeError`",
    ),
    Client(
        *("anthropic, Python", "python", "anthropic", "pip anthropic"),
        needs="An event type on every event; an event without one is dropped. A [recipe](how-to/other-protocols.md).",
        error="raises `APIStatusError` with the text",
        cut="raises `RemoteProtocolError`",
        closed="raises `RemoteProtocolError`",
        parts=("anthropic",),
    ),
    Client(
        *("@anthropic-ai/sdk", "node", "anthropic", "npm @anthropic-ai/sdk"),
        needs="As in Python.",
        error="raises `APIError` with the text",
        cut="raises `AnthropicError`",
        closed="raises `AnthropicError`",
    ),
    Client(
        *("ai", "node", "ui", "npm ai"),
        needs="The parts in their order; a part of an unknown type ends the message with an error."
        " `streamkit.llm.ui_messages` does it.",
        error="raises `Error` with the text",
        cut="raises `Error`",
        closed="raises `TypeError`",
    ),
    Client(
        *("@ai-sdk/react, `useChat`", "chromium", "ui", "npm @ai-sdk/react"),
        needs="As `ai`. It sends no Last-Event-ID: its resume route plays the whole answer again.",
        error="shows an error with the text",
        cut="shows an error",
        closed="shows an error",
    ),
    Client(
        *("@ag-ui/client, `HttpAgent`", "node", "agui", "npm @ag-ui/client"),
        needs="JSON in every event, and lines that end in LF. A [recipe](how-to/other-protocols.md). A run that is cut"
        " off leaves an unhandled rejection besides, which ends a Node process that listens to none.",
        error="`RUN_ERROR` with the text",
        cut="raises `TypeError`",
        closed="raises `TypeError`",
    ),
]

VALUES = [
    Client(
        *("fetch, NDJSON", "chromium", "ndjson", "run chromium"),
        needs="Split at line breaks, keep what follows the last one.",
        error=ROW,
        cut="raises `TypeError`",
    ),
    Client(
        *("fetch, NDJSON, Node", "node", "ndjson", "run node"),
        needs="The same.",
        error=ROW,
        cut="raises `TypeError`",
    ),
    Client(
        *("httpx, `iter_lines()`", "python", "ndjson", "pip httpx"),
        needs="It splits at U+2028, U+2029 and U+0085 too: they must be escaped, as they are here.",
        error=ROW,
        cut="raises `RemoteProtocolError`",
        parts=("httpx",),
    ),
    Client(
        *("curl, jq", "python", "ndjson", "run jq"),
        needs="`curl -N` and `jq --unbuffered`, to see each line at once.",
        error=ROW,
        cut="curl exits with 18",
        parts=("curl", "jq"),
    ),
    Client(
        *("pandas, `read_json(lines=True)`", "python", "ndjson", "pip pandas"),
        needs="Reads to the end first.",
        error=ROW,
        cut="raises `IncompleteRead`",
        parts=("pandas",),
    ),
    Client(
        *("polars, `read_ndjson`", "python", "ndjson", "pip polars"),
        needs="Reads bytes or a file: fetch them first.",
        error=ROW,
        cut="raises `IncompleteRead`",
        parts=("polars",),
    ),
    Client(
        *("duckdb, `read_ndjson`", "python", "ndjson", "pip duckdb"),
        needs="Reads a file here, which curl has written.",
        error=ROW,
        cut="curl exits with 18",
        parts=("curl", "duckdb"),
    ),
    Client(
        *("curl, `jq --seq`", "python", "jsonseq", "run jq"),
        needs="The JSON text sequence: NDJSON has no use for `--seq`.",
        error=ROW,
        cut="curl exits with 18",
        parts=("curl", "jq"),
    ),
]

CLIENTS = {client.name: client for client in (*EVENTS, *MODELS, *VALUES)}

RUNNERS = {"python": (), "node": ("node",), "chromium": ("node", "playwright", "chromium")}
"""The parts that a runner needs."""
