"""docs/how-to/progress.md: each program runs, to its end, to a failure, and to a client that leaves."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest

from streamkit import Pipe, PipeClosedError
from streamkit.channels._entry import read_payload
from streamkit.testing import StreamEndedError, open_stream
from tests.engine.interpreter import python
from tests.rig.requirements import needs
from tests.test_how_to import blocks_of, run

PAGE = "progress.md"
(JOB, *_) = blocks_of(PAGE)
FLASK, DJANGO, FASTAPI, PARTS = blocks_of(PAGE, "As long as the page is open")
(DETACHED,) = blocks_of(PAGE, "Over a reload")
TASKS, TASK_VIEW = blocks_of(PAGE, "In a task queue")

PERCENT = [{"percent": number} for number in range(101)]


@pytest.fixture(autouse=True)
def job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """Put the first block where the others import it from; files are made in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    return module(monkeypatch, "job", JOB)


def module(monkeypatch: pytest.MonkeyPatch, name: str, block: str) -> ModuleType:
    """Make a block a module."""
    made = ModuleType(name)
    exec(compile(block, name, "exec", dont_inherit=True), vars(made))
    monkeypatch.setitem(sys.modules, name, made)
    return made


@pytest.fixture
def detached() -> Iterator[dict[str, Any]]:
    """Return the names of the program that survives a reload."""
    names = run(DETACHED)
    yield names
    names["POOL"].shutdown()
    names["detached"].log.close()


def check(app: Any) -> None:
    """Read a job to its end: not every picture is an event, but every percent that there was."""
    with open_stream(app, "POST", "/jobs", timeout=20) as events:
        *progress, result, done = list(events)
    assert [event.json() for event in progress] == PERCENT[: len(progress)] == PERCENT
    assert (result.event, result.json()) == ("result", {"bytes": 200_000})
    assert (done.event, done.data) == ("done", "")


@needs("flask")
def test_flask_block_streams_the_job_to_its_end() -> None:
    """A hundred percent, the result, the end."""
    check(run(FLASK)["app"])


@needs("django")
@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
def test_django_block_streams_the_job_to_its_end(interface: str) -> None:
    """Under either handler."""
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler
    from django.test import override_settings
    from django.urls import path

    names = run(DJANGO)
    patterns = (path("jobs", names["job"]),)
    with override_settings(ROOT_URLCONF=patterns, ALLOWED_HOSTS=["*"], MIDDLEWARE=[]):
        check(WSGIHandler() if interface == "wsgi" else ASGIHandler())
    names["POOL"].shutdown()


@needs("fastapi")
def test_fastapi_block_streams_the_job_to_its_end() -> None:
    """A coroutine puts."""
    with open_stream(run(FASTAPI)["app"], "POST", "/jobs", timeout=20) as events:
        *progress, done = list(events)
    assert [event.json() for event in progress] == [{"done": number} for number in (1, 2, 3, 4, 5)]
    assert done.event == "done"


