"""Start a proxy by the name of its setup, before an app that listens already."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.proxies.products import PRODUCTS
from tests.proxies.setup import Setup
from tests.proxies.setups import SETUPS
from tests.rig.http import HTTPStream
from tests.rig.process import Process
from tests.rig.requirements import executable, needs
from tests.rig.servers import ROOT, free_port
from tests.rig.stream import Stalled

DEPLOY = ROOT / "docs" / "deploy"
PROXY_PORT, APP_PORT = "8080", "8000"
"""What stands in the files of docs/deploy."""


@contextmanager
def open_proxy(name: str, upstream_port: int) -> Iterator[Process]:
    """Run a setup, and those between it and the app; what it yields has `url` and `port`."""
    setup = SETUPS[name]
    with contextlib.ExitStack() as stack:
        if setup.behind is not None:
            upstream_port = stack.enter_context(open_proxy(setup.behind, upstream_port)).port
        yield stack.enter_context(_start(setup, upstream_port))


def parts(name: str) -> set[str]:
    """Return what a setup needs, as `needs` calls it."""
    setup = SETUPS[name]
    behind = parts(setup.behind) if setup.behind else set()
    also = {setup.also} if setup.also else set()
    return {PRODUCTS[setup.product].part} | also | behind


def cases(wanted: Callable[[Setup], object]) -> pytest.MarkDecorator:
    """Run a test for each setup that is wanted, in the process where its proxy runs; a missing program skips it."""
    chosen = [name for name, setup in SETUPS.items() if wanted(setup)]
    return pytest.mark.parametrize("name", [pytest.param(name, marks=_marks(name)) for name in chosen])


def _marks(name: str) -> list[pytest.MarkDecorator]:
    return [needs(*sorted(parts(name))), pytest.mark.xdist_group(f"proxy {name}")]


def configuration(setup: Setup, port: int, upstream_port: int) -> str:
    """Return the file of docs/deploy with the changes of the setup and with the ports of this run."""
    text = (DEPLOY / setup.file).read_text()
    for old, new in setup.changes:
        if text.count(old) != 1:
            raise ValueError(f"{setup.file} must hold {old!r} once, and does {text.count(old)} times")
        text = text.replace(old, new)
    ports = {PROXY_PORT: str(port), APP_PORT: str(upstream_port)}
    return re.sub(rf"\b({PROXY_PORT}|{APP_PORT})\b", lambda found: ports[found[0]], text)


def _start(setup: Setup, upstream_port: int) -> Process:
    product, port = PRODUCTS[setup.product], free_port()
    program = executable(product.program)
    if program is None:
        raise FileNotFoundError(f"{product.program} is not installed")
    arguments = f"{product.arguments} {setup.arguments}".replace("{port}", str(port)).split()
    files = {name: text.replace("{port}", str(port)) for name, text in product.files.items()}
    return Process(
        [program, *arguments],
        {**files, product.site: configuration(setup, port, upstream_port)},
        port,
        environment=product.environment,
        stop_by=product.stop_by,
        ready=lambda: _lets_through(port),
    )


def _lets_through(port: int) -> bool:
    """Say whether an answer comes from behind the proxy: Traefik listens before it knows its routes."""
    try:
        with HTTPStream(port, "/") as stream:
            status = stream.head(within=2.0).status
            body = b"" if status == 204 else stream.drain(0.05)
    except (OSError, Stalled):
        time.sleep(0.05)
        return False
    return status not in {502, 503, 504} and body != b"404 page not found\n"
