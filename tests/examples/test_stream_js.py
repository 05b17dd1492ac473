"""stream.js reads event streams as WHATWG HTML 9.2.6 says, which is how our own decoder reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from streamkit import EventDecoder
from tests.examples.pages import Window, window
from tests.examples.running import Example
from tests.rig.requirements import needs

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.servers, pytest.mark.browser, needs("flask", "httpx", "playwright", "chromium")]

STREAMS = {
    "one line": "data: a\n\n",
    "several lines": "data: a\ndata\ndata:  b\n\n",
    "CRLF": "id: 1\r\ndata: a\r\n\r\ndata: b\r\n\r\n",
    "CR": "id: 1\rdata: a\r\rdata: b\r\r",
    "mixed line ends": "data: a\n\r\ndata: b\r\n\ndata: c\r\rdata: d\n\n",
    "byte order mark": "\ufeffdata: a\n\n",
    "comments and keepalives": ":\n: b\ndata: a\n:\n\n",
    "type, and none after it": "event: t\ndata: a\n\ndata: b\n\n",
    "type without data": "event: t\n\ndata: a\n\n",
    "ids are kept": "id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n",
    "id alone": "id: 1\n\ndata: a\n\n",
    "id with NUL": "id: 1\nid: 2\0\ndata: a\n\n",
    "empty data": "data\n\ndata:\n\n",
    "unknown fields": "retry: 5\nfoo: b\nDATA: c\ndata: a\n\n",
    "colons in a value": "data: a: b:c\n\n",
    "not in ASCII": "data: naïve 日本 \U0001f600\u2028\x85\n\n",
    "half an event at the end": "data: a\n\ndata: b\n",
}

_READ = """
async ([bytes, size]) => {
  const { readEvents } = await import("/static/stream.js");
  const whole = Uint8Array.from(bytes);
  const body = new ReadableStream({
    start(controller) {
      for (let at = 0; at < whole.length; at += size) controller.enqueue(whole.slice(at, at + size));
      controller.close();
    },
  });
  const events = [];
  const response = new Response(body, { headers: { "Content-Type": "text/event-stream; charset=utf-8" } });
  for await (const { event, data, id } of readEvents(response)) events.push([event, data, id]);
  return events;
}
"""


@pytest.fixture(scope="module")
def page(chromium: Browser, flask_example: Example) -> Iterator[Window]:
    """Open a page of the same origin as stream.js."""
    with window(chromium, flask_example, "/prompt") as opened:
        yield opened


@pytest.mark.parametrize("size", [1, 2, 1000])
@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS.keys())
def test_events_are_those_of_the_standard(page: Window, stream: str, size: int) -> None:
    """However the bytes are cut, both readers dispatch the same events."""
    expected: list[Any] = [[e.event or "message", e.data, e.id or ""] for e in EventDecoder().feed(stream.encode())]
    assert page.page.evaluate(_READ, [list(stream.encode()), size]) == expected


@pytest.mark.parametrize("target", ["/nowhere", "/static/stream.js"])
def test_what_is_no_event_stream_is_refused(page: Window, target: str) -> None:
    """A status or a type that is not ours throws, naming both."""
    page.failures.clear()
    said = page.page.evaluate(
        """async (target) => {
          const { readEvents } = await import("/static/stream.js");
          try { for await (const event of readEvents(await fetch(target))) return event; }
          catch (error) { return error.message; }
        }""",
        target,
    )
    assert said.startswith("no event stream: status ")
    page.complaints.clear()  # Chromium reports a 404 by itself


def test_leaving_the_loop_closes_the_connection(page: Window) -> None:
    """A reader that has enough cancels the body, so that the server stops."""
    cancelled = page.page.evaluate(
        """async () => {
          const { readEvents } = await import("/static/stream.js");
          let cancelled = false;
          const body = new ReadableStream({
            start: (controller) => controller.enqueue(new TextEncoder().encode("data: a\\n\\ndata: b\\n\\n")),
            cancel: () => (cancelled = true),
          });
          const response = new Response(body, { headers: { "Content-Type": "text/event-stream" } });
          for await (const event of readEvents(response)) break;
          await new Promise((resolve) => setTimeout(resolve));
          return cancelled;
        }"""
    )
    assert cancelled is True
