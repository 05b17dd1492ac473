"""Count what this process holds: threads, tasks, file descriptors, memory, generators that were never closed.

Everything is read from the interpreter and the operating system, so it holds for any server and any number of event
loops. Only generators of the served scenarios count: a framework may keep generators of its own.
"""

from __future__ import annotations

import _sqlite3
import asyncio
import ctypes
import gc
import sys
import types
from dataclasses import dataclass

import psutil

from streamkit import stats

_LIBC = ctypes.CDLL(None)

# glibc keeps what was freed between things that are in use, and gives it back when asked: of 64 MB after a crowd of a
# hundred 22 were nobody's, now more and now less, while what was in use grew by nothing.
_TRIM = getattr(_LIBC, "malloc_trim", None)

# Each connection of SQLite keeps up to 2 MB of pages: more and more while its file grows, and no more than that.
_CACHED = getattr(ctypes.CDLL(getattr(_sqlite3, "__file__", None)), "sqlite3_memory_used", None)

# glibc gives threads arenas of their own and never merges them: measured on waitress, memory grew from round to round
# by what lay idle in them while the interpreter's own blocks stood still; with one arena it stands still as well.
ONE_ARENA = {"MALLOC_ARENA_MAX": "1"}

_SOURCES = ("scenarios.py", "enduring.py")


class _MallInfo(ctypes.Structure):
    """See mallinfo2(3)."""

    _names = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    _fields_ = tuple((name, ctypes.c_size_t) for name in _names)


@dataclass(frozen=True)
class Resources:
    """What one process holds; `rss` and `heap` in bytes, without the caches of SQLite, the rest are counts.

    `blocks` are of memory, each of a small object; `heap` is what all larger ones have, where that can be told. Both
    are exact, and `rss` also has what lies free beside them. `streams` are those of streamkit that have not ended.
    """

    threads: int
    tasks: int
    fds: int
    rss: int
    generators: int
    blocks: int
    streams: int = 0
    heap: int = 0


def snapshot() -> Resources:
    """Collect garbage, have the allocator return what is free, then count."""
    gc.collect()
    if _TRIM is not None:
        _TRIM(0)
    blocks = sys.getallocatedblocks()
    process = psutil.Process()
    tasks = generators = 0
    for thing in gc.get_objects():
        if isinstance(thing, asyncio.Task):
            tasks += not thing.done()
        elif isinstance(thing, types.GeneratorType):
            generators += thing.gi_frame is not None and thing.gi_code.co_filename.endswith(_SOURCES)
        elif isinstance(thing, types.AsyncGeneratorType):
            generators += thing.ag_frame is not None and thing.ag_code.co_filename.endswith(_SOURCES)
    cached = _CACHED() if _CACHED is not None else 0
    rss, heap = process.memory_info().rss - cached, max(0, _heap() - cached)
    return Resources(process.num_threads(), tasks, process.num_fds(), rss, generators, blocks, stats().open, heap)


def _heap() -> int:
    ask = getattr(_LIBC, "mallinfo2", None)  # since glibc 2.33
    if ask is None:
        return 0
    ask.restype = _MallInfo
    told = ask()
    return int(told.uordblks + told.hblkhd)
