"""An application with one route, for the tests of Starlette's adapter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

Build = Callable[[Request], Response]


def app_of(build: Build, **options: Any) -> Starlette:
    """Return an application whose one route answers what `build` returns, from an async endpoint."""

    async def endpoint(request: Request) -> Response:
        return build(request)

    return Starlette(routes=[Route("/", endpoint)], **options)


def client_of(build: Build, **options: Any) -> TestClient:
    """Return Starlette's own test client for one route."""
    return TestClient(app_of(build, **options))


async def tokens() -> AsyncIterator[str]:
    """Yield two items, with a pause between."""
    yield "one"
    await asyncio.sleep(0)
    yield "two"


async def forbidden_async() -> AsyncIterator[str]:
    """Refuse before the first item."""
    raise HTTPException(403, "not yours")
    yield ""


def forbidden() -> Iterator[str]:
    """Refuse before the first item."""
    raise HTTPException(403, "not yours")
    yield ""
