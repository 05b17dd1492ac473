"""The examples answer the test clients of their hosts, without a server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus
from uuid import uuid4

import pytest

from streamkit import EventDecoder, NDJSONDecoder, Pipe
from streamkit.channels import Channels, SQLiteLog
from tests.examples.hosts import Host, Reply, imported
from tests.examples.upstream import REFUSAL, WORDS, StandIn, stand_in
from tests.rig.requirements import needs

QUESTION = "What happens when a connection drops?"
TARGET = f"/answer?q={quote_plus(QUESTION)}"


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("flask", marks=needs("flask", "httpx")),
        pytest.param("django", marks=needs("django", "httpx")),
        pytest.param("fastapi", marks=needs("fastapi", "uvicorn", "httpx")),
    ],
)
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Import each example, with answers that do not take their time and a short job."""
    where = tmp_path_factory.mktemp(request.param)
    with imported(request.param, where) as host, pytest.MonkeyPatch.context() as patch:
        patch.setattr(host.modules["app"], "PACE", 0)
        patch.setattr(host.modules["prompt"], "PACE", 0)
        patch.setattr(host.modules["detached"], "PACE", 0)
        patch.setattr(host.modules["assistant"], "PACE", 0)
        patch.setattr(host.modules["job"], "LIMIT", 10_000)
        yield host


@pytest.fixture(scope="module")
def upstream() -> Iterator[StandIn]:
    """Serve the stand-in for a language model."""
    with stand_in() as server:
        yield server


def events(body: bytes) -> list[tuple[str | None, str | None, Any]]:
    """Return type, id and JSON data of each event in `body`."""
    return [(event.event, event.id, json.loads(event.data)) for event in EventDecoder().feed(body)]


UUID = "8e7a1b4c-0d2f-4a53-9b6e-1c2d3e4f5a6b"
SENT = {
    "/prompt": {"prompt": "x"},
    f"/detached/{UUID}": {"prompt": "x"},
    "/notifications": {"text": "x", "key": "forged"},
    "/api/chat": {"id": UUID, "messages": [{"role": "user", "parts": [{"type": "text", "text": "x"}]}]},
    "/v1/chat/completions": {"model": "x", "stream": True, "messages": [{"role": "user", "content": "x"}]},
    "/relay/v1/chat/completions": {"model": "x", "stream": True},
}


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("target", SENT)
def test_what_a_form_of_another_site_could_send_starts_nothing(host: Host, target: str, content_type: str) -> None:
    """A form sends no JSON, and a script of another origin is first asked whether it may."""
    method = "PUT" if target.startswith("/detached/") else "POST"
    body = json.dumps(SENT[target]).encode()
    assert 400 <= host.ask(method, target, content=body, headers={"Content-Type": content_type}).status < 500


class TestAnswer:
    """The answer of the chat page."""

    def test_words_have_their_positions_as_ids(self, host: Host) -> None:
        """The answer is complete, numbered from zero, and its end is said."""
        reply = host.get(TARGET)
        words = host.modules["answers"].words(QUESTION)
        *typed, done = events(reply.body)
        assert reply.content_type == "text/event-stream"
        assert typed == [(None, str(position), word) for position, word in enumerate(words)]
        assert done == ("done", str(len(words) - 1), "")

    def test_browser_that_comes_back_gets_the_rest(self, host: Host) -> None:
        """The word after the last event ID is the first that is sent."""
        first, *_ = events(host.get(TARGET, {"Last-Event-ID": "41"}).body)
        assert first[1] == "42"

    def test_browser_that_missed_only_the_end_gets_only_the_end(self, host: Host) -> None:
        """After the last word there is nothing left to type."""
        last = len(host.modules["answers"].words(QUESTION)) - 1
        assert events(host.get(TARGET, {"Last-Event-ID": str(last)}).body) == [("done", None, "")]

    @pytest.mark.parametrize("foreign", ["x", "-1", "1.5", "9" * 5000, "%C2%B2"])
    def test_id_that_is_no_position_starts_anew(self, host: Host, foreign: str) -> None:
        """An id is client input: what the example has not sent is ignored."""
        first, *_ = events(host.get(f"{TARGET}&last_event_id={foreign}").body)
        assert first[1] == "0"

    def test_question_without_answer_is_told_what_to_ask(self, host: Host) -> None:
        """Where nothing fits, the first section is the answer."""
        assert b"Anything" in host.get("/answer?q=zzz").body


