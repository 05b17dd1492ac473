"""Each program does what it was written for: in process, but for those whose point is a server."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client, override_settings
from starlette.testclient import TestClient

from streamkit import Event
from streamkit.testing import NotAStreamError, StreamEndedError, open_stream
from tests.programs import (
    custom_format,
    existing_django,
    existing_fastapi,
    existing_flask,
    existing_plain,
    fastapi_endpoints,
    flask_view,
    logout,
    progress,
)
from tests.rig.requirements import needs

DONE = Event("", event="done")
DONE_AS_JSON = Event('""', event="done")


def test_flask_view_streams_with_its_request() -> None:
    """The generator reads the query of the request that the view has answered already."""
    with open_stream(flask_view.app.test_client(), "GET", "/countdown?name=ann") as events:
        assert events.take(1) == [Event({"left": 3, "for": "ann"}, id=3)]
        assert list(events)[-2:] == [Event({"left": 1, "for": "ann"}, id=1), DONE]


def test_fastapi_endpoint_that_returns_goes_on_where_the_client_was() -> None:
    """A line break is a token, and what the client has is not sent again."""
    with open_stream(TestClient(fastapi_endpoints.app), "GET", "/returned") as events:
        assert [event.data for event in events] == ['"Hel"', '"lo"', r'"\n"', '""']
    again = {"Last-Event-ID": "1"}
    with open_stream(TestClient(fastapi_endpoints.app), "GET", "/returned", headers=again) as events:
        assert list(events) == [Event('"\\n"', id=2), DONE_AS_JSON]


def test_fastapi_endpoint_that_yields_checks_the_permission_before_the_head() -> None:
    """A stranger gets 403 and no stream; a user gets the options of the subclass, too."""
    client = TestClient(fastapi_endpoints.app)
    assert client.get("/yielded").status_code == 403
    with open_stream(client, "GET", "/yielded", headers={"Authorization": "Bearer of-ann"}) as events:
        assert list(events)[:: len(["for Ann", "Hel", "lo", "\n"])] == [Event('"for Ann"'), DONE_AS_JSON]


DJANGO = override_settings(ROOT_URLCONF=existing_django.__name__, MIDDLEWARE=existing_django.MIDDLEWARE)

EXISTING: dict[str, Callable[[], Any]] = {
    "flask": existing_flask.app.test_client,
    "django": Client,
    "fastapi": lambda: TestClient(existing_fastapi.app),
    "wsgi": lambda: existing_plain.wsgi_app,
    "asgi": lambda: existing_plain.asgi_app,
}


@pytest.mark.parametrize("host", EXISTING)
def test_middleware_serves_the_streams_of_an_existing_app(host: str) -> None:
    """The frames are the app's own; the headers, and the end of the generator when a client leaves, are streamkit's."""
    with DJANGO, open_stream(EXISTING[host](), "GET", "/ticks") as events:
        assert events.take(2) == [Event("0"), Event("1")]
        assert events.headers["X-Accel-Buffering"] == "no"
        assert events.headers["Cache-Control"] == "no-cache, no-transform"
        events.disconnect()
    assert events.closed_reason == "disconnected"


def test_progress_arrives_from_a_callback() -> None:
    """What a thread has put into the pipe is streamed, and the end of the job ends it."""
    with open_stream(progress.app.test_client(), "GET", "/convert/film") as events:
        assert list(events) == [Event(0), Event(50), Event(100), DONE]


def test_job_that_fails_cuts_its_stream(capsys: pytest.CaptureFixture[str]) -> None:
    """`with pipe` hands the error on: no endless wait, and no `done` for half of the job."""
    with open_stream(progress.app.test_client(), "GET", "/convert/broken") as events:
        assert events.take(3) == [Event(0), Event(50), Event(100)]
        with pytest.raises(StreamEndedError):
            events.take(1)
    assert events.closed_reason == "error"
    assert "broken failed" in capsys.readouterr().out


def test_logout_ends_the_streams_of_the_user_alone() -> None:
    """The user's stream ends though its generator goes on, and a browser that comes back is told to stop by 204."""
    ann, bob = logout.app.test_client(), logout.app.test_client()
    ann.post("/login/ann")
    bob.post("/login/bob")
    with open_stream(ann, "GET", "/news") as hers, open_stream(bob, "GET", "/news") as his:
        assert hers.take(1) == his.take(1) == [Event({"news": 0}, id=0)]
        assert ann.post("/logout").get_json() == {"closed": 1}
        with pytest.raises(StreamEndedError, match="closed"):
            hers.take(1000)
        his.take(2)
    assert (hers.closed_reason, his.closed_reason) == ("closed", "disconnected")
    assert ann.get("/news").status_code == 204


def test_custom_format_streams_csv() -> None:
    """Each row leaves as the format encodes it, under its own media type."""
    with open_stream(custom_format.app.test_client(), "GET", "/rows.csv") as rows:
        assert rows.headers["Content-Type"] == "text/csv; charset=utf-8"
        with pytest.raises(NotAStreamError):
            list(rows)  # a format of one's own has no decoder here
        assert rows.raw == b'id,name\r\n1,"Ann ""A."" Lee"\r\n'


def test_export_says_at_its_end_that_it_is_whole() -> None:
    """The last line is no row."""
    from tests.programs import export

    with open_stream(TestClient(export.app), "GET", "/rows.ndjson?count=3") as lines:
        assert list(lines) == [*({"id": n, "name": f"row {n}"} for n in range(3)), {"complete": True}]


@needs("openai")
def test_openai_relay_sends_on_what_the_sdk_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chunks of the SDK upstream, and `[DONE]`, without the nulls that its objects have for what was unset."""
    import httpx
    import openai

    from tests.programs import openai_relay

    def upstream(request: httpx.Request) -> httpx.Response:
        assert json.loads(request.content)["stream"] is True
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        told = [{**chunk, "choices": [{"index": 0, "delta": {"content": word}}]} for word in ("Hel", "lo")]
        told.append({**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        body = "".join(f"data: {json.dumps(one)}\n\n" for one in told) + "data: [DONE]\n\n"
        return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, text=body)

    http: Any = httpx.AsyncClient(transport=httpx.MockTransport(upstream))
    fake = openai.AsyncOpenAI(base_url="http://upstream/v1", api_key="none", http_client=http)
    monkeypatch.setattr(openai_relay, "client", fake)
    body = {"model": "m", "messages": [], "stream": True}
    with open_stream(TestClient(openai_relay.app), "POST", "/v1/chat/completions", json=body) as events:
        chunks = [event.data for event in events]
    assert chunks[-1] == "[DONE]"
    assert [json.loads(one)["choices"][0]["delta"] for one in chunks[:-1]] == [
        {"content": "Hel"},
        {"content": "lo"},
        {},
    ]
