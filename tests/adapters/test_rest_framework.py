"""Streams in views of Django REST framework: negotiated, guarded before the head, and in its descriptions."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import path
from openapi_spec_validator import OpenAPIV32SpecValidator
from rest_framework.authentication import BaseAuthentication
from rest_framework.decorators import action, api_view, renderer_classes
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.urlpatterns import format_suffix_patterns
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from streamkit import Event, EventDecoder, EventStream
from streamkit.django import EventStreamResponse, NegotiatedResponse, primed
from streamkit.openapi import responses
from streamkit.rest_framework import (
    EventStreamRenderer,
    JSONSeqRenderer,
    NDJSONRenderer,
    StreamRenderer,
    complete_schema,
)
from tests.adapters.django_project import Fed, Interface, Kind, by_interface, by_source, project, serving
from tests.adapters.test_openapi import DECODERS, Progress, check_references
from tests.engine.interpreter import python
from tests.test_how_to import blocks_of, run

EVENTS = {"Accept": "text/event-stream"}
REST: dict[str, Any] = {"UNAUTHENTICATED_USER": None, "DEFAULT_AUTHENTICATION_CLASSES": []}
ROWS = [{"n": 1}, {"n": 2}]
STREAMS = [EventStreamRenderer, NDJSONRenderer, JSONSeqRenderer]


class Key(BaseAuthentication):  # type: ignore[misc]
    """Let in who has a key; the rest is asked for one."""

    def authenticate(self, request: Any) -> Any:
        """Return the user of a request, None where it says nothing."""
        return ("ann", None) if "X-Key" in request.headers else None

    def authenticate_header(self, request: Any) -> str:
        """Return what is asked for."""
        return "Key"


class Known(BasePermission):  # type: ignore[misc]
    """Let in who is authenticated."""

    def has_permission(self, request: Any, view: Any) -> bool:
        """Say whether it may pass."""
        return bool(request.user == "ann")


class Refusing(BasePermission):  # type: ignore[misc]
    """Let nobody in."""

    def has_permission(self, request: Any, view: Any) -> bool:
        """Say whether it may pass."""
        return False


class Crowded(BaseThrottle):  # type: ignore[misc]
    """Let nobody in now."""

    def allow_request(self, request: Any, view: Any) -> bool:
        """Refuse."""
        return False

    def wait(self) -> float:
        """Return the seconds to wait."""
        return 7


def view(respond: Callable[[Any], Any], *renderers: Any, **attributes: Any) -> Any:
    """Return a view that answers GET by `respond`."""

    def get(self: APIView, request: Any, **_: Any) -> Any:
        return respond(request)

    given = {"renderer_classes": renderers or [EventStreamRenderer], **attributes}
    made: Any = type("View", (APIView,), {"get": get, **given})
    return made.as_view()


def ask(view: Any, path: str = "/", *, method: str = "GET", **settings: Any) -> Any:
    """Return the answer of a site that has this view alone, read to its end."""
    headers = settings.pop("headers", EVENTS)
    with project(view, **{"REST_FRAMEWORK": REST, **settings}):
        answer: Any = Client().generic(method, path, headers=headers)
        answer.body = b"".join(answer) if answer.streaming else answer.content
    return answer


def rows() -> Iterator[dict[str, int]]:
    """Yield two rows."""
    yield from ROWS


def streamed(request: Any) -> Any:
    """Stream rows as events."""
    return EventStreamResponse(rows(), request=request)


def negotiated(request: Any) -> Any:
    """Answer in the format that was negotiated."""
    if isinstance(request.accepted_renderer, StreamRenderer):
        return request.accepted_renderer.stream(rows(), request=request)
    return Response(list(rows()))


TYPES = ["text/event-stream", "application/x-ndjson", "application/json-seq", "application/json"]


def rows_of(answer: Any) -> list[Any]:
    """Return the rows of an answer in any of the formats."""
    kind = answer["Content-Type"]
    if kind == "application/json":
        return list(json.loads(answer.body))
    decoder = DECODERS[kind]()
    items = decoder.feed(answer.body) + decoder.close()
    return [json.loads(item.data) if isinstance(item, Event) else item for item in items]


def test_renderer_lets_an_event_stream_be_asked_for() -> None:
    """Without it the request is refused before the view is asked."""
    assert ask(view(streamed, JSONRenderer)).status_code == 406
    answer = ask(view(streamed, JSONRenderer, EventStreamRenderer))
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/event-stream")
    assert rows_of(answer) == ROWS
    assert answer["Vary"] == "Accept"
    assert answer["Cache-Control"] == "no-cache, no-transform"


@by_interface
@by_source
def test_items_come_one_by_one(interface: Interface, source: Kind) -> None:
    """Under each handler, from each kind of source, with REST framework's own request."""
    fed = Fed()
    streaming = view(lambda request: EventStreamResponse(fed.source(source), request=request))
    with (
        serving(interface, streaming, REST_FRAMEWORK=REST) as host,
        host.open("/", headers=EVENTS) as stream,
    ):
        assert stream.head(20).status == 200
        for number in range(3):
            fed.put(number)
            stream.read_until(b"data: %d\n\n" % number, 20)
        fed.pipe.close()
        stream.read_to_end(20)
        assert stream.clean
    assert fed.closed.wait(10)


