"""How entries follow each other, as values."""

from __future__ import annotations

from streamkit.channels._history import fence, is_behind
from streamkit.channels._position import Position


def test_fence_is_no_older_history_to_whoever_knows_what_it_follows() -> None:
    """Stamps of one millisecond are random: that of the fence may be less than the tag before it."""
    head, lost = Position(100, 5, 547), Position(100, 4, 200)
    fenced = fence(head, lost, 500).position
    assert (fenced.offset, fenced.tag > head.tag) == (6, True)
    assert not is_behind(fenced, head, lambda _: head.tag)
