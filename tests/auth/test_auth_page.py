"""docs/how-to/auth-and-cors.md: its recipes, served, and Chromium on pages of two origins."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from tests.auth.sites import ACROSS, FASTAPI, FASTAPI_REST, FETCH, FILES, TICKET, Frontend, serve
from tests.rig import node
from tests.rig.browser import headless_chromium
from tests.rig.http import HTTPStream
from tests.rig.process import Process
from tests.rig.requirements import needs

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PAGE = """() => {
  window.listen = (url, options) => {
    window.seen = []
    window.ids = []
    window.opens = 0
    window.source = new EventSource(url, options)
    source.onopen = () => opens++
    source.onmessage = (event) => {
      seen.push(JSON.parse(event.data).to)
      ids.push(Number(event.lastEventId))
    }
  }
  window.post = (path) => {
    const token = /csrftoken=(\\w+)/.exec(document.cookie)
    return fetch(path, { method: "POST", headers: token ? { "X-CSRFToken": token[1] } : {} })
  }
  window.first = async (url, options) => {
    try {
      const response = await fetch(url, options)
      if (response.status !== 200) return response.status
      const { value } = await response.body.pipeThrough(new TextDecoderStream()).getReader().read()
      return value.split("\\n")[0]
    } catch (error) {
      return error.name
    }
  }
}"""

pytestmark = [
    pytest.mark.servers,
    pytest.mark.browser,
    pytest.mark.xdist_group("auth"),
    pytest.mark.timeout(300),
    needs("gunicorn", "uvicorn", "flask", "django", "fastapi", "flask-cors", "django-cors-headers"),
    needs("playwright", "chromium", "node"),
]


@pytest.fixture(scope="module")
def frontend() -> Iterator[int]:
    """Serve pages of another origin; return the port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Frontend) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join(10)


@pytest.fixture(scope="module")
def sites(frontend: int) -> Iterator[dict[str, Process]]:
    """Serve all recipes."""
    with ThreadPoolExecutor() as pool:
        starting = {framework: pool.submit(serve, framework, frontend) for framework in FILES}
    started = {framework: future.result() for framework, future in starting.items()}
    yield started
    for process in started.values():
        process.stop()


@pytest.fixture(params=list(FILES))
def site(sites: dict[str, Process], request: pytest.FixtureRequest) -> Process:
    """Return one of the sites."""
    return sites[request.param]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Start one headless Chromium."""
    with headless_chromium() as browser:
        yield browser


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """Open a page with cookies of its own."""
    with chromium.new_context() as context:
        context.set_default_timeout(30_000)
        yield context.new_page()


def go(page: Page, url: str) -> None:
    """Load a page of an origin, with what the tests call there."""
    page.goto(url)
    page.evaluate(PAGE)


def log_in(page: Page, site: Process) -> None:
    """Begin a session on a page of the site itself."""
    go(page, f"{site.url}/")
    assert page.evaluate("post('/login').then((response) => response.status)") == 204


def opened(site: Process) -> int:
    """Return how many streams the site has opened so far."""
    with HTTPStream(site.port, "/opened") as stream:
        return int(stream.read_to_end())


def listen(page: Page, url: str, *, credentials: bool) -> None:
    """Open an EventSource."""
    page.evaluate("([url, withCredentials]) => listen(url, { withCredentials })", [url, credentials])


GAVE_UP = "source.readyState === 2"


def test_session_of_the_same_origin_is_sent_and_its_end_stops_the_browser(site: Process, page: Page) -> None:
    """After the logout the stream ends, the browser comes back once, is answered 401 and stops."""
    log_in(page, site)
    listen(page, "/news", credentials=False)
    page.wait_for_function("seen.length > 0")
    before = opened(site)
    assert page.evaluate("post('/logout').then((response) => response.status)") == 204
    page.wait_for_function(GAVE_UP)
    assert page.evaluate("[new Set(seen).size, seen[0], opens]") == [1, "ann", 1]
    assert opened(site) == before


def test_nobody_gets_401_and_no_source_is_started(site: Process, page: Page) -> None:
    """EventSource gives up without a word of why; fetch sees the status, also across origins."""
    go(page, f"{site.url}/")
    before = opened(site)
    listen(page, "/news", credentials=False)
    page.wait_for_function(GAVE_UP)
    assert page.evaluate("first('/news')") == 401
    assert opened(site) == before


def test_credentials_cross_origins_when_both_sides_say_so(site: Process, frontend: int, page: Page) -> None:
    """EventSource needs withCredentials and fetch `include`; its Last-Event-ID passes the preflight."""
    log_in(page, site)
    go(page, f"http://127.0.0.1:{frontend}/")
    listen(page, f"{site.url}/news", credentials=False)
    page.wait_for_function(GAVE_UP)
    page.evaluate("(api) => { window.api = api }", site.url)
    page.evaluate(f"() => {{ {ACROSS}; source.onmessage = () => window.got = true; window.across = source }}")
    page.wait_for_function("window.got")
    page.evaluate("across.close()")
    options = '{ credentials: "include", headers: { "Last-Event-ID": "41" } }'
    assert page.evaluate(f"first(api + '/news', {options})") == "id: 42"
    assert page.evaluate("first(api + '/news')") == 401


def test_cookie_stays_at_home_on_another_site(site: Process, frontend: int, page: Page) -> None:
    """`localhost` is not the site of 127.0.0.1: CORS allows it, and the cookie is not sent."""
    log_in(page, site)
    go(page, f"http://localhost:{frontend}/")
    assert page.evaluate("(url) => first(url, { credentials: 'include' })", f"{site.url}/news") == 401


def test_origin_that_is_not_allowed_reads_nothing(sites: dict[str, Process], site: Process, page: Page) -> None:
    """The browser gives up, though the server has started the source for it."""
    log_in(page, site)
    other = next(process for process in sites.values() if process is not site)
    go(page, f"{other.url}/")
    before = opened(site)
    listen(page, f"{site.url}/news", credentials=True)
    page.wait_for_function(GAVE_UP)
    assert page.evaluate("seen") == []
    assert opened(site) == before + 1


def test_credentials_need_the_very_origin_and_a_header_that_allows_them(
    sites: dict[str, Process], frontend: int, page: Page
) -> None:
    """Chromium's EventSource gives up on `*`, and where Access-Control-Allow-Credentials is missing."""
    site = sites["fastapi"]
    go(page, f"{site.url}/")
    for headers in ({"Origin": "*", "Credentials": "true"}, {"Origin": site.url}):
        listen(page, f"http://127.0.0.1:{frontend}/?{urlencode(headers)}", credentials=True)
        page.wait_for_function(GAVE_UP)
        assert page.evaluate("seen") == []
    headers = {"Origin": site.url, "Credentials": "true"}
    listen(page, f"http://127.0.0.1:{frontend}/?{urlencode(headers)}", credentials=True)
    page.wait_for_function("seen.length > 0")


