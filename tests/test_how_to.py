"""The recipes of docs/how-to/metrics.md and limits.md run as they stand there, each page part in its own names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

import streamkit
from streamkit import EventDecoder, StreamCutError
from streamkit._engine.limit import CAP
from tests.adapters.wsgi_calls import Call
from tests.engine.drive import WSGIClient
from tests.engine.interpreter import python

PAGES = Path(__file__).parents[1] / "docs" / "how-to"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
READER = {"Accept": "text/event-stream"}


def blocks_of(page: str, section: str = "") -> list[str]:
    """Return the Python blocks of a page, or of one section of it."""
    text = (PAGES / page).read_text(encoding="utf-8")
    if section:
        text = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return BLOCK.findall(text)


def run(*blocks: str) -> dict[str, Any]:
    """Run blocks in one namespace, as a reader would put them into one file; return its names."""
    names: dict[str, Any] = {"__name__": "recipe"}
    for block in blocks:
        exec(compile(block, "recipe", "exec", dont_inherit=True), names)
    return names


def fail() -> Iterator[str]:
    """Fail after one item."""
    yield "a"
    raise ValueError


def make_ends(**options: Any) -> None:
    """Have one stream completed and one fail."""
    WSGIClient(["a", "b"], threads=False, **options).read()
    with pytest.raises(ValueError, match=r"^$"):
        WSGIClient(fail(), threads=False, **options).read()


def freeze(monkeypatch: pytest.MonkeyPatch) -> streamkit.Stats:
    """Have `stats()` give the figures of now from now on; return them."""
    now = streamkit.stats()
    monkeypatch.setattr(streamkit, "stats", lambda: now)
    return now


@pytest.fixture
def prometheus(monkeypatch: pytest.MonkeyPatch) -> CollectorRegistry:
    """Stand for the process's registry, which a test must not fill."""
    registry = CollectorRegistry()
    monkeypatch.setattr("prometheus_client.REGISTRY", registry)
    return registry


def test_prometheus_collector_gives_the_figures_of_the_scrape(
    prometheus: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each family has the value that `stats()` has."""
    run(blocks_of("metrics.md", "Prometheus")[0])
    make_ends()
    now = freeze(monkeypatch)
    value = prometheus.get_sample_value
    assert value("streams_open") == now.open
    assert value("streams_threads") == now.threads
    assert value("streams_oldest_age_seconds") == now.oldest_age
    assert value("streams_slowest_flush_seconds") == now.slowest_flush > 0
    assert value("streams_opened_total") == now.opened >= 2
    assert value("streams_frames_total") == now.frames >= 3
    assert value("streams_bytes_total") == now.bytes > 0
    for reason, count in now.ends.items():
        assert value("streams_ended_total", {"reason": reason}) == count
    assert value("streams_ended_total", {"reason": "error"})


def test_prometheus_adds_up_the_ends_of_several_workers(tmp_path: Path) -> None:
    """Two processes, one scrape."""
    first, second = blocks_of("metrics.md", "Prometheus")
    code = f"""
import os
os.environ["PROMETHEUS_MULTIPROC_DIR"] = {str(tmp_path)!r}
{first}
{second}
import flask
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client import CollectorRegistry
app = flask.Flask("shop")
app.add_url_rule("/", "page", lambda: Stream(["a"]))
pid = os.fork()
app.test_client().get("/").data
if not pid:
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
registry = CollectorRegistry()
MultiProcessCollector(registry)
value = registry.get_sample_value
completed = value("streams_closed_total", {{"reason": "completed"}})
print(completed, value("stream_seconds_count"), value("streams_open_now"))
"""
    out, _ = python("", prelude=code)
    assert out == "2.0 2.0 0.0\n"


def test_opentelemetry_observes_the_figures_and_traces_each_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its span is a child of the request's, as long as the stream and failed where that did."""
    reader, spans = InMemoryMetricReader(), InMemorySpanExporter()
    meters, tracers = MeterProvider([reader]), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(metrics, "get_meter", meters.get_meter)
    monkeypatch.setattr(trace, "get_tracer", tracers.get_tracer)
    names = run(*blocks_of("metrics.md", "OpenTelemetry"))

    async def page(request: Any) -> Any:
        with tracers.get_tracer("app").start_as_current_span("request"):
            return names["Stream"](["a", "b"] if request.url.path == "/" else fail())

    with TestClient(Starlette(routes=[Route("/{path:path}", page)]), raise_server_exceptions=False) as client:
        assert client.get("/").content == b"data: a\n\ndata: b\n\n"
    make_ends(on_close=names["record"])
    now = freeze(monkeypatch)
    data = reader.get_metrics_data()
    assert data is not None
    points: dict[str, list[Any]] = {
        metric.name: list(metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    for name in ("open", "oldest_age", "slowest_flush", "threads", "opened", "frames", "bytes"):
        (point,) = points[f"streams.{name}"]
        assert point.value == getattr(now, name)
    assert {point.attributes["stream.end"]: point.value for point in points["streams.ended"]} == now.ends
    assert {point.attributes["stream.end"]: point.count for point in points["stream.duration"]} == {
        "completed": 2,
        "error": 1,
    }
    request, first, _, failed = spans.get_finished_spans()
    assert first.parent is not None
    assert first.parent.span_id == request.context.span_id
    assert dict(first.attributes or {}) == {"stream.end": "completed", "stream.frames": 2, "stream.bytes": 18}
    assert not failed.status.is_ok
    meters.shutdown()
    tracers.shutdown()


def test_limits_page_refuses_ends_and_tells_the_browser_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sixth stream of a user is sent away; a logout ends the five, and who comes back gets 204."""
    names = run(blocks_of("limits.md")[0])
    app, limit = names["app"], names["LIMIT"]
    client = app.test_client()
    with client.session_transaction() as session:
        session["user"] = "ann"
    cookie = client.get_cookie("session")
    headers = {**READER, "Cookie": f"session={cookie.value}"}
    calls = [Call(app, "/news", headers=headers) for _ in range(6)]
    for call in calls[:5]:
        assert b"Still nothing new" in call.take()
    assert limit.open == 5
    _, retry = _decoded(calls.pop().read())
    assert retry is not None
    assert 2_000 <= retry <= 10_000
    refused = Call(app, "/news", headers={"Cookie": headers["Cookie"]})
    assert refused.status == 503
    refused.close()
    assert client.post("/logout").status_code == 204
    for call in calls:
        with pytest.raises(StreamCutError, match="closed"):
            call.read()
    assert limit.open == 0
    assert client.get("/news").status_code == 204


def test_limits_page_sets_the_cap_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last block is one call."""
    monkeypatch.setattr(CAP, "total", CAP.total)
    run("import streamkit", blocks_of("limits.md")[1])
    assert CAP.total == 200


def _decoded(body: bytes) -> tuple[list[Any], int | None]:
    decoder = EventDecoder()
    return decoder.feed(body), decoder.retry
