"""Contract points 10, 11 and 13: a stream that must end before its source does, and what is told of every end."""

from __future__ import annotations

import re
import time

from tests.contract.plan import Served, promise
from tests.rig.scenarios import GATED_ITEMS
from tests.rig.stream import Stalled

BROWSER = {"Accept": "text/event-stream"}

# Whole events with ids and data that count together, keepalives, and one line that is no event.
RESUMABLE = re.compile(rb"(?:id: [0-9]+\ndata: [0-9]+\n\n|:\n)+retry: ([0-9]+)\n")


def _ended_by_retry(served: Served, scenario: str, *, drain: bool) -> None:
    with served.open(scenario, headers=BROWSER) as stream:
        stream.read_until(b"data: 2\n\n")
        if drain:
            assert served.side_door.ask("drain") >= 1
        body = stream.read_to_end(within=5)
        assert stream.clean
        told = RESUMABLE.fullmatch(body)
        assert told, body
        assert 1000 <= int(told[1]) <= 5000
        assert served.closed()["closed"] == 1


@promise(10, "At `drain()` a stream that a browser resumes ends cleanly, and says when to come back.")
def test_drain_sends_a_browser_away(served: Served) -> None:
    """No event is cut in two and none is invented: the last line is no event."""
    _ended_by_retry(served, "numbered", drain=True)


@promise(10, "At `drain()` any other stream has its grace, and is then cut: nobody takes it for whole.")
def test_drain_cuts_what_outlasts_its_grace(served: Served) -> None:
    """The connection ends without the end of the body."""
    with served.open("ticking") as stream:
        stream.read_until(b"data: 2\n\n")
        assert served.side_door.ask("drain") >= 1
        stream.read_to_end(within=5)
        assert stream.ending == "truncated"
        assert b"retry" not in stream.body
        assert served.closed()["closed"] == 1


@promise(10, "At `drain()` a stream that completes within its grace is whole.")
def test_drain_leaves_a_stream_its_grace(served: Served) -> None:
    """The end is said, and the body ends cleanly."""
    with served.open("graced") as stream:
        served.side_door.allow(GATED_ITEMS - 1)
        stream.read_until(b"data: item 3\n\n")
        assert served.side_door.ask("drain") >= 1
        served.side_door.allow(GATED_ITEMS)
        assert stream.read_to_end(within=5).endswith(b"data: item 4\n\nevent: done\ndata: \n\n")
        assert stream.clean


@promise(11, "At its `max_age` a stream ends in the same two ways.")
def test_max_age_ends_a_stream(served: Served) -> None:
    """A browser is told when to come back."""
    _ended_by_retry(served, "aged", drain=False)


@promise(13, "`on_close` is told once why the stream has ended: completed, error or disconnected.")
def test_on_close_is_told_the_reason(served: Served) -> None:
    """Each of three streams has its own end."""
    with served.open("told_finite") as stream:
        stream.read_to_end()
        assert _reasons(served) == ["completed"]
    with served.open("told_failing") as stream:
        assert _reasons(served) == ["error"]
    with served.open("told_ticking") as stream:
        stream.read_until(b"data: 2\n\n")
        stream.leave(reset=True)
        assert _reasons(served) == ["disconnected"]


def _reasons(served: Served, within: float = 5.0) -> list[str]:
    """Wait until a reason was told, and return all that were."""
    served.closed(within)
    until = time.monotonic() + within
    while not (reasons := served.side_door.reasons()):
        if time.monotonic() > until:
            raise Stalled(f"on_close was told nothing within {within} s")
        time.sleep(0.02)
    return reasons
