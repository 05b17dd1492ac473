"""Streams in operations of django-ninja, which hands any response of Django's through."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from itertools import count
from typing import Any

import pytest
from django.test import Client
from django.urls import path
from ninja import NinjaAPI
from ninja.errors import HttpError
from ninja.security import HttpBearer
from openapi_spec_validator import OpenAPIV32SpecValidator

from streamkit.django import EventStreamResponse, NDJSONResponse, NegotiatedResponse, primed
from streamkit.openapi import complete, responses
from tests.adapters.django_project import Fed, Interface, Kind, by_interface, by_source, by_view, project, serving
from tests.adapters.test_openapi import Progress, check_references

_names = count()


class Bearer(HttpBearer):
    """Let in who has the token."""

    def authenticate(self, request: Any, token: str) -> str | None:
        """Return whose token it is."""
        return "ann" if token == "t" else None


def new_api(**options: Any) -> NinjaAPI:
    """Return an API; each has a name of its own, as django-ninja wants it."""
    return NinjaAPI(urls_namespace=f"api{next(_names)}", docs_url=None, **options)


@cache
def routes_of(api: NinjaAPI) -> tuple[Any, ...]:
    """Return the URLs of an API, asked for once: it takes a second time for another API of the same name."""
    return (path("api/", api.urls),)


def ask(api: NinjaAPI, url: str = "/api/rows", **headers: str) -> Any:
    """Return the answer of a site that has this API alone, read to its end."""
    with project(lambda request: None, ROOT_URLCONF=routes_of(api)):
        answer: Any = Client().get(url, headers=headers)
        answer.body = b"".join(answer) if answer.streaming else answer.content
    return answer


def rows() -> Iterator[dict[str, int]]:
    """Yield two rows."""
    yield {"n": 1}
    yield {"n": 2}


@by_interface
@by_view
@by_source
def test_items_come_one_by_one(interface: Interface, view: Kind, source: Kind) -> None:
    """From sync and async operations, under each handler."""
    fed, api = Fed(), new_api()

    def sync_operation(request: Any) -> Any:
        return EventStreamResponse(fed.source(source), request=request)

    async def async_operation(request: Any) -> Any:
        return EventStreamResponse(fed.source(source), request=request)

    api.get("/rows")(sync_operation if view == "sync" else async_operation)
    with (
        serving(interface, lambda request: None, ROOT_URLCONF=routes_of(api)) as host,
        host.open("/api/rows") as stream,
    ):
        assert stream.head(20).status == 200
        for number in range(3):
            fed.put(number)
            stream.read_until(b"data: %d\n\n" % number, 20)
        fed.pipe.close()
        stream.read_to_end(20)
        assert stream.clean
    assert fed.closed.wait(10)


def test_authentication_answers_before_the_head() -> None:
    """401 in django-ninja's own JSON; who has the token gets the stream."""
    api = new_api(auth=Bearer())
    asked: list[Any] = []

    @api.get("/rows")
    def operation(request: Any) -> Any:
        asked.append(request.auth)
        return NDJSONResponse(rows(), request=request)

    answer = ask(api)
    assert (answer.status_code, asked) == (401, [])
    assert answer["Content-Type"].startswith("application/json")
    assert ask(api, Authorization="Bearer t").body == b'{"n":1}\n{"n":2}\n'
    assert asked == ["ann"]


def test_error_before_the_first_item_is_an_answer_where_it_is_waited_for() -> None:
    """`primed` raises it in the operation, and django-ninja handles it."""
    api = new_api()

    def failing() -> Iterator[int]:
        raise HttpError(404, "no such job")
        yield 1

    @api.get("/rows")
    def operation(request: Any) -> Any:
        return EventStreamResponse(primed(failing()), request=request)

    answer = ask(api)
    assert (answer.status_code, json.loads(answer.body)) == (404, {"detail": "no such job"})


@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson"])
def test_format_is_negotiated_by_the_response(accept: str) -> None:
    """django-ninja negotiates nothing, so no renderer stands in the way."""
    api = new_api()

    @api.get("/rows")
    def operation(request: Any) -> Any:
        return NegotiatedResponse(rows(), request=request)

    assert ask(api, Accept=accept)["Content-Type"] == accept
    assert ask(api, Accept="image/png").status_code == 406


def test_description_is_completed() -> None:
    """`openapi_extra` describes the stream, and a subclass completes the document."""

    class API(NinjaAPI):
        def get_openapi_schema(self, **options: Any) -> Any:
            return complete(super().get_openapi_schema(**options))

    api = API(urls_namespace=f"api{next(_names)}")

    @api.get("/rows", openapi_extra={"responses": responses(NegotiatedResponse, {"progress": Progress, "done": None})})
    def operation(request: Any) -> Any:
        return NegotiatedResponse(rows(), request=request)

    document = json.loads(ask(api, "/api/openapi.json").body)
    OpenAPIV32SpecValidator(document).validate()
    check_references(document, document)
    (operations,) = document["paths"].values()
    media = operations["get"]["responses"]["200"]["content"]
    assert list(media) == ["text/event-stream", "application/x-ndjson", "application/json-seq"]
    assert all(list(one) == ["itemSchema"] for one in media.values())
