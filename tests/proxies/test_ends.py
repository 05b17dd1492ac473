"""How streams end behind each proxy: by its limits, by a client that leaves, and by an app that dies."""

from __future__ import annotations

from typing import Any

import pytest

from tests.proxies.arrivals import PATIENCE, Client
from tests.proxies.conftest import Running, Through
from tests.proxies.running import cases, open_proxy
from tests.proxies.setup import CUTS, LIMIT, UVICORN, Leaving
from tests.proxies.setups import SETUPS
from tests.rig.requirements import needs
from tests.rig.stream import Stalled

pytestmark = pytest.mark.servers

KEEPALIVE = 0.3
UNNOTICED = 1.2
"""Seconds after which what has gone unnoticed counts as such: others notice a silent one in milliseconds."""
CUT_WITHIN = 5 * LIMIT
"""Some look at their clocks once in a second or two."""


@cases(lambda setup: setup.mechanism == "idle-cut")
def test_keepalive_outlives_the_idle_limit(through: Through, name: str) -> None:
    """Of two streams that wait for their next frame the silent one is cut; the other has it in the end."""
    way = through(name)
    with way.ask(frames=3, keepalive=KEEPALIVE) as kept, way.ask(frames=3) as silent:
        way.door.allow(1)
        assert kept.has(1)
        assert silent.has(1)
        silent.read_to_end(CUT_WITHIN)
        assert silent.stream.ending != "open"
        assert len(silent.frames) == 1
        way.door.allow(2)
        assert kept.has(2)


@cases(lambda setup: setup.mechanism == "total-cut")
def test_keepalive_does_not_outlive_a_total_limit_and_the_cure_does(through: Through, name: str) -> None:
    """The liveliest stream is cut in the middle, and one beside it behind the cure goes on."""
    way = through(name)
    cure = SETUPS[name].cure
    assert cure is not None
    cured = through(cure)
    with cured.ask(frames=3, keepalive=KEEPALIVE) as spared, way.ask(frames=3, keepalive=KEEPALIVE) as lively:
        way.door.allow(1)
        assert spared.has(1)
        assert lively.has(1)
        lively.read_to_end(CUT_WITHIN)
        assert lively.stream.ending == "truncated"
        way.door.allow(2)
        assert spared.has(2)


def _left_unnoticed(through: Through, name: str, within: float, **order: Any) -> bool:
    way = through(name, UVICORN)
    with way.ask(frames=2, **order) as client:
        way.door.allow(1)
        # What is still on its way would have the kernel answer it with a reset, which more proxies notice.
        assert client.has(1)
        client.stream.leave()
        try:
            way.door.wait_for(lambda record: record["closed"] > 0, within)
        except Stalled:
            return True
        return False


def _is_noticed(through: Through, name: str, leaving: Leaving, **order: Any) -> None:
    silent_within = PATIENCE if leaving == "at once" else UNNOTICED
    assert _left_unnoticed(through, name, silent_within, **order) == (leaving != "at once")
    kept_within = UNNOTICED if leaving == "never" else PATIENCE
    assert _left_unnoticed(through, name, kept_within, keepalive=KEEPALIVE, **order) == (leaving == "never")


@cases(lambda setup: setup.mechanism not in {"whole-body", *CUTS})
def test_app_learns_that_a_client_has_left_as_the_page_says(through: Through, name: str) -> None:
    """At once; or only when something is sent to it, which a keepalive does; or never."""
    _is_noticed(through, name, SETUPS[name].leaving)


@cases(lambda setup: setup.bare_leaving)
def test_app_without_the_headers_learns_less_of_a_client_that_left(through: Through, name: str) -> None:
    """What is fetched for a cache is fetched to its end, whoever has left."""
    leaving = SETUPS[name].bare_leaving
    assert leaving is not None
    _is_noticed(through, name, leaving, bare=True)


@cases(lambda setup: not setup.cuts)
def test_app_that_dies_leaves_a_cut_or_what_looks_like_an_end(through: Through, name: str) -> None:
    """A crash in the middle is seen by the client, except where the page says that it is not."""
    way = through(name)
    with way.ask(frames=2, fails=True) as client:
        way.door.allow(1)
        # A proxy that has the whole of a short answer before it sends the head may make a whole one of it.
        assert way.setup.mechanism == "whole-body" or client.has(1)
        way.door.allow(2)
        client.read_to_end()
        looks_clean = client.stream.status == 200 and client.stream.clean
        assert looks_clean == way.setup.crash_looks_clean, client.stream.describe()


@needs("envoy", "nginx122")
def test_envoy_refuses_the_http_1_0_of_an_old_nginx(running: Running) -> None:
    """The page says so, and which line of nginx's configuration helps."""
    envoy = running.proxy("envoy-recommended", UVICORN)
    for name, status in (("nginx122-default", 426), ("nginx122-recommended", 200)):
        with open_proxy(name, envoy) as nginx, Client(nginx.port, frames=1) as client:
            running.app(UVICORN).side_door.allow(1)
            assert client.stream.head().status == status
