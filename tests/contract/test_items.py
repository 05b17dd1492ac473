"""Contract points 2 and 3: item by item, and no faster than the client reads."""

from __future__ import annotations

import re
import time
from typing import Any

from tests.contract.plan import Served, promise
from tests.rig.scenarios import BIG, GATED_ITEMS, MOST_AHEAD
from tests.rig.stream import Stream


def _read_item_by_item(stream: Stream, served: Served) -> None:
    for number in range(GATED_ITEMS):
        served.side_door.allow(number + 1)
        stream.read_until(f"data: item {number}\n\n".encode(), within=3)
    stream.read_to_end()
    assert stream.clean


@promise(2, "Each item leaves before the next one is made.")
def test_each_item_arrives_before_the_next_is_made(served: Served) -> None:
    """An item reaches the client while the source waits for leave to make the next."""
    with served.open("gated") as stream:
        _read_item_by_item(stream, served)


@promise(
    2, "An async source that blocks the event loop while it makes its items holds none of them back.", modes=("async",)
)
def test_source_that_blocks_holds_no_item_back(served: Served) -> None:
    """An item leaves before the generator is resumed, also where the generator never lets the loop run."""
    with served.open("blocking") as stream:
        _read_item_by_item(stream, served)


@promise(2, "Each format arrives whole and ends cleanly: SSE, NDJSON, JSON text sequences, text.")
def test_each_format_arrives_whole(served: Served) -> None:
    """Three items in each format are what a client reads, with the media type of the format."""
    expected = {
        "finite": ("text/event-stream", b"data: 0\n\ndata: 1\n\ndata: 2\n\nevent: done\ndata: \n\n"),
        "retry": ("text/event-stream", b"retry: 1500\ndata: 0\n\ndata: 1\n\ndata: 2\n\n"),
        "ndjson": ("application/x-ndjson", b'0\n1\n2\n{"done":true}\n'),
        "json_seq": ("application/json-seq", b"\x1e0\n\x1e1\n\x1e2\n"),
        "text": ("text/plain; charset=utf-8", b"012"),
    }
    for scenario, (media_type, body) in expected.items():
        with served.open(scenario) as stream:
            assert (stream.head().get("content-type") or "").startswith(media_type)
            assert _without_keepalive(stream.read_to_end()) == body
            assert stream.clean


def _without_keepalive(body: bytes) -> bytes:
    # Inline sync sources send a first keepalive at once; a JSON text sequence may hold lone record separators.
    return re.sub(rb"\A:\n", b"", re.sub(rb"\x1e(?=\x1e)", b"", body))


def _settled(served: Served, within: float = 10.0) -> dict[str, Any]:
    """Return the record once the source has stood still for half a second."""
    until = time.monotonic() + within
    while True:
        record = served.side_door.wait_for(lambda record: record["pulled"] > 0)
        # Asked on the way, so that a server without backpressure does not fill the memory meanwhile.
        assert record["pulled"] * len(BIG) < MOST_AHEAD
        if time.monotonic() - record["pulled_at"] > 0.5:
            return record
        assert time.monotonic() < until, f"the source still runs: {record['pulled']} items"
        time.sleep(0.05)


@promise(3, "A client that does not read stops the source; once it reads on, nothing is missing.")
def test_unread_stream_stops_the_source(served: Served) -> None:
    """What is not read is not made, and no item is dropped."""
    with served.open("flood") as stream:
        stream.head()
        record = _settled(served)
        wanted = record["pulled"] + 10
        stream.read_until(f"data: {wanted} ".encode(), within=20)
        numbers = [int(number) for number in re.findall(rb"^data: (\d+) x", stream.body, re.MULTILINE)]
        assert numbers[:wanted] == list(range(wanted))
