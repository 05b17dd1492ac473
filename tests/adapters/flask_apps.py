"""A small Flask application and a source that counts, for the tests of the Flask adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import flask


class Source:
    """Three items that tell how far they were pulled and how often they were closed."""

    def __init__(self) -> None:
        self.pulled = 0
        self.closed = 0

    def __iter__(self) -> Iterator[object]:
        return self

    def __next__(self) -> object:
        if self.pulled == 3:
            raise StopIteration
        self.pulled += 1
        return self.pulled

    def close(self) -> None:
        """Count."""
        self.closed += 1


def app_with(view: Callable[..., Any], **options: Any) -> flask.Flask:
    """Return an application of one view."""
    app = flask.Flask("shop")
    app.secret_key = "not one"
    app.add_url_rule("/", view_func=view, endpoint="stream", **options)
    return app


def add_x_hook(response: flask.Response) -> flask.Response:
    """Add a header, as an after_request function does."""
    response.headers["X-Hook"] = "1"
    return response
