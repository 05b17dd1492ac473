"""What a client has heard of one stream, whichever client it is, and what is made of it; heard.mjs is its twin."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.rig.apps.clients_shared import BEFORE_THE_END, FAILURE, FEW, SEPARATORS, TOKENS

BEGUN = FEW[:BEFORE_THE_END]
EXPECTED = {"tokens": TOKENS, "separators": SEPARATORS, "silence": FEW, "retry": FEW, "bare": TOKENS}
"""What each whole stream says."""

LAST = {"done", "failed"}
"""The types of the events after which a client need not come back."""


@dataclass
class Heard:
    """The tokens and other events of one stream, and how it has ended for the client.

    Args:
        close: Ends the stream from the side of the server, once what comes before that has been heard.
    """

    close: Callable[[], object] | None = None
    texts: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    end: str = ""
    words: str | None = None

    def text(self, text: str) -> None:
        """Take note of a token; an empty one is none."""
        self.texts += [text] if text else []
        if self.close is not None and self.texts == BEGUN:
            self.close()

    def event(self, kind: str, data: str) -> bool:
        """Take note of an event, whose data is JSON; return whether it is the last one."""
        if kind == "message" and data:
            self.text(json.loads(data)["text"])
        elif kind == "bare":
            self.text(data)
        elif kind == "failed":
            self.others.append(f"`failed`{with_text(json.loads(data)['message'])}")
        else:
            self.others.append(f"{kind} {data}")
        return kind in LAST

    def row(self, row: dict[str, Any]) -> None:
        """Take note of a JSON value of NDJSON or of a JSON text sequence."""
        if row.get("error"):
            self.others.append(f"a last row{with_text(row['error'])}")
        else:
            self.text(row["text"])

    def ended(self, end: str) -> None:
        """Take note of the end; the first one counts, since a client may have come back after it."""
        self.end = self.end or end


def with_text(said: str) -> str:
    """Return what an outcome says of an error that has, or has not, the words of the source's exception."""
    return " with the text" if FAILURE in said else ""


def judge(trap: str, heard: Heard, done: list[str]) -> str:
    """Return what a client has made of a trap: `pass`, what it does, or, at a loss, all that it has heard.

    Args:
        trap: The name of it.
        heard: What the client has heard.
        done: The events that end a whole stream, where they are events to the client.
    """
    said = "".join(heard.texts)  # some clients show the text so far, not its tokens
    if trap in EXPECTED and said == "".join(EXPECTED[trap]) and heard.others == done and heard.end == "ends":
        return "pass"
    if trap == "bare" and heard.others == done and heard.end == "ends":
        return "changes them"
    if trap == "error" and said == "".join(BEGUN):
        return ", ".join([*heard.others, *([heard.end] if heard.end != "ends" else [])])
    # Who reads to the end first has nothing of a stream that was cut; nor has a fetch that was late with its reading.
    if trap in {"cut", "closed"} and "".join(BEGUN).startswith(said) and not heard.others:
        return heard.end
    if trap == "cut" and said == "".join(FEW) and heard.others == done:
        return f"{heard.end}, exactly once"
    return f"at a loss: {heard}"
