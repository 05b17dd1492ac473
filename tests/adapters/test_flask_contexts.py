"""Flask's contexts around a source: what works in it, when teardown functions run, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from unittest.mock import Mock

import flask
import pytest
from werkzeug.test import EnvironBuilder

from streamkit import StreamPolicy
from streamkit.flask import NDJSONResponse, primed
from tests.adapters.wsgi_calls import Call

KINDS = pytest.mark.parametrize("kind", ["inline", "thread", "async"])


class Shop:
    """An application whose teardown functions write down that they ran, with their error and what `g` held."""

    def __init__(self, source: Callable[[], Iterator[object]], view: Callable[..., Any] | None = None) -> None:
        self.log: list[tuple[str, object]] = []
        self.stream_over = threading.Event()
        self.kind = "inline"
        self._source = source
        view = view or self._stream
        self.app = app = flask.Flask("shop")
        app.secret_key = "not one"
        app.before_request(self._begin)
        app.teardown_request(lambda error: self.log.append(("request", error)))
        app.teardown_appcontext(self._teardown)
        app.add_url_rule("/<user>", view_func=lambda user: view(self.content()), endpoint="stream")

    def _begin(self) -> None:
        flask.g.user = (flask.request.view_args or {})["user"]
        flask.g.connection = "of the view"
        flask.session["seen"] = 1

    def _teardown(self, error: BaseException | None) -> None:
        self.log.append((f"app, {flask.g.pop('connection', None)}", error))
        if len(self.log) >= len(OF_REQUEST + OF_STREAM):
            self.stream_over.set()

    def _stream(self, content: Any) -> NDJSONResponse:
        # A stream without a keepalive needs no thread.
        return NDJSONResponse(content, policy=StreamPolicy(keepalive=5.0 if self.kind == "thread" else None))

    def content(self) -> Any:
        """Return the source in the kind that is asked for."""
        return self._asynchronous() if self.kind == "async" else self._source()

    async def _asynchronous(self) -> AsyncIterator[object]:
        source = self._source()
        try:
            for item in source:
                yield item
                await asyncio.sleep(0)
        finally:
            source.close()  # type: ignore[attr-defined]

    def call(self, kind: str = "inline") -> Call:
        """Make a request as user ann; in the thread of the test where `kind` is "inline"."""
        self.kind = kind
        return Call(self.app, "/ann?q=1", threads=kind == "thread")


def proxies() -> Iterator[object]:
    """Use all of Flask's proxies, and `g` for a resource of the source's own."""
    yield [flask.request.args["q"], flask.session["seen"], flask.g.user, flask.current_app.name]
    yield flask.g.get("connection")
    flask.g.connection = "of the stream"
    yield flask.url_for("stream", user="bob")


EXPECTED = b'["1",1,"ann","shop"]\nnull\n"/bob"\n'
OF_REQUEST = [("request", None), ("app, of the view", None)]
OF_STREAM = [("request", None), ("app, of the stream", None)]


@KINDS
def test_proxies_work_in_a_source(kind: str) -> None:
    """Teardown runs for the request when the view returns, for the stream when it ends; `g` keeps its plain values."""
    shop = Shop(proxies)
    call = shop.call(kind)
    assert shop.log == OF_REQUEST
    assert call.read() == EXPECTED
    assert shop.log == OF_REQUEST + OF_STREAM


@KINDS
def test_context_ends_with_a_client_that_leaves(kind: str) -> None:
    """The source's `finally` still has its request; teardown follows it, without an error."""

    def leaving() -> Iterator[object]:
        try:
            flask.g.connection = "of the stream"
            yield "first"
            yield from iter(int, 1)
        finally:
            shop.log.append((flask.request.path, None))

    shop = Shop(leaving)
    call = shop.call(kind)
    assert call.take()
    assert not flask.has_app_context()
    call.close()
    assert shop.stream_over.wait(5)  # a thread inside the source is not waited for
    assert shop.log == [*OF_REQUEST, ("/ann", None), *OF_STREAM]


