"""Contract point 4: an idle stream shows that it lives, without touching its source."""

from __future__ import annotations

from tests.contract.plan import Served, promise
from tests.rig.scenarios import GATED_ITEMS

KEEPALIVE = b":\n"
FRAMES = b"".join(f"data: item {number}\n\n".encode() for number in range(GATED_ITEMS))


@promise(4, "An idle stream sends keepalives, between whole frames, and the source notices nothing.")
def test_idle_stream_sends_keepalives(served: Served) -> None:
    """Keepalives leave while the source waits, each one line, and what the source sent is whole beside them."""
    with served.open("lively") as stream:
        stream.read_until(KEEPALIVE * 3)
        assert stream.body == KEEPALIVE * (len(stream.body) // 2)
        served.side_door.allow(1)
        stream.read_until(b"data: item 0\n\n" + KEEPALIVE)
        served.side_door.allow(GATED_ITEMS)
        stream.read_to_end()
        lines = stream.body.splitlines(keepends=True)
        assert b"".join(line for line in lines if line != KEEPALIVE) == FRAMES
        assert stream.clean
    record = served.closed()
    assert record["strayed"] == []
    assert record["ended_by"] == "completed"
