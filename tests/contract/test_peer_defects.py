"""Scenarios of docs/peer-defects.md that no other test of the contract covers, and the check of that page.

The tests are named after what happens. Framing is judged by the decoder, which holds to the standard, not by the bytes.
"""

from __future__ import annotations

import ast
import json
import re
import time
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from streamkit import NDJSON, Event, EventDecoder, EventStream, InvalidEventError, NDJSONDecoder
from streamkit.asgi import EventStreamResponse
from tests.contract.declared import COLUMNS, MODES
from tests.rig.asgi import ASGIHost
from tests.rig.requirements import needs
from tests.rig.scenarios import GATED_ITEMS, IN_THE_BODY
from tests.rig.servers import SERVERS, Server
from tests.rig.wsgi import WSGIHost

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "peer-defects.md"
LINE_ENDS = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


def _decoded(*items: object) -> list[Event]:
    encode = EventStream().encode
    return EventDecoder().feed(b"".join(encode(item) for item in items))


@pytest.mark.parametrize("field", ["event", "id"])
@pytest.mark.parametrize("line_end", ["\n", "\r", "\r\n"])
def test_line_break_in_type_or_id_is_refused(field: str, line_end: str) -> None:
    """No field can forge a line: the event is not built."""
    fields: dict[str, Any] = {field: f"1{line_end}{line_end}data: forged"}
    with pytest.raises(InvalidEventError, match=field):
        Event("x", **fields)


@pytest.mark.parametrize("text", ["", "\n", "one\n", "a\n\nb", f"a{LINE_ENDS}b", " leading"])
def test_data_arrives_as_it_was_given(text: str) -> None:
    """Empty data is dispatched, line breaks at the end stay, and only the standard's line ends end a line."""
    assert [event.data for event in _decoded(Event(text))] == [text]


def test_json_survives_every_kind_of_line_end() -> None:
    """A client that splits lines as Python's splitlines does still reads whole JSON texts."""
    value = {"text": f"a\r\n{LINE_ENDS}b"}
    (event,) = _decoded(value)
    assert json.loads(str(event.data)) == value
    line = NDJSON().encode(value)
    assert len(line.decode().splitlines()) == 1
    assert NDJSONDecoder().feed(line) == [value]


@pytest.mark.parametrize("fields", [{"id": "a\0b"}, {"retry": True}, {"retry": -1}, {"retry": "3000"}], ids=str)
def test_field_of_the_wrong_kind_is_refused(fields: dict[str, Any]) -> None:
    """What a browser would ignore or misread fails where it is written, not in the middle of the stream."""
    with pytest.raises(InvalidEventError, match=next(iter(fields))):
        Event("x", **fields)


def test_number_is_an_id_and_dict_is_json() -> None:
    """A row's number is an id as it stands, and a dict is data as JSON."""
    (event,) = _decoded(Event({"a": [1, None]}, id=7))
    assert event.id == "7"
    assert json.loads(str(event.data)) == {"a": [1, None]}


def test_event_cannot_be_changed_once_built() -> None:
    """No field escapes validation by being set later."""
    event: Any = Event("x")
    with pytest.raises((FrozenInstanceError, AttributeError)):
        event.event = "a\ndata: forged"


def test_decoder_skips_a_byte_order_mark_and_invents_nothing() -> None:
    """A mark before the first field is skipped; blank lines, comments and lone ids dispatch nothing."""
    decoder = EventDecoder()
    assert decoder.feed(b"\xef\xbb\xbfid: 1\n\n:\n\n\n\n") == []
    assert [event.data for event in decoder.feed(b"data: one\n\n\n\n")] == ["one"]


@needs("uvicorn", "starlette")
@pytest.mark.servers
def test_sixty_blocked_sync_sources_leave_the_thread_pool_free() -> None:
    """Sync views go on being answered beside sixty waiting sync sources, and all sixty are closed in the end."""
    with Server(SERVERS["uvicorn-h11"], "tests.rig.apps.starlette:app") as server:
        streams = [server.open("/sync/gated") for _ in range(60)]
        for stream in streams:
            stream.head()
        with server.open("/sync/finite") as beside:
            beside.read_to_end(within=3)
            assert beside.clean
        for stream in streams:
            stream.leave()
        server.side_door.allow(GATED_ITEMS)
        server.side_door.wait_for(lambda _: _all_closed(server, 61))