@KINDS
def test_stream_that_is_never_read_pushes_nothing(kind: str) -> None:
    """Only the request's own teardown runs."""
    shop = Shop(proxies)
    shop.call(kind).close()
    assert shop.log == OF_REQUEST
    assert not flask.has_app_context()


@KINDS
def test_teardown_functions_get_the_error_of_a_source(kind: str) -> None:
    """As they would for a view."""

    def failing() -> Iterator[object]:
        yield "first"
        raise LookupError(flask.request.path)

    shop = Shop(failing)
    with pytest.raises(LookupError, match="/ann") as caught:
        shop.call(kind).read()
    assert shop.log == [*OF_REQUEST, ("request", caught.value), ("app, None", caught.value)]


def test_server_that_forgets_to_close_leaves_nothing_open() -> None:
    """A body that nobody refers to any more ends as a closed one does."""
    shop = Shop(proxies)
    call = shop.call()
    call.take()
    del call
    gc.collect()
    assert shop.log == [*OF_REQUEST, ("request", None), ("app, None", None)]


def test_worker_thread_serves_the_next_request_as_if_new() -> None:
    """Half a stream read inline leaves no context in the thread, neither before nor after it is closed."""
    shop = Shop(proxies)
    first = shop.call()
    first.take()
    assert not flask.has_request_context()
    assert shop.call().read() == EXPECTED
    first.close()
    assert not flask.has_app_context()
    assert shop.log.count(("request", None)) == 4


def test_primed_source_runs_beside_the_view() -> None:
    """It starts within the request, with a copy of `g`: what view and source put there does not meet."""

    def early() -> Iterator[object]:
        yield flask.g.pop("connection")
        flask.g.connection = "of the stream"
        yield flask.g.user

    shop = Shop(early, lambda content: NDJSONResponse(primed(content)))
    call = shop.call()
    assert shop.log == OF_REQUEST
    assert call.read() == b'"of the view"\n"ann"\n'
    assert shop.log == OF_REQUEST + OF_STREAM


def test_primed_source_that_no_response_takes_is_closed() -> None:
    """Its contexts are left too; its copy of `g` still named what the view had opened."""
    shop = Shop(proxies, lambda content: [primed(content), "other"][1])
    assert shop.call().read() == b"other"
    assert shop.stream_over.wait(5)
    assert sorted(name for name, _ in shop.log) == ["app, of the view", "app, of the view", "request", "request"]


def test_async_view_gives_its_contexts_to_the_source() -> None:
    """Flask runs the view on a loop of its own, the source runs on another."""
    shop = Shop(proxies)

    async def view(user: str) -> Any:
        return NDJSONResponse(shop.content())

    shop.app.view_functions["stream"] = view
    assert shop.call("async").read() == EXPECTED
    assert shop.log == OF_REQUEST + OF_STREAM


def test_application_context_alone_is_enough() -> None:
    """A response built outside of a request gets what was there."""
    app = flask.Flask("shop")

    def source() -> Iterator[object]:
        yield flask.has_request_context()
        yield flask.current_app.name

    with app.app_context():
        response = NDJSONResponse(source())
    assert Call(response).read() == b'false\n"shop"\n'


def test_no_context_at_all_is_enough() -> None:
    """The response is a werkzeug response, which needs no Flask application."""
    assert Call(NDJSONResponse([1])).read() == b"1\n"


def test_context_that_fails_to_begin_fails_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was pushed before is popped again."""
    shop = Shop(proxies)
    pushed, popped = Mock(), Mock()
    flask.appcontext_pushed.connect(pushed, shop.app)
    flask.appcontext_popped.connect(popped, shop.app)
    request_context = type(shop.app.request_context(EnvironBuilder().get_environ()))
    monkeypatch.setattr(request_context, "copy", Mock(side_effect=LookupError("no copy")))
    call = shop.call()
    with pytest.raises(LookupError, match="no copy"):
        call.read()
    assert pushed.call_count == popped.call_count > 0
