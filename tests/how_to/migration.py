"""What the pages on migrations promise alike: a table that names everything, and two programs that send the same."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from importlib import metadata
from typing import Any

import pytest

from streamkit import Event
from streamkit.testing import ReceivedEvent, open_stream
from tests.test_how_to import PAGES


def described(package: str, *version: int) -> pytest.MarkDecorator:
    """Skip a test where a package is older than the page says, as in the set of the lowest versions of CI."""
    installed = metadata.version(package)
    numbers = tuple(int(number) for number in re.findall(r"\d+", installed)[: len(version)])
    return pytest.mark.skipif(numbers < version, reason=f"the page describes a newer {package} than {installed}")


def left_columns(page: str) -> str:
    """Return the first cell of each row of a page's tables."""
    text = (PAGES / page).read_text(encoding="utf-8")
    return "\n".join(re.findall(r"^\| (.*?) (?<!\\)\|", text, re.MULTILINE))


def unnamed(page: str, names: Iterable[str]) -> list[str]:
    """Return those names that no table of a page has in its first column."""
    known = set(re.findall(r"\w+", left_columns(page)))
    return [name for name in names if name not in known]


def arguments(function: Callable[..., Any]) -> list[str]:
    """Return the names of a function's arguments."""
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [one.name for one in inspect.signature(function).parameters.values() if one.kind not in kinds]


def public(holder: object) -> list[str]:
    """Return the public names that a class or module has of its own."""
    return [name for name in vars(holder) if not name.startswith("_")]


def events(app: Any, url: str, **headers: str) -> list[ReceivedEvent]:
    """Return the events of a stream that ends."""
    with open_stream(app, "GET", url, headers={"Accept": "text/event-stream", **headers}) as stream:
        return list(stream)


def shown(received: Iterable[Event]) -> list[tuple[str | None, str, str | None]]:
    """Return what a page is shown of events: type, data without the spaces of JSON, id."""
    return [(one.event, str(one.data).replace(": ", ":"), one.id) for one in received]
