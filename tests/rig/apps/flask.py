"""The scenarios through `streamkit.flask`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flask
from werkzeug.exceptions import Forbidden

import streamkit.flask
from tests.rig.scenarios import Route, routes
from tests.rig.sidedoor import open_side_door

app = flask.Flask(__name__)


def _view(route: Route) -> Callable[[], Any]:
    def view() -> Any:
        response = getattr(streamkit.flask, route.scenario.response)
        return response(route.content(streamkit.flask.primed), **route.scenario.options)

    return view


for _route in routes(Forbidden()):
    app.add_url_rule(_route.path, endpoint=_route.path, view_func=_view(_route))

open_side_door()
