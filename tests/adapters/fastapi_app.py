"""Endpoints that yield items of every kind, and a way to read them, for the tests of FastAPI's adapter."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel

from streamkit import Event


class Row(BaseModel):
    """What an endpoint may yield."""

    n: int


@dataclass
class Point:
    """What an endpoint may yield too."""

    x: int


def get(app: FastAPI, path: str = "/", **request: Any) -> Any:
    """Return the whole answer, by FastAPI's own test client."""
    with TestClient(app) as client:
        return client.get(path, **request)


async def async_items() -> AsyncIterator[Any]:
    """Yield one item of each kind."""
    yield Event("a", id="1")
    await asyncio.sleep(0)
    yield {"b": 1}
    yield Row(n=2)
    yield Point(x=3)


def sync_items() -> Iterator[Any]:
    """Yield one item of each kind."""
    yield Event("a", id="1")
    yield {"b": 1}
    yield Row(n=2)
    yield Point(x=3)