@pytest.mark.parametrize("renderer", STREAMS)
@pytest.mark.parametrize(
    ("guard", "status", "header"),
    [
        ({"authentication_classes": [Key], "permission_classes": [Known]}, 401, ("WWW-Authenticate", "Key")),
        ({"permission_classes": [Refusing]}, 403, ("Allow", "GET, HEAD, OPTIONS")),
        ({"throttle_classes": [Crowded]}, 429, ("Retry-After", "7")),
    ],
)
def test_guards_answer_before_the_head(renderer: Any, guard: Any, status: int, header: tuple[str, str]) -> None:
    """With their own status and JSON that says why; the source is not made."""
    started: list[Any] = []
    guarded = view(started.append, renderer, **guard)
    answer = ask(guarded, headers={"Accept": renderer.media_type})
    assert (answer.status_code, answer["Content-Type"], answer[header[0]]) == (status, "application/json", header[1])
    assert set(json.loads(answer.body)) == {"detail"}
    assert started == []


def test_who_has_the_key_gets_the_stream() -> None:
    """The same guard lets in whom it knows."""
    guarded = view(streamed, authentication_classes=[Key], permission_classes=[Known])
    assert rows_of(ask(guarded, headers={**EVENTS, "X-Key": "k"})) == ROWS


@pytest.mark.parametrize(("error", "status"), [(NotFound("no such job"), 404), (PermissionDenied(), 403)])
def test_error_before_the_first_item_is_an_answer_where_it_is_waited_for(error: Exception, status: int) -> None:
    """`primed` raises it in the view, and REST framework handles it."""

    def failing() -> Iterator[int]:
        raise error
        yield 1

    answer = ask(view(lambda request: EventStreamResponse(primed(failing()), request=request)))
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/json")
    assert set(json.loads(answer.body)) == {"detail"}


@pytest.mark.parametrize("media_type", TYPES)
def test_accept_header_chooses_among_renderers(media_type: str) -> None:
    """By REST framework's own negotiation, JSON among them."""
    answer = ask(view(negotiated, JSONRenderer, *STREAMS), headers={"Accept": media_type})
    assert (answer["Content-Type"], rows_of(answer)) == (media_type, ROWS)