class TestPrompt:
    """The prompt that is POSTed."""

    def test_prompt_is_answered(self, host: Host) -> None:
        """The words of the answer come as JSON data, then the end."""
        reply = host.post("/prompt", json.dumps({"prompt": QUESTION}).encode())
        *typed, done = events(reply.body)
        assert [word for _, _, word in typed] == host.modules["answers"].words(QUESTION)
        assert done == ("done", None, "")

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b'{"prompt": 7}', b"{}"])
    def test_body_that_is_no_prompt_is_refused(self, host: Host, body: bytes) -> None:
        """A wrong body is the client's error, not ours."""
        assert host.post("/prompt", body).status in (400, 422)


def test_job_reports_each_step_and_its_result(host: Host) -> None:
    """A hundred steps, then how many primes there are below ten thousand."""
    *steps, done = events(host.post("/job", b"").body)
    assert [data for _, _, data in steps] == [{"done": step, "total": 100} for step in range(1, 101)]
    assert done == ("done", None, {"primes": 1229})


def test_export_ends_with_its_completeness(host: Host) -> None:
    """Each line is a row, and the last says that none is missing."""
    reply = host.get("/export/rows")
    rows = NDJSONDecoder().feed(reply.body)
    assert reply.content_type == "application/x-ndjson"
    assert rows[0] == {"code": "U+2190", "sign": "←", "name": "LEFTWARDS ARROW"}
    assert len(rows) > 2000
    assert rows[-1] == {"complete": True}


@pytest.mark.parametrize("path", ["/", "/prompt", "/job", "/export", "/detached", "/assistant", "/notifications"])
def test_page_is_served(host: Host, path: str) -> None:
    """Every feature has its page."""
    reply = host.get(path)
    assert reply.status == 200
    assert reply.content_type.startswith("text/html")
    assert b"</html>" in reply.body