def _all_closed(server: Server, count: int) -> bool:
    streams = server.side_door.streams()
    return len(streams) == count and all(record["closed"] == 1 for record in streams)


@pytest.mark.parametrize("fault", ["int('x')", "b'\\xff'.decode()", "json.loads('')"])
def test_value_error_of_a_sync_source_is_not_swallowed(fault: str) -> None:
    """A ValueError of any kind cuts the stream and reaches the server's log."""

    def source() -> Iterator[str]:
        yield "one"
        time.sleep(IN_THE_BODY)
        eval(fault, {"json": json})

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await EventStreamResponse(source())(scope, receive, send)

    with ASGIHost(app) as host, host.open("/") as stream:
        assert stream.read_to_end() == b"data: one\n\n"
        assert stream.ending == "truncated"
        stream.done.wait(5)
        assert isinstance(stream.error, ValueError)


def _gzipping(interface: str) -> ASGIHost | WSGIHost:
    from django.conf import settings

    from tests.rig.apps import django

    with mock.patch.object(settings, "MIDDLEWARE", ["django.middleware.gzip.GZipMiddleware"]):
        if interface == "asgi":
            handler: Any = type(django.asgi_app)()
            return ASGIHost(handler, lower_case=False)
        return WSGIHost(type(django.wsgi_app)())


@needs("django")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("interface", ["django-asgi", "django-wsgi"])
def test_gzip_middleware_holds_nothing_back(interface: str, mode: str) -> None:
    """Behind Django's GZipMiddleware each item still leaves before the next is made, as text."""
    with _gzipping(interface.removeprefix("django-")) as host:
        host.side_door.reset()
        with host.open(f"/{mode}/gated", headers={"Accept-Encoding": "gzip"}) as stream:
            assert stream.head().get("content-encoding") in (None, "identity")
            for number in range(GATED_ITEMS):
                host.side_door.allow(number + 1)
                stream.read_until(f"data: item {number}\n\n".encode())
            stream.read_to_end()
            assert stream.clean


@needs("flask")
def test_flask_request_can_be_read_in_a_source() -> None:
    """A generator reads the request of its view without any decorator, to its last item."""
    import flask

    from streamkit.flask import EventStreamResponse as FlaskResponse

    app = flask.Flask(__name__)

    def words() -> Iterator[str]:
        for word in flask.request.args["say"].split():
            yield f"{word} {flask.request.path}"

    @app.get("/words")
    def view() -> Any:
        return FlaskResponse(words())

    with WSGIHost(app) as host, host.open("/words?say=to+be") as stream:
        assert stream.read_to_end() == b"data: to /words\n\ndata: be /words\n\n"
        assert stream.clean


def _named_tests() -> list[str]:
    return re.findall(r"`(tests/[^`]+::[^`]+)`", PAGE.read_text())


@pytest.mark.parametrize("name", sorted(set(_named_tests())))
def test_every_test_named_on_the_page_exists(name: str) -> None:
    """A name in the table is a function of that file, and its parameters are some that it runs with."""
    path, *classes, test = name.split("::")
    function, _, parameters = test.removesuffix("]").partition("[")
    scope: ast.AST = ast.parse((ROOT / path).read_text())
    for wanted in (*classes, function):
        inside = [node for node in ast.iter_child_nodes(scope) if getattr(node, "name", None) == wanted]
        assert inside, wanted
        scope = inside[0]
    columns = {f"{column.id}-{mode}" for column in COLUMNS for mode in MODES}
    columns |= {f"django-{interface}-{mode}" for interface in ("asgi", "wsgi") for mode in MODES}
    assert not parameters or parameters in columns


def test_page_has_a_row_for_each_defect() -> None:
    """All twenty-three are accounted for, in order."""
    rows = re.findall(r"^\| (\d+) \|", PAGE.read_text(), re.MULTILINE)
    assert rows == [str(number) for number in range(1, 24)]