@pytest.mark.parametrize(
    ("format", "media_type"),
    [("sse", "text/event-stream"), ("ndjson", "application/x-ndjson"), ("jsonseq", "application/json-seq")],
)
def test_format_in_the_url_chooses_too(format: str, media_type: str) -> None:
    """In the query and as a suffix, for links that no header goes with."""
    streaming = view(negotiated, JSONRenderer, *STREAMS)
    answer = ask(streaming, f"/?format={format}", headers={})
    assert (answer["Content-Type"], rows_of(answer)) == (media_type, ROWS)
    routes = tuple(format_suffix_patterns([path("rows", streaming)]))
    answer = ask(streaming, f"/rows.{format}", headers={}, ROOT_URLCONF=routes)
    assert (answer["Content-Type"], rows_of(answer)) == (media_type, ROWS)


def test_negotiated_response_knows_the_accept_header_alone() -> None:
    """It works in a view that has the renderers."""
    streaming = view(lambda request: NegotiatedResponse(rows(), request=request), *STREAMS)
    for media_type in ("application/x-ndjson", "application/json-seq"):
        answer = ask(streaming, headers={"Accept": media_type})
        assert (answer["Content-Type"], rows_of(answer)) == (media_type, ROWS)


def test_unknown_format_is_an_error_in_json() -> None:
    """Also where the only renderer is one of streams."""
    answer = ask(view(streamed), "/?format=xml")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/json")


def test_response_that_is_no_stream_is_json() -> None:
    """So is the description that OPTIONS asks for; an answer without data has no type."""
    assert ask(view(lambda request: Response({"a": 1}, 202))).body == b'{"a":1}'
    answer = ask(view(streamed), method="OPTIONS")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert json.loads(answer.body)["renders"] == ["text/event-stream"]
    over = ask(view(lambda request: Response(status=204)))
    assert (over.status_code, over.body, "Content-Type" in over) == (204, b"", False)


def test_head_does_not_start_the_source() -> None:
    """REST framework answers it by the view of GET."""
    started: list[int] = []

    def source() -> Iterator[int]:
        started.append(1)
        yield 1

    answer = ask(view(lambda request: EventStreamResponse(source(), request=request)), method="HEAD")
    assert (answer.status_code, answer["Content-Type"], answer.body, started) == (200, "text/event-stream", b"", [])


def test_renderer_hands_request_and_options_to_its_response() -> None:
    """A subclass names another response, whose stream knows all that it would know in the view."""

    class Chat(NegotiatedResponse):  # which cannot do without the request
        formats = (EventStream(),)

    class ChatRenderer(EventStreamRenderer):
        response = Chat

    def respond(request: Any) -> Any:
        return request.accepted_renderer.stream(rows(), request=request, end=Event("", event="done"))

    events = EventDecoder().feed(ask(view(respond, ChatRenderer)).body)
    assert [event.event for event in events] == [None, None, "done"]


