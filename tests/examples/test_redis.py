"""The line that changes an example from a file to a Redis server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import redis

from tests.examples.conftest import EXAMPLES
from tests.examples.running import Example
from tests.rig.http import HTTPStream
from tests.rig.requirements import needs
from tests.rig.valkey import Valkey

pytestmark = [pytest.mark.servers, needs("redis", "valkey")]

FEATURES = ("detached.py", "notifications.py")
OFFER = re.compile(r"^log = SQLiteLog.*\n# (log = RedisLog\(.*?\))  # .*: (from .* import RedisLog)$", re.MULTILINE)


@pytest.fixture
def server() -> Iterator[Valkey]:
    """A server that has nothing yet."""
    with Valkey() as valkey:
        yield valkey


def change(file: Path, url: str) -> None:
    """Do what the comment says, with the address of this server."""
    text, count = OFFER.subn(r"\2\n\1", file.read_text(encoding="utf-8"))
    assert count == 1
    file.write_text(text.replace("redis://127.0.0.1:6379", url), encoding="utf-8")


@pytest.mark.parametrize("name", EXAMPLES)
def test_one_line_changes_an_example_to_redis(name: str, server: Valkey, tmp_path: Path) -> None:
    """The pages are the same, and no file is written."""
    example = Example(name, tmp_path / "log")
    for feature in FEATURES:
        change(example.folder / feature, server.url)
    headers = {"Content-Type": "application/json"}
    with example:
        address, body = f"/detached/{uuid4()}", json.dumps({"prompt": "slow client"}).encode()
        with HTTPStream(example.port, address, method="PUT", headers=headers, body=body) as start:
            assert start.head().status == 202
        with HTTPStream(example.port, address) as answer:
            answer.read_until(b"event: done", within=20)
        with HTTPStream(example.port, "/notifications/stream") as live:
            live.read_until(b"event: cursor")
            body = json.dumps({"text": "Lunch", "key": "1"}).encode()
            with HTTPStream(example.port, "/notifications", method="POST", headers=headers, body=body) as sent:
                assert sent.head().status == 204
            live.read_until(b'"text":"Lunch"')
    assert list(example.folder.glob("*.db*")) == []
    client = redis.Redis.from_url(server.url)
    assert {b"streamkit:{notifications}"} <= set(client.keys())
    client.close()