def test_fetch_that_resumes_fails_where_the_header_is_not_allowed(frontend: int, page: Page) -> None:
    """Without Last-Event-ID in Access-Control-Allow-Headers fetch may begin but not go on; EventSource may."""
    code = FASTAPI.replace('["Last-Event-ID", "Authorization"]', "[]") + FASTAPI_REST
    with serve("fastapi", frontend, {"served.py": code}) as site:
        log_in(page, site)
        go(page, f"http://127.0.0.1:{frontend}/")
        page.evaluate("(api) => { window.api = api }", site.url)
        assert page.evaluate("first(api + '/news', { credentials: 'include' })") == "id: 1"
        options = '{ credentials: "include", headers: { "Last-Event-ID": "41" } }'
        assert page.evaluate(f"first(api + '/news', {options})") == "TypeError"
        listen(page, f"{site.url}/news", credentials=True)
        page.wait_for_function("ids.length > 0")
        log_in_and_out(site)  # ends the stream; the session of this page, a cookie, is as good as before
        page.wait_for_function("opens === 2 && ids.length > 2")
        ids = page.evaluate("ids")
        assert ids == list(range(1, len(ids) + 1))


def test_token_in_a_header_opens_the_stream_and_a_wrong_one_ends_the_client(
    sites: dict[str, Process], frontend: int, page: Page, tmp_path: Path
) -> None:
    """@microsoft/fetch-event-source, across origins, as the page shows it."""
    entry = tmp_path / "entry.mjs"
    entry.write_text(
        "import { fetchEventSource } from '@microsoft/fetch-event-source'\n"
        f"window.withToken = async (url, token, show) => {{\n{FETCH}\n}}\n"
    )
    go(page, f"http://127.0.0.1:{frontend}/")
    page.add_script_tag(path=node.bundle(entry, tmp_path / "script.js"), type="module")
    page.wait_for_function("typeof withToken === 'function'")
    shown = "(url) => new Promise((show) => withToken(url, 'a-token', show))"
    url = f"{sites['fastapi'].url}/mine"
    assert page.evaluate(shown, url) == '{"to":"ann"}'
    refused = "(url) => withToken(url, 'wrong', () => {}).catch((error) => error.message)"
    assert page.evaluate(refused, url) == "not allowed"


def test_ticket_is_good_once_and_the_next_one_goes_on(sites: dict[str, Process], frontend: int, page: Page) -> None:
    """The stream is closed by the server: the page comes back with another ticket and misses nothing."""
    site = sites["fastapi"]
    go(page, f"http://127.0.0.1:{frontend}/")
    arguments: dict[str, Any] = {"api": site.url, "token": "a-token"}
    page.evaluate(
        f"""({{ api, token }}) => {{
          window.shown = []
          window.urls = []
          const Real = EventSource
          window.EventSource = function (url) {{ urls.push(url); return (window.source = new Real(url)) }}
          const show = (data) => shown.push([data, last])
          {TICKET}
          listen()
        }}""",
        arguments,
    )
    page.wait_for_function("shown.length > 0")
    (spent,) = page.evaluate("urls")
    assert page.evaluate("(url) => first(url)", spent) == 401
    log_in_and_out(site)
    page.wait_for_function("urls.length > 1 && shown.at(-1)[1] > 2")
    ids = [int(last) for _, last in page.evaluate("shown")]
    assert ids == list(range(1, len(ids) + 1))


def log_in_and_out(site: Process) -> None:
    """End the streams of the user, in a session of its own."""
    import httpx

    with httpx.Client(base_url=site.url, timeout=20) as client:
        client.post("/login").raise_for_status()
        client.post("/logout").raise_for_status()