@needs("flask")
def test_job_that_raises_cuts_the_stream(job: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """No end comes, and none is to be believed."""

    def broken(pictures: int, on_progress: Any) -> None:
        on_progress(pictures)
        raise OSError("the disk is full")

    monkeypatch.setattr(job, "resize", broken)
    app = run(FLASK)["app"]
    with open_stream(app, "POST", "/jobs", timeout=20) as events, pytest.raises(StreamEndedError):
        list(events)


@needs("flask")
def test_job_ends_when_its_client_leaves(job: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what `put` raises, inside the job."""
    ended = threading.Event()

    def endless(pictures: int, on_progress: Any) -> None:
        try:
            while True:
                on_progress(1)
        except PipeClosedError:
            ended.set()
            raise

    monkeypatch.setattr(job, "resize", endless)
    monkeypatch.setattr(job, "percent", lambda put, of: lambda done: put({"percent": 0}))
    with open_stream(run(FLASK)["app"], "POST", "/jobs", timeout=20) as events:
        events.take(3)
    assert ended.wait(20)


def test_parts_are_told_as_they_are_done_and_a_failure_is_raised() -> None:
    """Parts that have not begun when the reader leaves are not begun."""
    names = run(PARTS)
    in_parts = names["in_parts"]
    assert list(in_parts(str, "abc")) == [{"done": number, "of": 3} for number in (1, 2, 3)]
    with pytest.raises(ValueError, match="invalid literal"):
        list(in_parts(int, "a"))
    names["PARTS"].shutdown()


@needs("flask")
class TestDetached:
    def test_page_that_comes_back_gets_the_whole_job_or_the_rest(self, detached: dict[str, Any]) -> None:
        """Started twice, it runs once; who has seen the end gets 204."""
        client, at = detached["app"].test_client(), f"/jobs/{uuid4()}"
        assert client.get(at).status_code == 404
        assert [client.put(at).status_code for _ in range(2)] == [202, 202]
        with open_stream(client, "GET", at, timeout=20) as events:
            *progress, result, done = list(events)
        assert [event.json() for event in progress] == PERCENT
        assert (result.event, done.event) == ("result", "done")
        with open_stream(client, "GET", at, headers={"Last-Event-ID": progress[-1].id}, timeout=20) as events:
            assert list(events) == [result, done]
        assert client.get(at, headers={"Last-Event-ID": done.id}).status_code == 204

    def test_job_that_is_stopped_ends_and_its_readers_are_told(
        self, job: ModuleType, detached: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """From wherever it is stopped."""
        ended = threading.Event()

        def endless(pipe: Pipe, pictures: int) -> None:
            try:
                while not ended.wait(0.001):
                    pipe.put({"percent": 0})
            except PipeClosedError:
                ended.set()

        detached["run"] = endless
        client, at = detached["app"].test_client(), f"/jobs/{uuid4()}"
        client.put(at)
        with open_stream(client, "GET", at, timeout=20) as events:
            events.take()
            assert client.delete(at).status_code == 204
            assert events.until(event="cancelled")
        assert ended.wait(20)


@needs("flask")
def test_worker_in_another_process_is_read_from_its_beginning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Though the page comes when all is over."""
    tasks = module(monkeypatch, "tasks", TASKS)
    for name, block in (("job.py", JOB), ("tasks.py", TASKS)):
        (tmp_path / name).write_text(block, encoding="utf-8")
    key = uuid4()
    work = f"""
import os, sys
os.chdir({str(tmp_path)!r})
sys.path.insert(0, "")
from tasks import resize_task
resize_task("{key}", 200)
try:
    resize_task("{key}-broken", "200")
except TypeError:
    print("failed, as it should")
"""
    assert python("", prelude=work)[0] == "failed, as it should\n"
    app = run(TASK_VIEW)["app"]
    with open_stream(app, "GET", f"/jobs/{key}", timeout=20) as events:
        *progress, done = list(events)
    assert [event.json() for event in progress] == PERCENT
    assert (done.event, done.json()) == ("done", {"bytes": 200_000})
    tasks.channels.close()


def test_failure_of_a_task_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """And raised, for the queue to know."""
    tasks = module(monkeypatch, "tasks", TASKS)
    with pytest.raises(TypeError):
        tasks.resize_task("broken", "200")
    assert read_payload(tasks.channels.log.last("job:broken").payload, "1").event == "failed"
    tasks.channels.close()


def test_limits_are_those_of_the_library() -> None:
    """Each figure of the last section."""
    from inspect import signature

    from streamkit import StreamPolicy
    from streamkit.channels import Detached

    assert signature(Pipe).parameters["maxsize"].default == 100
    assert (StreamPolicy().send_timeout, StreamPolicy().grace) == (30, 1)
    assert signature(Detached).parameters["grace"].default == 5
