"""docs/how-to/topics.md: one stream carries several topics in each framework, and a page changes its choice."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from streamkit.testing import open_stream
from tests.rig.node import node
from tests.rig.requirements import needs
from tests.test_how_to import PAGES, blocks_of, run
from tests.test_readme import served

PAGE = "topics.md"
TOPICS, FLASK, DJANGO, FASTAPI = blocks_of(PAGE)
(SCRIPT,) = re.findall(r"^```js\n(.*?)^```$", (PAGES / PAGE).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture(autouse=True)
def topics(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    """Put the first block where the others import it from."""
    monkeypatch.chdir(tmp_path)
    made = ModuleType("topics")
    exec(compile(TOPICS, "topics", "exec", dont_inherit=True), vars(made))
    monkeypatch.setitem(sys.modules, "topics", made)
    yield made
    made.channels.close()


def check(app: Any, topics: ModuleType) -> None:
    """Get two topics and not the third; go on with one of them and another."""
    with open_stream(app, "GET", "/events?topic=orders&topic=prices", timeout=20) as events:
        assert events.take()[0].event == "cursor"
        for topic, data in (("orders", 1), ("chat", 2), ("prices", 3)):
            topics.publish(topic, data)
        got = events.until(event="prices") if events.take()[0].event == "orders" else events.until(event="orders")
        last = got[-1].id
    topics.publish("orders", 4)
    with open_stream(app, "GET", f"/events?topic=orders&topic=chat&last_event_id={last}", timeout=20) as events:
        assert events.until(event="orders")[-1].json() == 4
        topics.publish("chat", 5)
        assert events.until(event="chat")[-1].json() == 5
    with open_stream(app, "GET", "/events?topic=orders&topic=secret", timeout=20) as events:
        assert events.status_code == 404


@needs("flask")
def test_flask_block_carries_the_topics_asked_for(topics: ModuleType) -> None:
    """And goes on with another choice."""
    check(run(FLASK)["app"], topics)


@needs("django")
def test_django_block_carries_the_topics_asked_for(topics: ModuleType) -> None:
    """And goes on with another choice."""
    from django.core.handlers.wsgi import WSGIHandler
    from django.test import override_settings
    from django.urls import path

    patterns = (path("events", run(DJANGO)["events"]),)
    with override_settings(ROOT_URLCONF=patterns, ALLOWED_HOSTS=["*"], MIDDLEWARE=[]):
        check(WSGIHandler(), topics)


@needs("fastapi")
def test_fastapi_block_carries_the_topics_asked_for(topics: ModuleType) -> None:
    """And goes on with another choice."""
    check(run(FASTAPI)["app"], topics)


@pytest.mark.servers
@needs("flask", "node")
def test_page_misses_nothing_of_a_topic_that_it_keeps(topics: ModuleType, tmp_path: Path) -> None:
    """In Node's EventSource: one order while it listens, one while it changes its choice."""
    app = run(FLASK)["app"]
    app.add_url_rule("/say/<topic>/<data>", "say", lambda topic, data: topics.publish(topic, {"is": data}) or "")
    with served(app) as url:
        (tmp_path / "page.mjs").write_text(
            f"""
            const Real = globalThis.EventSource
            globalThis.EventSource = class extends Real {{ constructor(path) {{ super("{url}" + path) }} }}
            const say = (topic, data) => fetch(`{url}/say/${{topic}}/${{data}}`)
            const missed = (topic) => console.log("missed", topic)
            let arrived
            const show = (topic, data) => {{ console.log(topic, data.is); arrived() }}
            const next = () => new Promise((resolve) => (arrived = resolve))
            const until = (type) => new Promise((resolve) => source.addEventListener(type, resolve))
            {SCRIPT}
            listen(["orders", "prices"])
            await until("cursor")
            let one = next()
            await say("orders", "first")
            await one
            source.close()
            await say("orders", "second")
            one = next()
            listen(["orders", "chat"])
            await one
            source.close()
            """,
            encoding="utf-8",
        )
        command = [node(), "--experimental-eventsource", "--no-warnings", str(tmp_path / "page.mjs")]
        done = subprocess.run(command, timeout=30, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["orders first", "orders second"]
