"""docs/how-to/migrating-from-django-eventstream.md: both projects send the same, and the tables say what is."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.engine.interpreter import python
from tests.how_to.migration import left_columns
from tests.rig.node import node
from tests.rig.requirements import needs
from tests.test_how_to import PAGES, blocks_of
from tests.test_readme import served

PAGE = "migrating-from-django-eventstream.md"
(MIDDLEWARE,) = blocks_of(PAGE, "First the middleware")
BEFORE = blocks_of(PAGE, "Before")
AFTER = blocks_of(PAGE, "After")
(SCRIPT,) = re.findall(r"^```js\n(.*?)^```$", (PAGES / PAGE).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
OWN_SETTINGS = """
SECRET_KEY = "no secret, but as long as PyJWT wants it"
ROOT_URLCONF = "urls"
ALLOWED_HOSTS = ["*"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "project.db"}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
"""

# Two orders are shipped while a page listens and one while it is away; then somebody else's events are asked for.
VISIT = """
import asyncio, json, os, sys
os.chdir(PROJECT)
sys.path.insert(0, PROJECT)
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
import django
django.setup()
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import AsyncClient
from streamkit.testing import NotAStreamError, open_stream
call_command("migrate", verbosity=0)
ann = User.objects.create_user("ann")

def told(event):
    return [event.event, event.data, event.id]

async def main():
    client = AsyncClient()
    await client.aforce_login(ann)
    at = f"/users/{ann.pk}"
    said = {}

    async def ship(*numbers):
        for number in numbers:
            assert (await client.post(f"{at}/ship/{number}")).status_code == 204

    async def opened(url, last=None, take=1):
        headers = {} if last is None else {"Last-Event-ID": last}
        async with open_stream(client, "GET", url, headers=headers, timeout=20) as stream:
            try:
                return [stream.status_code, [told(event) for event in await stream.take(take)]]
            except NotAStreamError:
                return [stream.status_code, []]

    async with open_stream(client, "GET", f"{at}/events/", timeout=20) as stream:
        said["first"] = told(next(iter(await stream.take())))
        await ship(7, 8)
        said["live"] = [told(event) for event in await stream.take(2)]
    await ship(9)
    said["back"] = await opened(f"{at}/events/", said["live"][-1][-1], BACK)
    said["other"] = await opened("/users/77/events/", take=OTHER)
    said["old id"] = await opened(f"{at}/events/", f"user-{ann.pk}:1", 2)
    print(json.dumps(said))

asyncio.run(main())
"""

pytestmark = needs("django", "django-eventstream")


def visit(folder: Path, files: list[str], middleware: str = "", *, back: int, other: int) -> Any:
    """Put a project together, visit it in a process of its own, and return what was seen."""
    for file in files:
        (name,) = re.findall(r"^# (\w+\.py)$", file.partition("\n")[0])
        own = OWN_SETTINGS + middleware if name == "settings.py" else ""
        (folder / name).write_text(own + file, encoding="utf-8")
    constants = f"PROJECT, BACK, OTHER = {str(folder)!r}, {back}, {other}\n"
    out, _ = python("", prelude=constants + VISIT)
    return json.loads(out)


@pytest.mark.parametrize("middleware", ["", MIDDLEWARE], ids=["before", "between"])
def test_old_project_sends_what_the_page_says(tmp_path: Path, middleware: str) -> None:
    """Also inside the middleware."""
    said = visit(tmp_path, BEFORE, middleware, back=2, other=1)
    assert said["first"] == ["stream-open", "", None]
    assert said["live"] == [["shipped", f'{{"number": {number}}}', f"user-1:{number - 6}"] for number in (7, 8)]
    assert said["back"] == [200, [["stream-open", "", None], ["shipped", '{"number": 9}', "user-1:3"]]]
    status, (denied,) = said["other"]
    assert (status, denied[0]) == (200, "stream-error")


def test_new_project_sends_the_same_events_with_ids_of_its_own(tmp_path: Path) -> None:
    """And a status instead of an event that says no; an old id is told as a gap."""
    said = visit(tmp_path, AFTER, back=1, other=1)
    assert said["first"][0] == "cursor"
    assert [event[:2] for event in said["live"]] == [["shipped", f'{{"number":{number}}}'] for number in (7, 8)]
    status, (missed,) = said["back"]
    assert (status, missed[:2]) == (200, ["shipped", '{"number":9}'])
    assert said["other"] == [403, []]
    _, (gap, first) = said["old id"]
    assert (gap[0], json.loads(gap[1])["reason"]) == ("gap", "unknown")
    assert first[:2] == ["shipped", '{"number":7}']


@pytest.mark.servers
@needs("flask", "node")
def test_script_of_the_page_shows_events_and_hears_of_gaps_and_of_no(tmp_path: Path) -> None:
    """In Node's EventSource, of a server that answers as the new project does."""
    import flask

    from streamkit import Event
    from streamkit.flask import EventStreamResponse

    app = flask.Flask("shop")
    sent = [Event({"reason": "unknown"}, event="gap"), Event({"number": 7}, event="shipped")]

    @app.get("/users/<int:user>/events/")
    def events(user: int) -> Any:
        return EventStreamResponse(sent) if user == 1 else ("", 403)

    with served(app) as url:
        for user, printed in ((1, ["reload", "7"]), (2, ["not allowed"])):
            (tmp_path / "page.mjs").write_text(
                f"""
                const Real = globalThis.EventSource
                globalThis.EventSource = class extends Real {{ constructor(path) {{ super("{url}" + path) }} }}
                const user = {user}
                const location = {{ reload: () => console.log("reload") }}
                const tell = (text) => {{ console.log(text); process.exit() }}
                const show = ({{ number }}) => {{ console.log(number); process.exit() }}
                {SCRIPT}
                """,
                encoding="utf-8",
            )
            command = [node(), "--experimental-eventsource", "--no-warnings", str(tmp_path / "page.mjs")]
            done = subprocess.run(command, timeout=30, capture_output=True, text=True, check=True)
            assert done.stdout.splitlines() == printed


def test_tables_name_every_public_name_and_setting() -> None:
    """Read from its source, since it cannot be imported without settings."""
    from importlib.util import find_spec

    spec = find_spec("django_eventstream")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent
    source = {path.stem: path.read_text(encoding="utf-8") for path in folder.rglob("[a-z]*.py") if path.stem != "tests"}
    tree = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
    names = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    for module in ("channelmanager", "models", "viewsets", "sserenderer", "browsableapieventstreamrenderer"):
        names |= set(re.findall(r"^(?:class|def) (\w+)", source[module], re.M))
    names |= {name for name in re.findall(r"^class (\w+)", source["storage"], re.M) if "Storage" in name}
    names |= set(re.findall(r"    def (\w+)", source["channelmanager"]))
    names |= set(re.findall(r"\bEVENTSTREAM_\w+", "\n".join(source.values())))
    (arguments,) = re.findall(r"^def send_event\((.*?)\):", source["eventstream"], re.M | re.S)
    names |= set(re.findall(r"(\w+)(?:=\w+)?,?", arguments)) - {"None", "True", "False"}
    assert {"send_event", "skip_user_ids", "can_read_channel", "EVENTSTREAM_REDIS", "EventsViewSet"} <= names
    assert sorted(names - set(re.findall(r"\w+", left_columns(PAGE)))) == []
