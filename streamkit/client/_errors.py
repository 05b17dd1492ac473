"""What a reader raises of its own accord, beside the errors of the decoders and those of httpx."""

from __future__ import annotations

import re

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

    def __init__(self, response: httpx.Response, body: bytes) -> None:
        self.url: str = shown(response.request.url)
        self.status: int = response.status_code
        super().__init__(self.url, self.status)
        self.content_type: str = media_type_of(response)
        self.headers: httpx.Headers = response.headers
        self.body = body

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
