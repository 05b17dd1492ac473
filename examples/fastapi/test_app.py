"""How such streams are tested: without a server, and no wait without a bound. Run it by `pytest`."""

import pytest
from fastapi.testclient import TestClient

import app
import prompt
from streamkit.testing import assert_well_formed, open_stream

client = TestClient(app.app)
ANSWER = "/answer?q=What+is+a+keepalive"


@pytest.fixture(autouse=True)
def _type_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "PACE", 0)
    monkeypatch.setattr(prompt, "PACE", 0)


def test_browser_that_comes_back_gets_the_rest() -> None:
    with open_stream(client, "GET", ANSWER) as events:
        seen = events.take(3)
    with open_stream(client, "GET", ANSWER, headers={"Last-Event-ID": seen[0].id}) as events:
        assert events.take(2) == seen[1:]


def test_prompt_is_answered_to_an_end_that_is_said() -> None:
    with open_stream(client, "POST", "/prompt", json={"prompt": "What is a keepalive?"}) as events:
        words = events.until(event="done")
        assert "".join(word.json() for word in words).startswith("A ")
        assert list(events) == []
        assert events.closed_reason == "completed"
        assert_well_formed(events.raw)


def test_reader_may_leave_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "PACE", 0.2)  # else the answer may be over by then
    with open_stream(client, "GET", ANSWER) as events:
        events.take(1)
        events.disconnect()
        assert events.closed_reason == "disconnected"


def test_body_that_is_no_prompt_is_refused() -> None:
    with open_stream(client, "POST", "/prompt", json={}) as events:
        assert events.status_code in (400, 422)
