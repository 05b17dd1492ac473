"""What a client has heard of one stream, whichever client it is, and what is made of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.rig.apps.clients_shared import BEFORE_THE_END, FEW, SEPARATORS, TOKENS

TRAPS = {
    "tokens": "tokens of a line break alone, of spaces alone, that begin with spaces or look like a field",
    "separators": "U+2028, U+2029 and U+0085 inside JSON",
    "silence": "an id, then a silence with keepalives",
    "retry": "a `retry` in the policy, then a silence with keepalives",
    "error": "the source fails and `on_error` says so",
    "cut": "the source fails and nothing says so: the connection is cut",
    "closed": "`close_streams`, or a shutdown, while the stream is idle",
}

EXPECTED = {"tokens": TOKENS, "separators": SEPARATORS, "silence": FEW, "retry": FEW}


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

    def text(self, text: str) -> None:
        """Take note of a token."""
        self.texts.append(text)
        if self.close is not None and len(self.texts) == BEFORE_THE_END:
            self.close()

    def event(self, kind: str, data: str) -> bool:
        """Take note of an event, whose data is JSON; return whether it is the last one."""
        if kind == "message" and data:
            self.text(json.loads(data)["text"])
        else:
            self.others.append(f"{kind} {data}".strip())
        return kind in {"done", "failed"}

    def row(self, row: dict[str, Any]) -> None:
        """Take note of a JSON value of NDJSON or of a JSON text sequence."""
        if row.get("error"):
            self.others.append(f"row {row['error']}")
        else:
            self.text(row["text"])

    def ended(self, end: str) -> None:
        """Take note of the end; the first one counts, since a client may have come back after it."""
        self.end = self.end or end


def judge(trap: str, heard: Heard, done: list[str]) -> str:
    """Return what a client has made of a trap: `pass`, what it does, or, at a loss, all that it has heard.

    Args:
        trap: Which of TRAPS.
        heard: What it has heard.
        done: The events that end a whole stream.
    """
    said = "".join(heard.texts)  # some clients show the text so far, not its tokens
    if trap in EXPECTED:
        whole = said == "".join(EXPECTED[trap]) and heard.others == done and heard.end == "ends"
        return "pass" if whole else f"{heard}"
    if said == "".join(FEW[:BEFORE_THE_END]):
        return ", ".join([*heard.others, heard.end])
    if said == "".join(FEW) and heard.others == done:
        return f"{heard.end}, exactly once"
    return f"{heard}"
