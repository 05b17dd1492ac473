"""The recipes of docs/how-to/auth-and-cors.md as apps that are served, and a server of another origin."""

from __future__ import annotations

import re
import sys
import textwrap
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from tests.rig.process import Process
from tests.rig.servers import UNMEASURED, free_port

TEXT = (Path(__file__).parents[2] / "docs" / "how-to" / "auth-and-cors.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^( *)```(python|js)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
BLOCKS = [(language, textwrap.dedent(code)) for _, language, code in _BLOCK.findall(TEXT)]
FLASK, SETTINGS, VIEWS, FASTAPI, TICKETS = [code for language, code in BLOCKS if language == "python"]
ACROSS, FETCH, TICKET = [code for language, code in BLOCKS if language == "js"]

# What an app has besides, for each framework: a page, a login, and, for the tests, how many streams were opened.
FLASK_REST = """
@app.get("/")
def page():
    return "<!doctype html>"

@app.post("/login")
def login():
    flask.session["user"] = "ann"
    return "", 204

@app.get("/opened")
def opened():
    return str(streamkit.stats().opened)
"""
DJANGO_REST = """
from django.urls import path
from django.views.decorators.csrf import ensure_csrf_cookie

@ensure_csrf_cookie
def page(request):
    return HttpResponse("<!doctype html>")

@require_POST
def login(request):
    request.session["user"] = "ann"
    return HttpResponse(status=204)

def opened(request):
    return HttpResponse(str(streamkit.stats().opened))

paths = {"": page, "login": login, "logout": logout, "news": events, "opened": opened}
urlpatterns = [path(*pair) for pair in paths.items()]
"""
DJANGO_SETTINGS = """
INSTALLED_APPS = ["corsheaders"]
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
SECRET_KEY = os.environ["SECRET"]
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "views"
"""
FASTAPI_REST = """
from fastapi.responses import HTMLResponse

@app.get("/", response_class=HTMLResponse)
async def page():
    return "<!doctype html>"

@app.post("/login", status_code=204)
async def login(request: Request):
    request.session["user"] = "ann"

@app.get("/opened")
async def opened():
    return streamkit.stats().opened
"""
ASGI = "from django.core.asgi import get_asgi_application\napp = get_asgi_application()\n"

FILES = {
    "flask": {"served.py": FLASK + FLASK_REST},
    "django": {"settings.py": SETTINGS + DJANGO_SETTINGS, "views.py": VIEWS + DJANGO_REST, "served.py": ASGI},
    "fastapi": {"served.py": FASTAPI + FASTAPI_REST + TICKETS},
}
GUNICORN = "gunicorn --bind 127.0.0.1:{port} --worker-class gthread --threads 16 --no-control-socket served:app"
UVICORN = "uvicorn --host 127.0.0.1 --port {port} --no-access-log served:app"


class Frontend(BaseHTTPRequestHandler):
    """Answers with an empty page, or with an event and the headers of CORS that the query asks for."""

    def do_GET(self) -> None:
        """Answer."""
        headers = parse_qsl(urlsplit(self.path).query)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream" if headers else "text/html")
        for name, value in headers:
            self.send_header(f"Access-Control-Allow-{name}", value)
        self.end_headers()
        self.wfile.write(b'data: {"to":"ann"}\n\n' if headers else b"<!doctype html>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve(framework: str, frontend: int, files: dict[str, str] | None = None) -> Process:
    """Serve a recipe to pages at both names of the frontend."""
    port = free_port()
    command = (GUNICORN if framework == "flask" else UVICORN).format(port=port)
    environment = {
        "SECRET": "not a secret",
        "FRONTEND": f"http://127.0.0.1:{frontend} http://localhost:{frontend}",
        "DJANGO_SETTINGS_MODULE": "settings",
        "PYTHONPATH": "{home}",
        **UNMEASURED,
    }
    arguments = [sys.executable, "-m", *command.split()]
    return Process(arguments, files or FILES[framework], port, environment=environment, start_within=60)
