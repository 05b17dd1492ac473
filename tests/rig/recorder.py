"""Record what a served generator lives through: pulls, its end, and whether it stayed where it began.

One recorder per process. A scenario opens `recorder.recording(...)` around its body; a test resets the recorder, makes
a request and reads the records, here or through the side door. Records of streams that began before the reset are no
longer listed. Leaving an async recording awaits, so that every scenario also shows whether cleanup may await. Where the
environment names a journal, each record is appended to it when its stream was closed: it outlives the process.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import count
from types import TracebackType
from typing import Any, Self, TypeVar

Item = TypeVar("Item")

JOURNAL = "STREAMKIT_RIG_JOURNAL"

# What a reset allows to the streams it forgets, so that no generator of a finished test waits for ever.
RELEASED = 1_000_000

_mark: ContextVar[int] = ContextVar("rig_mark", default=0)
_marks = count(1)


def _current_task() -> int:
    try:
        return id(asyncio.current_task())
    except RuntimeError:
        return 0


@dataclass
class Record:
    """What happened to one stream; times are `time.monotonic()`.

    `strayed` lists what changed between two steps of the generator: thread, task or context.
    """

    scenario: str
    number: int
    pulled: int = 0
    allowed: int = 0
    began_at: float = field(default_factory=time.monotonic)
    pulled_at: float = 0.0
    ended_by: str | None = None
    closed: int = 0
    closed_at: float = 0.0
    strayed: list[str] = field(default_factory=list)
    _home: tuple[int, int, int] = (0, 0, 0)

    def pull(self, item: Item) -> Item:
        """Count one item on its way out."""
        self.pulled += 1
        self.pulled_at = time.monotonic()
        self._stayed("pull")
        return item

    @property
    def released(self) -> bool:
        """Whether the test is over and the generator had better end by itself."""
        return self.allowed >= RELEASED

    def _begin(self) -> None:
        _mark.set(self.number)
        self._home = (threading.get_ident(), _current_task(), self.number)

    def _stayed(self, step: str) -> None:
        now = (threading.get_ident(), _current_task(), _mark.get())
        parts = zip(("thread", "task", "context"), self._home, now, strict=True)
        self.strayed += [f"{name} at {step}" for name, was, is_now in parts if was != is_now]

    def _end(self, error: BaseException | None) -> None:
        self.ended_by = type(error).__name__ if error is not None else "completed"
        self._stayed("end")

    def _close(self) -> None:
        self.closed += 1
        self.closed_at = time.monotonic()
        self._write()

    def _write(self) -> None:
        if path := os.environ.get(JOURNAL):
            with open(path, "ab", buffering=0) as journal:  # one write per line: processes and threads share the file
                journal.write(json.dumps(self.public()).encode() + b"\n")

    def public(self) -> dict[str, Any]:
        """Return the fields that a test reads."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}


class Recording:
    """A record's life as a context manager, for sync and async generators."""

    def __init__(self, record: Record) -> None:
        self.record = record

    def __enter__(self) -> Record:
        self.record._begin()
        return self.record

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.record._end(error)
        self.record._close()

    async def __aenter__(self) -> Record:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.record._end(error)
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:  # the server leaves without waiting
            self.record._write()
            raise
        self.record._close()


class LogList(logging.Handler):
    """Keep what was logged, with whether a traceback came along."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.entries: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one log record."""
        error = repr(record.exc_info[1]) if record.exc_info else None
        self.entries.append(
            {"logger": record.name, "level": record.levelname, "text": record.getMessage(), "error": error}
        )


class Recorder:
    """All records of this process, and what was logged by streamkit."""

    def __init__(self) -> None:
        self.streams: list[Record] = []
        self.logs = LogList()
        self.reasons: list[str] = []
        self._allowed = 0
        self._watching = False

    def recording(self, scenario: str) -> Recording:
        """Begin the record of one stream."""
        record = Record(scenario, next(_marks), allowed=self._allowed)
        self.streams.append(record)
        return Recording(record)

    def watch_logs(self) -> Self:
        """Keep what streamkit logs from now on."""
        if not self._watching:
            self._watching = True
            logger = logging.getLogger("streamkit")
            logger.setLevel(logging.DEBUG)
            logger.addHandler(self.logs)
        return self

    def reset(self) -> None:
        """Forget all records and logs, and let the generators that still run come to their end."""
        self.allow(RELEASED)
        self.streams = []
        self.reasons = []
        self._allowed = 0
        self.logs.entries.clear()

    def allow(self, items: int) -> None:
        """Let each gated stream yield `items` items in all, those too that begin later."""
        self._allowed = items
        for record in self.streams:
            record.allowed = items

    def note_reason(self, reason: str, _stats: object) -> None:
        """Keep why a stream ended; an `on_close`."""
        self.reasons.append(reason)

    def state(self) -> dict[str, Any]:
        """Return records, reasons and logs as JSON types."""
        return {
            "streams": [record.public() for record in self.streams],
            "reasons": list(self.reasons),
            "logs": list(self.logs.entries),
        }


recorder = Recorder()
