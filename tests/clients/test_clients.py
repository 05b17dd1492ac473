"""Real clients hear what was sent, from each framework, and do what docs/clients.md says when a stream breaks off."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.clients.conftest import Outcomes
from tests.clients.declared import CLIENTS, RUNNERS, SITES, Framework
from tests.clients.heard import judge
from tests.clients.table import CELL
from tests.rig.requirements import needs
from tests.rig.servers import SERVERS

pytestmark = [
    pytest.mark.servers,
    pytest.mark.xdist_group("clients"),
    pytest.mark.timeout(300),  # the first test of a runner runs all of its clients, after npm has installed them
    needs("flask", "django", "fastapi", *{part for kind, _ in SITES.values() for part in SERVERS[kind].parts}),
]

CELLS = [
    pytest.param(
        framework, name, trap, id=f"{framework}-{name}-{trap}", marks=needs(*RUNNERS[client.runner], *client.parts)
    )
    for name, client in CLIENTS.items()
    for trap in client.traps
    for framework in SITES
]


@pytest.mark.parametrize(("framework", "name", "trap"), CELLS)
def test_client_meets_a_trap(
    framework: Framework,
    name: str,
    trap: str,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    """It hears a whole stream exactly, and of one that breaks off what its row says."""
    client = CLIENTS[name]
    outcomes: Outcomes = request.getfixturevalue(f"heard_by_{client.runner}")
    found = judge(trap, outcomes[framework, name, trap], client.done)
    record_property(CELL, (framework, name, trap, found))
    assert found == client.expected(trap)
