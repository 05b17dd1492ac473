"""What becomes of a server upstream that refuses, answers with something else, or breaks off."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime

from streamkit._headers import media_type
from streamkit.errors import StreamkitError

MAX_BODY = 65536
"""Bytes of a refusal that are kept."""

BODY_SECONDS = 5.0
"""Seconds in which they have to come."""


class UpstreamError(StreamkitError, ConnectionError):
    """The server upstream did not answer with an event stream, or its stream ended before its end.

    Attributes:
        detail: What was wrong, and after which event.
        status: The HTTP status of its answer; None where the answer was right, and then broke off.
        media_type: The Content-Type of its answer.
        body: The first 64 KiB of its answer, where that is no event stream, as far as they came within five seconds. It
            may say more than a client should know.
        retry_after: The Retry-After of its answer, "" where it has none.
    """

    def __init__(
        self, detail: str, status: int | None = None, media_type: str = "", body: bytes = b"", retry_after: str = ""
    ) -> None:
        super().__init__(detail, status, media_type, body, retry_after)
        self.detail = detail
        self.status = status
        self.media_type = media_type
        self.body = body
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"upstream {self.detail}" + (f": {self.body[:200]!r}" if self.body else "")

    @property
    def answer(self) -> tuple[int, str, bytes]:
        """Status, Content-Type and body to answer the client with, in a view that waits with `primed`.

        An error in JSON is passed on with its status, if it came whole. Of everything else only the status is, and only
        of an error: a page of another server must not be shown as one of yours.
        """
        status = self.status if self.status is not None and 400 <= self.status <= 599 else 502
        is_json = media_type(self.media_type) == "application/json" and _is_json(self.body)
        if status == self.status and is_json:
            return status, "application/json", self.body
        return status, "text/plain; charset=utf-8", f"upstream {self.detail}".encode()

    @property
    def headers(self) -> dict[str, str]:
        """What else to answer with: the Retry-After of a refusal, which clients of language models wait for.

        No other header of upstream is passed on, and this one only if it is what it should be (RFC 9110, 10.2.3).
        """
        is_refusal = self.status == self.answer[0]
        return {"Retry-After": self.retry_after} if is_refusal and _is_delay(self.retry_after) else {}


def _is_delay(text: str) -> bool:
    """Tell whether a Retry-After is a number of seconds or a date."""
    if text.isascii() and text.isdigit():
        return len(text) < 10
    try:
        parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # of a year with more digits than an int of C has
        return False
    return len(text) < 40 and text.isprintable()


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):  # it was cut, or is none
        return False
    return True
