"""Contract points 1, 12 and 14: the head leaves at once, alone for HEAD, with the right fields."""

from __future__ import annotations

from tests.contract.plan import Served, promise
from tests.rig.stream import Stalled

# A bound on the product, not on a busy machine: one of three attempts must keep it.
ATTEMPTS = 3


def _fastest_head(served: Served) -> float:
    times = []
    for _ in range(ATTEMPTS):
        with served.open("gated") as stream:
            times.append(stream.head().at - stream.opened_at)
            # One that begins after the next reset would wait for leave that nobody gives.
            served.side_door.wait_for(bool, what="a source that began")
    return min(times)


@promise(1, "The head leaves within 100 ms while the source is still silent.")
def test_head_leaves_before_the_first_item(served: Served) -> None:
    """A client knows that it is connected long before the first item exists."""
    assert _fastest_head(served) < 0.1


@promise(1, "The first byte of body leaves within 1.2 s of silence, a keepalive.")
def test_silent_source_sends_a_first_byte_soon(served: Served) -> None:
    """Proxies that hold the head until the first byte of body see one within 1.2 s."""
    for _ in range(ATTEMPTS):
        with served.open("gated") as stream:
            first = stream.piece(within=3)
            assert first is not None
            assert first.data == b":\n"
            if first.at - stream.opened_at < 1.2:
                return
    raise Stalled("no first byte within 1.2 s")


@promise(12, "HEAD is answered by the head alone, and the source is never started.")
def test_head_request_starts_no_source(served: Served) -> None:
    """A HEAD request gets the fields of the stream, no byte of body, and costs no source."""
    with served.open("untouched", method="HEAD") as stream:
        head = stream.head()
        assert head.status == 200
        assert (head.get("content-type") or "").startswith("text/event-stream")
        assert stream.linger(0.2) == b""
    # A request of an earlier test may begin late on a busy server; nothing else asks for this source.
    assert "untouched" not in [record["scenario"] for record in served.side_door.streams()]


@promise(14, "Content-Type, Cache-Control and X-Accel-Buffering are set; no Content-Length, no double framing.")
def test_head_says_stream_to_browsers_and_proxies(served: Served) -> None:
    """Fields that make proxies pass a stream on are there, those that break proxies are not."""
    with served.open("finite") as stream:
        head = stream.head()
        stream.read_to_end()
    assert (head.get("content-type") or "").startswith("text/event-stream")
    assert head.get("cache-control") == "no-cache, no-transform"
    assert head.get("x-accel-buffering") == "no"
    assert head.get("content-length") is None
    assert head.get("transfer-encoding") in (None, "chunked")
    if served.column.server is None:
        names = {name for name, _ in head.headers}
        assert not names & {"transfer-encoding", "connection", "keep-alive"}


@promise(14, "Headers given by the user win.")
def test_headers_of_the_user_win(served: Served) -> None:
    """A header given to the response replaces ours and appears once."""
    with served.open("headers") as stream:
        head = stream.head()
        stream.read_to_end()
    assert head.get("x-ours") == "1"
    assert head.get("cache-control") == "no-store"
    assert head.get("x-accel-buffering") == "no"
