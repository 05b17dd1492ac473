"""What a reader raises of its own accord, beside the errors of the decoders and those of httpx."""

from __future__ import annotations

import re
from typing import Any

import httpx

from streamkit._headers import media_type
from streamkit.errors import StreamkitError


class NotAStreamError(StreamkitError, ConnectionError):
    """The server answered with another status than 200, or with another type; no browser would come back either.

    Attributes:
        url: Where the answer came from, behind all redirects; without a password.
        status: Of the answer.
        content_type: Its media type, without parameters, in lower case; "" where it has none.
        headers: All of them, such as Retry-After and WWW-Authenticate.
        body: Its first 8 KB, as far as they came within five seconds.
    """

    def __init__(self, url: str, status: int, content_type: str, headers: httpx.Headers, body: bytes) -> None:
        super().__init__(url, status)
        self.url = url
        self.status = status
        self.content_type = content_type
        self.headers = headers
        self.body = body

    def __reduce__(self) -> tuple[Any, ...]:  # a task queue pickles what its task raises
        return type(self), (self.url, self.status, self.content_type, self.headers, self.body)

    def __str__(self) -> str:
        text = "".join(char if char.isprintable() else " " for char in self.body.decode(errors="replace")).strip()
        kind = self.content_type or "a body without a type"
        return f"{self.url:.200} answered {self.status} with {kind}, which is no stream" + (text and f": {text:.200}")


def shown(url: httpx.URL | str) -> str:
    """Return an address as it may stand in a log or an error: without a user's name and password; it may be none."""
    return re.sub(r"//[^/?#]*@", "//", str(url))


def media_type_of(response: httpx.Response) -> str:
    """Return the media type of an answer, without parameters, in lower case."""
    return media_type(response.headers.get("content-type", ""))