class TestDetached:
    """The answer that needs no reader."""

    @pytest.fixture
    def address(self) -> str:
        """Return where an answer is that nobody has started."""
        return f"/detached/{uuid4()}"

    def start(self, host: Host, address: str, prompt: str = QUESTION) -> int:
        """Start an answer; return the status."""
        return host.put(address, json.dumps({"prompt": prompt}).encode()).status

    def test_answer_is_read_whole_by_whoever_comes(self, host: Host, address: str) -> None:
        """The question comes first, for those that did not ask it, then the words, then how it ended."""
        assert self.start(host, address) == 202
        for _ in range(2):
            reply = host.get(address)
            question, *typed, done = events(reply.body)
            assert reply.content_type == "text/event-stream"
            assert question[::2] == ("question", QUESTION)
            assert [word for _, _, word in typed] == host.modules["answers"].words(QUESTION)
            assert done[::2] == ("done", "")

    def test_start_that_is_sent_again_starts_nothing(self, host: Host, address: str) -> None:
        """The key has one answer, whatever comes with the second request."""
        assert self.start(host, address) == 202
        assert self.start(host, address, "slow client") == 202
        question, *_ = events(host.get(address).body)
        assert question[2] == QUESTION

    def test_browser_that_comes_back_gets_the_rest(self, host: Host, address: str) -> None:
        """The first event is the one after the last event ID."""
        self.start(host, address)
        whole = events(host.get(address).body)
        assert events(host.get(address, {"Last-Event-ID": str(whole[7][1])}).body) == whole[8:]

    def test_browser_that_has_seen_the_end_is_told_not_to_come_back(self, host: Host, address: str) -> None:
        """204 is how EventSource is told to stop."""
        self.start(host, address)
        *_, done = events(host.get(address).body)
        assert host.get(address, {"Last-Event-ID": str(done[1])}).status == 204

    def test_answer_that_nobody_started_is_not_found(self, host: Host, address: str) -> None:
        """EventSource gives up at a 404."""
        assert host.get(address).status == 404

    def test_key_of_another_form_is_refused(self, host: Host) -> None:
        """Only a UUID names an answer."""
        assert host.get("/detached/1").status in (404, 422)

    def test_stopped_answer_ends_for_all_its_readers(self, host: Host, address: str) -> None:
        """The last event says that somebody has stopped it."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(host.modules["detached"], "PACE", 0.2)
            self.start(host, address)
            assert host.delete(address).status == 204
            *_, end = events(host.get(address).body)
        assert end[::2] == ("cancelled", "")

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"prompt": 7}', b"{}"])
    def test_body_that_is_no_prompt_is_refused(self, host: Host, address: str, body: bytes) -> None:
        """A wrong body starts nothing."""
        assert host.put(address, body).status in (400, 422)
        assert host.get(address).status == 404


class TestAssistant:
    """The chat for useChat."""

    @pytest.fixture
    def chat(self) -> str:
        """Return the id of a chat that nobody has begun."""
        return str(uuid4())

    def ask(self, host: Host, chat: str, question: str = QUESTION) -> Reply:
        """Send what useChat sends."""
        message = {"id": "m1", "role": "user", "parts": [{"type": "file"}, {"type": "text", "text": question}]}
        before = {"id": "m0", "role": "assistant", "parts": [{"type": "step-start"}, {"type": "text", "text": "x"}]}
        sent = {"id": chat, "messages": [before, message], "trigger": "submit-message"}
        return host.post("/api/chat", json.dumps(sent).encode())

    def test_answer_is_a_ui_message_stream(self, host: Host, chat: str) -> None:
        """By its header, and its parts, which have a data line and nothing else."""
        reply = self.ask(host, chat)
        *parts, done = EventDecoder().feed(reply.body)
        assert (reply.status, reply.content_type) == (200, "text/event-stream")
        assert reply.headers["x-vercel-ai-ui-message-stream"] == "v1"
        assert {line[:6] for line in reply.body.splitlines()} == {b"data: ", b""}
        deltas = [part["delta"] for part in map(json.loads, (event.data for event in parts)) if "delta" in part]
        assert deltas == host.modules["answers"].words(QUESTION)
        assert done.data == "[DONE]"

    def test_last_answer_is_resumed_whole(self, host: Host, chat: str) -> None:
        """The same bytes, with the same message id; 204 for a chat without an answer."""
        address = f"/api/chat/{chat}/stream"
        assert host.get(address).status == 204
        self.ask(host, chat, "slow client")
        reply = self.ask(host, chat)
        again = host.get(address)
        assert (again.status, again.body) == (200, reply.body)
        assert again.headers["x-vercel-ai-ui-message-stream"] == "v1"

    def test_stopped_answer_is_aborted(self, host: Host, chat: str) -> None:
        """For those who come later, too."""
        address = f"/api/chat/{chat}/stream"
        assert host.delete(address).status == 204
        # Started beside the request, since a test client reads a response to its end.
        silent = Pipe()
        host.modules["assistant"].chats.start_sync(chat, silent)
        assert host.delete(address).status == 204
        assert host.get(address).body.endswith(b'data: {"type":"abort"}\n\ndata: [DONE]\n\n')
        silent.close()  # a thread still waits for what is pushed into it

    @pytest.mark.parametrize(
        "body", [b"", b"{", b"[]", b"{}", b'{"id": "x", "messages": [{"parts": []}]}', b'{"id": 7, "messages": []}']
    )
    def test_body_that_is_no_chat_is_refused(self, host: Host, body: bytes) -> None:
        """A wrong body is the client's error, not ours."""
        assert host.post("/api/chat", body).status in (400, 422)


