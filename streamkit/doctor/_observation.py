"""What one request saw: values without behaviour, made by `_fetch` or written in a test. Pure.

All times are seconds since the request was sent, by the reader's clock, but for `Frame.sent`, which is by the origin's.
The two clocks differ by an amount that nobody knows; only differences of one clock are ever used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

# How an answer ended: whole; by a fault of the connection; left by us after enough; still open when the time was up;
# or there was none.
Ending = Literal["clean", "cut", "left", "timeout", "none"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """Bytes that came in one read: when, how many of the body once decompressed, and how many frames they completed.

    `inside` says that they end inside a frame: its rest must still come.
    """

    at: float
    size: int
    frames: int = 0
    inside: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame, or event: when it was complete here, and when the origin sent it, where it says so."""

    at: float
    sent: float | None = None
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Variant:
    """One request of the battery: what is asked of the probe, and how.

    Args:
        name: Of VARIANTS in `_battery`, by which the rules know it.
        says: What is special about it, for people.
        frames: How many are to come; 0 where nobody knows.
        gap: Seconds between two frames; 0 where nobody knows.
        first: Seconds from the head to the first frame.
        silence: Seconds of nothing in the middle.
        cut: Whether the origin fails half-way, on purpose.
    """

    name: str
    says: str = ""
    frames: int = 0
    gap: float = 0.0
    first: float = 0.0
    silence: float = 0.0
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """One request and what came of it.

    Args:
        variant: What was asked.
        status: None where no head came.
        http_version: As the client saw it, "HTTP/1.1".
        headers: Of the answer, by lower-case name; the last of a name wins.
        head_at: When the head was there.
        arrivals: The reads, in order.
        frames: The frames or events, in order.
        ending: How it ended.
        ended_at: When.
        nonce: What the origin drew for this answer.
        head_sent: When the origin let the head go, by its clock.
        echo: What the origin says that arrived there.
        body: The first bytes of a body that is no stream.
        fault: Why there is no answer, or why it broke off, in one line.
    """

    variant: Variant
    status: int | None = None
    http_version: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    head_at: float = 0.0
    arrivals: tuple[Arrival, ...] = ()
    frames: tuple[Frame, ...] = ()
    ending: Ending = "none"
    ended_at: float = 0.0
    nonce: str = ""
    head_sent: float | None = None
    echo: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    fault: str = ""

    @property
    def encoding(self) -> str:
        """The Content-Encoding, "" where there is none; `identity`, which says nothing, is left out."""
        encodings = self.headers.get("content-encoding", "").lower().replace(" ", "").split(",")
        return ", ".join(encoding for encoding in encodings if encoding not in ("", "identity"))


Severity = Literal["ok", "info", "warning", "error"]
Verdict = Literal["streams", "buffers", "broken", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One mechanism, what shows it, who is suspected and what to do.

    Severities: `ok` and `info` are no complaint, a `warning` does not hold events back, an `error` decides the verdict.
    """

    mechanism: str
    severity: Severity
    evidence: str
    suspect: str = ""
    cure: str = ""