def test_browsable_api_shows_what_is_no_stream() -> None:
    """A browser that opens the view gets the page of its rows; a view that always streams streams to it too."""
    site: dict[str, Any] = {
        "INSTALLED_APPS": ["rest_framework"],
        "TEMPLATES": [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        "STATIC_URL": "/static/",
    }
    html = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    answer = ask(view(negotiated, JSONRenderer, BrowsableAPIRenderer, *STREAMS), headers=html, **site)
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    assert b"format=sse" in answer.body
    answer = ask(view(streamed, EventStreamRenderer, BrowsableAPIRenderer), headers=html, **site)
    assert answer["Content-Type"] == "text/event-stream"
    listed = view(lambda request: Response(ROWS), EventStreamRenderer, BrowsableAPIRenderer)
    answer = ask(listed, headers=html, **site)
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    assert b"&quot;n&quot;: 1" in answer.body


def test_function_and_viewset_stream_too() -> None:
    """`@api_view`, and an extra action with renderers of its own."""

    @api_view(["GET", "POST"])  # type: ignore[untyped-decorator]
    @renderer_classes([EventStreamRenderer])  # type: ignore[untyped-decorator]
    def function(request: Any) -> Any:
        return streamed(request)

    class Jobs(ViewSet):  # type: ignore[misc]
        @action(detail=False, renderer_classes=[EventStreamRenderer])  # type: ignore[untyped-decorator]
        def progress(self, request: Any) -> Any:
            return streamed(request)

    assert rows_of(ask(function, method="POST")) == ROWS
    progress = Jobs.as_view({"get": "progress"}, **Jobs.progress.kwargs)
    assert rows_of(ask(progress)) == ROWS


def test_async_source_is_read_under_wsgi() -> None:
    """REST framework's views are sync; what they stream need not be."""

    async def numbers() -> AsyncIterator[int]:
        yield 1
        yield 2

    answer = ask(view(lambda request: EventStreamResponse(numbers(), request=request)))
    assert rows_of(answer) == [1, 2]


def test_missing_framework_is_said_with_its_cure() -> None:
    """The import error names the package."""
    code = """
    import sys
    sys.modules["rest_framework"] = None
    try:
        import streamkit.rest_framework
    except ImportError as exc:
        print(exc)
    """
    assert python(code, prelude="")[0].startswith(
        "this module needs Django REST framework: pip install djangorestframework ("
    )


def test_hook_completes_what_it_is_given() -> None:
    """It is called by keywords, of which it needs the document alone."""
    document: dict[str, Any] = {"openapi": "3.1.1", "paths": {}}
    assert complete_schema(result=document, generator=None, request=None, public=True) is document
    assert document["openapi"] == "3.2.0"


def test_drf_spectacular_describes_the_stream() -> None:
    """By the operation that the view is given, and a hook that completes the document."""
    code = """
    import json
    import django
    from django.conf import settings
    settings.configure(
        SECRET_KEY="tests",
        ROOT_URLCONF="tests.adapters.spectacular",
        REST_FRAMEWORK={"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"},
        SPECTACULAR_SETTINGS={
            "OAS_VERSION": "3.1.1",
            "POSTPROCESSING_HOOKS": [
                "drf_spectacular.hooks.postprocess_schema_enums",
                "streamkit.rest_framework.complete_schema",
            ],
        },
    )
    django.setup()
    from drf_spectacular.generators import SchemaGenerator
    print(json.dumps(SchemaGenerator().get_schema(public=True)))
    """
    document = json.loads(python(code, prelude="")[0])
    OpenAPIV32SpecValidator(document).validate()
    check_references(document, document)
    assert document["openapi"] == "3.2.0"
    answer = document["paths"]["/job"]["get"]["responses"]["200"]
    assert list(answer["content"]["text/event-stream"]) == ["itemSchema"]
    assert "Progress" in document["components"]["schemas"]
    assert responses(EventStreamResponse, Progress)[200]["description"] == answer["description"]


def test_page_does_what_it_says() -> None:
    """docs/how-to/django-rest-framework.md: its blocks run, and each view answers as the page has it."""
    names = run(*blocks_of("django-rest-framework.md"))
    answer = ask(names["Job"].as_view())
    events = EventDecoder().feed(answer.body)
    assert [(event.event, event.data) for event in events] == [("progress", '{"percent":50}'), ("done", "")]
    log = names["Log"].as_view()
    for number, status in ((7, 200), (8, 404)):
        assert ask(log, f"/{number}", ROOT_URLCONF=(path("<int:number>", log),)).status_code == status
    export = names["Export"].as_view()
    assert ask(export, headers={"Accept": "*/*"})["Content-Type"] == "application/json"
    assert rows_of(ask(export, "/?format=ndjson", headers={})) == [{"id": 1}, {"id": 2}]
    assert rows_of(ask(export, headers=EVENTS)) == [{"id": 1}, {"id": 2}]
    assert names["SPECTACULAR_SETTINGS"]["POSTPROCESSING_HOOKS"][1] == "streamkit.rest_framework.complete_schema"
    assert EventDecoder().feed(ask(names["DescribedJob"].as_view()).body) == events
