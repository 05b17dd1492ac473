"""What real clients make of filtered streams, gaps and cursors: no event that nobody sent, and no gap without loss."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.rig.apps.channels_shared import KEPT
from tests.rig.browser import headless_chromium
from tests.rig.requirements import needs
from tests.rig.servers import SERVERS, Server

if TYPE_CHECKING:
    import httpx
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.servers, needs("uvicorn", "starlette", "httpx")]


class Seen(NamedTuple):
    """One event as a client gives it: its type, its data, and the last event ID."""

    kind: str
    data: str
    id: str


Client = Callable[["httpx.Response"], Iterator[Seen]]


def httpx_sse(response: httpx.Response) -> Iterator[Seen]:
    """Read with httpx-sse."""
    from httpx_sse import EventSource

    for event in EventSource(response).iter_sse():
        yield Seen(event.event or "message", event.data, event.id or "")


def sseclient(response: httpx.Response) -> Iterator[Seen]:
    """Read with sseclient-py, which knows the id of an event only from that event."""
    from sseclient import SSEClient

    for event in SSEClient(response.iter_bytes()).events():
        yield Seen(event.event or "message", event.data, event.id or "")


def openai(response: httpx.Response) -> Iterator[Seen]:
    """Read with the decoder of openai-python."""
    from openai._streaming import SSEDecoder

    for event in SSEDecoder().iter_bytes(response.iter_bytes()):
        yield Seen(event.event or "message", event.data, event.id or "")


CLIENTS = [
    pytest.param(httpx_sse, id="httpx-sse", marks=needs("httpx-sse")),
    pytest.param(sseclient, id="sseclient-py", marks=needs("sseclient-py")),
    pytest.param(openai, id="openai-python", marks=needs("openai")),
]


@pytest.fixture
def server() -> Iterator[Server]:
    """Serve the app, with nothing published yet."""
    with Server(SERVERS["uvicorn-h11"], "tests.rig.apps.channels_starlette:app") as server:
        yield server


def publish(server: Server, *numbers: int) -> list[str]:
    """Publish numbers; return their ids."""
    ids = []
    for number in numbers:
        with server.open(f"/publish?n={number}") as stream:
            ids.append(stream.read_to_end().decode())
    return ids


def read(server: Server, client: Client, query: str, wanted: str, after: str | None = None) -> list[Seen]:
    """Return what a client dispatches up to the first event whose type or data is `wanted`."""
    import httpx

    headers = {"Accept": "text/event-stream", **({"Last-Event-ID": after} if after else {})}
    seen = []
    with httpx.stream("GET", f"{server.url}/events?caught_up=1&{query}", headers=headers, timeout=5) as response:
        for event in client(response):
            seen.append(event)
            if wanted in (event.kind, event.data):
                break
    return seen


def data(*numbers: int) -> list[str]:
    """Return the data of published numbers."""
    return [f'{{"n":{number}}}' for number in numbers]


@pytest.mark.parametrize("client", CLIENTS)
class TestClients:
    """Libraries that read event streams in Python."""

    def test_filtered_stream_is_read_as_what_is_shown(self, server: Server, client: Client) -> None:
        """Hidden events leave no trace, neither replayed nor by their ids."""
        ids = publish(server, *range(7))
        seen = read(server, client, "show=even", "caught-up", after=ids[0])
        assert [event.data for event in seen] == [*data(2, 4, 6), "{}"]
        assert [event.id for event in seen] == [ids[2], ids[4], ids[6], ids[6]]

    def test_cursor_moves_the_id_and_tells_no_gap_later(self, server: Server, client: Client) -> None:
        """All is hidden, more than the log keeps: the client that comes back is told of no gap."""
        (first,) = publish(server, 0)
        publish(server, *range(1, KEPT))
        seen = read(server, client, "show=none", "caught-up", after=first)
        assert {event.kind for event in seen} == {"cursor", "caught-up"}
        assert all(event.data == "{}" for event in seen)
        assert len({event.id for event in seen}) == len(seen)
        publish(server, *range(KEPT - 1))
        assert [event.kind for event in read(server, client, "", "message", after=seen[-1].id)] == ["message"]

    def test_gap_is_an_event_of_its_own(self, server: Server, client: Client) -> None:
        """It comes first, with its data, and what follows is what the log has."""
        ids = publish(server, *range(KEPT + 5))
        seen = read(server, client, "", "caught-up", after=ids[1])
        assert seen[0].kind == "gap"
        assert json.loads(seen[0].data) == {"requested": ids[1], "oldest": ids[4], "reason": "evicted"}
        assert [event.data for event in seen[1:-1]] == data(*range(5, KEPT + 5))

    def test_snapshot_follows_a_gap_without_an_id(self, server: Server, client: Client) -> None:
        """Neither is an empty event, and the id comes with the snapshot."""
        ids = publish(server, *range(3))
        seen = read(server, client, "on_gap=snapshot", "caught-up", after="garbage")
        assert [(event.kind, event.data) for event in seen[1:]] == [("snapshot", '{"all":true}'), ("caught-up", "{}")]
        assert (seen[0].kind, seen[0].id, seen[1].id) == ("gap", "", ids[2])


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Start one headless Chromium."""
    with headless_chromium() as browser:
        yield browser


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """Open a page."""
    page = chromium.new_page()
    yield page
    page.close()


