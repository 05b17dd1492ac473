"""The sites of all frameworks, and what every client has heard there: each runner runs once, on all sites together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.clients.declared import CLIENTS, RUNNERS, SITES, Framework
from tests.clients.heard import BEGUN, Heard
from tests.rig import node
from tests.rig.apps.clients_shared import FAILURE, FOLDER
from tests.rig.browser import headless_chromium
from tests.rig.requirements import missing
from tests.rig.servers import ROOT, SERVERS, UNMEASURED, Server

HERE = Path(__file__).parent
WITHIN = 120.0
"""Seconds for a runner, on all sites; on an idle machine it takes ten."""

AT_ONCE = 4
"""Clients that listen to a site at the same time: Chromium opens 6 connections to it, and one closes a stream."""

Sites = dict[Framework, Server]
Outcomes = dict[tuple[Framework, str, str], Heard]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder from which the sites take the script of their page."""
    return tmp_path_factory.mktemp("clients")


@pytest.fixture(scope="module")
def sites(folder: Path) -> Iterator[Sites]:
    """Serve the streams by every framework."""
    with ThreadPoolExecutor() as pool:
        starting = {
            framework: pool.submit(Server, SERVERS[server], app, environment={FOLDER: str(folder), **UNMEASURED})
            for framework, (server, app) in SITES.items()
        }
    found = {framework: future.result() for framework, future in starting.items()}
    yield found
    for server in found.values():
        server.stop()


def able(runner: str) -> list[str]:
    """Return the clients of a runner that have all that they need."""
    return [
        client.name
        for client in CLIENTS.values()
        if client.runner == runner and not any(missing(part) for part in (*RUNNERS[runner], *client.parts))
    ]


@pytest.fixture(scope="module")
def heard_by_python(sites: Sites) -> Outcomes:
    """Run the clients in Python, all by one program."""
    orders = [_order(server, "python") for server in sites.values()]
    done = subprocess.run(
        [sys.executable, "-m", "tests.clients.python_clients", json.dumps(orders)],
        check=False,
        capture_output=True,
        text=True,
        timeout=WITHIN,
        env={**os.environ, **UNMEASURED},
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return _outcomes(sites, json.loads(done.stdout))


@pytest.fixture(scope="module")
def heard_by_node(sites: Sites) -> Outcomes:
    """Run the clients in Node, all by one program."""
    orders = [_order(server, "node") for server in sites.values()]
    arguments = [str(HERE / "heard.mjs"), json.dumps(orders)]
    found = json.loads(node.run_node(HERE / "node_clients.mjs", *arguments, within=WITHIN))
    return _outcomes(sites, found)


@pytest.fixture(scope="module")
def heard_by_chromium(sites: Sites, folder: Path) -> Outcomes:
    """Run the clients in Chromium, on one page of each site."""
    node.bundle(HERE / "page.jsx", folder / "page.js")
    found = []
    with headless_chromium() as browser:
        pages = [(browser.new_page(), server) for server in sites.values()]
        for page, server in pages:
            page.goto(f"{server.url}/page")
            page.wait_for_function("typeof hearAll === 'function'")
            page.evaluate("(order) => void hearAll(order)", _order(server, "chromium"))
        for page, _ in pages:
            page.wait_for_function("window.outcomes", timeout=WITHIN * 1000)
            found.append(page.evaluate("outcomes"))
    return _outcomes(sites, found)


def _order(server: Server, runner: str) -> dict[str, Any]:
    """Return what heard.mjs is to do on a site."""
    plan: dict[str, Any] = {}
    for number, name in enumerate(able(runner)):
        client = CLIENTS[name]
        plan[name] = {}
        for trap in client.traps:
            key = f"{runner}-{number}-{trap}"
            close = f"{server.url}/close/{key}" if trap == "closed" else None
            plan[name][trap] = {"url": f"{server.url}/{client.shape}/{trap}/{key}", "close": close}
    return {"plan": plan, "at_once": AT_ONCE, "begun": "".join(BEGUN), "failure": FAILURE}


def _outcomes(sites: Sites, found: list[dict[str, Any]]) -> Outcomes:
    return {
        (framework, name, trap): Heard(**heard)
        for framework, outcomes in zip(sites, found, strict=True)
        for name, traps in outcomes.items()
        for trap, heard in traps.items()
    }
