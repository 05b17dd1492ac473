"""No database connection stays pinned by an open stream; the code is that of docs/how-to/database-sessions.md."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from streamkit.flask import EventStreamResponse
from tests.adapters.wsgi_calls import Call

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "database-sessions.md"
STREAMS, POOL = 20, {"pool_size": 5, "max_overflow": 0, "pool_timeout": 1}


def code_of(section: str) -> str:
    """Return the Python block of one section of the page."""
    text = PAGE.read_text(encoding="utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return "".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Run the Flask section of the page on a database of its own, with a pool that is soon empty."""
    code = code_of("Flask").replace("sqlite:///shop.db", f"sqlite:///{tmp_path}/shop.db")
    code = code.replace("db = ", f'app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {POOL}\ndb = ')
    names: dict[str, Any] = {"__name__": "shop"}
    exec(compile(code, str(PAGE), "exec", dont_inherit=True), names)
    db = names["db"]
    with names["app"].app_context():
        db.create_all()
        db.session.add(names["Order"](id=1, state="packed"))
        db.session.commit()
        engine = names["engine"] = db.engine
    released = threading.Event()
    names["time"] = SimpleNamespace(sleep=lambda _seconds: released.wait(5))
    yield names
    released.set()
    for thread in threading.enumerate():
        if thread.name == "streamkit-pump":
            thread.join(5)  # it asks the database once more before it finds its reader gone
    engine.dispose()


def first_item(call: Call) -> bytes:
    """Return the first frame of a stream."""
    data = call.take()
    return call.take() if data == b":\n" else data


@pytest.mark.parametrize("threads", [False, True])
def test_open_flask_streams_leave_the_pool_free(shop: dict[str, Any], threads: bool) -> None:
    """Twenty streams are open, each has read from the database, and a pool of five has all its connections."""
    with ExitStack() as stack:
        for _ in range(STREAMS):
            call = stack.enter_context(closing(Call(shop["app"], "/orders/1/states", threads=threads)))
            assert first_item(call) == b'data: {"state":"packed"}\n\n'
        assert shop["engine"].pool.checkedout() == 0


def test_session_that_a_source_leaves_open_is_closed_with_the_stream(shop: dict[str, Any]) -> None:
    """Flask-SQLAlchemy's teardown runs when the stream ends, for the session of the stream."""
    db = shop["db"]

    def careless() -> Iterator[str]:
        yield db.session.get(shop["Order"], 1).state
        yield "more"

    with shop["app"].app_context():
        response = EventStreamResponse(careless())
    call = Call(response)
    assert first_item(call) == b"data: packed\n\n"
    assert shop["engine"].pool.checkedout() == 1
    call.close()
    assert shop["engine"].pool.checkedout() == 0


def test_order_that_is_not_there_is_404(shop: dict[str, Any]) -> None:
    """What is read in the view can still be an error response."""
    assert Call(shop["app"], "/orders/2/states").status == 404


def test_stream_on_the_page_ends_with_the_order(shop: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each change is sent once, up to the last."""
    db, order = shop["db"], shop["Order"]

    def deliver(_seconds: float) -> None:
        with db.session() as session:
            session.get_one(order, 1).state = "delivered"
            session.commit()

    monkeypatch.setattr(shop["time"], "sleep", deliver)
    body = Call(shop["app"], "/orders/1/states").read()
    assert body == b':\ndata: {"state":"packed"}\n\ndata: {"state":"delivered"}\n\n'