@pytest.mark.browser
@needs("playwright", "chromium")
class TestEventSource:
    """Chromium's own, which comes back by itself."""

    def _seen(self, page: Page) -> list[Any]:
        return [[kind, data] for kind, data, _ in page.evaluate("seen")]

    def test_it_comes_back_and_misses_nothing(self, server: Server, page: Page) -> None:
        """Its stream is closed twice: each time it goes on after its last id, whatever was published meanwhile."""
        page.goto(f"{server.url}/")
        page.wait_for_function("seen.length === 1")
        for round in range(2):
            publish(server, 10 * round)
            page.wait_for_function(f"seen.length === {2 + 2 * round}")
            with server.open("/close") as stream:
                stream.read_to_end()
            publish(server, 10 * round + 1)
            page.wait_for_function(f"opens === {2 + round} && seen.length === {3 + 2 * round}")
        expected = [["message", item] for item in data(0, 1, 10, 11)]
        assert self._seen(page) == [["cursor", "{}"], *expected]

    def test_client_that_saw_nothing_comes_back_to_where_it_began(self, server: Server, page: Page) -> None:
        """The cursor event has given it an id before anything was published."""
        page.goto(f"{server.url}/")
        page.wait_for_function("seen.length === 1")
        with server.open("/close") as stream:
            stream.read_to_end()
        publish(server, 1, 2)
        page.wait_for_function("seen.length === 3")
        assert self._seen(page) == [["cursor", "{}"], ["message", '{"n":1}'], ["message", '{"n":2}']]

    def test_filtered_stream_has_no_phantom_and_no_false_gap(self, server: Server, page: Page) -> None:
        """More is hidden than the log keeps; only what is shown is a message, also after it has come back."""
        page.goto(f"{server.url}/?show=even")
        page.wait_for_function("seen.length === 1")
        publish(server, 2, *range(1, 2 * KEPT, 2))
        page.wait_for_function("seen.at(-1)[0] === 'cursor' && seen.length > 2")
        with server.open("/close") as stream:
            stream.read_to_end()
        publish(server, 3, 5, 4)
        page.wait_for_function("seen.at(-1)[0] === 'message' && opens === 2")
        seen = self._seen(page)
        assert [data for kind, data in seen if kind == "message"] == data(2, 4)
        assert {kind for kind, _ in seen} == {"message", "cursor"}

    def test_gap_reaches_its_listener_first(self, server: Server, page: Page) -> None:
        """A page that was rendered long ago is told, and then gets what there is."""
        (old,) = publish(server, 0)
        publish(server, *range(1, KEPT + 3))
        page.goto(f"{server.url}/?last_event_id={old}&caught_up=1")
        page.wait_for_function("seen.at(-1)?.[0] === 'caught-up'")
        seen = page.evaluate("seen")
        assert (seen[0][0], json.loads(seen[0][1])["reason"]) == ("gap", "evicted")
        assert [data for kind, data, _ in seen if kind == "message"] == data(*range(3, KEPT + 3))
        assert seen[0][2] == json.loads(seen[0][1])["oldest"]
