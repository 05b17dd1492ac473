"""What only Django's test clients do: transactions, CSRF, a logged-in user."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import AsyncClient, Client, override_settings
from django.urls import path

from streamkit import Event
from streamkit.django import EventStreamResponse
from streamkit.testing import open_stream

SETTINGS = {
    "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    "MIDDLEWARE": ["django.middleware.csrf.CsrfViewMiddleware"],
}


def who(request: Any) -> Any:
    """Stream the header of a request."""
    return EventStreamResponse([request.headers.get("X-User", "nobody")], request=request)


@pytest.fixture(autouse=True)
def _site() -> Iterator[None]:
    with override_settings(ROOT_URLCONF=(path("", who),), MIDDLEWARE=SETTINGS["MIDDLEWARE"]):
        yield


@pytest.mark.parametrize("enforced", [False, True])
def test_csrf_is_checked_where_the_client_does(enforced: bool) -> None:
    """As with the client's own requests."""
    with open_stream(Client(enforce_csrf_checks=enforced), "POST", "/", json={"a": 1}) as events:
        assert events.status_code == (403 if enforced else 200)

    async def test() -> None:
        async with open_stream(AsyncClient(enforce_csrf_checks=enforced), "POST", "/", json={"a": 1}) as events:
            assert events.status_code == (403 if enforced else 200)

    asyncio.run(test())


def test_headers_of_the_client_are_sent() -> None:
    """Those that it was made with."""
    with open_stream(Client(headers={"X-User": "ann"}), "GET", "/") as events:
        assert list(events) == [Event("ann")]
