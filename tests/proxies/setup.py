"""What is declared of one configuration of docs/deploy: what it is built to do to a stream, and how it is tested.

The names of what it does are those that the doctor prints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mechanism = Literal[
    "streamed",
    "whole-body",
    "byte-quantum",
    "time-quantum",
    "tail-lag",
    "compressed",
    "replayed",
    "headers-late",
    "idle-cut",
    "total-cut",
    "truncated-clean",
]
Leaving = Literal["at once", "at the next frame", "never"]

CUTS: frozenset[Mechanism] = frozenset({"idle-cut", "total-cut"})

UVICORN = "uvicorn-httptools"
GUNICORN = "gunicorn-gthread"
"""A server that answers HTTP/1.0, as nginx before 1.29.7 speaks it, with a body that ends when the connection does."""

LIMIT = 2.0
"""Seconds, in the place of limits too long to wait for: far above a keepalive of 0.3 s on a busy machine."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """One configuration of one product.

    Args:
        product: its name in PRODUCTS.
        file: the configuration file, below docs/deploy.
        mechanism: what a response of streamkit meets.
        ndjson: what it meets as NDJSON, where that is something else than as an event stream.
        bulk: what it meets with frames of 5 KB, where that is something else.
        bare: what small frames meet without streamkit's headers, where that is something else.
        bare_bulk: what frames of 5 KB meet without them, where that is something else again.
        compresses: what arrives compressed, for a client that accepts gzip: a bare response, or ours too.
        replays: a second client of a bare response is sent the recording of the first.
        crash_looks_clean: an app that dies in the middle of a stream leaves the client with a clean end.
        leaving: when an app under uvicorn learns that a client has left a silent stream, if frames pass at all.
        bare_leaving: the same of a bare response, where it is something else.
        cure: the setup that differs by the lines which cure this one; None where there is nothing to cure.
        changes: lines of the file, and what a test puts in their place so that it need not wait long.
        arguments: more of the program.
        also: a part it needs beside its product, as tests/rig/requirements.py calls it.
        upstream: the app's server, a name in the rig.
        behind: the setup that stands between this one and the app.
    """

    product: str
    file: str
    mechanism: Mechanism = "streamed"
    ndjson: Mechanism | None = None
    bulk: Mechanism | None = None
    bare: Mechanism | None = None
    bare_bulk: Mechanism | None = None
    compresses: Literal["nothing", "bare", "all"] = "nothing"
    replays: bool = False
    crash_looks_clean: bool = False
    leaving: Leaving = "at once"
    bare_leaving: Leaving | None = None
    cure: str | None = None
    changes: tuple[tuple[str, str], ...] = ()
    arguments: str = ""
    also: str | None = None
    upstream: str = UVICORN
    behind: str | None = None

    @property
    def cuts(self) -> bool:
        """Whether it is built to end a stream before its time, with the changes after LIMIT."""
        return self.mechanism in CUTS

    @property
    def streams(self) -> bool:
        """Whether nothing of a response of streamkit is held back or cut, however lively it is."""
        return {self.mechanism, self.ndjson or self.mechanism, self.bulk or self.mechanism} <= {"streamed", "idle-cut"}

    def meets(self, *, bare: bool = False, bulk: bool = False) -> Mechanism:
        """Return what an event stream meets."""
        small = (self.bare or self.mechanism) if bare else self.mechanism
        large = (self.bare_bulk or self.bare or self.bulk) if bare else self.bulk
        return (large or small) if bulk else small
