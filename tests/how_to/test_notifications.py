"""docs/how-to/notifications.md: a user's streams, badge and logout in each framework, and two tabs with one stream."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.request import urlopen

import pytest
from jinja2 import FileSystemLoader

import streamkit
from streamkit.testing import OpenStream, open_stream
from tests.rig.browser import headless_chromium
from tests.rig.requirements import needs
from tests.test_how_to import PAGES, blocks_of, run
from tests.test_readme import served

PAGE = "notifications.md"
NOTICES = blocks_of(PAGE)[0]
(FLASK,) = blocks_of(PAGE, "Flask")
(DJANGO,) = blocks_of(PAGE, "Django")
(FASTAPI,) = blocks_of(PAGE, "FastAPI")
(HTML,) = re.findall(r"^```html\n(.*?)^```$", (PAGES / PAGE).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture(autouse=True)
def notices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    """Put the first block where the others import it from."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET", "no secret")
    made = ModuleType("notices")
    exec(compile(NOTICES, "notices", "exec", dont_inherit=True), vars(made))
    monkeypatch.setitem(sys.modules, "notices", made)
    yield made
    made.channels.close()


def log_in(app: Any) -> Any:
    """Return a client that is logged in to the Flask block's app."""
    client = app.test_client()
    with client.session_transaction() as session:
        session["user"] = "ann"
    return client


def opened(client: Any, **options: Any) -> open_stream:
    """Open the stream of a user."""
    return open_stream(client, "GET", "/notices", timeout=20, **options)


def check_notices(events: OpenStream, notices: ModuleType, user: Any) -> None:
    """Hear of a notice, of its being read, and of nobody else's."""
    assert events.take()[0].event == "cursor"
    notices.notify("bob", "not for ann")
    notices.notify(user, "one")
    notices.notify(user, "two")
    assert [event.json() for event in events.take(2)] == [{"text": "one", "unread": 1}, {"text": "two", "unread": 2}]
    notices.mark_as_read(user)
    (badge,) = events.take()
    assert (badge.event, badge.json()) == ("badge", {"unread": 0})


@needs("flask")
class TestFlask:
    def test_user_gets_own_notices_and_the_number(self, notices: ModuleType) -> None:
        """Who is not logged in is told not to come back."""
        app = run(FLASK)["app"]
        with opened(log_in(app)) as events:
            check_notices(events, notices, "ann")
        assert app.test_client().get("/notices").status_code == 204

    def test_client_that_missed_too_much_gets_the_number(self, notices: ModuleType) -> None:
        """Behind the gap."""
        notices.notify("ann", "one")
        with opened(log_in(run(FLASK)["app"]), headers={"Last-Event-ID": "from another log"}) as events:
            gap, badge = events.take(2)
        assert (gap.event, badge.event, badge.json()) == ("gap", "badge", {"unread": 1})

    def test_logout_ends_all_streams_of_the_user_and_tells_them(self) -> None:
        """And the browser that logged out is sent away."""
        client = log_in(run(FLASK)["app"])
        with opened(client) as first, opened(client) as second:
            assert [events.take()[0].event for events in (first, second)] == ["cursor", "cursor"]
            assert client.post("/logout").status_code == 204
            for events in (first, second):
                assert events.until(event="logout")
                assert events.wait_closed() == "completed"
        assert client.get("/notices").status_code == 204

    def test_streams_can_be_ended_by_the_key_of_their_user(self) -> None:
        """Without a word."""
        client = log_in(run(FLASK)["app"])
        with opened(client) as events:
            assert events.take()[0].event == "cursor"
            assert streamkit.close_streams("ann") == 1
            assert events.wait_closed() == "closed"


@needs("django")
def test_django_block_gives_notices_and_ends_at_a_logout(notices: ModuleType) -> None:
    """As the other two do."""
    from types import SimpleNamespace

    from django.test import Client, override_settings
    from django.urls import path

    users = {"ann": SimpleNamespace(pk=1, is_authenticated=True), "": SimpleNamespace(pk=None, is_authenticated=False)}
    names = run(DJANGO)
    names["log_out"] = lambda request: None  # of the session, which this project has not

    def as_user(view: Any) -> Any:
        def called(request: Any) -> Any:
            request.user = users[request.headers.get("User", "")]
            return view(request)

        return called

    patterns = (path("notices", as_user(names["notices"])), path("logout", as_user(names["logout"])))
    with override_settings(ROOT_URLCONF=patterns, ALLOWED_HOSTS=["*"], MIDDLEWARE=[]):
        client = Client(headers={"user": "ann"})
        with opened(client) as events:
            check_notices(events, notices, 1)
            assert client.post("/logout").status_code == 204
            assert events.until(event="logout")
            assert events.wait_closed() == "completed"
        assert Client().get("/notices").status_code == 204


@needs("fastapi")
def test_fastapi_block_gives_notices_and_ends_at_a_logout(notices: ModuleType) -> None:
    """As the other two do."""
    from fastapi.testclient import TestClient
    from starlette.responses import Response

    app = run(FASTAPI)["app"]

    async def login(request: Any) -> Response:
        request.session["user"] = "ann"
        return Response()

    app.add_route("/login", login, methods=["POST"])
    with TestClient(app) as client:
        assert client.get("/notices").status_code == 204
        client.post("/login")
        with opened(client) as events:
            check_notices(events, notices, "ann")
            assert client.post("/logout").status_code == 204
            assert events.until(event="logout")
            assert events.wait_closed() == "completed"


@pytest.mark.servers
@pytest.mark.browser
@needs("flask", "playwright", "chromium")
def test_two_tabs_share_a_stream_and_the_second_goes_on_when_the_first_is_closed(
    notices: ModuleType, tmp_path: Path
) -> None:
    """Each shows each notice once, and that it is logged out."""
    names = run(FLASK)
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "notices.html").write_text(f"<link rel=icon href=data:,>{HTML}", encoding="utf-8")
    app = names["app"]
    app.jinja_loader = FileSystemLoader(tmp_path / "templates")

    def login() -> str:
        names["flask"].session["user"] = "ann"
        return "<link rel=icon href=data:,>"

    def notify(text: str) -> str:  # not in the thread of the browser, which has an event loop
        notices.notify("ann", text)
        return str(notices.UNREAD["ann"])

    app.add_url_rule("/login", "login", login)
    app.add_url_rule("/notify/<text>", "notify", notify)
    with served(app) as url, headless_chromium() as browser:
        context = browser.new_context()
        context.set_default_timeout(20_000)
        first = context.new_page()
        first.goto(f"{url}/login")
        first.goto(url)
        first.wait_for_function("navigator.locks.query().then((locks) => locks.held.length === 1)")
        second = context.new_page()
        second.goto(url)
        tell(url, "one")
        wait_for(first, ["one"])
        wait_for(second, ["one"])
        assert names["LIMIT"].open == 1
        first.close()
        tell(url, "two")  # while nobody may be reading
        wait_for(second, ["one", "two"])
        assert second.evaluate("fetch('/logout', { method: 'POST' }).then(({ status }) => status)") == 204
        second.wait_for_function("document.getElementById('state').textContent.startsWith('Not connected')")


def tell(url: str, text: str) -> None:
    """Have the app notify."""
    with urlopen(f"{url}/notify/{text}", timeout=20) as answer:
        assert answer.status == 200


def wait_for(page: Any, texts: list[str]) -> None:
    """Wait until a page shows these notices and their number."""
    page.wait_for_function(f"document.querySelectorAll('li').length === {len(texts)}")
    assert page.locator("li").all_text_contents() == texts
    assert page.locator("#badge").text_content() == str(len(texts))