class TestNotifications:
    """The list that is live in all browsers."""

    @pytest.fixture
    def channels(self, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Channels]:
        """Have a channel that a test may seal, so that its stream ends."""
        channels = Channels(SQLiteLog(tmp_path / "notifications.db"))
        monkeypatch.setattr(host.modules["notifications"], "channels", channels)
        yield channels
        channels.close()

    def position(self, host: Host) -> str:
        """Open the page; return the position that was rendered into it."""
        found = re.search(rb'data-position="([0-9a-z.]+)"', host.get("/notifications").body)
        assert found is not None
        return found[1].decode()

    def publish(self, host: Host, text: str, key: str) -> int:
        """Send what the form sends; return the status."""
        return host.post("/notifications", json.dumps({"text": text, "key": key}).encode()).status

    def since(self, host: Host, channels: Channels, position: str) -> list[Any]:
        """Return the events that a page of this position gets, up to the one that ends the stream here."""
        channels.log.append("notifications", b"jend\nnull", seal=True)
        *got, end = events(host.get(f"/notifications/stream?last_event_id={position}").body)
        assert end[0] == "end"
        return got

    def test_page_gets_what_was_published_since_it_was_rendered(self, host: Host, channels: Channels) -> None:
        """Between the page and its stream nothing is lost, and nothing from before is shown."""
        assert self.publish(host, "before", "1") == 204
        position = self.position(host)
        assert [self.publish(host, text, text) for text in ("a", "b")] == [204, 204]
        assert [(kind, data["text"]) for kind, _, data in self.since(host, channels, position)] == [
            (None, "a"),
            (None, "b"),
        ]

    def test_notification_that_is_sent_again_is_stored_once(self, host: Host, channels: Channels) -> None:
        """The key says that it is the same."""
        position = self.position(host)
        assert [self.publish(host, "a", "key"), self.publish(host, "a", "key")] == [204, 204]
        assert len(self.since(host, channels, position)) == 1

    def test_page_that_the_log_does_not_know_is_told_of_a_gap(self, host: Host, channels: Channels) -> None:
        """What can not be gone on from is said, and what there is follows."""
        self.publish(host, "a", "1")
        gap, first = self.since(host, channels, "garbage")
        assert (gap[0], gap[2]["reason"], first[2]["text"]) == ("gap", "unknown", "a")

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"text": "a"}', b'{"text": 7, "key": "1"}', b"{}"])
    def test_body_that_is_no_notification_is_refused(self, host: Host, body: bytes) -> None:
        """A wrong body is the client's error, not ours."""
        assert host.post("/notifications", body).status in (400, 422)

    def test_text_beyond_the_limit_of_the_form_is_refused(self, host: Host) -> None:
        """A client need not be our page."""
        assert self.publish(host, "x" * 201, "1") in (400, 422)
        assert self.publish(host, "", "1") in (400, 422)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"model": "m", "stream": true}', b'{"stream": true, "messages": 7}']
)
def test_body_that_asks_for_no_completion_is_refused(host: Host, body: bytes) -> None:
    """A wrong body is the client's error, not ours."""
    assert host.post("/v1/chat/completions", body).status in (400, 422)


class TestRelay:
    """The relay of an OpenAI-compatible server."""

    def ask(self, host: Host, upstream: str, **body: object) -> Any:
        """Send a request through the relay to `upstream`."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(host.modules["relay"], "UPSTREAM", upstream)
            return host.post("/relay/v1/chat/completions", json.dumps(body).encode())

    def test_answer_is_relayed_to_its_end(self, host: Host, upstream: StandIn) -> None:
        """What comes from upstream is sent on event by event, and the key is ours."""
        reply = self.ask(host, upstream.url, model="whole", stream=True)
        *chunks, done = EventDecoder().feed(reply.body)
        assert [json.loads(c.data)["choices"][0]["delta"]["content"] for c in chunks] == list(WORDS)
        assert done.data == "[DONE]"
        assert upstream.asked[-1] == {
            "path": "/v1/chat/completions",
            "authorization": "Bearer unused",
            "model": "whole",
            "stream": True,
        }

    def test_refusal_upstream_keeps_its_status(self, host: Host, upstream: StandIn) -> None:
        """An error that came before the first event is passed on whole, with the time to wait and no other header."""
        reply = self.ask(host, upstream.url, model="refused", stream=True)
        assert reply.status == 429
        assert json.loads(reply.body) == REFUSAL
        assert reply.headers["Retry-After"] == "7"
        assert "Set-Cookie" not in reply.headers

    def test_upstream_that_is_not_there_is_a_bad_gateway(self, host: Host) -> None:
        """A refused connection is a 502, and says so."""
        assert self.ask(host, "http://127.0.0.1:9/v1", model="whole", stream=True).status == 502

    def test_request_without_stream_is_refused(self, host: Host, upstream: StandIn) -> None:
        """A client that wants one JSON object is not given events."""
        assert self.ask(host, upstream.url, model="whole").status == 400
