"""Contract point 5: when the client has left, the source is closed, soon, once, where it ran."""

from __future__ import annotations

import re
import time
from typing import Any

from tests.contract.plan import Served, promise
from tests.rig.scenarios import BIG, GATED_ITEMS, MOST_AHEAD

# One second from the server's notice, which may take a second write: the first one makes the kernel answer with RST.
BOUND = 1.5


def _closed_in_time(served: Served, left_at: float) -> dict[str, Any]:
    record = served.closed()
    assert record["closed_at"] - left_at < BOUND
    return record


def _stands_still(record: dict[str, Any]) -> bool:
    # Asked on the way, so that a server without backpressure does not fill the memory meanwhile.
    assert record["pulled"] * len(BIG) < MOST_AHEAD
    still: bool = record["pulled"] > 0 and time.monotonic() - record["pulled_at"] > 0.3
    return still


def _leave_ticking(served: Served, *, reset: bool) -> dict[str, Any]:
    with served.open("ticking") as stream:
        stream.read_until(b"data: 3\n\n")
        stream.leave(reset=reset)
        assert stream.left_at is not None
        return _closed_in_time(served, stream.left_at)


@promise(5, "A source that produces is closed within a second of the client's leaving, by FIN or RST.")
def test_producing_source_is_closed_when_the_client_leaves(served: Served) -> None:
    """CancelledError ends an async source where it waits, GeneratorExit a sync one after its item."""
    for reset in (False, True):
        record = _leave_ticking(served, reset=reset)
        assert record["ended_by"] == ("CancelledError" if served.mode == "async" else "GeneratorExit")


@promise(5, "A source that waits is closed too: at once where it awaits, at its next item where it blocks a thread.")
def test_waiting_source_is_closed_when_the_client_leaves(served: Served) -> None:
    """An idle stream, too, finds out that nobody listens, by its keepalive or by the server's notice."""
    with served.open("lively") as stream:
        stream.read_until(b":\n")
        stream.leave()
        assert stream.left_at is not None
        if served.mode == "async":
            assert _closed_in_time(served, stream.left_at)["ended_by"] == "CancelledError"
            return
        time.sleep(1.0)
        served.side_door.allow(GATED_ITEMS)
        record = served.closed()
        assert record["ended_by"] == "GeneratorExit"
        assert record["pulled"] <= 1


@promise(5, "`finally` runs once, in the thread, task and Context that ran the source, and may await.")
def test_cleanup_runs_once_where_the_source_ran(served: Served) -> None:
    """No step of a source strays from its first thread, task and Context, the cleanup included."""
    record = _leave_ticking(served, reset=True)
    assert record["strayed"] == []
    time.sleep(0.2)
    later = served.closed()
    assert later["closed"] == 1
    assert later["pulled"] == record["pulled"]


@promise(5, "A source that never waits freezes nobody, and stops when the client leaves.")
def test_source_that_never_waits_is_stopped(served: Served) -> None:
    """Another request is answered beside it, and after the client left it is not pulled again."""
    with served.open("spinning") as stream:
        stream.read_until(b"data: 100\n\n")
        with served.open_beside("finite") as beside:
            beside.read_to_end(within=3)
            assert beside.clean
        stream.leave(reset=True)
        assert stream.left_at is not None
        record = served.side_door.wait_for(lambda record: record["scenario"] == "spinning" and record["closed"] > 0)
        assert record["closed_at"] - stream.left_at < BOUND
        assert record["strayed"] == []


@promise(5, "A client that leaves while its stream is held back by backpressure frees the source.")
def test_leaving_frees_a_source_held_back(served: Served) -> None:
    """A send that waits for a client that does not read ends with the client."""
    with served.open("flood") as stream:
        stream.head()
        served.side_door.wait_for(_stands_still)
        stream.leave(reset=True)
        assert stream.left_at is not None
        _closed_in_time(served, stream.left_at)


_OUR_FRAME = re.compile(r'File ".*(?:streamkit|tests/rig/apps)/(?!\.venv)[\w/]+\.py"')
"""A line of a traceback that passes through the library or the app."""


@promise(7, "A client that leaves is no error: nothing is logged above DEBUG.")
def test_leaving_client_is_not_logged_as_an_error(served: Served) -> None:
    """Neither streamkit nor the app has anything to complain about; a server may have, about its own socket."""
    with served.open("finite") as stream:
        # What is logged once per process, such as advice on the worker, is logged now.
        stream.read_to_end()
    mark = len(served.host.log())
    _leave_ticking(served, reset=True)
    time.sleep(0.1)
    assert [entry for entry in served.side_door.logs() if entry["level"] != "DEBUG"] == []
    assert not _OUR_FRAME.search(served.host.log()[mark:])
