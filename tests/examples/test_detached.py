"""The detached answer of the examples, and the end of the process that writes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from streamkit.channels import Detached, SQLiteLog
from tests.examples.running import Example
from tests.rig.http import HTTPStream
from tests.rig.requirements import needs

pytestmark = pytest.mark.servers


@pytest.fixture
def fastapi_example(tmp_path: Path) -> Iterator[Example]:
    """Run the example whose server waits for the end of its lifespan."""
    with Example("fastapi", tmp_path / "log") as example:
        yield example


@needs("fastapi", "uvicorn", "httpx")
def test_answer_is_finished_when_the_server_is_told_to_leave(fastapi_example: Example) -> None:
    """The router's lifespan waits for it, as long as its grace; the server itself would not."""
    key, body = str(uuid4()), json.dumps({"prompt": "slow client"}).encode()
    headers = {"Content-Type": "application/json"}
    with HTTPStream(fastapi_example.port, f"/detached/{key}", method="PUT", headers=headers, body=body) as start:
        assert start.head().status == 202
    fastapi_example.terminate()
    log = SQLiteLog(fastapi_example.folder / "detached.db")
    assert Detached(log).status_sync(key).state == "done"
    log.close()
